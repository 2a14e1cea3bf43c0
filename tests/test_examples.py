"""The example clients, each written from protocol.md alone: they talk to the program, and to each other."""

import functools
import itertools
import json
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests import warm_start
from tests.conform.examining import examine
from tests.peers import wait_until
from tests.running import PATIENCE, environment

EXAMPLES = Path(__file__).parents[1] / "examples"
COMMANDS = {
    "python": [sys.executable, str(EXAMPLES / "client.py")],
    "node": ["node", str(EXAMPLES / "client.mjs")],
}
HAS_NODE = shutil.which("node") and shutil.which("openssl")
NODE = pytest.mark.skipif(not HAS_NODE, reason="Node, or openssl, which makes its client's key, is not installed")
LANGUAGES = ["python", pytest.param("node", marks=NODE)]
PAIRS = [  # who dials, who listens
    ("python", "voicemux"),
    ("voicemux", "python"),
    pytest.param("node", "voicemux", marks=NODE),
    pytest.param("voicemux", "node", marks=NODE),
    pytest.param("python", "node", marks=NODE),
    pytest.param("node", "python", marks=NODE),
]
LOUDNESS = 0.25 / 2**0.5  # of a sine of amplitude 0.25
SECONDS = 1.2  # of voice that each side says


class Party:
    """One side of a call, as a process: the program or a client. Its files are in a folder of its own."""

    def __init__(self, who: str, folder: Path, *arguments: str, say: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.out, self.err = (folder / name for name in ("out", "err"))
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*(warm_start.command() if who == "voicemux" else COMMANDS[who]), *arguments],
                cwd=folder,
                env=environment(folder) | {"PYTHONPATH": str(EXAMPLES.parent), "VOICEMUX_CODE": ""},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )
        if say is not None:
            self.say(say)
            self.hang_up()

    def say(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hang_up(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def notice_with(self, part: str) -> str:
        """The first line of standard error that has `part` in it."""
        return _line_with(part, self.err)

    def event_with(self, part: str) -> dict[str, Any]:
        """The first JSON event that has `part` in it."""
        event: dict[str, Any] = json.loads(_line_with(part, self.out))
        return event

    def port(self) -> str:
        return self.notice_with("listening on port").split("port ")[1].split()[0]

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def heard(self) -> float:
        """The root mean square of the loudest half second that it has recorded."""
        raw = self.folder / "heard.raw"
        if raw.exists():
            samples = np.fromfile(raw, "<i2") / 2**15
        else:
            samples, _ = soundfile.read(self.folder / "heard.wav")
        energy = np.cumsum(np.concatenate([[0], samples**2]))
        return float(np.sqrt((energy[24_000:] - energy[:-24_000]).max(initial=0) / 24_000))


def _line_with(part: str, file: Path) -> str:
    def lines() -> list[str]:
        return [line for line in file.read_text().splitlines() if part in line]

    with suppress(AssertionError):
        wait_until(lines, PATIENCE)
    assert lines(), f"no line with {part!r} in {file.read_text()!r}"
    return lines()[0]


@contextmanager
def party(who: str, folder: Path, *arguments: str, say: str | None = None) -> Iterator[Party]:
    one = Party(who, folder, *arguments, say=say)
    with one.process:
        try:
            yield one
        finally:
            one.process.kill()


def listen(who: str, *options: str, encrypted: bool) -> list[str]:
    if who == "voicemux":
        security = ["--open", "--auto-accept"] if encrypted else ["--unencrypted"]
        return ["listen", "--host", "127.0.0.1", "--port", "0", *security, *options]
    return ["listen", "127.0.0.1", "0", *([] if encrypted else ["--unencrypted"]), *options]


def dial(who: str, port: str, *options: str, encrypted: bool) -> list[str]:
    if who == "voicemux":
        return ["dial", f"127.0.0.1:{port}", "--open" if encrypted else "--unencrypted", *options]
    return ["dial", "127.0.0.1", port, *([] if encrypted else ["--unencrypted"]), *options]


def voice(who: str, tones: Path) -> list[str]:
    if who == "voicemux":
        return ["--input", str(tones / "tone.wav"), "--output", "heard.wav"]
    return ["--audio", "--play", str(tones / "tone.raw"), "--record", "heard.raw"]


def no_voice(who: str) -> list[str]:
    return ["--no-audio"] if who == "voicemux" else []


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    tone = 0.25 * np.sin(np.arange(48_000 * SECONDS) * np.pi * 2 * 440 / 48_000)
    (tone * 2**15).astype("<i2").tofile(folder / "tone.raw")
    soundfile.write(folder / "tone.wav", tone, 48_000)
    return folder


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(("dialler", "listener"), PAIRS)
def test_they_write_and_speak_both_ways_and_part(
    tmp_path: Path, tones: Path, dialler: str, listener: str, encrypted: bool
) -> None:
    arguments = listen(listener, "--once", *voice(listener, tones), encrypted=encrypted)
    with party(listener, tmp_path / "bob", *arguments) as bob:
        arguments = dial(dialler, bob.port(), *voice(dialler, tones), encrypted=encrypted)
        with party(dialler, tmp_path / "alice", *arguments, say="hi\nGrüße\n") as alice:
            bob.say("welcome\n")
            assert (alice.wait(), bob.wait()) == (0, 0), (alice.err.read_text(), bob.err.read_text())
            assert [line.removeprefix("stranger> ") for line in bob.out.read_text().splitlines()][-2:] == [
                "hi",
                "Grüße",
            ]
            assert "welcome" in alice.out.read_text()
            assert alice.heard() == pytest.approx(LOUDNESS, rel=0.1)
            assert bob.heard() == pytest.approx(LOUDNESS, rel=0.1)
            if encrypted:
                assert ("compare" in alice.err.read_text()) == (dialler != "voicemux")


@pytest.mark.parametrize("client", LANGUAGES)
def test_who_has_compared_is_known_the_next_time(tmp_path: Path, client: str) -> None:
    arguments = listen("voicemux", "--no-audio", "--json", encrypted=True)
    with party("voicemux", tmp_path / "bob", *arguments) as bob:
        port = str(bob.event_with('"listening"')["port"])
        with party(client, tmp_path / "alice", *dial(client, port, encrypted=True)) as alice:
            alice.say("hi\n")
            assert bob.event_with('"connected"')["words"]
            bob.say('{"command": "verify"}\n')
            bob.event_with("remembered as")
            alice.hang_up()
            assert alice.wait() == 0
            fingerprint = alice.notice_with("the key of the listener is").split()[-1]
        arguments = dial(client, port, "--key-of-peer", fingerprint, encrypted=True)
        with party(client, tmp_path / "alice", *arguments, say="again\n") as alice:
            assert alice.wait() == 0
            assert "compare" not in alice.err.read_text()


@pytest.mark.parametrize("client", LANGUAGES)
def test_another_key_than_the_known_one_is_not_spoken_to(tmp_path: Path, client: str) -> None:
    with party(client, tmp_path / "bob", *listen(client, "--once", encrypted=True)) as bob:
        arguments = dial(client, bob.port(), "--key-of-peer", "00" * 32, encrypted=True)
        with party(client, tmp_path / "alice", *arguments, say="hi\n") as alice:
            assert alice.wait() == 1
            assert "not the key" in alice.err.read_text()
            assert bob.wait() == 1
            assert not bob.out.read_text()


@pytest.mark.parametrize("client", LANGUAGES)
def test_an_unknown_caller_is_turned_away(tmp_path: Path, client: str) -> None:
    arguments = listen(client, "--once", "--key-of-peer", "00" * 32, encrypted=True)
    with (
        party(client, tmp_path / "bob", *arguments) as bob,
        party(client, tmp_path / "alice", *dial(client, bob.port(), encrypted=True), say="hi\n") as alice,
    ):
        assert alice.wait() == 1
        assert "10 that caller is not known here" in alice.err.read_text()


@pytest.mark.parametrize("client", LANGUAGES)
@pytest.mark.parametrize("role", ["dials", "listens"])
def test_a_long_text_keeps_to_the_window(tmp_path: Path, client: str, role: str) -> None:
    text = "".join(chr(0x4E00 + number % 20_000) for number in range(100_000))  # 300,000 bytes
    dialler, listener = (client, "voicemux") if role == "dials" else ("voicemux", client)
    arguments = listen(listener, "--once", *no_voice(listener), encrypted=False)
    with party(listener, tmp_path / "bob", *arguments) as bob:
        arguments = dial(dialler, bob.port(), *no_voice(dialler), encrypted=False)
        with party(dialler, tmp_path / "alice", *arguments, say=f"{text}\nend\n") as alice:
            assert (alice.wait(), bob.wait()) == (0, 0)
            shown = [line.split("> ")[-1] for line in bob.out.read_text().splitlines()]
            assert shown == [text, "end"]


@pytest.mark.parametrize("client", LANGUAGES)
def test_what_is_wrong_is_answered_with_a_goodbye_that_says_so(tmp_path: Path, client: str) -> None:
    hello = b"VMUX/1\r\n\0\0\1\0"
    cases = {
        "tag 0": (hello + b"\0\0\0\0", 3),
        "4097 bytes": (hello + b"\x10\x01\x02\0", 3),
        "half a PING": (hello + b"\0\4\4\0ping", 3),
        "text that is not UTF-8": (hello + b"\0\5\2\0\0\0\0\1\xff", 3),
        "an acknowledgement of nothing": (hello + b"\0\4\7\0\0\0\0\1", 3),
        "a second HELLO": (hello + b"\0\0\1\0", 3),
        "text before HELLO": (b"VMUX/1\r\n\0\5\2\0\0\0\0\1a", 3),
        "another version": (b"VMUX/2\r\n", 4),
        "TLS to a listener of plain calls": (b"\x16\3\1", 9),
        "nothing but a goodbye": (hello + b"\0\2\6\0\0\0", 0),
        "unknown tags and a goodbye": (hello[:8] + b"\0\1\x7a\0?" + hello[8:] + b"\0\0\xff\xff\0\2\6\0\0\0", 0),
    }
    with party(client, tmp_path / "bob", *listen(client, encrypted=False)) as bob:
        for case, (sent, code) in cases.items():
            with socket.create_connection(("127.0.0.1", int(bob.port())), PATIENCE) as line:
                line.sendall(sent)
                answer = b"".join(iter(functools.partial(line.recv, 4096), b""))
            assert answer.startswith(b"VMUX/1\r\n"), case
            frames, rest = [], answer[8:]
            while rest:
                length, tag = struct.unpack_from(">HB", rest)
                frames.append((tag, rest[4 : 4 + length]))
                rest = rest[4 + length :]
            assert frames[-1][0] == 6, case
            assert frames[-1][1][:2] == bytes([0, code]), case


@pytest.mark.parametrize("client", LANGUAGES)
def test_whoever_does_not_speak_it_gets_no_answer(tmp_path: Path, client: str) -> None:
    with (
        party(client, tmp_path / "bob", *listen(client, encrypted=False)) as bob,
        socket.create_connection(("127.0.0.1", int(bob.port())), PATIENCE) as line,
        suppress(ConnectionResetError),  # closed all the same, with bytes that nobody has read
    ):
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert not line.recv(1)


OPTIONS = {"plain": ("--unencrypted",), "encrypted": ("--open", "--quick")}  # of `voicemux conform`
SECTIONS = {  # side by side; in encrypted calls those that TLS can make a difference to
    ("dialler", "plain"): ("3 4 5", "6 7 10 12", "8 9"),
    ("listener", "plain"): ("3 4 5 6 7 10 12", "8 9"),
    ("dialler", "encrypted"): ("3 6 10 12",),
    ("listener", "encrypted"): ("3 6 10 12",),
}
CONFORM_PATIENCE = 300.0  # seconds


def judged(*arguments: str) -> dict[str, object]:
    """What failed, and why."""
    cases = examine(*arguments, patience=CONFORM_PATIENCE)
    assert any(case["verdict"] == "pass" for case in cases.values())
    return {name: case["detail"] for name, case in cases.items() if case["verdict"] == "fail"}


def examined(client: str, role: str, mode: str, sections: str, folder: Path) -> dict[str, object]:
    folder.mkdir()
    silence = folder / "silence.raw"
    with silence.open("wb") as file:
        file.truncate(96_000 * 100)  # bytes: longer than any case
    sound = ["--audio", "--play", str(silence), "--record", str(folder / "heard.raw")]
    encrypted = mode == "encrypted"
    options = [*OPTIONS[mode], *(part for section in sections.split() for part in ("--section", section))]
    if role == "listener":
        with party(client, folder, *listen(client, *sound, encrypted=encrypted)) as listener:
            return judged("listener", f"127.0.0.1:{listener.port()}", *options)
    sound += ["--key", str(folder / "key.pem")]
    run = shlex.join([*COMMANDS[client], *dial(client, "PORT", *sound, encrypted=encrypted)])
    return judged("dialler", "--port", "0", *options, "--run", run.replace("PORT", "{port}"))


def writing(client: str, folder: Path) -> dict[str, object]:
    """The cases about somebody who writes much."""
    folder.mkdir()
    (folder / "text").write_text("what two programs have to say to each other " * 2000 + "\n")
    run = (
        f"{shlex.join(COMMANDS[client])} dial 127.0.0.1 {{port}} --unencrypted < {shlex.quote(str(folder / 'text'))}"
    )
    cases = ("--case", "text-numbers", "--case", "text-window")
    return judged("dialler", "--port", "0", "--unencrypted", *cases, "--run", run)


Verdicts = dict[tuple[str, str, str], dict[str, object]]  # of a client in a role and a mode


@pytest.fixture(scope="module")
def failed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """What each client failed in each role and mode that is asked for. All run at once: they mostly wait."""
    folder = tmp_path_factory.mktemp("conform")
    numbers = itertools.count()

    def begin(pool: ThreadPoolExecutor, client: str, role: str, mode: str) -> list[Future[dict[str, object]]]:
        suites = [
            pool.submit(examined, client, role, mode, sections, folder / f"suite {next(numbers)}")
            for sections in SECTIONS[role, mode]
        ]
        if (role, mode) == ("dialler", "plain"):
            suites.append(pool.submit(writing, client, folder / f"writing {next(numbers)}"))
        return suites

    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    items = [item for item in items if item.path == request.path and "failed" in item.fixturenames]
    asked = [tuple(str(item.callspec.params[name]) for name in ("client", "role", "mode")) for item in items]
    with ThreadPoolExecutor(32) as pool:
        running = {
            (client, role, mode): begin(pool, client, role, mode)
            for client, role, mode in asked
            if client != "node" or HAS_NODE
        }
        return {
            who: dict(item for suite in suites for item in suite.result().items()) for who, suites in running.items()
        }


@pytest.mark.timeout(600)  # seconds: the first test waits for all suites
@pytest.mark.parametrize("client", LANGUAGES)
@pytest.mark.parametrize(
    ("role", "mode"),
    # How a client dials is tried in encrypted calls, and most of what it says and hears where it listens.
    [pytest.param(*each, marks=pytest.mark.long) if each == ("dialler", "plain") else each for each in SECTIONS],
)
def test_they_pass_every_case_of_conform(failed: Verdicts, client: str, role: str, mode: str) -> None:
    assert failed[client, role, mode] == {}


def told(command: list[str], folder: Path, stdin: str = "") -> tuple[int, str]:
    """The exit code, and the only line of standard error."""
    env = environment(folder) | {"PYTHONPATH": str(EXAMPLES.parent)}
    run = subprocess.run(command, cwd=folder, env=env, input=stdin, capture_output=True, text=True, timeout=PATIENCE)
    (line,) = run.stderr.splitlines() or [""]
    assert not run.stdout
    return run.returncode, line


WRONG = {  # a command line, and a part of what is said of it
    "nothing": ([], "expected dial HOST PORT"),
    "no port": (["listen"], "expected dial HOST PORT"),
    "no host": (["dial", "8689"], "expected dial HOST PORT"),
    "another word": (["call", "127.0.0.1", "8689"], "expected dial HOST PORT"),
    "too much": (["dial", "127.0.0.1", "8689", "hi"], ""),
    "an option that there is not": (["dial", "127.0.0.1", "1", "--loud"], "--loud"),
    "an option without its value": (["dial", "127.0.0.1", "1", "--play"], "--play"),
    "a port that is none": (["dial", "127.0.0.1", "eighty", "--unencrypted"], ""),
    "a port that is too high": (["dial", "127.0.0.1", "65536", "--unencrypted"], "65536"),
    "a port below zero": (["listen", "127.0.0.1", "-1", "--unencrypted"], ""),
    "a file that is not there": (["dial", "127.0.0.1", "1", "--unencrypted", "--play", "no.raw"], "no.raw"),
    "a key that is none": (["dial", "127.0.0.1", "1", "--key", "rubbish"], ""),
}


@pytest.mark.parametrize("client", LANGUAGES)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_line_is_told_in_one_line(tmp_path: Path, client: str, wrong: str) -> None:
    arguments, part = WRONG[wrong]
    (tmp_path / "rubbish").write_text("no key at all")
    code, line = told([*COMMANDS[client], *arguments], tmp_path)
    assert (code, line.startswith("client: ")) == (2, True), line
    assert part in line


@pytest.mark.parametrize("client", LANGUAGES)
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_who_cannot_be_reached_is_told_in_one_line(tmp_path: Path, client: str, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    code, line = told([*COMMANDS[client], "dial", host, port, "--unencrypted"], tmp_path, "hi\n")
    assert (code, line.startswith("client: ")) == (1, True), line


@pytest.mark.parametrize("client", LANGUAGES)
def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path, client: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = told([*COMMANDS[client], "listen", "127.0.0.1", port, "--unencrypted"], tmp_path)
    assert (code, "in use" in line) == (2, True), line


@pytest.mark.parametrize("client", LANGUAGES)
@pytest.mark.parametrize("answer", [b"", b"VMUX/1\r\n", b"VMUX/1\r\n\0\0\1\0", b"VMUX/1\r\n\0\0\1\0\0\x09\2"])
def test_a_listener_that_goes_is_told_in_one_line(tmp_path: Path, client: str, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            with server.accept()[0] as line:
                line.sendall(answer)
                line.recv(4096)

        pool.submit(serve)
        command = [*COMMANDS[client], "dial", "127.0.0.1", str(server.getsockname()[1]), "--unencrypted"]
        run = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, timeout=PATIENCE)
    lines = [line for line in run.stderr.splitlines() if "in a call with" not in line]
    assert (run.returncode, len(lines), lines[0].startswith("client: ")) == (1, 1, True), lines


@pytest.mark.parametrize(
    ("bot", "arguments"),
    [
        ("answer_bot", ["no.wav"]),
        ("answer_bot", ["rubbish"]),
        ("answer_bot", ["empty"]),
        ("echo_bot", ["--host", "192.0.2.1", "--port", "0"]),
        ("echo_bot", ["--port", "0", "--code", "x"]),
    ],
)
def test_a_bot_says_in_one_line_what_it_cannot_do(tmp_path: Path, bot: str, arguments: list[str]) -> None:
    (tmp_path / "rubbish").write_text("no sound at all")
    (tmp_path / "empty").write_text("")
    code, line = told([sys.executable, str(EXAMPLES / f"{bot}.py"), *arguments], tmp_path)
    assert (code, line.startswith(f"{bot}: ")) == (1, True), line


def test_no_file_is_long() -> None:
    assert [file.name for file in EXAMPLES.glob("*.mjs")] == ["client.mjs"]
    for file in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.mjs")):
        lines = file.read_text().splitlines()
        assert len(lines) < 210, file
        assert max(map(len, lines)) <= 118, file


def test_the_readme_knows_how_long_they_are() -> None:
    table = re.findall(r"`(\w+\.m?[jp][sy])` \| (\d+)", (EXAMPLES / "README.md").read_text())
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.mjs")]
    assert {name: int(lines) for name, lines in table} == {
        file.name: len(file.read_text().splitlines()) for file in files if not file.name.endswith("_bot.py")
    }
