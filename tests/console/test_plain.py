import json
import os
import pty
import queue
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.puppet import PATIENCE, SHOWN, Puppet
from tests.console.strategies import ONE_OF_EACH
from voicemux.console import plain
from voicemux.console.commands import EndOfInput, HangUp, Mute, Say, Unknown
from voicemux.console.plain import JsonConsole, PlainConsole, read_lines
from voicemux.errors import VoicemuxError
from voicemux.events import Notice, ProgramFailed, TextReceived, to_dict

HI = TextReceived("bob", "hi")
LONG = TextReceived("bob", "ü" * 50_000)  # more than a pipe holds
LOST = "cannot write what they say: broken pipe"


class Piped(Puppet):
    """A console whose three streams are pipes to us."""

    def __init__(
        self,
        kind: str = "plain",
        *,
        closed: str = "",
        env: dict[str, str] | None = None,
        stdin: int = subprocess.PIPE,
    ) -> None:
        """`closed` is what a shell closes before it starts: "<&-" or ">&-"."""
        super().__init__(
            kind,
            prefix=("sh", "-c", f'exec "$@" {closed}', "sh") if closed else (),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
        )
        assert self.process.stdout
        assert self.process.stderr
        self.out, self.err = self.process.stdout, self.process.stderr
        self._rests: dict[object, bytes] = {}

    def type(self, data: bytes) -> None:
        assert self.process.stdin
        assert self.process.stdin.write(data) == len(data)

    def close_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def line(self, stream) -> str:
        """The next line that it wrote there."""
        data = self._rests.get(stream, b"")
        while b"\n" not in data:
            self.wait_for(stream)
            more = stream.read(1 << 20)
            if not more:
                raise EOFError(data)
            data += more
        line, self._rests[stream] = data.split(b"\n", 1)
        return line.decode()

    def rest(self, stream) -> bytes:
        """What it wrote there before it ended."""
        return self._rests.get(stream, b"") + stream.read()

    def assert_ends_well(self) -> None:
        assert self.wait() == 0
        assert not self.err.closed
        assert self.rest(self.err) == b""


# --- lines in


def test_lines_are_taken_as_soon_as_each_is_whole():
    with Piped() as console:
        console.start()
        console.type(b"hi\n\nhalf a ")
        assert [console.command(), console.command()] == [Say("hi"), Say("")]
        console.type(b"line\r\n")
        assert console.command() == Say("half a line")
        console.type(b"the last")
        console.close_input()
        assert [console.command(), console.command()] == [Say("the last"), EndOfInput(meant=True)]
        console.assert_ends_well()


def test_in_a_pipe_everything_is_text():
    lines = ["/etc/passwd", "quit", "//", "/mute", " /quit ", "/home/x is ready", '{"command": "mute"}']
    with Piped() as console:
        console.start()
        console.type("".join(f"{line}\n" for line in lines).encode())
        assert [console.command() for _ in lines] == list(map(Say, lines))


def test_what_is_typed_into_plain_lines_may_be_a_command():
    near, far = pty.openpty()
    console = Piped(stdin=far)
    os.close(far)
    with console, open(near, "wb", buffering=0) as keyboard:
        console.start()
        keyboard.write(b"hi\n/mute\nquit\n")
        assert [console.command() for _ in range(3)] == [Say("hi"), Mute(), HangUp()]


def test_an_input_that_was_empty_from_the_start_means_nothing():
    with Piped() as console:
        console.start()
        console.close_input()
        assert console.command() == EndOfInput(meant=False)
        console.assert_ends_well()


def test_an_input_that_was_closed_from_the_start_means_nothing():
    with Piped(closed="<&-") as console:
        console.start()
        assert console.command() == EndOfInput(meant=False)
        console.assert_ends_well()


def test_a_line_of_100_kb_is_one_line():
    with Piped() as console:
        console.start()
        threading.Thread(target=console.type, args=("ü".encode() * 50_000 + b"\n",)).start()
        assert console.command() == Say("ü" * 50_000)


def test_bytes_that_are_not_utf_8_are_replaced_and_the_rest_of_the_line_is_kept():
    with Piped() as console:
        console.start()
        console.type(b"caf\xe9 au lait\n\xff\xfe\n\xed\xa0\x80!\n")
        texts = [said.text for _ in range(3) if isinstance(said := console.command(), Say)]
        assert console.line(console.err).endswith(
            "not all that you typed is UTF-8, as the locale has it: \ufffd stands for it"
        )
        assert texts == ["caf\ufffd au lait", "\ufffd\ufffd", "\ufffd\ufffd\ufffd!"]


def test_what_is_typed_is_read_as_the_locale_has_it():
    with Piped(env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "iso-8859-1"}) as console:
        console.start()
        console.type(b"caf\xe9\n")
        assert console.command() == Say("café")


def test_a_locale_of_ascii_is_taken_for_utf_8():
    with Piped(env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}) as console:
        console.start()
        console.type("café\n".encode())
        assert console.command() == Say("café")


def test_programs_write_utf_8_whatever_the_locale_is():
    with Piped("json", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "iso-8859-1"}) as console:
        console.start()
        console.type('{"command": "say", "text": "café"}\n'.encode())
        assert console.command() == Say("café")


def test_the_process_can_end_while_the_keyboard_is_being_read():
    with Piped() as console:
        console.start()
        console.close()
        console.assert_ends_well()


def feed(monkeypatch, *pieces: bytes) -> None:
    """What standard input gives, read by read."""
    waiting = iter([*pieces, b""])
    monkeypatch.setattr(plain, "_read_input", lambda: next(waiting))
    monkeypatch.setattr(sys, "stdin", object())


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\n", b"\r\n", "ü".encode(), b"\xe2\x82", b"\xac"])))
def test_lines_are_the_same_however_they_are_cut(pieces):
    data = b"".join(pieces)
    whole, last = data.split(b"\n")[:-1], data.split(b"\n")[-1]
    expected = [line.removesuffix(b"\r") for line in whole]
    with pytest.MonkeyPatch.context() as patch:
        feed(patch, *filter(None, pieces))
        assert [line.encode(errors="surrogateescape") for line in read_lines()] == expected + ([last] if last else [])


def test_a_line_without_an_end_costs_no_more_than_so_much_memory_and_is_cut_between_characters(monkeypatch):
    monkeypatch.setattr(plain, "MAX_LINE", 10)
    feed(monkeypatch, "€€€€€€€\nnext\n".encode())
    *parts, following = read_lines()
    assert "".join(parts) == "€€€€€€€"
    assert following == "next"
    feed(monkeypatch, *["€".encode()] * 7)
    parts = list(read_lines())
    assert len(parts) > 1
    assert "".join(parts) == "€€€€€€€"


@pytest.fixture
def keyboard(monkeypatch):
    """The writing end of a pipe that is standard input."""
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "wb", buffering=0) as end:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield end


@pytest.fixture
def output():
    """A stream, and the end of it that is read."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as end, open(writing, "w") as stream:
        yield stream, end


def test_nothing_is_handled_after_closing(keyboard, output):
    given_commands: queue.SimpleQueue = queue.SimpleQueue()
    console = PlainConsole(notices=output[0], texts=output[0])
    console.start(given_commands.put)
    keyboard.write(b"early\n")
    assert given_commands.get(timeout=PATIENCE) == Say("early")
    console.close()
    keyboard.write(b"late\n")
    keyboard.close()
    for thread in threading.enumerate():
        if thread.name == "voicemux-keyboard":
            thread.join(PATIENCE)
    assert given_commands.empty()


def test_an_answer_that_cannot_be_shown_hangs_up(keyboard, output):
    given_commands: queue.SimpleQueue = queue.SimpleQueue()

    def handle(command):
        given_commands.put(command)
        if command == Say("show me"):
            raise VoicemuxError(LOST)

    PlainConsole(notices=output[0], texts=output[0]).start(handle)
    keyboard.write(b"show me\n")
    keyboard.close()
    got = [given_commands.get(timeout=PATIENCE) for _ in range(3)]
    assert got == [Say("show me"), HangUp(), EndOfInput(meant=True)]


# --- lines out


def test_what_they_say_goes_to_standard_output_and_notices_to_standard_error():
    with Piped() as console:
        console.show(Notice("one\ntwo"), HI, TextReceived("bob", "a\nb"))
        assert [console.line(console.out) for _ in range(3)] == ["bob> hi", "bob> a", "bob| b"]
        assert [console.line(console.err) for _ in range(2)] == ["voicemux: one", "voicemux: two"]
        console.assert_ends_well()
        assert console.rest(console.out) == b""


def test_a_text_of_100_kb_comes_out_whole():
    with Piped() as console:
        console.order(LONG)
        assert console.line(console.out) == f"bob> {LONG.text}"
        assert console.answer() == SHOWN


def test_no_control_character_gets_out():
    with Piped() as console:
        console.show(TextReceived("b\x1b[31mob", "\x1b[2J\x07\x9b\rhi"))
        assert console.line(console.out) == r"b\x1b[31mob> \x1b[2J\x07\x9b"
        assert console.line(console.out) == r"b\x1b[31mob| hi"


def test_an_output_that_cannot_show_a_character_shows_a_question_mark():
    with Piped(env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}) as console:
        console.show(TextReceived("jürgen", "naïve €"))
        assert console.line(console.out) == "j?rgen> na?ve ?"


def test_what_is_shown_by_several_threads_stays_in_whole_lines(output):
    stream, end = output
    console = PlainConsole(notices=stream, texts=stream)
    names = ["ann", "bob", "cyd", "dan"]

    def show(name: str) -> None:
        for number in range(50):
            console.show(TextReceived(name, f"{number} {name * 100}"))

    threads = [threading.Thread(target=show, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    data = b""
    while data.count(b"\n") < 200:
        data += end.read(1 << 20)
    for thread in threads:
        thread.join()
    lines = data.decode().splitlines()
    for name in names:
        assert [line for line in lines if line.startswith(name)] == [f"{name}> {n} {name * 100}" for n in range(50)]


def test_a_signal_in_the_middle_of_a_long_line_loses_nothing_of_it():
    with Piped(env={"PYTHONUNBUFFERED": "1", "ALARMS": "1"}) as console:
        text = TextReceived("bob", "0123456789" * 100_000)
        console.order(text)
        assert console.line(console.out) == f"bob> {text.text}"
        assert console.answer() == SHOWN


# --- outputs that nobody reads


def test_what_they_say_is_refused_once_nobody_reads_it_and_notices_go_on():
    with Piped() as console:
        console.show(HI)
        console.out.close()
        console.order(HI, HI, Notice("still here"))
        assert [console.answer() for _ in range(3)] == [LOST, LOST, SHOWN]
        assert console.line(console.err) == "voicemux: still here"
        console.assert_ends_well()


def test_what_they_say_goes_on_when_nobody_reads_the_notices():
    with Piped() as console:
        console.err.close()
        console.show(Notice("unheard"), HI, Notice("unheard"), HI)
        assert [console.line(console.out) for _ in range(2)] == ["bob> hi", "bob> hi"]
        assert console.wait() == 0


def test_what_they_say_is_refused_when_a_notice_found_their_common_stream_lost():
    with Piped("one") as console:
        console.err.close()
        console.order(Notice("unheard"), HI, HI)
        assert [console.answer() for _ in range(3)] == [SHOWN, LOST, LOST]
        assert console.wait() == 0


def test_a_standard_output_that_was_closed_from_the_start_is_nobodys_loss():
    with Piped(closed=">&-") as console:
        console.show(HI, Notice("one"))
        assert console.line(console.err) == "voicemux: one"
        console.assert_ends_well()


def test_a_write_that_nobody_reads_can_be_interrupted_and_holds_up_no_exit():
    with Piped() as console:
        console.order(TextReceived("bob", "x" * 1_000_000))
        console.wait_for(console.out)
        console.process.send_signal(signal.SIGINT)
        assert console.process.wait(PATIENCE) == -signal.SIGINT


# --- JSON


def test_every_event_is_an_object_on_a_line_in_ascii():
    with Piped("json") as console:
        for event in [*ONE_OF_EACH, TextReceived("jürgen", "two\nlines, \x1b, \u2028 and 😀")]:
            console.show(event)
            line = console.line(console.out)
            assert line.isascii()
            assert line.isprintable()
            assert json.loads(line) == to_dict(event)
        console.assert_ends_well()


def test_commands_are_objects_on_lines():
    with Piped("json") as console:
        console.start()
        console.type(b'{"command": "say", "text": "h\xc3\xa9\\n"}\n\n{"command": "mute"}\nnonsense\n\xff\n')
        assert [console.command(), console.command()] == [Say("hé\n"), Mute()]
        assert isinstance(console.command(), Unknown)
        assert isinstance(console.command(), Unknown)
        console.close_input()
        assert console.command() == EndOfInput(meant=True)


def test_a_program_that_reads_no_more_is_noticed_and_is_no_crash_at_the_end():
    with Piped("json") as console:
        console.out.close()
        console.order(HI, Notice("unheard"), ProgramFailed(LOST, 1))
        assert [console.answer() for _ in range(3)] == [LOST, LOST, SHOWN]
        console.assert_ends_well()


def test_programs_give_commands_also_while_there_is_no_call():
    assert JsonConsole.eager
    assert not PlainConsole.eager


def test_a_console_can_be_closed_that_was_never_started():
    with Piped() as console:
        console.close()
        console.show(HI)
        assert console.line(console.out) == "bob> hi"
