"""It rings: the shipped program on a terminal and in pipes, asked and not asked, answered and left alone."""

import contextlib
import fcntl
import os
import pty
import re
import socket
import struct
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers import Peer, holds
from tests.running import PATIENCE, Program, listening, on_terminal
from voicemux.app.answering import ANSWER_TIMEOUT
from voicemux.protocol.messages import Hello, Text
from voicemux.protocol.wire import PREFACE
from voicemux.security.contacts import Contacts
from voicemux.security.identity import load_identity

LISTENER = Path(__file__).parents[2] / "voicemux" / "speech" / "listener.wav"
TEXT_ONLY = "--no-audio"
NO_CODE = {"VOICEMUX_CODE": ""}
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
BELL = "\x07"
PROMPTLY = 12.0  # seconds for what takes no time, on a busy machine: a line that is dead is found out after 15

Homes = dict[str, dict[str, str]]


class Seat:
    """The program on a terminal of its own, seen and typed at as a user does."""

    def __init__(self, home: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
        self.process = on_terminal(*arguments, home=home, terminal=far, env={"TERM": "xterm", **(env or {})})
        os.close(far)
        self.raw = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> "Seat":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._near)

    @property
    def shown(self) -> str:
        """What was shown, without what moves the cursor."""
        return SEQUENCE.sub("", self.raw)

    def see(self, words: str, timeout: float = PATIENCE, times: int = 1) -> str:
        """Wait until it is shown; the line that has it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.shown.count(words) >= times, timeout):
                raise TimeoutError(f"expected {words!r}, got:\n{self.shown}")
        return next(line for line in reversed(self.shown.splitlines()) if words in line)

    def hear(self, bells: int) -> None:
        """Wait until the bell has rung so often, and no more often."""
        self.hear_at_least(bells)
        assert self.raw.count(BELL) == bells

    def hear_at_least(self, bells: int) -> None:
        """Wait until the bell has rung so often: a machine that is slow enough hears the next one, too."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.raw.count(BELL) >= bells, PATIENCE)

    def type(self, text: str) -> None:
        os.write(self._near, text.encode())

    def wait(self, timeout: float = PATIENCE) -> int:
        return self.process.wait(timeout)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._near, 65_536):
                with self._changed:
                    self.raw += data.decode(errors="replace")
                    self._changed.notify_all()
                for _ in range(data.count(b"\x1b[6n")):  # where is the cursor?
                    os.write(self._near, b"\x1b[1;1R")


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    """For each person the environment of their programs."""
    people = ("alice", "bob", "carol", "mallory")
    return {name: {**NO_CODE, "VOICEMUX_HOME": str(tmp_path / name)} for name in people}


def introduce(homes: Homes, *names: str) -> None:
    """Bob and these people know each other."""
    folders = {name: Path(homes[name]["VOICEMUX_HOME"]) for name in ("bob", *names)}
    keys = {name: load_identity(folder).fingerprint for name, folder in folders.items()}
    for name in names:
        Contacts(folders["bob"]).remember(name, keys[name], "192.0.2.1:1", "code")
        Contacts(folders[name]).remember("bob", keys["bob"], "192.0.2.2:1", "code")


@contextlib.contextmanager
def seated(homes: Homes, *options: str, env: dict[str, str] | None = None) -> Iterator[tuple[Seat, str]]:
    """Bob listens at a terminal; and where to call."""
    home = Path(homes["bob"]["VOICEMUX_HOME"])
    arguments = ("listen", "--host", "127.0.0.1", "--port", "0", TEXT_ONLY, "--name", "bob", *options)
    with Seat(home, *arguments, env={**NO_CODE, **(env or {})}) as bob:
        yield bob, re.search(r"127\.0\.0\.1:\d+", bob.see("voicemux dial "))[0]  # type: ignore[index]


def dialling(address: str, name: str, homes: Homes, *options: str) -> Program:
    return Program("dial", address, TEXT_ONLY, "--name", name, *options, env=homes[name])


def test_on_a_terminal_a_contact_rings_until_the_call_is_taken(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        alice.notice_with("it rings")
        line = bob.see("alice (127.0.0.1) is calling")
        assert "whose key you know" in line
        bob.see("voicemux: /accept or /decline")
        bob.hear(bells=1)
        assert holds(lambda: "connected" not in bob.shown, 0.3)
        bob.type("/accept\r")
        bob.see("connected to alice")
        assert "taking alice's call" in bob.shown
        alice.notice_with("connected to bob")


def test_a_call_that_is_declined_is_confirmed_and_the_caller_reads_who_declined(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("is calling")
        bob.type("/decline\r")
        bob.see("declined alice's call")
        assert alice.wait() == 1
        assert alice.err[-1] == "voicemux: bob declined the call"
        bob.type("/accept\r")
        bob.see("no call is ringing")


def test_who_rings_and_gives_up_is_a_missed_call_at_once(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address):
        with dialling(address, "alice", homes) as alice:
            bob.see("is calling")
            alice.interrupt()
            assert alice.wait() == 130
        assert re.search(r"alice rang and gave up \(missed call, \d\d:\d\d\)", bob.see("rang and gave up", PROMPTLY))
        bob.type("/accept\r")
        bob.see("the caller has gone")
        bob.type("/missed\r")
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d  alice \(127\.0\.0\.1\)", bob.see("  alice (127"))
        bob.type("/quit\r")
        assert bob.wait() == 0


def test_a_caller_who_is_killed_is_a_missed_call_at_once(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address):
        with dialling(address, "alice", homes) as alice:
            bob.see("is calling")
            alice.process.kill()
        bob.see("alice rang and gave up", PROMPTLY)


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_a_terminal_of_which_nothing_is_known_gets_plain_lines(homes: Homes, term: str) -> None:
    introduce(homes, "alice")
    with seated(homes, "--bell", "never", env={"TERM": term}) as (bob, address), dialling(address, "alice", homes):
        bob.see("alice (127.0.0.1) is calling")
        bob.type("/ACCEPT\r")
        bob.see("connected to alice")
        assert "\x1b" not in bob.raw


@pytest.mark.parametrize("way", ["/quit\r", "\x03", "\x04"], ids=["quit", "ctrl-c", "ctrl-d"])
def test_a_listener_that_rings_can_be_left(homes: Homes, way: str) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("is calling")
        bob.type(way)
        assert bob.wait(PROMPTLY) == (130 if way == "\x03" else 0)
        assert alice.wait() == 1
        assert alice.err[-1] == "voicemux: bob hung up"


def test_what_is_typed_while_the_goodbye_is_under_way_is_obeyed(homes: Homes) -> None:
    """Here of a caller who has stopped, and so never closes its end."""
    introduce(homes, "alice")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("is calling")
        alice.process.send_signal(19)  # SIGSTOP
        bob.type("/decline\r/quit\r")
        assert bob.wait(PROMPTLY) == 0
        assert "declined alice's call" in bob.shown


def test_an_intercom_takes_each_call_at_once(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, "--auto-accept") as (bob, address), dialling(address, "alice", homes) as alice:
        alice.notice_with("connected to bob")
        bob.see("connected to alice")
        assert "/accept" not in bob.shown
        bob.hear(bells=1)


def test_a_bell_can_be_switched_off(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, "--bell", "never") as (bob, address), dialling(address, "alice", homes):
        bob.see("is calling")
        assert holds(lambda: BELL not in bob.raw, 0.3)


def test_the_bell_is_silent_while_the_user_looks_at_the_terminal(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, "--bell", "unfocused") as (bob, address):
        bob.see("bob>")
        assert "\x1b[?1004h" in bob.raw
        for count, report in enumerate(["\x1b[I", "\x1b[O"], 1):
            bob.type(report)
            with dialling(address, "alice", homes) as alice:
                bob.see("is calling", times=count)
                if report == "\x1b[I":
                    assert holds(lambda: BELL not in bob.raw, 0.3)
                bob.hear(bells=count - 1)
                bob.type("/decline\r")
                assert alice.wait() == 1
        bob.type("/quit\r")
        assert bob.wait() == 0
        assert bob.raw.count("\x1b[?1004l") == 1


def test_on_a_terminal_without_features_it_rings_as_well(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, env={"TERM": "dumb"}) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("/accept or /decline")
        bob.hear_at_least(1)
        bob.type("/accept\n")
        alice.notice_with("connected to bob")


def test_a_plain_call_rings_as_well(homes: Homes) -> None:
    with (
        seated(homes, "--unencrypted") as (bob, address),
        dialling(address, "alice", homes, "--unencrypted") as alice,
    ):
        assert "not encrypted" in bob.see("is calling")
        bob.type("/accept\r")
        alice.notice_with("connected to bob")


def test_a_contact_gets_through_while_a_stranger_rings(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, "--open") as (bob, address), dialling(address, "mallory", homes, "--open") as mallory:
        bob.see("mallory (127.0.0.1) is calling, an unknown caller")
        with dialling(address, "alice", homes) as alice:
            bob.see("alice (127.0.0.1) is calling", PROMPTLY)
            assert mallory.wait() == 1
            assert mallory.err[-1].startswith("voicemux: the other side is busy")
            bob.type("/accept\r")
            alice.notice_with("connected to bob")


def test_a_stranger_does_not_ring_while_a_contact_does(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes, "--open") as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("alice (127.0.0.1) is calling")
        with dialling(address, "mallory", homes, "--open") as mallory:
            assert mallory.wait() == 1
        bob.type("/accept\r")
        alice.notice_with("connected to bob")


def test_who_was_declined_does_not_ring_again_at_once(homes: Homes) -> None:
    with seated(homes, "--open") as (bob, address):
        with dialling(address, "mallory", homes, "--open") as mallory:
            bob.see("is calling")
            bob.type("/decline\r")
            assert mallory.wait() == 1
        with dialling(address, "mallory", homes, "--open") as mallory:
            assert mallory.wait() == 1
            assert mallory.err[-1] == "voicemux: the other side declined the call"
        bob.see("declined a moment ago")
        assert bob.shown.count("is calling") == 1


def test_a_contact_who_is_told_busy_is_listed(homes: Homes) -> None:
    introduce(homes, "alice", "carol")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("is calling")
        bob.type("/accept\r")
        alice.notice_with("connected to bob")
        with dialling(address, "carol", homes) as carol:
            assert carol.wait() == 1
            assert carol.err[-1].startswith("voicemux: bob is busy")
        bob.see("carol (127.0.0.1) called meanwhile")
        bob.type("/missed\r")
        bob.see("  carol (127.0.0.1)")


# --- pipes and JSON


def test_in_a_pipe_a_contact_is_answered_at_once(homes: Homes) -> None:
    introduce(homes, "alice")
    with listening(TEXT_ONLY, env=homes["bob"]) as (bob, address):
        with dialling(address, "alice", homes) as alice:
            alice.notice_with("connected to")
        assert bob.notice_with("is calling") == "voicemux: alice (127.0.0.1) is calling"
        assert BELL not in "".join(bob.err)


def test_in_a_pipe_that_is_to_ask_the_first_line_answers_and_the_others_wait(homes: Homes) -> None:
    introduce(homes, "alice")
    with listening(TEXT_ONLY, "--ask", "--once", env=homes["bob"]) as (bob, address):
        bob.write("/accept\nhello\n")
        bob.close_input()
        with dialling(address, "alice", homes) as alice:
            assert alice.read().endswith("> hello")
            assert alice.wait() == 0
        assert bob.wait() == 0


def test_in_a_pipe_a_line_that_is_no_answer_is_not_sent_and_the_next_one_answers(homes: Homes) -> None:
    introduce(homes, "alice")
    with listening(TEXT_ONLY, "--ask", "--once", env=homes["bob"]) as (bob, address):
        bob.write("hello there\n/accept\nhi\n")
        bob.close_input()
        with dialling(address, "alice", homes) as alice:
            bob.notice_with("/accept or /decline: that was not sent")
            assert alice.read().endswith("> hi")
            assert alice.wait() == 0


@pytest.mark.parametrize("redirect", ["</dev/null", "<&-"])
@pytest.mark.parametrize("asks", ["--open", "--ask"])
def test_a_listener_that_would_ask_and_can_never_be_answered_is_refused(redirect: str, asks: str) -> None:
    with Program("listen", "--port", "0", TEXT_ONLY, asks, env=NO_CODE, redirect=redirect) as bob:
        assert bob.wait() == 2
        assert len(bob.err) == 1
        assert f"{asks} means nothing beside an empty standard input: no answer to a call can be typed" in bob.err[0]


def test_an_intercom_needs_no_input() -> None:
    with listening(TEXT_ONLY, "--open", "--auto-accept", env=NO_CODE, redirect="</dev/null") as (bob, _):
        assert bob.process.poll() is None


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["lines", "json"])
def test_a_stranger_does_not_ring_where_nobody_can_answer_any_more(homes: Homes, form: tuple[str, ...]) -> None:
    introduce(homes, "alice")
    with listening(TEXT_ONLY, "--open", *form, env=homes["bob"]) as (bob, address):
        bob.close_input()
        began = time.monotonic()
        for _ in range(2):
            with Program("dial", "--open", address, TEXT_ONLY, "--name", "eve", env=homes["mallory"]) as eve:
                assert eve.wait() == 1
                assert eve.err[-1] == "voicemux: nobody answered"
        assert time.monotonic() - began < ANSWER_TIMEOUT / 2
        with dialling(address, "alice", homes) as alice:  # contacts are answered as before
            alice.notice_with("connected to")
            bob.process.terminate()
            bob.wait()
        told = "\n".join(bob.out if form else bob.err)
        assert told.count("standard input has ended, so no call that rings can be taken") == 1
        assert told.count('"missed"' if form else "missed call from") == 2


def test_a_program_that_asks_to_be_asked_takes_and_declines_calls(homes: Homes) -> None:
    introduce(homes, "alice")
    with listening(TEXT_ONLY, "--json", "--ask", env=homes["bob"]) as (bob, address):
        with dialling(address, "alice", homes) as alice:
            ringing = bob.event("ringing")
            assert (ringing["name"], ringing["asks"], ringing["security"]) == ("alice", True, "known")
            bob.command(command="decline")
            assert bob.event("answered") == answered(accepted=False)
            assert alice.wait() == 1
        with dialling(address, "alice", homes) as alice:
            bob.event("ringing")
            bob.command(command="accept")
            assert bob.event("answered") == answered(accepted=True)
            bob.event("connected")
            alice.interrupt()
        with dialling(address, "alice", homes) as alice:
            bob.event("ringing")
            alice.interrupt()
            alice.wait()
        missed = bob.event("missed", PROMPTLY)
        assert (missed["name"], missed["address"], missed["why"]) == ("alice", "127.0.0.1", "gave_up")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", missed["at"])
        bob.command(command="missed")
        del missed["event"]
        assert bob.event("missed_calls")["calls"] == [missed]


def answered(*, accepted: bool) -> dict[str, Any]:
    return {"event": "answered", "name": "alice", "address": "127.0.0.1", "accepted": accepted}


def test_the_same_caller_replaces_its_own_call_that_rings(homes: Homes) -> None:
    introduce(homes, "alice")
    with (
        listening(TEXT_ONLY, "--json", "--ask", env=homes["bob"]) as (bob, address),
        dialling(address, "alice", homes) as first,
    ):
        bob.event("ringing")
        with dialling(address, "alice", homes) as second:
            bob.event("ringing", PROMPTLY)
            assert first.wait() == 1
            bob.command(command="accept")
            second.notice_with("connected to")


def test_what_the_caller_says_while_it_rings_is_heard_when_the_call_is_taken(homes: Homes) -> None:
    with listening(TEXT_ONLY, "--json", "--ask", "--unencrypted", env=homes["bob"]) as (bob, address):
        host, port = address.split(":")
        with Peer(socket.create_connection((host, int(port)))) as eve:
            eve.send(PREFACE, Hello("eve"), Text(1, "early"))
            bob.event("ringing")
            eve.send(Text(2, "still early"))
            time.sleep(0.2)
            bob.command(command="accept")
            assert [bob.event("text")["text"] for _ in range(2)] == ["early", "still early"]


def test_who_starts_muted_sends_no_voice_until_it_says_so(homes: Homes) -> None:
    sound = ("--input", str(LISTENER), "--output", "none")
    with listening("--json", "--unencrypted", "--start-muted", *sound, env=homes["bob"]) as (bob, address):
        plays = ("--unencrypted", "--input", "none", "--output", str(Path(homes["alice"]["VOICEMUX_HOME"] + ".wav")))
        with Program("dial", address, *plays, env=homes["alice"]) as alice:
            alice.notice_with("connected to")
            bob.event("connected")
            assert bob.event("switched") == {"event": "switched", "what": "muted", "on": True}
            time.sleep(0.5)
            bob.command(command="stats")
            assert bob.event("stats")["audio_sent"] == 0
            bob.command(command="mute")
            assert not bob.event("switched")["on"]
            while not (bob.command(command="stats"), bob.event("stats"))[1]["audio_sent"]:
                pass


@pytest.mark.long
@pytest.mark.timeout(120)
def test_nobody_answers_for_a_minute(homes: Homes) -> None:
    introduce(homes, "alice")
    with seated(homes) as (bob, address), dialling(address, "alice", homes) as alice:
        bob.see("is calling")
        began = time.monotonic()
        assert alice.wait(75) == 1
        assert 50 < time.monotonic() - began < 70
        assert alice.err[-1] == "voicemux: nobody answered"
        assert re.search(r"missed call from alice at \d\d:\d\d", bob.see("missed call from"))
        assert 10 <= bob.raw.count(BELL) <= 13  # one every 5 s
