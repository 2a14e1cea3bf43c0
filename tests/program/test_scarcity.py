"""A listener that the system gives little."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import voicemux
from tests.running import CODE, PATIENCE

STRANGERS = 60
STRANGER_ID = "64123"  # of a user who has no process: limits are none for root
KEPT = "-all,+dac_override,+dac_read_search"  # so that it may run the Python of root

pytestmark = pytest.mark.skipif(os.name != "posix" or not shutil.which("sh"), reason="limits are of POSIX shells")


def test_a_listener_with_few_descriptors_takes_a_friend_beside_more_strangers_than_it_can_hold(tmp_path):
    command = f"ulimit -n 32; exec {sys.executable} -m voicemux listen --no-audio --host 127.0.0.1 --port 0"
    environment = {**os.environ, "VOICEMUX_HOME": str(tmp_path / "bob"), "VOICEMUX_CODE": CODE}
    with subprocess.Popen(
        ["sh", "-c", command], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as bob:
        try:
            assert bob.stderr
            port = int(bob.stderr.readline().split("port ")[1].split()[0])
            strangers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(STRANGERS)]
            with voicemux.dial(f"127.0.0.1:{port}", code=CODE, home=tmp_path / "alice", audio=False) as call:
                assert call.security == "code"
            for each in strangers:
                each.close()
        finally:
            bob.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of memory is none")
@pytest.mark.parametrize("limit", ["-v 30000", "-v 40000", "-v 100000", "-v 250000", "-n 5", "-n 16"])
def test_a_program_that_the_system_gives_too_little_says_so_in_a_line(limit, tmp_path):
    """Where Python can hardly begin, there is not room for that line each time: memory is laid out by chance."""
    assert any(1 <= len(lines_of_a_program_with(limit, tmp_path)) <= 2 for _ in range(5))


def lines_of_a_program_with(limit: str, tmp_path: Path) -> list[str]:
    """What it says. It may have enough to find out that nobody listens there."""
    command = f"ulimit {limit}; exec {sys.executable} -m voicemux dial 127.0.0.1:1 --open"
    environment = {**os.environ, "VOICEMUX_HOME": str(tmp_path), "VOICEMUX_CODE": ""}
    done = subprocess.run(["sh", "-c", command], env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode in (1, 3, 6)
    assert done.stdout == b""
    return done.stderr.decode().splitlines()


@pytest.mark.parametrize("wanted", ["demultiplexer", "writer", "timer", "microphone", "speaker"])
def test_a_call_for_which_there_is_no_thread_is_not_held_and_the_listener_goes_on(wanted, tmp_path, monkeypatch):
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == f"voicemux-{wanted}" and threading.current_thread() is serving:
            raise RuntimeError("can't start new thread")
        start(thread)

    def serve() -> None:
        for call in listener:
            heard.extend(call.texts())

    heard: list[str] = []
    with voicemux.listen(host="127.0.0.1", port=0, code=CODE, home=tmp_path / "bob") as listener:
        serving = threading.Thread(target=serve)
        serving.start()
        place = f"127.0.0.1:{listener.port}"
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with voicemux.dial(place, code=CODE, home=Path(tmp_path / "alice")) as call:
            assert list(call.texts()) == []
            assert call.ended
            assert call.ended.by == "error"
        monkeypatch.undo()
        with voicemux.dial(place, code=CODE, home=Path(tmp_path / "alice")) as call:
            call.send("still there?")
            assert call.wait_for_delivery()
        listener.stop()
        serving.join(PATIENCE)
    assert heard == ["still there?"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0 or not shutil.which("setpriv"), reason="root is needed")
@pytest.mark.parametrize(
    ("processes", "command", "code"),
    [
        (1, "devices", 1),
        (1, "dial 127.0.0.1:1 --open", 1),
        (2, "dial 127.0.0.1:1 --open", 1),
        (3, "dial 127.0.0.1:1 --open", 3),  # enough to find out that nobody listens there
        (1, "listen --port 0 --no-audio", 1),
        (3, "listen --port 0 --no-audio", 1),
        (1, "demo", 1),
        (2, "demo", 1),
        (1, "conform dialler --unencrypted --port 0 --case pong --run true", 1),
    ],
)
def test_a_program_that_the_system_gives_too_few_threads_says_so_in_a_line(processes, command, code, tmp_path):
    caps = [f"--{each}={KEPT}" for each in ("inh-caps", "ambient-caps", "bounding-set")]
    limited = f"ulimit -u {processes}; exec {sys.executable} -m voicemux {command}"
    environment = {**os.environ, "VOICEMUX_HOME": str(tmp_path), "VOICEMUX_CODE": ""}
    done = subprocess.run(
        ["setpriv", f"--reuid={STRANGER_ID}", "--clear-groups", *caps, "bash", "-c", limited],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    lines = [
        line for line in done.stderr.decode().splitlines() if "calling " not in line and "waiting at" not in line
    ]
    assert done.returncode == code, lines
    assert len(lines) == 1
    assert lines[0].startswith("voicemux: the system gives no" if code == 1 else "voicemux: cannot reach ")
