"""Hints about the user's own sound: faults that the other side hears and the user does not. Pure: time is an
argument.

Each hint is given when its fault begins; and again, at the earliest a minute later, if the fault has ended meanwhile.
Hints are lines of text and not sounds, because a sound would be taken for a fault.
"""

from collections import deque
from dataclasses import dataclass

from voicemux.events import Hint

AGAIN = 60.0  # seconds between two hints of one kind
SPAN = 5.0  # seconds of the past that are judged
CLIPS = 3  # clipped pieces of sound within SPAN: one alone may be a cough
SPOKEN = 3.0  # seconds of speech within SPAN while muted: less may be meant for another person in the room
LOUD_ECHO = -30.0  # dB relative to what was played: a softer echo does not disturb (a judgement, not measured)
ECHO_FOR = 3.0  # seconds that the echo must have been loud: three estimates of `EchoMeter`
NOT_CANCELLED = ("off", "not installed")  # values of `EchoState` in which echo is sent to the peer

SENTENCES = {
    "clipping": "your microphone clips: turn it down, or speak from farther away",
    "muted": "you are muted, but speaking: they do not hear you",
    "echo": "they hear an echo of themselves from you: turn your loudspeaker down, or call with --echo on",
}


@dataclass(frozen=True)
class OwnSound:
    """What is known of our own microphone at one look."""

    clips: int  # blocks with clipped samples since the call began
    muted: bool  # by the user
    spoken: float | None  # seconds of speech, so far; None: no detector
    echo: str  # an `EchoState`: "on", "off", "not needed" or "not installed"
    echo_db: float | None  # level of the echo relative to what was played, in dB; None: not known, or no echo


class Hints:
    """Decides when to give a hint. One thread calls `look` about ten times a second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, OwnSound]] = deque()  # the looks within SPAN, and the last one before it
        self._muted_since: float | None = None
        self._echo_since: float | None = None
        self._active = dict.fromkeys(SENTENCES, False)  # of each kind: it is so, and has been told
        self._told_at: dict[str, float] = {}

    def look(self, now: float, sound: OwnSound) -> list[Hint]:
        """Return the hints to give now. `now` is in seconds."""
        self._seen.append((now, sound))
        while len(self._seen) > 1 and self._seen[1][0] <= now - SPAN:
            self._seen.popleft()
        if sound.muted != (self._muted_since is not None):
            self._muted_since = now if sound.muted else None
        is_loud = sound.echo in NOT_CANCELLED and sound.echo_db is not None and sound.echo_db > LOUD_ECHO
        if is_loud != (self._echo_since is not None):
            self._echo_since = now if is_loud else None
        first = self._seen[0][1]
        return [
            *self._tell("clipping", sound.clips - first.clips >= CLIPS, now),
            *self._tell("muted", self._spoken_while_muted(sound) >= SPOKEN, now, until=not sound.muted),
            *self._tell("echo", self._echo_since is not None and now - self._echo_since >= ECHO_FOR, now),
        ]

    def _spoken_while_muted(self, sound: OwnSound) -> float:
        """Return for how many seconds the user has spoken within SPAN since muting."""
        since = self._muted_since
        known = [each.spoken for at, each in self._seen if since is not None and at >= since]
        if sound.spoken is None or not known or known[0] is None:
            return 0.0
        return sound.spoken - known[0]

    def _tell(self, kind: str, is_so: bool, now: float, *, until: bool | None = None) -> list[Hint]:
        """Return the hint if the fault `is_so` and it may be given. `until`, if given, must be true before the fault
        counts as over."""
        if not is_so:
            self._active[kind] = self._active[kind] and until is False
        elif not self._active[kind] and now - self._told_at.get(kind, -AGAIN) >= AGAIN:
            self._active[kind], self._told_at[kind] = True, now
            return [Hint(kind, SENTENCES[kind])]
        return []
