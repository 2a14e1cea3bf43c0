"""Opens the sound cards of one call, opens them again when they have broken, and exchanges them during the call."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from voicemux.audio.absent import Absent, Gone
from voicemux.audio.blocking import PacedMicrophone
from voicemux.audio.card import Card, CardLoudspeaker, CardMicrophone
from voicemux.audio.devices import (
    all_devices,
    find_device,
    is_monitor,
    is_served,
    lasting_name,
    names_of,
    open_sink,
    open_source,
)
from voicemux.audio.endpoints import Sink, Source
from voicemux.audio.in_use import InUse
from voicemux.audio.portaudio import Device, PortAudio
from voicemux.audio.positions import heard_channels
from voicemux.audio.pulse import ServedDevice, is_named, used_device
from voicemux.errors import DeviceError, LibraryMissing

Tap = Callable[[bytes, int, int], None]  # see `CardLoudspeaker.tap`
AnyCard = TypeVar("AnyCard", CardMicrophone, CardLoudspeaker)


class Cards:
    """The sound cards of one call. Any thread may use them: the halves reopen broken devices while the user exchanges
    others."""

    def __init__(self, channels: int = 1) -> None:
        """`channels` is the number of channels of the program's sound."""
        self._channels = channels
        self._lock = threading.Lock()  # held while a device is opened: PortAudio does one thing at a time
        self._wanted: dict[str, str] = {}  # names that the user chose, by "input" and "output"
        self._portaudio: PortAudio | None = None
        self._tap: Tap | None = None
        self.on_change: Callable[[], None] = lambda: None  # called when another device is used; must not wait
        self.source: Source | None = None
        self.sink: Sink | None = None

    def has(self, kind: str) -> bool:
        """Whether a sound card is wanted in that direction, "input" or "output". It may be missing now."""
        return kind in self._wanted

    def open_source(self, wanted: str, *, late: bool = False) -> None:
        """Open the microphone; with `late`, only find it. Raises DeviceError if it is missing: `source` stands in for
        it until it comes. Raises LibraryMissing if there can never be one."""
        with self._lock, self._may_come_later("input", wanted):
            if late:
                label = find_device(self._devices(), "input", wanted).name
                self.source = Absent(label, f"the input device {label} is not open")
            else:
                self.source = open_source(self._devices(), wanted, self._channels)

    def open_sink(self, wanted: str) -> None:
        """Open the loudspeaker. Raises DeviceError if it is missing: `sink` stands in for it until it comes. Raises
        LibraryMissing if there can never be one."""
        with self._lock, self._may_come_later("output", wanted):
            self.sink = self._listened_to(open_sink(self._devices(), wanted, self._channels))

    def reopen_source(self) -> Source:
        """Open the microphone again, or the device that has its name now. Raises DeviceError."""
        with self._lock:
            if self.source:
                self.source.close()
            self._devices().look_again()
            self.source = open_source(self._devices(), self._wanted["input"], self._channels)
            return self.source

    def reopen_sink(self) -> Sink:
        """Open the loudspeaker again, or the device that has its name now. Raises DeviceError."""
        with self._lock:
            if self.sink:
                self.sink.close()
            self._devices().look_again()
            self.sink = self._listened_to(open_sink(self._devices(), self._wanted["output"], self._channels))
            self.on_change()
            return self.sink

    def exchange_source(self, wanted: str, half: InUse[Source]) -> str:
        """Let `half` go on with another microphone, and return its name. Raises DeviceError; then nothing has
        changed.

        The new one runs before the old one ends. If the old one was not open yet, the new one is only chosen.
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
        """Let `half` go on with another loudspeaker, and return its name. Raises DeviceError; then nothing has
        changed."""
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
        """Return all devices that there are now. New devices are seen only if none is open, or if a sound server has
        them. Raises DeviceError."""
        with self._lock:
            return all_devices(self._devices())

    def device(self, kind: str) -> Device | None:
        """Return the device that is open in that direction, "input" or "output", or None."""
        card = self.source if kind == "input" else self.sink
        return card.device if isinstance(card, Card) else None

    def used(self, kind: str) -> ServedDevice | None:
        """Return the sound server's device that is used in that direction now; None if there is none, or the server
        does not answer."""
        device = self.device(kind)
        return used_device(kind) if device and is_served(device, kind) else None

    def wants_monitor(self) -> bool:
        """Return whether the user has chosen an input that records what the loudspeaker plays, by its whole name or
        in the environment."""
        device = self.device("input")
        return device is not None and (is_monitor(device) if device.target else is_named("input"))

    def lose_source(self, half: InUse[Source], why: str) -> None:
        """Let the microphone of `half` break, so that it waits for another one."""
        with self._lock:
            before, self.source = self.source, Gone("", why)
            gone = self.source
        half.exchange(gone, time.monotonic())
        if before:
            before.close()

    def hear_all_of(self, used: ServedDevice, half: InUse[Source]) -> bool:
        """Open the microphone of `half` again if its stream does not hear all channels of `used`, to which the sound
        server has moved it. Returns whether it was opened again; if that fails, the old one stays."""
        with self._lock:
            before = self.source
            wanted = heard_channels(used.positions, self._channels)
            if not isinstance(before, PacedMicrophone) or wanted in (None, before.heard):
                return False
            device = before.device
            try:
                new, since = _started(lambda: PacedMicrophone(self._devices(), device, self._channels, wanted))
            except DeviceError:
                return False
            self.source = new
        half.exchange(new, since)
        before.close()
        return True

    def names(self, kind: str) -> tuple[str, ...]:
        """Return all names that the system has for the open device. May wait for a second."""
        device = self.device(kind)
        return names_of(device.name, kind, device.target) if device else ()

    def listen_to_sink(self, tap: Tap) -> None:
        """Pass all that is played to `tap`, whichever loudspeaker is used."""
        self._tap = tap
        if isinstance(self.sink, CardLoudspeaker):
            self._listened_to(self.sink)

    def close(self) -> None:
        """Close the open devices, and PortAudio."""
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
        """Return the name by which the device is found again; "" for the default one. `kind` is a direction for which
        `has` is true."""
        return self._wanted[kind]

    def _chosen(self, kind: str, wanted: str, device: Device) -> str:
        """Remember the device that was opened for `wanted`. Returns its name for the user."""
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
    """Open and start a card. Returns it and the monotonic time of its start, in seconds. Raises DeviceError; then it
    is closed."""
    card = opened()
    try:
        return card, card.start()
    except DeviceError:
        card.close()
        raise
