"""The network between routers, as a process of its own: python -m bench.wan DELAY [NAMESPACE ADDRESS ...]

Each namespace gets a device `wan` with that address. A packet from one to another travels for twice DELAY seconds:
once for the way of each. It ends with its standard input.
"""

import contextlib
import heapq
import itertools
import os
import select
import socket
import sys
import time

from bench.emulator import MTU, open_tun

DESTINATION = slice(16, 20)  # of an IPv4 packet


def main() -> None:
    """See the module."""
    delay, names = float(sys.argv[1]), sys.argv[2:]
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    ways = {
        socket.inet_aton(address): open_tun("wan", namespace, address)
        for namespace, address in zip(names[::2], names[1::2], strict=True)
    }
    print("up", flush=True)
    numbers, travelling = itertools.count(), list[tuple[float, int, bytes]]()
    while True:
        wait = max(0.0, travelling[0][0] - time.monotonic()) if travelling else 1.0
        ready, _, _ = select.select([*ways.values(), 0], [], [], min(wait, 1.0))
        if 0 in ready:
            return
        for tun in ready:
            with contextlib.suppress(BlockingIOError):
                while packet := os.read(tun, MTU):
                    heapq.heappush(travelling, (time.monotonic() + 2 * delay, next(numbers), packet))
        while travelling and travelling[0][0] <= time.monotonic():
            packet = heapq.heappop(travelling)[2]
            if (to := ways.get(packet[DESTINATION])) is not None:
                with contextlib.suppress(OSError):  # its queue is full
                    os.write(to, packet)


if __name__ == "__main__":
    main()
