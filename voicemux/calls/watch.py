"""Decides what the user is told of the peer during a call: that nothing comes, or what the peer does with voice.

Pure: time is an argument. Each condition is told when it begins and when it is over. What a peer changes often is
told at most every two seconds.
"""

from dataclasses import dataclass

from voicemux.events import Late, PeerSwitched, Quiet, Voice

LINE_QUIET = 3.0  # seconds without a byte after which the user is told: PINGs come every 2 (protocol.md §9)
VOICE_QUIET = 3.0  # seconds without a packet after which the user is told, if the peer says that it sends voice
# Seconds of digital silence after which the user is told: a microphone that is on has some noise.
MICROPHONE_QUIET = 5.0
# Seconds of added delay at which the user is told, and at which it is over: from about 0.5 s on, people talk at the
# same time.
LATE, LATE_NO_MORE = 0.4, 0.15
LATE_FOR = 2.0  # seconds for which the delay must last: a lost packet takes TCP less to retransmit
TOLD_AGAIN = 2.0  # seconds between two lines about the same condition
# Seconds between two looks after which this program itself was stopped, and cannot judge the peer's silence.
STALL = 1.0

SWITCHES = ("sends", "muted", "deafened", "records")  # attributes of `Voice` whose changes are told, in this order


@dataclass(frozen=True)
class Signs:
    """What is known of the connection and the peer at one look."""

    bytes_read: int  # bytes that have come since the connection began
    packets: int  # AUDIO messages that have come so far
    paused: bool  # the last AUDIO message was empty: the peer pauses
    peer_voice: Voice | None  # what the peer has said it does with voice; None if it has said nothing
    late: float | None  # seconds by which the peer's voice is later than it was at best; None while none comes
    own_silence: float | None  # seconds of digital silence from our microphone; None where it is muted, or missing


class Watch:
    """Watches the peer of one call. Call `begin()` when the user is told of the call, then `look()` about ten times a
    second, both in one thread."""

    def __init__(self, name: str, *, hears: bool, of_line: bool = True) -> None:
        """`name` is the peer's. `hears` is whether we play its voice at all. `of_line` is whether to tell that the
        connection is silent; False if `Survival` tells that."""
        self._of_line = of_line
        self._name = name
        self._hears = hears
        self._looked: float | None = None
        self._bytes = self._packets = 0
        self._byte_at = self._packet_at = 0.0
        self._quiet = {"line": False, "voice": False, "microphone": False}
        self._is_late = False
        self._late_since: float | None = None  # time since which the delay contradicts `_is_late`
        self._told: dict[str, bool | None] = dict.fromkeys(SWITCHES, False)
        self._told_at: dict[str, float] = {}

    def begin(self, peer_voice: Voice | None, *, hears: bool) -> None:
        """Note what the user has been told at the beginning. `hears` is whether voice had come by then."""
        for what in SWITCHES:
            self._told[what] = getattr(peer_voice, what) if peer_voice else False
        if peer_voice is None:
            self._told["sends"] = True if hears else None

    def look(self, now: float, signs: Signs) -> list[Quiet | Late | PeerSwitched]:
        """Return what to tell the user. `now` is in seconds."""
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
            # If no byte comes at all, "line" says it.
            *self._tell("voice", now - self._packet_at >= VOICE_QUIET and not line, VOICE_QUIET, now),
            *self._lateness(now, signs.late if self._hears else None),
            *self._tell("microphone", self._is_silent(signs.own_silence), MICROPHONE_QUIET, now),
        ]

    def _is_awaited(self, signs: Signs) -> bool:
        """Whether packets should come."""
        return (
            self._hears
            and signs.peer_voice is not None
            and signs.peer_voice.sends
            and not (signs.peer_voice.muted or signs.paused)
        )

    def _is_silent(self, seconds: float | None) -> bool:
        """Return whether our microphone counts as silent. `seconds` is `Signs.own_silence`. Once it counts as silent,
        only a sound ends that: another device may be as silent, and one that is muted cannot be judged."""
        if self._quiet["microphone"]:
            return seconds != 0
        return seconds is not None and seconds >= MICROPHONE_QUIET

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
        """Return whether a switch of the peer is on: as STATE says, or, from a peer that sends none, whether AUDIO
        has come."""
        if signs.peer_voice:
            return bool(getattr(signs.peer_voice, what))
        return (signs.packets > 0 or None) if what == "sends" else False

    def _may_tell(self, what: str, now: float) -> bool:
        if now - self._told_at.get(what, float("-inf")) < TOLD_AGAIN:
            return False
        self._told_at[what] = now
        return True
