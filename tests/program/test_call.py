"""Two people who type: the shipped program at both ends of a connection, as two processes."""

import contextlib
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.program.moments import CODES
from tests.running import PATIENCE, Program, await_connection, calling, environment, listening, run

TEXT_ONLY = "--no-audio"
LINES = [
    "plain",
    "  blanks before, within   and behind  ",
    "",
    "Grüße, señor Łukasiewicz",
    "Ελληνικά, Русский, עברית, العربية, हिन्दी, 日本語, 한국어",
    "emoji 🎉 and a family 👩‍👩‍👧‍👦, \N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}",
    "\N{CUNEIFORM SIGN A}\N{LINEAR B SYLLABLE B008 A}\N{MATHEMATICAL BOLD CAPITAL H}",
    "\\ \\n \\x1b \" ' ` $HOME %s {} < > | &",
]
HUNG_UP = "voicemux: the other side hung up after"


def test_lines_of_any_unicode_arrive_in_order_both_ways() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        for line in LINES:
            alice.write(f"{line}\n")
            bob.write(f"{line}\n")
        assert [bob.read() for _ in LINES] == [f"alice> {line}" for line in LINES]
        assert [alice.read() for _ in LINES] == [f"bob> {line}" for line in LINES]


def test_a_conversation_goes_to_and_fro() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        for turn in range(20):
            alice.write(f"question {turn}\n")
            assert bob.read() == f"alice> question {turn}"
            bob.write(f"answer {turn}\n")
            assert alice.read() == f"bob> answer {turn}"


def test_an_echo_in_a_pipe_arrives_and_nothing_controls_the_terminal(tmp_path: Path) -> None:
    with listening(TEXT_ONLY, "--once") as (bob, address):
        program = [sys.executable, "-m", "voicemux", "dial", address, "--name", "alice", TEXT_ONLY]
        script = f"echo hi | {shlex.join(program)}"
        pipe = subprocess.run(script, shell=True, capture_output=True, timeout=PATIENCE, env=environment(tmp_path))
        assert (bob.wait(), pipe.returncode) == (0, 0)
        assert bob.out == ["alice> hi"]
        assert pipe.stdout == b""
        shown = pipe.stderr.decode() + "".join(bob.out + bob.err)
        assert [each for each in shown.replace("\n", "") if not each.isprintable()] == []


def test_bytes_that_are_no_text_do_not_end_a_call() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write(b"Gr\xfc\xdfe\n\xff\xfe\n")
        assert [bob.read(), bob.read()] == ["alice> Gr��e", "alice> ��"]


def test_a_line_of_100_kilobytes_arrives_whole() -> None:
    line = "".join(f"{number:x}ü" for number in range(20_000))
    assert len(line.encode()) > 100_000
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write(f"{line}\nand the next\n")
        assert bob.read() == f"alice> {line}"
        assert bob.read() == "alice> and the next"


def test_what_is_shown_is_one_mark_and_one_line_also_if_it_has_breaks_in_it() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write("one\N{LINE SEPARATOR}two\rthree\ttab\n")
        assert [bob.read(), bob.read(), bob.read()] == ["alice> one", "alice| two", "alice| three    tab"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_address_that_the_listener_tells_can_be_dialled(host: str) -> None:
    with listening(TEXT_ONLY, "--once", host=host) as (bob, address):
        assert address.startswith("[::1]:" if host == "::1" else f"{host}:")
        code, _, err = run("dial", address, TEXT_ONLY, "--name", "alice", stdin="hi\n")
        assert (code, bob.wait(), bob.out) == (0, 0, ["alice> hi"]), err


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_who_listens_everywhere_is_reached_by_ipv4_and_ipv6(host: str) -> None:
    with Program("listen", "--port", "0", "--once", TEXT_ONLY) as bob:
        port = bob.notice_with("listening on port").split("port ")[1].split()[0]
        code, _, err = run("dial", f"{host}:{port}", TEXT_ONLY, "--name", "alice", stdin="hi\n")
        assert (code, bob.wait(), bob.out) == (0, 0, ["alice> hi"]), err
        assert not [line for line in bob.err if "::ffff:" in line]


def test_callers_are_served_one_after_the_other() -> None:
    with listening(TEXT_ONLY) as (bob, address):
        for name in ("alice", "carol"):
            code, _, err = run("dial", address, TEXT_ONLY, "--name", name, stdin=f"it is {name}\n")
            assert code == 0, err
            assert bob.read() == f"{name}> it is {name}"
            bob.notice_with(HUNG_UP)


def test_a_caller_who_was_killed_is_noticed_and_the_next_one_served() -> None:
    with listening(TEXT_ONLY, "--grace", "0") as (bob, address):
        with Program("dial", address, TEXT_ONLY, "--name", "alice") as alice:
            alice.notice_with("connected to")
            alice.write("I am h\n")
            assert bob.read() == "alice> I am h"
            alice.process.kill()
            assert "the call broke off" in bob.notice_with("after")
        code, _, err = run("dial", address, TEXT_ONLY, "--name", "carol", stdin="hello\n")
        assert (code, bob.read()) == (0, "carol> hello"), err


def test_once_is_enough_for_the_first_call() -> None:
    with listening(TEXT_ONLY, "--once") as (bob, address):
        assert run("dial", address, TEXT_ONLY, stdin="hi\n")[0] == 0
        assert bob.wait() == 0
        code, _, err = run("dial", address, TEXT_ONLY, stdin="hi\n")
        assert (code, "connection refused" in err[-1]) == (3, True)


def test_a_second_caller_is_told_busy_and_loses_nothing(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("dear bob\n")
    with listening(TEXT_ONLY) as (bob, address):
        with Program("dial", address, TEXT_ONLY, "--name", "alice") as alice:
            alice.notice_with("connected to")
            alice.write("before\n")
            assert bob.read() == "alice> before"
            dial = [sys.executable, "-m", "voicemux", "dial", address, "--name", "carol", TEXT_ONLY]
            # What it has not read of an input that is a file is there for the next.
            script = f"{{ {shlex.join(dial)}; echo $?; cat; }} < {shlex.quote(str(diary))}"
            carol = subprocess.run(
                ["sh", "-c", script], capture_output=True, text=True, timeout=2 * PATIENCE, env=environment(tmp_path)
            )
            assert carol.stdout.splitlines() == ["1", "dear bob"]
            assert carol.stderr.splitlines()[1:] == [
                'voicemux: the other side is busy (the other side says: "in another call")'
            ]
            assert bob.notice_with("called meanwhile").startswith("voicemux: carol (127.0.0.1) called meanwhile")
            alice.write("after\n")
            alice.close_input()
            assert bob.read() == "alice> after"
            assert alice.wait() == 0
        bob.notice_with(HUNG_UP)
        again = run(*dial[3:], stdin=diary.read_text(), env={"VOICEMUX_HOME": str(tmp_path)})
        assert again[0] == 0
        assert bob.read() == "carol> dear bob"


def test_what_is_piped_in_is_text_whatever_it_looks_like() -> None:
    lines = ["/etc/passwd", "quit", "//", "/mute", "/QUIT ", "/home/x is ready", "", "/accept"]
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write("".join(f"{line}\n" for line in lines))
        alice.close_input()
        assert alice.wait() == 0
        assert alice.err[-1].startswith("voicemux: you hung up after")
        assert [bob.read() for _ in lines] == [f"alice> {line}" for line in lines]
        assert bob.notice_with("hung up").startswith(HUNG_UP)


@contextlib.contextmanager
def typed_call(*options: str) -> Iterator[tuple[Program, BinaryIO, Program]]:
    """Alice types what she says to bob, though what she sees goes into pipes; also her keyboard."""
    near, far = pty.openpty()
    with (
        listening(*options, "--name", "bob") as (bob, address),
        Program("dial", address, *options, "--name", "alice", stdin=far) as alice,
        open(near, "wb", buffering=0) as keyboard,
    ):
        os.close(far)
        await_connection(alice)
        await_connection(bob)
        yield alice, keyboard, bob


@pytest.mark.parametrize("words", ["", "no line end"])
def test_the_end_of_the_input_hangs_up_once_everything_has_arrived(words: str) -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write(f"first\n{words}")
        alice.close_input()
        assert alice.wait() == 0
        bob.notice_with(HUNG_UP)
        assert bob.read() == "alice> first"
        if words:
            assert bob.read() == f"alice> {words}"


@pytest.mark.parametrize("number", CODES)
def test_an_interrupted_dialler_says_goodbye(number: signal.Signals) -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write("last words\n")
        assert bob.read() == "alice> last words"
        alice.process.send_signal(number)
        assert alice.wait() == CODES[number]
        assert bob.notice_with("after").startswith(HUNG_UP)


@pytest.mark.parametrize("number", CODES)
def test_an_interrupted_listener_says_goodbye_and_the_dialler_ends(number: signal.Signals) -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        bob.write("last words\n")
        assert alice.read() == "bob> last words"
        bob.process.send_signal(number)
        assert bob.wait() == CODES[number]
        assert alice.wait() == 0
        assert alice.err[-1].startswith(HUNG_UP)


@pytest.mark.parametrize("number", CODES)
def test_a_listener_can_be_interrupted_as_soon_as_it_listens(number: signal.Signals) -> None:
    for _ in range(3):
        with listening(TEXT_ONLY) as (bob, _address):
            bob.process.send_signal(number)
            assert bob.wait() == CODES[number]
            assert len(bob.err) == 2, bob.err


def test_a_dialler_whose_other_side_was_killed_says_so_and_ends() -> None:
    with calling(TEXT_ONLY, "--grace", "0") as (alice, bob):
        bob.process.kill()
        assert alice.wait() == 1
        broke_off = [line for line in alice.err if line.startswith("voicemux: the call broke off (")]
        assert alice.err[3:] == broke_off


def test_many_last_words_arrive_before_the_goodbye() -> None:
    words = [f"{number} {'word ' * 20}".rstrip() for number in range(2000)]
    with calling(TEXT_ONLY) as (alice, bob):
        alice.write("".join(f"{each}\n" for each in words))
        alice.close_input()
        assert [bob.read() for _ in words] == [f"alice> {each}" for each in words]
        assert alice.wait() == 0
        assert not [line for line in alice.err if "may not have arrived" in line]


def test_the_listeners_last_words_arrive_when_the_dialler_hangs_up() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        bob.write("one\ntwo\nthree\n")
        bob.close_input()
        assert alice.wait() == 0
        assert alice.out == ["bob> one", "bob> two", "bob> three"]


@pytest.mark.parametrize("redirect", ["<&-", "</dev/null"])
def test_an_input_that_is_closed_from_the_start_means_nothing(redirect: str) -> None:
    with (
        listening(TEXT_ONLY, "--name", "bob") as (bob, address),
        Program("dial", address, TEXT_ONLY, redirect=redirect) as alice,
    ):
        await_connection(alice)
        await_connection(bob)
        bob.write("can you hear me?\n")
        assert alice.read() == "bob> can you hear me?"
        with pytest.raises(subprocess.TimeoutExpired):
            alice.process.wait(0.5)
        bob.close_input()
        assert alice.wait() == 0


def test_a_listener_whose_input_is_closed_serves_one_caller_after_the_other() -> None:
    with listening(TEXT_ONLY, redirect="<&-") as (bob, address):
        for name in ("alice", "carol"):
            assert run("dial", address, TEXT_ONLY, "--name", name, stdin="hi\n")[0] == 0
            assert bob.read() == f"{name}> hi"


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_outputs_do_not_end_a_call(redirect: str) -> None:
    with listening(TEXT_ONLY) as (bob, address), Program("dial", address, TEXT_ONLY, redirect=redirect) as alice:
        await_connection(bob)
        bob.write("to nobody\n")
        bob.close_input()
        assert alice.wait() == 0
        assert "Traceback" not in "".join(alice.err)


def test_a_listener_keeps_its_lines_for_somebody_who_can_hear_them() -> None:
    with listening(TEXT_ONLY, "--name", "bob", "--once") as (bob, address):
        bob.write("written before anybody called\n")
        bob.close_input()
        with Program("dial", address, TEXT_ONLY) as alice:
            assert alice.read() == "bob> written before anybody called"
            assert (alice.wait(), bob.wait()) == (0, 0)


def test_a_reader_who_goes_away_ends_the_call_and_its_line_counts_as_unread(tmp_path: Path) -> None:
    with listening(TEXT_ONLY, "--name", "bob", "--once") as (bob, address):
        dial = [sys.executable, "-m", "voicemux", "dial", address, "--name", "alice", TEXT_ONLY]
        with subprocess.Popen(
            dial, env=environment(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as alice:
            assert alice.stdout
            assert alice.stderr
            await_connection(bob)
            alice.stdout.close()
            bob.write("is anybody there?\n")
            bob.wait()
            alice.wait(PATIENCE)
            assert b"Traceback" not in alice.stderr.read()
        assert [line for line in bob.err if "1 text may not have arrived" in line]


def test_help_lists_only_what_is_of_use() -> None:
    with typed_call(TEXT_ONLY) as (alice, keyboard, _):  # a dialler, of text, to somebody who needs no words
        keyboard.write(b"/help\n")
        alice.notice_with("type a line")
        alice.notice_with("//...")
        listed = [line.split()[1] for line in alice.err if line.startswith("voicemux:   /")]
        assert listed == ["/stats", "/help", "/quit", "//..."]


def test_who_waits_for_a_peer_that_confirms_nothing_is_told_so_and_can_leave_at_once() -> None:
    with calling(TEXT_ONLY) as (alice, bob):
        bob.process.send_signal(signal.SIGSTOP)
        alice.write("is anybody there?\n")
        alice.close_input()
        assert alice.notice_with("waiting").endswith("for bob to confirm what you wrote; Ctrl-C leaves at once")
        alice.interrupt()
        assert alice.wait(10) == 130  # seconds; it would wait for 15
        assert alice.err[-2:] == ["voicemux: 1 text may not have arrived:", "voicemux:   is anybody there?"]
        bob.process.send_signal(signal.SIGCONT)


def test_the_commands_of_a_call_are_explained_and_the_figures_shown() -> None:
    with typed_call(TEXT_ONLY) as (alice, keyboard, bob):
        keyboard.write(b"/help\n")
        assert alice.notice_with("/stats")
        assert "/quit" in alice.notice_with("/quit")
        keyboard.write(b"/stats\n")
        assert "lines sent 0, received 0" in alice.notice_with("lines sent")
        keyboard.write(b"/mute\n/deafen\n")
        assert alice.notice_with("no voice") == "voicemux: you send no voice in this call"
        assert alice.notice_with("voice") == "voicemux: you hear no voice in this call"
        keyboard.write(b"/dance\nstill here\n")
        assert "there is no command /dance" in alice.notice_with("dance")
        assert bob.read() == "alice> still here"


@pytest.mark.parametrize("goodbye", [b"quit\n", b"Quit\n", b"/QUIT \n"])
def test_a_typed_quit_hangs_up_politely(goodbye: bytes) -> None:
    with typed_call(TEXT_ONLY) as (alice, keyboard, bob):
        keyboard.write(b"/say quit\n//quit\nquit now\n" + goodbye)
        assert alice.wait() == 0
        assert [bob.read(), bob.read()] == ["alice> /quit", "alice> quit now"]
        assert bob.notice_with("hung up").startswith(HUNG_UP)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_peer_that_freezes_is_told_of_and_which_texts_may_not_have_arrived(
    ending: signal.Signals,
) -> None:
    with calling(TEXT_ONLY, "--grace", "0") as (alice, bob):
        alice.write("this arrives\n")
        assert bob.read() == "alice> this arrives"
        bob.write("so it does\n")
        assert alice.read() == "bob> so it does"
        time.sleep(0.2)  # and is acknowledged
        bob.process.send_signal(signal.SIGSTOP)
        alice.write("one\ntwo\n")
        assert alice.notice_with("nothing has come").startswith("voicemux: nothing has come from bob for 3 s")
        alice.process.send_signal(ending)
        assert alice.wait() == (1 if ending == signal.SIGTERM else 130)
        assert alice.err[-3:] == ["voicemux: 2 texts may not have arrived:", "voicemux:   one", "voicemux:   two"]
        bob.process.send_signal(signal.SIGCONT)
