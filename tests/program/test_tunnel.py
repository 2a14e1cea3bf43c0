"""A call through a tunnel, as `ssh -L`, Tor or a proxy: it takes all that we write at once, so TCP tells nothing.

Of the line behind it, only the peer knows.
"""

import contextlib
import select
import socket
import threading
import time
import wave
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.audio.speech import DIALLER
from tests.running import Program, listening
from voicemux.threads import Threads

SECONDS = 24  # of speech
SQUEEZE = (6.0, 14.0)  # seconds after the beginning
RATE = 24_000  # bits a second meanwhile
READ_SIZE = 65_536  # bytes
TURN = 0.005  # seconds
STALL = 0.1  # seconds for such a turn that is a stall of the machine


class Tunnel:
    """Two ends of it are there, and each byte goes from one to the other; `waits` says for how long it was in it."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.waits: list[tuple[float, float]] = []  # when it came out, how long it had waited: seconds
        self._ends = (near, far)
        self._began = time.monotonic()
        self._failures: list[BaseException] = []
        self._threads = Threads(self._failures.append)
        self._threads.start("there", lambda: self._pass(near, far))
        self._threads.start("back", lambda: self._pass(far, near))

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._threads.join()
        for end in self._ends:
            end.close()
        assert not self._failures

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        inside: deque[tuple[float, bytes]] = deque()
        credit, looked, is_open = 0.0, time.monotonic(), True
        stood = 0.0  # seconds for which the machine kept the tunnel itself from its work: nothing has waited in them
        with contextlib.suppress(OSError):
            while is_open or inside:
                began = time.monotonic()
                if select.select([source] if is_open else [], [], [], TURN)[0]:
                    data = source.recv(READ_SIZE)
                    is_open = bool(data)
                    inside.append((time.monotonic() - stood, data))
                now = time.monotonic()
                if now - began > STALL:
                    stood += now - began
                now -= stood
                is_slow = SQUEEZE[0] < now - self._began < SQUEEZE[1]
                credit = credit + (now - looked) * RATE / 8 if inside and is_slow else 0.0
                looked = now
                while inside and (not is_slow or credit >= len(inside[0][1])):
                    came, data = inside.popleft()
                    credit -= len(data)
                    self.waits.append((now - self._began, now - came))
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def tunnel_to(port: int) -> Iterator[tuple[int, list[Tunnel]]]:
    """A port that leads there, for one call."""
    tunnels: list[Tunnel] = []
    with socket.create_server(("127.0.0.1", 0)) as entrance:

        def lead() -> None:
            near, _ = entrance.accept()
            tunnels.append(Tunnel(near, socket.create_connection(("127.0.0.1", port))))

        leader = threading.Thread(target=lead)
        leader.start()
        try:
            yield entrance.getsockname()[1], tunnels
        finally:
            leader.join()
            tunnels[0].close()


def long_speech(folder: Path) -> str:
    with wave.open(str(DIALLER)) as source, wave.open(str(folder / "long.wav"), "wb") as sink:
        sink.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        wanted = SECONDS * source.getframerate() * source.getsampwidth() * source.getnchannels()
        sink.writeframes((frames * (wanted // len(frames) + 1))[:wanted])
    return str(folder / "long.wav")


def test_voice_and_text_do_not_pile_up_in_a_tunnel(tmp_path: Path) -> None:
    sound = ("--input", long_speech(tmp_path), "--output")
    with (
        listening("--once", *sound, str(tmp_path / "heard.wav")) as (listener, address),
        tunnel_to(int(address.rsplit(":", 1)[1])) as (port, tunnels),
        Program("dial", f"127.0.0.1:{port}", *sound, str(tmp_path / "answer.wav")) as dialler,
    ):
        dialler.notice_with("you hear each other")
        time.sleep(SQUEEZE[0] + 2)
        dialler.write("x" * 20_000 + "\n")  # 7 s of that line
        dialler.close_input()
        listener.close_input()
        assert listener.read(SECONDS).endswith("x" * 20_000)
        assert dialler.wait(SECONDS) == 0
        waits = tunnels[0].waits
    # A machine that stands still makes one or two wait. What piles up makes nearly all of them wait, and ever longer.
    assert np.quantile([wait for _, wait in waits], 0.9) < 2.0
    assert np.quantile([wait for when, wait in waits if when > SQUEEZE[0] + 4], 0.9) < 1.0
