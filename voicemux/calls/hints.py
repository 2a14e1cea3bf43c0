"""Hints about the user's own sound: what the other side suffers from, and the user does not notice. Pure.

Each is told when it begins to be so, and again a minute later at the earliest, if it was over meanwhile. They are
lines of text, and no sounds: a sound would be taken for a fault.
"""

from collections import deque
from dataclasses import dataclass

from voicemux.events import Hint

AGAIN = 60.0  # seconds between two hints of one kind
SPAN = 5.0  # seconds that are looked back on
CLIPS = 3  # pieces of sound with clipped samples in the span: one may be a cough
SPOKEN = 3.0  # seconds of speech in the span, while muted: less may be a word to another person in the room
LOUD_ECHO = -30.0  # dB against what was played: a softer echo does not disturb
ECHO_FOR = 3.0  # seconds that an echo must have been loud: three estimates
NOT_CANCELLED = ("off", "not installed")  # of an `EchoState`

SENTENCES = {
    "clipping": "your microphone clips: turn it down, or speak from farther away",
    "muted": "you are muted, but speaking: they do not hear you",
    "echo": "they hear an echo of themselves from you: turn your loudspeaker down, or call with --echo on",
}


@dataclass(frozen=True)
class OwnSound:
    """What there is to see of our own microphone at one look."""

    clips: int  # pieces of sound with clipped samples, so far
    muted: bool  # by the user
    spoken: float | None  # seconds of speech, so far; None: no detector
    echo: str  # what becomes of echo
    echo_db: float | None  # its level against what was played; None: not known, or none


class Hints:
    """`look` ten times a second or so. Any one thread."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, OwnSound]] = deque()  # those of the span, and the last before it
        self._muted_since: float | None = None
        self._echo_since: float | None = None
        self._active = dict.fromkeys(SENTENCES, False)  # and told
        self._told_at: dict[str, float] = {}

    def look(self, now: float, sound: OwnSound) -> list[Hint]:
        """What there is to tell. `now` is in seconds."""
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
        """Seconds in the span."""
        since = self._muted_since
        known = [each.spoken for at, each in self._seen if since is not None and at >= since]
        if sound.spoken is None or not known or known[0] is None:
            return 0.0
        return sound.spoken - known[0]

    def _tell(self, kind: str, is_so: bool, now: float, *, until: bool | None = None) -> list[Hint]:
        """`until` is what must be so before it may be told again, if that is more than that it is over."""
        if not is_so:
            self._active[kind] = self._active[kind] and until is False
        elif not self._active[kind] and now - self._told_at.get(kind, -AGAIN) >= AGAIN:
            self._active[kind], self._told_at[kind] = True, now
            return [Hint(kind, SENTENCES[kind])]
        return []
