"""The line between two network namespaces, as a process of its own: slow, lossy, late or dark, as it is told.

Each end is a TUN device. A packet read from one is written to the other after what the line does to it, so the
kernel's real TCP and UDP meet that line. Many kernels come without netem; this needs only /dev/net/tun, and
can hold packets through a blackout, which netem cannot. Its parent tells it changes on standard input, one JSON
object a line, and gets the counters as one line after each.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from bench.middlebox import Middlebox

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 1500
QUEUE_PACKETS = 8  # but so many always fit: a second of a very slow line is less than two packets
SIDES = ("a", "b")
COUNTERS = ("packets", "bytes", "lost", "overflown")
AT_ONCE = 64  # packets read before something else gets its turn


@dataclass
class Direction:
    """One way of the line. Packets wait for the line to be free, then travel, then come out; they never overtake."""

    delay: float = 0.0  # seconds
    loss: float = 0.0  # share of packets
    burst: float = 1.0  # packets lost at once, in the mean
    jitter: float = 0.0  # seconds of delay at most that a packet has beyond `delay`, as with a radio that repeats
    rate: float = 0.0  # bit/s of IP packets; 0 is "at once"
    queue: float = 1.0  # seconds of `rate` that a slow line's queue holds at most; what comes then is dropped
    hold: bool = False  # whether a blackout keeps packets for later, or drops them
    dark_until: float = 0.0
    dice: random.Random = field(default_factory=random.Random)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    _waiting: deque[tuple[float, bytes]] = field(default_factory=deque)  # with the time of arrival
    _waiting_bytes: int = 0
    _free: float = 0.0  # when the last packet had been put on the line
    _travelling: deque[tuple[float, bytes]] = field(default_factory=deque)  # with the time of coming out
    _is_losing: bool = False

    def put(self, packet: bytes, now: float) -> None:
        self.counters["packets"] += 1
        self.counters["bytes"] += len(packet)
        if (now < self.dark_until and not self.hold) or self._loses():
            self.counters["lost"] += 1
        elif self._is_full(len(packet)):
            self.counters["overflown"] += 1
        else:
            self._waiting.append((now, packet))
            self._waiting_bytes += len(packet)

    def answer(self, packet: bytes, now: float) -> None:
        """Have a packet of the middlebox travel. It is nobody's, and counts for nothing."""
        self._travelling.append((now + self.delay, packet))

    def take(self, now: float) -> bytes | None:
        """The next packet that has come out by now."""
        self._transmit(now)
        if self._travelling and max(self._travelling[0][0], self._held_until()) <= now:
            return self._travelling.popleft()[1]
        return None

    def next_time(self) -> float:
        """When there will be something to do."""
        times = [float("inf")]
        if self._waiting:
            times.append(self._done())
        if self._travelling:
            times.append(max(self._travelling[0][0], self._held_until()))
        return min(times)

    def _loses(self) -> bool:
        """Gilbert's model (Bell System Technical Journal 1960): a burst ends with each packet by the same chance."""
        chance = self.dice.random()
        if self._is_losing:
            self._is_losing = chance >= 1 / self.burst
        else:
            self._is_losing = chance < self.loss / self.burst / (1 - self.loss)
        return self._is_losing

    def _held_until(self) -> float:
        return self.dark_until if self.hold else 0.0

    def _is_full(self, size: int) -> bool:
        limit = self.rate / 8 * self.queue
        return bool(self.rate) and len(self._waiting) >= QUEUE_PACKETS and self._waiting_bytes + size > limit

    def _done(self) -> float:
        """When the first that waits has been put on the line, at the rate of now."""
        arrival, packet = self._waiting[0]
        return max(arrival, self._free) + (len(packet) * 8 / self.rate if self.rate else 0.0)

    def _transmit(self, now: float) -> None:
        while self._waiting and (done := self._done()) <= now:
            packet = self._waiting.popleft()[1]
            self._waiting_bytes -= len(packet)
            self._free = done
            self._travelling.append((done + self.delay + self.jitter * self.dice.random(), packet))


def open_tun(name: str, namespace: str, address: str) -> int:
    """A TUN device, made here and moved into the namespace; the descriptor stays."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        ["link", "set", name, "netns", namespace],
        ["-n", namespace, "addr", "add", f"{address}/24", "dev", name],
        ["-n", namespace, "link", "set", name, "mtu", str(MTU), "up"],
        ["-n", namespace, "route", "add", "default", "dev", name],  # some programs learn their address from it
    ):
        subprocess.run(["ip", *command], check=True)
    return tun


def change(directions: list[Direction], settings: dict[str, Any], now: float) -> None:
    """Make the line so; what is under "a" or "b" is for what that side sends alone."""
    for direction, side in zip(directions, SIDES, strict=True):
        of_both = {name: value for name, value in settings.items() if name not in SIDES}
        for name, value in (of_both | settings.get(side, {})).items():
            if name == "blackout":
                direction.dark_until = now + value
            elif name == "seed":
                direction.dice.seed(value)
            else:
                setattr(direction, name, value)


def counters(directions: list[Direction]) -> str:
    return json.dumps([direction.counters for direction in directions])


def forward(tuns: list[int], directions: list[Direction], middlebox: Middlebox) -> None:
    """Until standard input ends: then the devices go, with this process."""
    commands = open(0, "rb", buffering=0)  # noqa: SIM115  # nothing may be read ahead, or select() would not see it
    while True:
        wait = min(direction.next_time() for direction in directions) - time.monotonic()
        ready, _, _ = select.select([*tuns, 0], [], [], max(0.0, min(wait, 1.0)))
        for tun, direction, back in zip(tuns, directions, reversed(directions), strict=True):
            if tun in ready:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(AT_ONCE):
                        packet = os.read(tun, MTU)
                        may_pass, answer = middlebox.judge(packet)
                        if may_pass:
                            direction.put(packet, time.monotonic())
                        elif answer:
                            back.answer(answer, time.monotonic())
        for tun, direction in zip(reversed(tuns), directions, strict=True):
            while (out := direction.take(time.monotonic())) is not None:
                with contextlib.suppress(OSError):  # its queue is full, or the device is down
                    os.write(tun, out)
        if 0 in ready:
            if not (line := commands.readline()):
                return
            settings = json.loads(line)
            if wanted := settings.pop("middlebox", ""):
                middlebox.give_up(answers=wanted == "reset")
            change(directions, settings, time.monotonic())
            print(counters(directions), flush=True)


def main() -> None:
    """Arguments: name, namespace and address of each end."""
    ends = [sys.argv[1:4], sys.argv[4:7]]
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    tuns = [open_tun(*end) for end in ends]
    directions = [Direction(), Direction()]
    print(counters(directions), flush=True)
    forward(tuns, directions, Middlebox())


if __name__ == "__main__":
    main()
