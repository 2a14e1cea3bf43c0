"""`listen --stdio` and `listen --unix`, as users have them: called through a command, or by the path of a socket."""

import shlex
import sys
from pathlib import Path

import pytest

from tests import warm_start
from tests.running import CODE, Program, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="neither is there on Windows")
# A machine that stands still starts a program slowly.
PATIENTLY = ("--timeout", "60")


def stdio(folder: Path, *options: str, code: str = CODE) -> str:
    """What ssh would run at the other end. `dial` begins it with `exec`."""
    listen = ["listen", "--stdio", "--no-audio", "--name", "bob", *options]
    return f"env VOICEMUX_HOME={folder} VOICEMUX_CODE={code} {shlex.join([*warm_start.command(), *listen])}"


@pytest.mark.parametrize("behind", ["", " | cat"])
def test_a_call_over_standard_input_and_output(tmp_path: Path, behind: str) -> None:
    """Over a socket, as ssh and inetd have it, and over pipes. What the caller says is in the log, for a file."""
    log = tmp_path / "log"
    command = f"{stdio(tmp_path / 'bob')} 2>{log}{behind}"
    options = ("--json", "--no-audio", "--name", "alice", *PATIENTLY)
    with Program("dial", "there", "--proxy-command", command, *options) as alice:
        assert alice.event("connected")["name"] == "bob"
        alice.command(command="say", text="hello")
        alice.command(command="quit")
        assert alice.event("ended")["undelivered"] == 0
        assert alice.wait() == 0
    said = log.read_text()
    assert "connected to alice (through standard input), " in said
    assert "alice> hello" in said
    assert "the other side hung up" in said


def test_through_a_pipe_only_a_failure_is_printed() -> None:
    """Standard error of ssh is the terminal of who dials."""
    code, out, err = run("listen", "--stdio", "--no-audio")
    assert code == 1
    assert (out, err) == ([], ["voicemux: the caller went without a call"])


def test_who_is_no_contact_and_has_no_code_does_not_get_in(tmp_path: Path) -> None:
    command = f"{stdio(tmp_path / 'bob', code='')} 2>/dev/null"
    code, _, err = run("dial", "there", "--code", CODE, "--proxy-command", command, "--no-audio", *PATIENTLY)
    assert (code, len(err)) == (6, 2), err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--stdio", "--json"], "standard input and output are the call"),
        (["--stdio", "--port", "1"], "--port means nothing beside --stdio"),
        (["--stdio", "--open"], "no answer to a call can be typed there"),
        (["--unix", "x", "--host", "h"], "--host means nothing beside --unix"),
    ],
)
def test_what_makes_no_sense_is_told(options: list[str], why: str) -> None:
    code, out, err = run("listen", *options, "--no-audio")
    assert (code, out) == (2, [])
    assert why in err[-1]


def test_a_terminal_or_a_file_is_no_other_end() -> None:
    with Program("listen", "--stdio", "--no-audio", redirect="< /dev/null") as listener:
        assert listener.wait() == 3
    assert "takes a program at the other end" in listener.err[-1]


def test_a_call_by_the_path_of_a_socket_has_text_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    with Program("listen", "--unix", str(path), "--json", "--no-audio", "--name", "bob", "--once") as bob:
        listening = bob.event("listening")
        assert (listening["port"], listening["addresses"]) == (0, [f"unix:{path}"])
        assert listening["dial"] == [f"voicemux dial unix:{path} {CODE}"]
        with Program("dial", f"unix:{path}", "--json", "--no-audio", "--name", "alice") as alice:
            assert alice.event("connected")["address"] == f"unix:{path}"
            assert bob.event("connected")["address"] == f"unix:{path}"
            for one, other in ((alice, bob), (bob, alice)):
                one.command(command="say", text="hello", id="1")
                assert other.event("text")["text"] == "hello"
                one.event("delivered")
            alice.command(command="quit")
            assert alice.wait() == 0
        assert bob.wait() == 0
    assert not path.exists()
