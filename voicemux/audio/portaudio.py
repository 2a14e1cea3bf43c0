"""The library for sound cards: PortAudio, by way of PyAudio, whose only home this is.

What it is like (PyAudio 0.2.14 and PortAudio 19.6, from their C source and by trial), beside what `callbacks.py` and
`blocking.py` say of their streams:
- The microphone and the loudspeaker are two streams: one full-duplex stream costs 20 ms more.
- It waits for ever for a sound server that is frozen, or that dies at the wrong moment.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.audio.pulse import aimed_at
from voicemux.errors import DeviceError, Kind, LibraryMissing
from voicemux.threads import Answer, within

PATIENCE = 5.0  # seconds for a call of PortAudio: waking a wireless headset takes one or two

Callback = Callable[[bytes | None, int, Mapping[str, float], int], tuple[bytes | None, int]]


@dataclass(frozen=True)
class Device:
    """One device, as PortAudio lists it. `inputs` and `outputs` are numbers of channels, `rate` is its default rate
    in Hz.

    `target` is the sound server's device to use behind it; "": the server's default.
    """

    number: int
    name: str
    system: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool
    target: str = ""


class PortAudio:
    """PortAudio, from its initialization to its end."""

    def __init__(self) -> None:
        """Initialize PortAudio. Raises LibraryMissing if PyAudio or PortAudio is not installed, DeviceError if it
        does not answer."""
        try:
            with contextlib.redirect_stdout(None):  # otherwise it would print that it cannot be imported
                import pyaudio
        except ImportError as error:
            library = "portaudio" if "libportaudio" in str(error) else "pyaudio"
            raise LibraryMissing(library, f"no sound: {error}") from error
        self._pyaudio = pyaudio
        self._streams = 0  # streams that are open
        self._users: list[int] = []  # threads that read or write streams
        self._closing = False
        self._begun: list[Any] = []  # initialized and not terminated
        self._asked: list[object] = []  # calls that have not returned yet
        self._lock = threading.Lock()  # PortAudio does one thing at a time
        _quieten_libraries()
        self._portaudio = self._begin()

    def close(self) -> None:
        """Terminate PortAudio, now, or when the last thread that uses a stream has left: it would crash under such a
        thread."""
        self._closing = True
        if not self._users:
            self._terminate()

    def look_again(self) -> None:
        """Look for new devices, which PortAudio can do only while nothing is open. Raises DeviceError if it does not
        answer."""
        if not self._streams and not self._users:
            self._terminate()
            self._portaudio = self._begin()

    def ask(self, what: Callable[[], Answer]) -> Answer:
        """Call PortAudio. Raises TimeoutError if it does not return in time, or has not returned from an earlier
        call."""
        if sys.platform == "win32":  # on Windows, what a thread has opened ends with the thread
            with self._lock:
                return what()
        question = object()

        def answer() -> Answer:
            try:
                return what()
            finally:
                self._asked.remove(question)

        try:
            with self._lock:
                if self._asked:  # a thread is still inside PortAudio, which crashes if another one enters
                    raise TimeoutError
                self._asked.append(question)
                return within(PATIENCE, "portaudio", answer)
        except TimeoutError:
            raise TimeoutError("the sound system does not answer") from None

    def _begin(self) -> Any:
        try:
            begun = self.ask(self._pyaudio.PyAudio)
        except TimeoutError as error:
            raise DeviceError(str(error)) from None
        self._begun.append(begun)
        return begun

    def open(
        self, callback: Callback | None, kind: str, device: Device, rate: int, channels: int, blocks: int
    ) -> Any:
        """Open a stream, without starting it; without a `callback`, it is one to be read or written. `blocks` is the
        number of blocks in its period.

        Raises OSError or ValueError, as PyAudio does.
        """
        which: dict[str, Any] = {f"{kind}_device_index": device.number}
        is_late = threading.Event()

        def opened() -> Any:
            with aimed_at(kind, device.target):
                stream = self._portaudio.open(
                    rate=rate,
                    channels=channels,
                    format=self._pyaudio.paInt16,
                    input=kind == "input",
                    output=kind == "output",
                    frames_per_buffer=blocks * rate * BLOCK_SAMPLES // RATE,
                    stream_callback=callback,
                    start=False,
                    **which,
                )
            if is_late.is_set():
                stream.close()
            return stream

        try:
            stream = self.ask(opened)
        except TimeoutError:
            is_late.set()
            raise
        self._streams += 1
        return stream

    def has_closed(self) -> None:
        """Note that a stream is closed, or will be when PortAudio answers again."""
        self._streams -= 1

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Mark that this thread uses a stream inside: no other thread may close it."""
        thread = threading.get_ident()
        self._users.append(thread)
        try:
            yield
        finally:
            self._users.remove(thread)
            if self._closing and not self._users:
                self._terminate()

    def _terminate(self) -> None:
        def end() -> None:
            with contextlib.suppress(IndexError):  # another thread was here before
                self._begun.pop().terminate()

        with contextlib.suppress(TimeoutError):
            self.ask(end)

    def devices(self) -> list[Device]:
        """Return all devices, in the order of their numbers."""
        defaults = [self._default(kind) for kind in ("input", "output")]
        systems = [self._portaudio.get_host_api_info_by_index(i) for i in range(self._portaudio.get_host_api_count())]
        found = []
        for number in range(self._portaudio.get_device_count()):
            info = self._portaudio.get_device_info_by_index(number)
            found.append(
                Device(
                    number=number,
                    name=_text(info["name"]),
                    system=_text(systems[int(info["hostApi"])]["name"]),
                    inputs=int(info["maxInputChannels"]),
                    outputs=int(info["maxOutputChannels"]),
                    rate=int(info["defaultSampleRate"]),
                    default_input=number == defaults[0],
                    default_output=number == defaults[1],
                )
            )
        return found

    def find(self, kind: str, wanted: str) -> Device:
        """Return the device with that number, or with `wanted` in its name; the default for "". `kind` is "input" or
        "output". Raises DeviceError if there is none, or more than one."""
        devices = [each for each in self.devices() if (each.inputs if kind == "input" else each.outputs)]
        word = {"input": "microphone", "output": "loudspeaker"}[kind]
        if not wanted:
            found = [each for each in devices if (each.default_input if kind == "input" else each.default_output)]
        elif wanted.isdecimal():
            found = [each for each in devices if is_numbered(wanted, each.number)]
        else:
            found = [each for each in devices if each.name.lower() == wanted.lower()]
            found = found or [each for each in devices if wanted.lower() in each.name.lower()]
        if len(found) == 1:
            return found[0]
        if not wanted:
            raise DeviceError(f"no {word}: this system has no default {kind} device", kind=Kind.NO_SUCH_DEVICE)
        if found:
            names = ", ".join(f"{each.number} {each.name}" for each in found)
            raise DeviceError(f"{kind} device {wanted!r} could be any of: {names}", kind=Kind.NO_SUCH_DEVICE)
        raise DeviceError(f"there is no {kind} device {wanted!r}", kind=Kind.NO_SUCH_DEVICE)

    def _default(self, kind: str) -> int | None:
        get = getattr(self._portaudio, f"get_default_{kind}_device_info")
        try:
            return int(get()["index"])
        except OSError:
            return None


def is_numbered(typed: str, number: int) -> bool:
    """Whether `typed` is that number. It is not converted, because Python refuses integers of thousands of digits."""
    return typed.isdecimal() and typed.lstrip("0") == str(number).lstrip("0")


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def words(error: OSError | ValueError) -> str:
    """Return PortAudio's words, without the number before them."""
    return str(error.args[-1] if error.args else error).lower()


@functools.cache
def _quieten_libraries() -> None:
    """Keep what PortAudio, ALSA and JACK print off the user's screen, now and whenever a device breaks.

    They write to C's standard error, which is pointed elsewhere. Python's own stays as it is. Exchanging the
    descriptor for a while would swallow what other threads write meanwhile.
    """
    if sys.platform == "win32":
        return
    library = ctypes.CDLL(None)
    name = "__stderrp" if sys.platform == "darwin" else "stderr"
    if sys.platform == "darwin" or hasattr(library, "gnu_get_libc_version"):  # elsewhere it is read-only
        library.fopen.restype = ctypes.c_void_p
        if nowhere := library.fopen(os.devnull.encode(), b"w"):
            ctypes.c_void_p.in_dll(library, name).value = nowhere
