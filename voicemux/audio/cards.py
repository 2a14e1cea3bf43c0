"""The sound cards of one call: opened, opened again when they have broken, and exchanged while the call goes on."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from voicemux.audio.absent import Absent, Gone
from voicemux.audio.card import Card, CardLoudspeaker, CardMicrophone
from voicemux.audio.devices import (
    all_devices,
    find_device,
    is_served,
    lasting_name,
    names_of,
    open_sink,
    open_source,
)
from voicemux.audio.endpoints import Sink, Source
from voicemux.audio.in_use import InUse
from voicemux.audio.portaudio import Device, PortAudio
from voicemux.audio.pulse import ServedDevice, is_named, used_device
from voicemux.errors import DeviceError, LibraryMissing

Tap = Callable[[bytes, int, int], None]  # see `CardLoudspeaker.tap`
AnyCard = TypeVar("AnyCard", CardMicrophone, CardLoudspeaker)


class Cards:
    """Any thread: the halves have broken devices opened again while the user exchanges others."""

    def __init__(self, channels: int = 1) -> None:
        """`channels` are those of the sound that goes in and out."""
        self._channels = channels
        self._lock = threading.Lock()  # held while something is opened: PortAudio does one thing at a time
        self._wanted: dict[str, str] = {}  # names, by "input" and "output"
        self._portaudio: PortAudio | None = None
        self._tap: Tap | None = None
        self.on_change: Callable[[], None] = lambda: None  # told when another device is used; must not wait
        self.source: Source | None = None
        self.sink: Sink | None = None

    def has(self, kind: str) -> bool:
        """Whether a sound card is wanted there, which may be missing now. `kind` is "input" or "output"."""
        return kind in self._wanted

    def open_source(self, wanted: str, *, late: bool = False) -> None:
        """The microphone; if `late`, it is only found. Raises DeviceError if it is missing: it may come later, and
        `source` stands for it. Raises LibraryMissing; then there never will be one."""
        with self._lock, self._may_come_later("input", wanted):
            if late:
                label = find_device(self._devices(), "input", wanted).name
                self.source = Absent(label, f"the input device {label} is not open")
            else:
                self.source = open_source(self._devices(), wanted, self._channels)

    def open_sink(self, wanted: str) -> None:
        """The loudspeaker, likewise."""
        with self._lock, self._may_come_later("output", wanted):
            self.sink = self._listened_to(open_sink(self._devices(), wanted, self._channels))

    def reopen_source(self) -> Source:
        """The microphone again, or what now goes by that name. Raises DeviceError."""
        with self._lock:
            if self.source:
                self.source.close()
            self._devices().look_again()
            self.source = open_source(self._devices(), self._wanted["input"], self._channels)
            return self.source

    def reopen_sink(self) -> Sink:
        """The loudspeaker, likewise."""
        with self._lock:
            if self.sink:
                self.sink.close()
            self._devices().look_again()
            self.sink = self._listened_to(open_sink(self._devices(), self._wanted["output"], self._channels))
            self.on_change()
            return self.sink

    def exchange_source(self, wanted: str, half: InUse[Source]) -> str:
        """Have `half` go on with another microphone; its name. Raises DeviceError: then nothing has changed.

        The new one runs before the old one ends. One that is not open yet stays so.
        """
        with self._lock:
            if isinstance(self.source, Absent) and self.source.label:
                return self._chosen("input", wanted, find_device(self._devices(), "input", wanted))
            new, since = _started(lambda: open_source(self._devices(), wanted, self._channels))
            before, self.source = self.source, new
            self._chosen("input", wanted, new.device)
            self.on_change()
        half.exchange(new, since)
        if before:
            before.close()
        return new.label

    def exchange_sink(self, wanted: str, half: InUse[Sink]) -> str:
        """Have `half` go on with another loudspeaker, likewise."""
        with self._lock:
            new, since = _started(lambda: self._listened_to(open_sink(self._devices(), wanted, self._channels)))
            before, self.sink = self.sink, new
            self._chosen("output", wanted, new.device)
            self.on_change()
        half.exchange(new, since)
        if before:
            before.close()
        return new.label

    def listed(self) -> list[Device]:
        """All devices that there are now. Raises DeviceError. Those that have come are seen if nothing is open, or if
        a sound server has them."""
        with self._lock:
            return all_devices(self._devices())

    def device(self, kind: str) -> Device | None:
        """What is open there."""
        card = self.source if kind == "input" else self.sink
        return card.device if isinstance(card, Card) else None

    def used(self, kind: str) -> ServedDevice | None:
        """The sound server's device that is used there now; None if there is none, or the server does not answer."""
        device = self.device(kind)
        return used_device(kind) if device and is_served(device, kind) else None

    def follows_default(self, kind: str) -> bool:
        """Whether the user has named no device."""
        return self._wanted.get(kind) == "" and not is_named(kind)

    def lose_source(self, half: InUse[Source], why: str) -> None:
        """Have `half` break, so that it waits for another microphone."""
        with self._lock:
            before, self.source = self.source, Gone("", why)
            gone = self.source
        half.exchange(gone, time.monotonic())
        if before:
            before.close()

    def names(self, kind: str) -> tuple[str, ...]:
        """All that the system calls what is open there. May wait for a second."""
        device = self.device(kind)
        return names_of(device.name, kind, device.target) if device else ()

    def listen_to_sink(self, tap: Tap) -> None:
        """Tell `tap` of all that is played, whatever loudspeaker it is."""
        self._tap = tap
        if isinstance(self.sink, CardLoudspeaker):
            self._listened_to(self.sink)

    def close(self) -> None:
        """Close what is open, and the library behind it."""
        with contextlib.ExitStack() as stack:
            for each in (self._portaudio, self.sink, self.source):
                if each is not None:
                    stack.callback(each.close)

    @contextlib.contextmanager
    def _may_come_later(self, kind: str, wanted: str) -> Iterator[None]:
        try:
            yield
        except LibraryMissing:
            raise
        except DeviceError as error:
            absent = Absent("", str(error))
            if kind == "input":
                self.source = absent
            else:
                self.sink = absent
            self._wanted[kind] = wanted
            raise
        opened = self.device(kind)
        self._wanted[kind] = lasting_name(self._devices(), kind, wanted, opened) if opened else wanted

    def wanted(self, kind: str) -> str:
        """The name by which the device is found again, "" for the default. `kind` is one that it `has`."""
        return self._wanted[kind]

    def _chosen(self, kind: str, wanted: str, device: Device) -> str:
        """Its name for the user."""
        self._wanted[kind] = lasting_name(self._devices(), kind, wanted, device)
        return device.name

    def _listened_to(self, sink: CardLoudspeaker) -> CardLoudspeaker:
        sink.tap = self._tap
        return sink

    def _devices(self) -> PortAudio:
        if self._portaudio is None:
            self._portaudio = PortAudio()
        return self._portaudio


def _started(opened: Callable[[], AnyCard]) -> tuple[AnyCard, float]:
    """A card that is opened and begins; the monotonic time of that. Raises DeviceError; then it is closed again."""
    card = opened()
    try:
        return card, card.start()
    except DeviceError:
        card.close()
        raise
