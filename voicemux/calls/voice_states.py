"""What each side does with voice: what the peer is told of ours, what it tells of its own, what the user learns."""

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
    """`news`, `look` belong to the timer, `on_audio`, `on_state` to the demultiplexer, the rest to any thread."""

    def __init__(
        self,
        name: str,
        transmitter: VoiceSender | None,
        player: Player | None,
        recorders: Callable[[], Sequence[Player]],
        *,
        peer_plays: bool,
    ) -> None:
        """`name` is the peer's; `recorders` are those of now; `peer_plays` is whether the peer can play voice."""
        self._name = name
        self._transmitter = transmitter
        self._player = player
        self._recorders = recorders
        self._peer_plays = peer_plays
        self._speaks = (
            transmitter is not None and not transmitter.in_use.is_missing
        )  # until its source ends or breaks
        self._told: VoiceState | None = None  # what the peer was told last
        self._peer_voice: Voice | None = None  # what the peer has told
        self._packets = 0  # of the peer's voice
        self._newest: Audio | None = None
        self._peer_is_known = threading.Event()  # it has said what it does with voice, or shown it, or never will
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
        """Something has happened in the call: our microphone may have begun or ended."""
        if isinstance(event, AudioStarted | AudioStopped) and event.direction == "input":
            self._speaks = isinstance(event, AudioStarted)

    def mute(self) -> Switched | Rejected:
        """Stop sending voice, or send it again. What to tell the user."""
        if not self._transmitter:
            return Rejected(NO_VOICE)
        self._transmitter.muted = not self._transmitter.muted
        return Switched("muted", self._transmitter.muted)

    def deafen(self) -> Switched | Rejected:
        """Stop playing the peer's voice, or play it again. What to tell the user."""
        if not self._player:
            return Rejected("you hear no voice in this call")
        self._player.deafened = not self._player.deafened
        return Switched("deafened", self._player.deafened)

    def choose_mode(self, mode: str) -> MicModeChosen | Rejected:
        """What opens the microphone: "open", "voice" or "ptt"; "" leaves it. What to tell the user."""
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
        """With push to talk: be heard, or not; None is the other of the two. What to tell the user."""
        if not self._transmitter:
            return Rejected(NO_VOICE)
        gate = self._transmitter.gate
        if gate.mode != "ptt":
            return Rejected(f"the microphone is in mode {gate.mode}: /talk is for /mic ptt")
        gate.talks = not gate.talks if on is None else on
        return Switched("talking", gate.talks)

    def choose_volume(self, to: int | str | None, by: int = 0) -> VolumeChosen | Rejected:
        """How loud the peer is played: percent, or "auto" to have it levelled; None leaves it as it is, but for `by`
        percent. What to tell the user."""
        volume = self._player.volume if self._player else None
        if volume is None:
            return Rejected("only a loudspeaker has a volume: files and pipes get the sound as it came")
        if to == "auto":
            volume.choose_auto()
        elif isinstance(to, int) or by:
            volume.choose((to if isinstance(to, int) else volume.percent) + by)
        return VolumeChosen(volume.percent, volume.auto)

    def level(self) -> Level:
        """How loud both voices were in the last seconds."""
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
        """What to tell the peer of what we do with voice; None if it knows."""
        own = self.own
        is_deaf = own.deafened or (self._player is not None and not own.plays)
        state = VoiceState(voice=own.sends, muted=own.muted, deafened=is_deaf, records=own.records)
        if state == self._told:
            return None
        self._told = state
        return state

    def begin_again(self) -> None:
        """Another connection carries the call: what the peer was told is told again."""
        self._told = None

    # --- the peer's

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
        """Nothing more will come: wake the thread that waits for it."""
        self._peer_is_known.set()

    def watch(self, patience: float, *, of_line: bool = True) -> tuple[Voice | None, int | None]:
        """From here on, `look` tells what changes.

        Returns what the peer has said so far, after waiting for that for at most `patience` seconds, and the codec in
        which its voice has come; None for what is not known. `of_line` is whether silence of the line is told, too.
        """
        self._peer_is_known.wait(patience)
        voice, newest = self._peer_voice, self._newest
        watch = Watch(self._name, hears=self._player is not None, of_line=of_line)
        watch.begin(voice, hears=newest is not None)
        self._watch = watch
        return voice, newest.codec if newest else None

    def look(self, now: float, bytes_read: int, late: float | None) -> list[Quiet | Late | PeerSwitched | Hint]:
        """What to tell the user, for whom the peer is watched. `late` is as in `Signs`."""
        if self._watch is None:
            return []
        newest, transmitter = self._newest, self._transmitter
        signs = Signs(
            bytes_read=bytes_read,
            packets=self._packets,
            paused=newest is not None and not newest.data,
            peer_voice=self._peer_voice,
            late=late,
            own_silence=transmitter.silent_for if transmitter and self._speaks else 0.0,
        )
        return [*self._watch.look(now, signs), *self._hints_for(now, transmitter)]

    def _hints_for(self, now: float, transmitter: VoiceSender | None) -> list[Hint]:
        """Only of a microphone: a file that clips is as it is."""
        if not (transmitter and transmitter.in_use.can_reopen and self._speaks):
            return []
        clips, muted, spoken = transmitter.levels.clips, transmitter.muted, transmitter.gate.spoken
        return self._hints.look(now, OwnSound(clips, muted, spoken, transmitter.echo, transmitter.echo_db))


def _rounded(db: float | None) -> float | None:
    return None if db is None else round(db, 1)
