"""Whom the shipped program calls: nobody unknown without a code, and whoever was meant at any of their addresses."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import PATIENCE, Program, environment, listening, on_terminal, run
from tests.security.people import Person
from tests.security.test_calling import Trap

CODE = "7-quiet-test"
TEXT_ONLY = "--no-audio"
SECRET = "the door code is 1234\n"
NO_CODE = {"VOICEMUX_CODE": ""}
REFUSED = "voicemux: you do not know who answers at "


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    with Trap(Person(tmp_path / "mallory")) as trap:
        yield trap


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, dict[str, str]]:
    """For each person the environment of their programs."""
    return {name: {**NO_CODE, "VOICEMUX_HOME": str(tmp_path / name)} for name in ("alice", "bob")}


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["pipe", "json"])
def test_who_is_unknown_gets_no_byte_of_what_is_piped(trap: Trap, options: tuple[str, ...]) -> None:
    said = json.dumps({"command": "say", "text": SECRET}) + "\n" if options else SECRET
    code, _, err = run("dial", trap.address, TEXT_ONLY, *options, stdin=said, env=NO_CODE)
    assert code == 6
    assert err[-1].startswith(REFUSED)
    assert (trap.calls, trap.heard) == (1, [])


def test_who_is_unknown_gets_no_voice(trap: Trap, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(96_000))
    with Program(
        "dial", trap.address, "--input", "-", "--output", "none", env=NO_CODE, redirect=f"< {noise}"
    ) as alice:
        assert alice.wait() == 6
    assert trap.heard == []


def test_a_program_without_a_terminal_calls_nobody_unknown(trap: Trap) -> None:
    """As cron starts it."""
    with Program(
        "dial", trap.address, TEXT_ONLY, env=NO_CODE, redirect="< /dev/null", start_new_session=True
    ) as alice:
        assert alice.wait() == 6
    assert trap.heard == []


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.screen = ""
        self._master, slave = pty.openpty()
        self._program = on_terminal(*arguments, home=home, terminal=slave, env=NO_CODE)
        os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._program.send_signal(signal.SIGKILL)
        self._program.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.screen += os.read(self._master, 65_536).decode(errors="replace")
                except OSError:  # the program has ended
                    assert re.search(pattern, self.screen), self.screen

    def wait(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self._program.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.screen += os.read(self._master, 65_536).decode(errors="replace")
        return self._program.wait(0)


def test_enter_at_the_question_for_the_code_is_no_call(trap: Trap, tmp_path: Path) -> None:
    with Terminal(tmp_path / "alice", "dial", trap.address, TEXT_ONLY) as alice:
        alice.wait_for(r"code were you told")
        alice.type("\n")
        assert alice.wait() == 6
    assert max(map(len, alice.screen.splitlines()[:3])) < 80, alice.screen
    assert "none" not in alice.screen
    assert REFUSED in alice.screen
    assert (trap.calls, trap.heard) == (1, [])


def test_what_was_typed_before_the_question_is_no_code_and_what_is_none_is_asked_again(homes) -> None:
    with listening(TEXT_ONLY, "--code", CODE, "--name", "bob", env=homes["bob"]) as (_, address):
        with Terminal(Path(homes["alice"]["VOICEMUX_HOME"]), "dial", address, TEXT_ONLY) as alice:
            alice.type("9-typed-ahead\n")
            alice.wait_for(r"code were you told")
            alice.type("8689\n")
            alice.wait_for(r"a code looks like 42-beeswax-caravan")
            alice.type("7 Quiet Test\n")
            alice.wait_for(r"connected to bob")
        with Terminal(Path(homes["alice"]["VOICEMUX_HOME"]), "dial", address, TEXT_ONLY) as alice:
            alice.wait_for(r"connected to bob .*whose key you know")
            assert "code" not in alice.screen


@pytest.mark.parametrize("typed", [("7", "quiet", "test"), ("7 quiet", "test"), ("--code", CODE), (CODE,)], ids=str)
def test_a_code_may_be_typed_in_several_ways(homes, typed) -> None:
    with listening(TEXT_ONLY, "--code", CODE, env=homes["bob"]) as (bob, address):
        assert run("dial", address, *typed, TEXT_ONLY, stdin="hi\n", env=homes["alice"])[0] == 0
        assert bob.read().endswith("> hi")


def test_an_old_code_of_a_contact_does_no_harm(homes) -> None:
    with listening(TEXT_ONLY, "--code", CODE, "--name", "bob", env=homes["bob"]) as (bob, address):
        for code in (CODE, *["9-old-words"] * 4):
            assert run("dial", address, code, TEXT_ONLY, stdin="hi\n", env=homes["alice"])[0] == 0
        assert not [line for line in bob.err if "turned away" in line or "the code is over" in line]


def test_a_contact_is_called_at_each_of_its_addresses_in_turn_and_at_another_port(homes) -> None:
    env = homes["alice"]
    with listening(TEXT_ONLY, "--code", CODE, "--name", "bob", env=homes["bob"]) as (_, address):
        assert run("dial", address, CODE, TEXT_ONLY, stdin="hi\n", env=env)[0] == 0
        assert run("contacts", "address", "bob", "add", "127.0.0.9:1", env=env)[0] == 0
        assert run("contacts", "address", "bob", env=env)[1] == ["127.0.0.9:1", address]
        code, _, err = run("dial", "bob", TEXT_ONLY, stdin="hi\n", env=env)
        assert (code, err[0], err[1]) == (0, "voicemux: calling 127.0.0.9:1 ...", f"voicemux: calling {address} ...")
        assert run("contacts", "address", "bob", env=env)[1] == [address, "127.0.0.9:1"]
        assert run("contacts", "address", "bob", "drop", address, env=env)[0] == 0
        assert run("dial", f"bob:{address.split(':')[1]}", TEXT_ONLY, stdin="hi\n", env=env)[0] == 3  # at 127.0.0.9
        assert run("contacts", "address", "bob", "add", "127.0.0.1:1", env=env)[0] == 0
        assert run("dial", f"Bob:{address.split(':')[1]}", TEXT_ONLY, stdin="hi\n", env=env)[0] == 0
    code, _, err = run("dial", "bob", TEXT_ONLY, env=env)
    assert code == 3
    assert err[-1].startswith("voicemux: bob is at none of the known addresses: cannot reach 127.0.0.1 port")


def test_an_address_that_somebody_has_mistyped_in_the_file_does_not_hide_the_others(homes) -> None:
    env = homes["alice"]
    file = Path(env["VOICEMUX_HOME"]) / "contacts.json"
    with listening(TEXT_ONLY, "--code", CODE, "--name", "bob", env=homes["bob"]) as (_, address):
        assert run("dial", address, CODE, TEXT_ONLY, stdin="hi\n", env=env)[0] == 0
        for unfit in ("", "[::1", "http://kitchen", "127.0.0.1:99999"):
            (bob,) = json.loads(file.read_text())
            file.write_text(json.dumps([{**bob, "addresses": [unfit, address]}]))
            assert run("dial", "bob", TEXT_ONLY, stdin="hi\n", env=env)[0] == 0
    file.write_text(json.dumps([{**bob, "addresses": ["[::1"]}]))
    code, _, err = run("dial", "bob", TEXT_ONLY, env=env)
    assert (code, err) == (
        2,
        ["voicemux: an address of bob cannot be used: '[::1' is not an address: expected [IPv6]:PORT"],
    )


def test_a_contact_rings_under_the_name_that_is_known_whatever_it_says(homes) -> None:
    options = (TEXT_ONLY, "--code", CODE, "--json")
    with listening(*options, env=homes["bob"]) as (bob, address):
        for name, known, claims in (("fred", "fred", ""), ("alice", "fred", "alice"), ("", "fred", "")):
            run("dial", address, CODE, TEXT_ONLY, "--name", name, stdin="hi\n", env=homes["alice"])
            for event in (bob.event("ringing"), bob.event("connected")):
                assert (event["name"], event["claims"]) == (known, claims)


def test_somebody_without_a_name_rings_under_the_address(tmp_path: Path) -> None:
    with listening(TEXT_ONLY, "--unencrypted") as (bob, address):
        run("dial", address, TEXT_ONLY, "--unencrypted", "--name", "", stdin="hi\n")
        assert bob.notice_with("is calling") == "voicemux: 127.0.0.1 is calling"


def test_a_name_that_is_an_address_takes_no_address_over(homes) -> None:
    options = (TEXT_ONLY, "--code", CODE)
    with listening(*options, "--name", "127.0.0.5", env=homes["bob"]) as (_, address):
        assert run("dial", address, CODE, TEXT_ONLY, stdin="hi\n", env=homes["alice"])[0] == 0
    assert run("contacts", env=homes["alice"])[1][0].startswith("127-0-0-5  ")
    code, _, err = run("dial", "127.0.0.5", TEXT_ONLY, env=homes["alice"])
    assert (code, err[0]) == (3, "voicemux: calling 127.0.0.5 ...")


SENTENCES = [
    ("::1:9003", 3, "if the last part is a port, the address before it needs brackets: [fd00::5]:9003"),
    ("alice@host", 2, "'alice@host' is not an address: there are no users here, expected host alone"),
    ("http://host", 2, "'http://host' is not an address: leave http:// away"),
    ("tcp://127.0.0.1:1", 3, "cannot reach 127.0.0.1 port 1: connection refused"),
    ("voicemux://127.0.0.1:1/", 3, "cannot reach 127.0.0.1 port 1: connection refused"),
    ("42-beeswax-caravan", 2, "is a code, and no address: voicemux dial HOST 42-beeswax-caravan"),
    ("42 beeswax caravan", 2, "is a code, and no address: voicemux dial HOST 42-beeswax-caravan"),
    ("nobody-of-that-name", 3, "is not a contact, and not a host: "),
    ("a b", 2, "expected HOST or HOST:PORT, or the name of a contact"),
]


@pytest.mark.parametrize(("target", "exit_code", "words"), SENTENCES, ids=lambda value: str(value)[:20])
def test_what_is_typed_in_place_of_an_address_gets_the_sentence_that_helps(target, exit_code, words) -> None:
    code, _, err = run("dial", target, TEXT_ONLY)
    assert code == exit_code
    assert words in err[-1]


@pytest.mark.parametrize("code", ["8689", "bedlamp company", "26-bedlamp", "10.0.0.1", "bob"])
def test_what_is_no_code_is_refused_before_anybody_is_called(trap: Trap, code: str) -> None:
    exit_code, _, err = run("dial", trap.address, code, TEXT_ONLY, env=NO_CODE)
    assert (exit_code, err) == (6, ["voicemux: that is not a code; a code looks like 42-beeswax-caravan"])
    assert trap.calls == 0


HOMELESS = """
import os, pwd
def unknown(uid): raise KeyError(uid)
pwd.getpwuid = unknown
for name in ("HOME", "VOICEMUX_HOME", "XDG_CONFIG_HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
    os.environ.pop(name, None)
from voicemux.app.cli import run_command_line
run_command_line()
"""


@pytest.mark.parametrize("command", ["listen --port 0", "dial 127.0.0.1:1 --no-audio", "contacts", "contacts show"])
def test_who_has_no_home_is_told_so_in_one_line(command: str, tmp_path: Path) -> None:
    program = [sys.executable, "-c", HOMELESS, *command.split()]
    done = subprocess.run(program, env=environment(tmp_path, NO_CODE), capture_output=True, text=True, check=False)
    assert done.stderr == "voicemux: no folder for your key and your contacts: set HOME, or VOICEMUX_HOME\n"
    assert done.returncode == 6
