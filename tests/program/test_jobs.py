"""The shipped program in a real shell: Ctrl-Z, `&`, `fg`, Ctrl-C."""

import contextlib
import os
import queue
import re
import signal
import threading
from collections.abc import Iterator

import pytest

import voicemux
from tests.peers import holds
from tests.program.shell import Shell
from tests.running import PATIENCE

pytestmark = pytest.mark.skipif(not os.path.exists("/bin/bash"), reason="needs bash")

CTRL_C, CTRL_Z = b"\x03", b"\x1a"


@pytest.fixture
def shell(tmp_path):
    with Shell(str(tmp_path / "shell")) as shell:
        yield shell


def listen(shell: Shell, *options: str) -> int:
    """Let the shell run a listener. Its port."""
    shell.run(" ".join(["voicemux listen --port 0 --no-audio --unencrypted --auto-accept --name bob", *options]))
    found = re.search(r"on port (\d+)", shell.wait_for("listening on port"))
    assert found
    return int(found[1])


class Alice:
    """Who calls, and what she has heard: it is acknowledged at once."""

    def __init__(self, call: voicemux.Call) -> None:
        self.call = call
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._hear)
        self.thread.start()

    def _hear(self) -> None:
        for text in self.call.texts():
            self._heard.put(text)

    def hears(self) -> str:
        return self._heard.get(timeout=PATIENCE)


@contextlib.contextmanager
def calling(port: int, tmp_path) -> Iterator[Alice]:
    with voicemux.dial(f"127.0.0.1:{port}", plain=True, audio=False, name="alice", home=tmp_path) as call:
        alice = Alice(call)
        yield alice
    alice.thread.join()


def test_a_listener_in_the_background_answers_and_reads_nothing_until_it_is_brought_back(shell, tmp_path):
    shell.run("stty tostop")  # by default the background may write
    port = listen(shell, "&")
    with calling(port, tmp_path) as alice:
        alice.call.send("are you there?")
        assert alice.call.wait_for_delivery()
        shell.wait_for("alice> are you there?")
        shell.run("echo $((40 + 2))")
        shell.wait_for("42")
        assert "Stopped" not in "\n".join(shell.lines)
        shell.run("fg")
        shell.wait_for_last("bob>")
        shell.type(b"now I am\r")
        assert alice.hears() == "now I am"
        shell.type(CTRL_C)
        shell.wait_for("you hung up after")
    shell.wait_for_last("bob>")
    shell.type(CTRL_C)
    shell.wait_for_last("$")
    shell.run("echo code $?")
    shell.wait_for("code 130")


def test_ctrl_z_stops_it_and_it_comes_back_with_the_line_that_was_being_typed(shell, tmp_path):
    port = listen(shell)
    with calling(port, tmp_path) as alice:
        shell.wait_for("connected to alice")
        shell.type(b"half a li")
        shell.wait_for_last("bob> half a li")
        shell.type(CTRL_Z)
        shell.wait_for("Stopped")
        shell.run("echo is this sent?")
        shell.wait_for("is this sent?", times=2)
        alice.call.send("hello?")
        assert holds(lambda: alice.call.undelivered == ["hello?"], 0.5)
        shell.run("fg")
        shell.wait_for("alice> hello?")
        shell.wait_for_last("bob> half a li")
        shell.type(b"ne\r")
        assert alice.hears() == "half a line"
        shell.type(CTRL_Z)
        shell.wait_for("Stopped", times=2)
        shell.run("bg")
        alice.call.send("and now?")
        shell.wait_for("alice> and now?")
        shell.run("stty -a | grep -o ' icanon'")
        shell.wait_for(" icanon", times=2)
        shell.run("kill %1")
        shell.wait_for("you hung up after")


def test_it_comes_back_when_something_else_has_stopped_it(shell, tmp_path):
    port = listen(shell)
    with calling(port, tmp_path) as alice:
        shell.wait_for_last("bob>")
        shell.type(b"half a li")
        shell.wait_for_last("bob> half a li")
        children = f"/proc/{shell.pid}/task/{shell.pid}/children"
        with open(children, encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), 19)
        shell.wait_for("Stopped")
        shell.run("fg")
        shell.wait_for_last("bob> half a li")
        shell.type(b"ne\r")
        assert alice.hears() == "half a line"


@pytest.mark.parametrize("mode", [(), ("--line-mode",)], ids=["prompt", "lines"])
def test_it_stays_in_the_background_when_something_else_has_stopped_it(shell, tmp_path, mode):
    port = listen(shell, *mode)
    with calling(port, tmp_path) as alice:
        shell.wait_for("connected to alice")
        shell.type(b"half a li")
        shell.wait_for("half a li")
        children = f"/proc/{shell.pid}/task/{shell.pid}/children"
        with open(children, encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), signal.SIGTSTP)
        shell.wait_for("Stopped")
        shell.run("bg")
        shell.wait_for("[1]+ /")  # the command that goes on
        shell.run("echo ready; cat")  # whose lines are edited and shown by the terminal
        shell.wait_for("ready", times=2)
        shell.type(b"for the shell\r")
        shell.wait_for("for the shell", times=2)
        before = "\n".join(shell.lines).count("half a li")
        alice.call.send("are you there?")
        shell.wait_for("alice> are you there?")
        shell.draw(0.5)
        assert "\n".join(shell.lines).count("half a li") == before
        shell.type(b"\x04")
        shell.run("fg")
        shell.wait_for("half a li", times=before + 1)
        shell.type(b"ne\r")
        assert alice.hears() == "half a line"


def test_in_line_mode_the_background_works_as_well(shell, tmp_path):
    port = listen(shell, "--line-mode", "&")
    with calling(port, tmp_path) as alice:
        alice.call.send("are you there?")
        shell.wait_for("alice> are you there?")
        shell.run("echo $((40 + 2))")
        shell.wait_for("42")
        shell.run("fg")
        shell.wait_for("voicemux listen --port", times=2)
        shell.type(b"now I am\r")
        assert alice.hears() == "now I am"
        shell.type(b"half a li")
        shell.wait_for_last("half a li")
        shell.type(CTRL_Z)
        shell.wait_for("Stopped")
        shell.run("fg")
        shell.wait_for_last("half a li")
        shell.type(b"ne\r")
        assert alice.hears() == "half a line"
        shell.type(CTRL_C)
        shell.wait_for("you hung up after")
    shell.type(CTRL_C)
    shell.wait_for_last("$")


def test_in_a_call_the_terminal_is_asked_for_nothing_and_the_cursor_stays_in_the_typed_line(shell, tmp_path):
    port = listen(shell)
    shell.wait_for_last("bob>")
    began = len(shell.raw)
    with calling(port, tmp_path) as alice:
        shell.wait_for("connected to alice")
        shell.type(b"x" * 150)
        shell.wait_for("x" * 50)
        for number in range(40):
            alice.call.send(f"line {number}")
        shell.wait_for("alice> line 39")
        shell.wait_for_last("x" * 55)
        assert [line for line in shell.lines if line.startswith("alice> ")] == [f"alice> line {n}" for n in range(40)]
        assert sum(line.startswith("bob> ") for line in shell.lines) == 1
    recorded = shell.raw[began:]
    assert b"\x1b[6n" not in recorded
    assert max(int(count or 1) for count in re.findall(rb"\x1b\[(\d*)A", recorded)) == 1
    assert not re.findall(rb"\x1b\[\d*;?\d*[Hfd]|\x1bM", recorded)


def test_ctrl_c_right_behind_a_line_ends_the_call_and_not_the_listener(shell, tmp_path):
    """The terminal makes a signal of it until the next prompt has begun, and it is told of when that has."""
    port = listen(shell)
    for calls in range(1, 4):
        with calling(port, tmp_path) as alice:
            shell.wait_for("connected to alice", times=calls)
            shell.wait_for_last("bob>")
            shell.type(b"bye\r")
            assert alice.hears() == "bye"
            os.killpg(os.tcgetpgrp(shell.master), signal.SIGINT)
            shell.wait_for("you hung up after", times=calls)
        shell.wait_for_last("bob>")
