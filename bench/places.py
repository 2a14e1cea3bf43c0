"""Where the two ends of a call are: in two network namespaces with our line between them, or both on the loopback."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Protocol

Counters = dict[str, int]


class Place(Protocol):
    """A context manager. Sides are "a" and "b"."""

    def __enter__(self) -> "Place": ...

    def __exit__(self, *_: object) -> None: ...

    def address(self, side: str) -> str: ...

    def command(self, side: str, command: Sequence[str]) -> list[str]:
        """What runs `command` at that side."""
        ...

    def change(self, **settings: Any) -> None:
        """Make the line so, both ways; the settings are those of `emulator.Direction`, and `blackout`."""
        ...

    def traffic(self) -> dict[str, Counters] | None:
        """What each side has put on the line so far, if that is known here."""
        ...


class Loopback:
    """Needs nothing, and has no line to make bad."""

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def address(self, side: str) -> str:
        return {"a": "127.0.0.1", "b": "127.0.0.2"}[side]

    def command(self, side: str, command: Sequence[str]) -> list[str]:
        return list(command)

    def change(self, **settings: Any) -> None:
        settings.pop("seed", None)
        if settings:
            raise ValueError("the loopback cannot be made slow, lossy or dark")

    def traffic(self) -> None:
        return None


class Namespaces:
    """Two network namespaces, joined by the emulator. Their names have our process id: runs do not meet."""

    def __init__(self) -> None:
        self._names = {side: f"voicemux-{os.getpid()}-{side}" for side in "ab"}

    @staticmethod
    def missing() -> str:
        """Why there can be none; empty if there can."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        if not shutil.which("ip"):
            return "network namespaces need the command ip (iproute2)"
        return "" if os.path.exists("/dev/net/tun") else "the line needs /dev/net/tun"

    def __enter__(self) -> "Namespaces":
        self._stack = contextlib.ExitStack()
        with self._stack:
            ends: list[str] = []
            for side, name in self._names.items():
                _ip("netns", "add", name)
                self._stack.callback(_ip, "netns", "delete", name)
                _ip("-n", name, "link", "set", "lo", "up")
                ends += [self._device(side), name, self.address(side)]
            self._emulator = subprocess.Popen(
                [sys.executable, "-m", "bench.emulator", *ends],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._stack.callback(self._emulator.communicate)  # it ends with its input
            self._counters()  # its first line: both ends are up
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, side: str) -> str:
        return {"a": "10.77.0.1", "b": "10.77.0.2"}[side]

    def command(self, side: str, command: Sequence[str]) -> list[str]:
        # ip and nice exec what they run, so the process is the program's own
        return ["ip", "netns", "exec", self._names[side], "nice", "--adjustment=-10", *command]

    def change(self, **settings: Any) -> None:
        self._tell(settings)

    def traffic(self) -> dict[str, Counters]:
        return self._tell({})

    def plug(self, side: str, *, is_in: bool) -> None:
        """Pull the cable of that side out, or put it in: its network device is down, or up."""
        _ip("-n", self._names[side], "link", "set", self._device(side), "up" if is_in else "down")
        if is_in:
            self._lead_everywhere(side)

    def replace_address(self, side: str, old: str, new: str) -> None:
        """Take the address of that side away, and give it another."""
        for verb, address in (("delete", old), ("add", new)):
            _ip("-n", self._names[side], "address", verb, f"{address}/24", "dev", self._device(side))
        self._lead_everywhere(side)

    def _lead_everywhere(self, side: str) -> None:
        """The default route goes with the device or with its last address; DHCP would bring another."""
        _ip("-n", self._names[side], "route", "replace", "default", "dev", self._device(side))

    @staticmethod
    def _device(side: str) -> str:
        return f"vmux{os.getpid() % 10**7}{side}"

    def _tell(self, settings: dict[str, Any]) -> dict[str, Counters]:
        assert self._emulator.stdin
        self._emulator.stdin.write(json.dumps(settings) + "\n")
        self._emulator.stdin.flush()
        return self._counters()

    def _counters(self) -> dict[str, Counters]:
        assert self._emulator.stdout
        if not (line := self._emulator.stdout.readline()):
            raise RuntimeError("the emulator of the line has ended")
        return dict(zip("ab", json.loads(line), strict=True))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
