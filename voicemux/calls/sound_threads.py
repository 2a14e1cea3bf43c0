"""The threads of a call's sound: each runs one half, and reopens a broken device if it can.

microphone: waits for the source, until `VoiceSender.stop()`. speaker: waits for the sink, until `Player.stop()`.
recorder: runs a second player, whose sink is a file; there may be several, which come and go.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial

from voicemux.calls.ending import Ending
from voicemux.calls.voice import Half, Player, VoiceSender
from voicemux.errors import DeviceError, OutOfResources
from voicemux.events import AudioStarted, AudioStopped, Event, Notice
from voicemux.protocol.messages import Audio
from voicemux.threads import Threads

REOPEN_INTERVAL = 2.0  # seconds between two attempts to open a broken device
GLANCE = 0.1  # seconds between two looks whether the user has chosen another device meanwhile
WORDS = {"input": "a microphone", "output": "a loudspeaker"}

Run = Callable[[Callable[[float], None]], None]  # the body of a half


class SoundThreads:
    """Runs the sound of one call. Call `start` once. The call goes on even if the sound fails."""

    def __init__(
        self,
        transmitter: VoiceSender | None,
        player: Player | None,
        recorder: Player | None,
        ending: Ending,
        post: Callable[[Event], None],
    ) -> None:
        """`post` gives the user an event. The threads end once `ending` has begun and `stop` has been called."""
        self.transmitter = transmitter
        self.player = player
        self.recorders = [recorder] if recorder else []
        self._threads: Threads | None = None  # once they have been started
        self._changes = threading.Lock()
        self._is_over = False
        # Codecs that the peer can play, if another HELLO has said so since the call began.
        self._playable: tuple[int, ...] | None = None
        self._ending = ending
        self._post = post

    def start(self, threads: Threads, send: Callable[[Audio], None]) -> None:
        """Start a thread for each half. Raises OutOfResources."""

        def send_playable(audio: Audio) -> None:
            if self._playable is None or audio.codec in self._playable:
                send(audio)

        if voice := self.transmitter:
            threads.start("microphone", partial(self._run, "input", voice, partial(voice.run, send_playable)))
        if player := self.player:
            threads.start("speaker", partial(self._run, "output", player, player.run))
        with self._changes:
            self._threads = threads
            for recorder in self.recorders:
                self._start_recorder(threads, recorder)

    @property
    def players(self) -> list[Player]:
        """All players that get the peer's voice: the loudspeaker's and the recorders."""
        return [*([self.player] if self.player else []), *self.recorders]

    def record(self, recorder: Player, *, on: bool = True) -> None:
        """Start `recorder`, or end it if not `on`; the peer is told. Any thread may call it. Raises OutOfResources;
        then the call is not recorded."""
        with self._changes:
            if not on:
                recorder.records = False
                recorder.stop()
                self.recorders = [each for each in self.recorders if each is not recorder]
            elif not self._is_over:
                if self._threads:
                    try:
                        self._start_recorder(self._threads, recorder)
                    except OutOfResources:
                        recorder.records = False
                        raise
                self.recorders = [*self.recorders, recorder]

    def _start_recorder(self, threads: Threads, recorder: Player) -> None:
        threads.start("recorder", partial(self._run, "recording", recorder, recorder.run))

    def begin_again(self, playable: tuple[int, ...], *, goes_on: bool = False) -> None:
        """Another connection carries the call: forget what was measured on the old one. `playable` are the codecs
        that the peer plays there. `goes_on`: no voice of the peer was lost between."""
        self._playable = playable
        if self.transmitter:
            self.transmitter.ladder.begin_again()
        for player in [] if goes_on else self.players:
            player.begin_again()

    def stop(self) -> None:
        """End the threads."""
        with self._changes:
            self._is_over = True
        for half in (self.transmitter, *self.players):
            if half:
                half.stop()

    def _run(self, direction: str, half: Half, body: Run) -> None:
        """Run one half. If its sound ends or its device breaks, the call goes on, and the device may come back."""
        if half.in_use.is_missing:
            if not self._get_back(half):
                return
            self._post(Notice(f"there is {WORDS.get(direction, 'a device')} now: {half.label}"))
        while not self._ending.has_begun:
            error = ""
            try:
                body(partial(self._on_start, direction, half))
            except DeviceError as failure:
                error = str(failure)
            if not self._ending.has_begun:
                self._post(AudioStopped(direction, error))
            if not error or not self._get_back(half):
                return
            self._post(Notice(f"the {direction} device works again: {half.label}"))

    def _on_start(self, direction: str, half: Half, since: float) -> None:
        self._post(AudioStarted(direction, half.label, since))

    def _get_back(self, half: Half) -> bool:
        """Wait until a broken or missing device can be opened. Returns False if it never can be, or the call ends."""
        while half.in_use.can_reopen and not self._waits_in_vain(half):
            with contextlib.suppress(DeviceError):
                half.in_use.reopen()
                return True
        return False

    def _waits_in_vain(self, half: Half) -> bool:
        """Wait until it is time for another attempt. Returns whether the call ends."""
        again = time.monotonic() + REOPEN_INTERVAL
        while not half.in_use.has_another and (left := again - time.monotonic()) > 0:
            if self._ending.wait(min(left, GLANCE)):
                break
        return self._ending.has_begun
