"""What the user is told of the other side while a call goes on: that nothing comes, and what it does with voice.

Pure: time is an argument. Each thing is told once, and once more when it is over; what changes all the time is told
at most every two seconds, whatever the peer says.
"""

from dataclasses import dataclass

from voicemux.events import Late, PeerSwitched, Quiet, Voice

LINE_QUIET = 3.0  # seconds without a byte: PINGs come every 2 (protocol.md §9)
VOICE_QUIET = 3.0  # seconds without a packet, of a peer that says that it sends voice
MICROPHONE_QUIET = 5.0  # seconds of digital silence: a microphone that is on has some noise
LATE, LATE_NO_MORE = 0.4, 0.15  # seconds of delay more than before: people talk at once from about half a second on
LATE_FOR = 2.0  # seconds that it must have been so: a lost packet takes less to be repeated
TOLD_AGAIN = 2.0  # seconds between two lines about the same thing
STALL = 1.0  # seconds between two looks after which we have slept ourselves, and know nothing of the peer

SWITCHES = ("sends", "muted", "deafened", "records")  # of `Voice`, as they are told


@dataclass(frozen=True)
class Signs:
    """What there is to see at one look."""

    bytes_read: int  # off the line, so far
    packets: int  # of voice that have come, so far
    paused: bool  # the last of them said that silence begins
    peer_voice: Voice | None  # what the peer says of it; None if it has said nothing
    late: float | None  # seconds that the peer's voice comes later than it did at best; None while none comes
    own_silence: float  # seconds of digital silence from our microphone; 0 where it is muted, or there is none


class Watch:
    """`begin()` when the user is told of the call, then `look()` ten times a second or so. Any one thread."""

    def __init__(self, name: str, *, hears: bool, of_line: bool = True) -> None:
        """`name` is the peer's; `hears` is whether we play its voice at all; `of_line` is whether to tell that the
        line is silent: another module tells of a call that outlives its line."""
        self._of_line = of_line
        self._name = name
        self._hears = hears
        self._looked: float | None = None
        self._bytes = self._packets = 0
        self._byte_at = self._packet_at = 0.0
        self._quiet = {"line": False, "voice": False, "microphone": False}
        self._is_late = False
        self._late_since: float | None = None  # since when its lateness is other than `_is_late` says
        self._told: dict[str, bool | None] = dict.fromkeys(SWITCHES, False)
        self._told_at: dict[str, float] = {}

    def begin(self, peer_voice: Voice | None, *, hears: bool) -> None:
        """What the user has been told at the beginning; `hears` is whether voice had come then."""
        for what in SWITCHES:
            self._told[what] = getattr(peer_voice, what) if peer_voice else False
        if peer_voice is None:
            self._told["sends"] = True if hears else None

    def look(self, now: float, signs: Signs) -> list[Quiet | Late | PeerSwitched]:
        """What there is to tell. `now` is in seconds."""
        if self._looked is None or now - self._looked > STALL:
            self._byte_at = self._packet_at = now
        self._looked = now
        if signs.bytes_read != self._bytes:
            self._bytes, self._byte_at = signs.bytes_read, now
        if signs.packets != self._packets or not self._is_awaited(signs):
            self._packets, self._packet_at = signs.packets, now
        line = now - self._byte_at >= LINE_QUIET
        return [
            *self._switches(now, signs),
            *self._tell("line", line and self._of_line, LINE_QUIET, now),
            # Where nothing comes at all, that says it.
            *self._tell("voice", now - self._packet_at >= VOICE_QUIET and not line, VOICE_QUIET, now),
            *self._lateness(now, signs.late if self._hears else None),
            *self._tell("microphone", signs.own_silence >= MICROPHONE_QUIET, MICROPHONE_QUIET, now),
        ]

    def _is_awaited(self, signs: Signs) -> bool:
        """Whether packets should come."""
        return (
            self._hears
            and signs.peer_voice is not None
            and signs.peer_voice.sends
            and not (signs.peer_voice.muted or signs.paused)
        )

    def _tell(self, what: str, quiet: bool, seconds: float, now: float) -> list[Quiet | PeerSwitched]:
        if quiet == self._quiet[what] or (quiet and not self._may_tell(what, now)):
            return []
        self._quiet[what] = quiet
        return [Quiet(what, quiet, self._name, seconds)]

    def _lateness(self, now: float, late: float | None) -> list[Late]:
        if late is None:
            return []
        if (late < LATE_NO_MORE) if self._is_late else (late > LATE):
            self._late_since = now if self._late_since is None else self._late_since
        else:
            self._late_since = None
        if self._late_since is None or now - self._late_since < LATE_FOR:
            return []
        self._is_late, self._late_since = not self._is_late, None
        return [Late(self._is_late, self._name, round(late, 1))]

    def _switches(self, now: float, signs: Signs) -> list[Quiet | PeerSwitched]:
        found: list[Quiet | PeerSwitched] = []
        for what in SWITCHES if self._hears else ("deafened", "records"):
            is_on = self._is_on(what, signs)
            if is_on is not None and is_on != self._told[what] and self._may_tell(what, now):
                self._told[what] = is_on
                found.append(PeerSwitched(self._name, what, is_on))
        return found

    def _is_on(self, what: str, signs: Signs) -> bool | None:
        """As the peer says it; of one that says nothing, its voice shows whether it sends some."""
        if signs.peer_voice:
            return bool(getattr(signs.peer_voice, what))
        return (signs.packets > 0 or None) if what == "sends" else False

    def _may_tell(self, what: str, now: float) -> bool:
        if now - self._told_at.get(what, float("-inf")) < TOLD_AGAIN:
            return False
        self._told_at[what] = now
        return True
