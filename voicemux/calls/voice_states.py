"""What each side does with voice: keeps what we tell the peer, what the peer tells us, and what the user is told of
that."""

import threading
from collections.abc import Callable, Sequence

from voicemux.calls.hints import Hints, OwnSound
from voicemux.calls.voice import Player, VoiceSender
from voicemux.calls.watch import Signs, Watch
from voicemux.console.remedies import hint
from voicemux.errors import LibraryMissing
from voicemux.events import (
    AudioStarted,
    AudioStopped,
    Event,
    Hint,
    Late,
    Level,
    MicModeChosen,
    PeerSwitched,
    Quiet,
    Rejected,
    Switched,
    Voice,
    VolumeChosen,
)
from voicemux.protocol.messages import OWN_SOURCE, Audio, VoiceState

NO_VOICE = "you send no voice in this call"


class VoiceStates:
    """What both sides of one call do with voice. The timer calls `news` and `look`, the demultiplexer `on_audio` and
    `on_state`, any thread the rest."""

    def __init__(
        self,
        name: str,
        transmitter: VoiceSender | None,
        player: Player | None,
        recorders: Callable[[], Sequence[Player]],
        *,
        peer_plays: bool,
    ) -> None:
        """`name` is the peer's. `recorders` returns the present recorders. `peer_plays` is whether the peer can play
        voice."""
        self._name = name
        self._transmitter = transmitter
        self._player = player
        self._recorders = recorders
        self._peer_plays = peer_plays
        self._speaks = (
            transmitter is not None and not transmitter.in_use.is_missing
        )  # until its source ends or breaks
        self._told: VoiceState | None = None  # the last state that was sent to the peer
        self._peer_voice: Voice | None = None  # the last state that the peer has sent
        self._packets = 0  # AUDIO messages of the peer's own voice so far
        self._newest: Audio | None = None
        self._peer_is_known = threading.Event()  # set once the peer has sent STATE or AUDIO, or never will
        self._watch: Watch | None = None
        self._hints = Hints()

    # --- ours

    @property
    def own(self) -> Voice:
        """What we do with voice now."""
        transmitter, player = self._transmitter, self._player
        return Voice(
            sends=self._speaks,
            plays=player is not None and not player.in_use.is_missing,
            muted=bool(transmitter and transmitter.muted),
            deafened=bool(player and player.deafened),
            records=any(each.records for each in (player, *self._recorders()) if each),
        )

    def on_event(self, event: Event) -> None:
        """Note from an event of the call whether our microphone has begun or ended."""
        if isinstance(event, AudioStarted | AudioStopped) and event.direction == "input":
            self._speaks = isinstance(event, AudioStarted)

    def mute(self) -> Switched | Rejected:
        """Stop sending voice, or send it again. Returns what to tell the user."""
        if not self._transmitter:
            return Rejected(NO_VOICE)
        self._transmitter.muted = not self._transmitter.muted
        return Switched("muted", self._transmitter.muted)

    def deafen(self) -> Switched | Rejected:
        """Stop playing the peer's voice, or play it again. Returns what to tell the user."""
        if not self._player:
            return Rejected("you hear no voice in this call")
        self._player.deafened = not self._player.deafened
        return Switched("deafened", self._player.deafened)

    def choose_mode(self, mode: str) -> MicModeChosen | Rejected:
        """Choose what opens the microphone: "open", "voice" or "ptt"; "" leaves it as it is. Returns what to tell the
        user."""
        if not self._transmitter:
            return Rejected(NO_VOICE)
        gate = self._transmitter.gate
        if mode:
            try:
                gate.choose(mode)
            except LibraryMissing as error:
                return Rejected(f"{error}; {hint(error)}")
        return MicModeChosen(gate.mode)

    def talk(self, on: bool | None) -> Switched | Rejected:
        """With push to talk, begin to send voice or stop; None: the other of the two. Returns what to tell the
        user."""
        if not self._transmitter:
            return Rejected(NO_VOICE)
        gate = self._transmitter.gate
        if gate.mode != "ptt":
            return Rejected(f"the microphone is in mode {gate.mode}: /talk is for /mic ptt")
        gate.talks = not gate.talks if on is None else on
        return Switched("talking", gate.talks)

    def choose_volume(self, to: int | str | None, by: int = 0) -> VolumeChosen | Rejected:
        """Choose how loud the peer is played: `to` percent, or "auto" for automatic levelling, or None for what it
        is; then add `by` percent. Returns what to tell the user."""
        volume = self._player.volume if self._player else None
        if volume is None:
            return Rejected("only a loudspeaker has a volume: files and pipes get the sound as it came")
        if to == "auto":
            volume.choose_auto()
        elif isinstance(to, int) or by:
            volume.choose((to if isinstance(to, int) else volume.percent) + by)
        return VolumeChosen(volume.percent, volume.auto)

    def level(self) -> Level:
        """Return how loud both voices were in the last seconds."""
        own = self._transmitter.levels if self._transmitter else None
        theirs = self._player.levels if self._player else None
        return Level(
            speech_db=_rounded(own.speech_db if own else None),
            noise_db=_rounded(own.noise_db if own else None),
            clipped=own.clipped if own else 0,
            muted=self.own.muted,
            their_speech_db=_rounded(theirs.speech_db if theirs else None),
        )

    def news(self) -> VoiceState | None:
        """Return the STATE to send; None if the peer knows it."""
        own = self.own
        is_deaf = own.deafened or (self._player is not None and not own.plays)
        state = VoiceState(voice=own.sends, muted=own.muted, deafened=is_deaf, records=own.records)
        if state == self._told:
            return None
        self._told = state
        return state

    def begin_again(self) -> None:
        """Another connection carries the call: send our state again."""
        self._told = None

    # --- the peer's voice

    def on_audio(self, audio: Audio) -> None:
        """A packet of the peer's own voice has come."""
        self._packets += 1
        self._newest = audio
        self._peer_is_known.set()

    def on_state(self, state: VoiceState) -> None:
        """The peer has said what it does with voice."""
        if state.source == OWN_SOURCE:
            self._peer_voice = Voice(state.voice, self._peer_plays, state.muted, state.deafened, state.records)
            self._peer_is_known.set()

    def release(self) -> None:
        """Wake the thread that waits in `watch`: nothing more will come."""
        self._peer_is_known.set()

    def watch(self, patience: float, *, of_line: bool = True) -> tuple[Voice | None, int | None]:
        """Let `look` tell what changes from now on.

        Waits at most `patience` seconds for the peer's state. Returns that state, and the codec of the peer's voice;
        None for each that is not known. `of_line`: silence of the connection is told, too.
        """
        self._peer_is_known.wait(patience)
        voice, newest = self._peer_voice, self._newest
        watch = Watch(self._name, hears=self._player is not None, of_line=of_line)
        watch.begin(voice, hears=newest is not None)
        self._watch = watch
        return voice, newest.codec if newest else None

    def look(self, now: float, bytes_read: int, late: float | None) -> list[Quiet | Late | PeerSwitched | Hint]:
        """Return what to tell the user; nothing before `watch`. `late` is as in `Signs`."""
        if self._watch is None:
            return []
        newest, transmitter = self._newest, self._transmitter
        signs = Signs(
            bytes_read=bytes_read,
            packets=self._packets,
            paused=newest is not None and not newest.data,
            peer_voice=self._peer_voice,
            late=late,
            own_silence=transmitter.silent_for if transmitter and self._speaks else None,
        )
        return [*self._watch.look(now, signs), *self._hints_for(now, transmitter)]

    def _hints_for(self, now: float, transmitter: VoiceSender | None) -> list[Hint]:
        """Return hints about the user's microphone. There are none about a file, whose sound the user cannot
        change."""
        if not (transmitter and transmitter.in_use.can_reopen and self._speaks):
            return []
        clips, muted, spoken = transmitter.levels.clips, transmitter.muted, transmitter.gate.spoken
        return self._hints.look(now, OwnSound(clips, muted, spoken, transmitter.echo, transmitter.echo_db))


def _rounded(db: float | None) -> float | None:
    return None if db is None else round(db, 1)
