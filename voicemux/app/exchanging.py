"""Exchanges the microphone or loudspeaker in the middle of a call."""

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicemux.app.following import DeviceFollower
from voicemux.console.commands import ListDevices, UseDevice
from voicemux.console.remedies import hint
from voicemux.errors import DeviceError, OutOfResources
from voicemux.events import DeviceChanged, DeviceList, Event, ListedDevice, Rejected
from voicemux.threads import Threads

if TYPE_CHECKING:
    from voicemux.audio.capture.transmitter import Transmitter
    from voicemux.audio.cards import Cards
    from voicemux.audio.playout.mixer import Mixer
    from voicemux.audio.portaudio import Device

DEFAULT = "default"  # what a user types for the device that the system has chosen
NOTHING_TO_EXCHANGE = {
    "input": "this call sends nothing of a microphone, so there is none to exchange",
    "output": "this call plays nothing on a loudspeaker, so there is none to exchange",
}

Tell = Callable[[Event], None]


class DeviceExchange:
    """The exchange of devices of one call. Any thread may use it. A device takes up to seconds to open, so a thread
    of its own does that, one device at a time."""

    def __init__(
        self,
        cards: "Cards",
        transmitter: "Transmitter | None",
        player: "Mixer | None",
        on_chosen: Callable[[str, str], None],
    ) -> None:
        """`on_chosen` gets the direction and the name of each device that was chosen; "" is the default."""
        self._cards = cards
        self._transmitter = transmitter if cards.has("input") else None
        self._player = player if cards.has("output") else None
        self._on_chosen = on_chosen
        self._busy = threading.Lock()
        self._follower: DeviceFollower | None = None
        self._threads = Threads()

    def use(self, direction: str, name: str, tell: Tell) -> None:
        """Go on with the device of that name, number, or part of a name. Does not wait.

        `tell` gets the result. If it fails, the previous device stays in use.
        """
        half = self._transmitter if direction == "input" else self._player
        if half is None:
            tell(Rejected(NOTHING_TO_EXCHANGE[direction]))
        elif not self._busy.acquire(blocking=False):
            tell(Rejected("one moment: another device is being opened"))
        else:
            try:
                self._threads.start("exchange", lambda: self._use(direction, name, tell))
            except OutOfResources as error:
                self._busy.release()
                tell(Rejected(str(error)))

    def show(self, tell: Tell) -> None:
        """Tell which devices there are."""
        try:
            devices = self._cards.listed()
        except DeviceError as error:
            tell(Rejected(str(error)))
            return
        used = (self._number(kind, devices) for kind in ("input", "output"))
        tell(DeviceList([_listed(each) for each in devices], *used))

    @property
    def has_cards(self) -> bool:
        """Whether there is a sound card in the call, or may come."""
        return bool(self._transmitter or self._player)

    def follow(self, tell: Tell) -> None:
        """Tell, until `close`, when the sound server moves the call to another device."""
        self._follower = DeviceFollower(self._cards, self._transmitter, tell)
        with contextlib.suppress(OutOfResources):
            self._threads.start("devices", self._follower.run)

    def close(self) -> None:
        """Stop following, and wait for a device that is being opened."""
        if self._follower:
            self._follower.stop()
        self._threads.join()

    def _use(self, direction: str, name: str, tell: Tell) -> None:
        wanted = "" if name.lower() == DEFAULT else name
        try:
            label = self._opened(direction, wanted)
        except DeviceError as error:
            advice = hint(error)
            tell(Rejected(f"{error}; nothing has changed{'; ' if advice else ''}{advice}"))
        else:
            self._on_chosen(direction, self._cards.wanted(direction))
            tell(DeviceChanged(direction, label))
        finally:
            self._busy.release()

    def _opened(self, direction: str, wanted: str) -> str:
        if direction == "input":
            assert self._transmitter
            return self._cards.exchange_source(wanted, self._transmitter.in_use)
        assert self._player
        return self._cards.exchange_sink(wanted, self._player.in_use)

    def _number(self, kind: str, devices: "list[Device]") -> int | None:
        used = self._cards.device(kind)
        alike = (each.number for each in devices if used and (each.name, each.target) == (used.name, used.target))
        return next(alike, None)


def obey(command: UseDevice | ListDevices, exchange: DeviceExchange | None, tell: Tell) -> None:
    """Obey a command about the devices of a call; `exchange` is None in a call without sound."""
    if exchange is None:
        tell(Rejected("there is no sound in this call"))
    elif isinstance(command, UseDevice):
        exchange.use(command.direction, command.name, tell)
    else:
        exchange.show(tell)


def _listed(device: "Device") -> ListedDevice:
    return ListedDevice(device.number, device.name, device.system, device.inputs, device.outputs, device.target)
