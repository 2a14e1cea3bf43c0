"""The thread that starts, serves and closes a PortAudio stream which is read or written.

Each of these calls may wait for ever if the sound server is frozen or dies, and nothing can wake it. PortAudio
crashes if another thread closes a stream that is in use. So this thread is then left behind, and closes its stream
when it can.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from voicemux.audio.portaudio import PATIENCE, PortAudio
from voicemux.threads import Threads

GRACE = 1.0  # seconds for the thread to end: a read returns within a packet, at most 0.12 s, and closing takes 0.02 s
AGAIN = 0.5  # seconds until PortAudio is asked again to close a stream, if it has not answered


class Attendant:
    """The thread of one stream, from `start` to `leave`."""

    def __init__(self, portaudio: PortAudio, stream: Any) -> None:
        self._portaudio = portaudio
        self._stream = stream
        self._threads = Threads()
        self._started = False
        self._leaving = False  # the stream is to be closed
        self._ended = threading.Event()

    def start(self, name: str, begin: Callable[[], None], serve: Callable[[], None]) -> None:
        """In a thread voicemux-`name`: start the stream, `begin`, and `serve` until OSError is raised.

        Returns when it has begun. Raises OSError if the stream does not start, or not in time.
        """
        began: Future[None] = Future()

        def attend() -> None:
            with self._portaudio.in_use():
                self._attend(began, begin, serve)
            self._ended.set()

        self._threads.start(name, attend)
        self._started = True
        try:
            began.result(2 * PATIENCE)  # PortAudio may have to finish another call first
        except TimeoutError:
            raise TimeoutError("the sound system does not answer") from None

    def leave(self, wake: Callable[[], None] = lambda: None) -> None:
        """Have the stream closed now, or, if it does not answer, when it can be. `wake` ends a wait of `serve`."""
        self._leaving = True
        wake()
        if not self._started:
            with contextlib.suppress(OSError):
                self._portaudio.ask(self._stream.close)
        elif self._ended.wait(GRACE):
            self._threads.join()

    def read(self, frames: int) -> bytes:
        """Wait for `frames` frames, and return them. Raises OSError if the stream has broken or is to be closed."""
        pcm: bytes = self._stream.read(frames, exception_on_overflow=False)
        self._go_on()
        return pcm

    def room(self) -> int:
        """Return how many frames can be written without waiting. Raises OSError as `read`."""
        frames: int = self._stream.get_write_available()  # PyAudio makes no exception of PortAudio's errors here
        self._go_on(frames)
        return frames

    def write(self, pcm: bytes, frames: int) -> None:
        """Write `frames` frames to the stream. Waits while the card has no room."""
        self._stream.write(pcm, frames, exception_on_underflow=False)
        self._go_on()

    def _go_on(self, answer: int = 0) -> None:
        """Raise OSError if the stream is to be closed, or if `answer`, PortAudio's result, is negative, which means
        an error."""
        if self._leaving or answer < 0:
            raise OSError(answer, "the stream has ended")

    def _attend(self, began: "Future[None]", begin: Callable[[], None], serve: Callable[[], None]) -> None:
        try:
            try:
                self._portaudio.ask(self._stream.start_stream)
                begin()
            except BaseException as error:
                began.set_exception(error)
                return
            began.set_result(None)
            with contextlib.suppress(OSError):  # the device has gone, which is noticed where its sound is missing
                serve()
        finally:
            self._close()

    def _close(self) -> None:
        while True:
            try:
                self._portaudio.ask(self._stream.close)
            except TimeoutError:
                time.sleep(AGAIN)
            except OSError:  # it is closed already
                return
            else:
                return
