"""What is typed wrong, missing, or sent by who means no good: one clear line and the documented exit code."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import ALIKE, RATE, SYLLABLE, level, likeness, speech
from tests.peers import Peer, encode, wait_until
from tests.running import PATIENCE, Program, listening, run
from tests.soundcards import SoundCards
from voicemux.net.address import parse_address
from voicemux.protocol.messages import Bye, ByeCode, Hello, Preface, Ringing, Text
from voicemux.protocol.wire import PREFACE

TEXT_ONLY = "--no-audio"
PLAIN = (TEXT_ONLY, "--unencrypted")  # with whom is held by hand
ROUTINE = ("calling ", "it rings", "listening on ", "tell the other side ", "connected to ")
DIAL, LISTEN = ["dial", "127.0.0.1:1"], ["listen", "--port", "0"]
OTHER_VERSION = b"VMUX/2\r\n"
OPENING = (PREFACE, Hello("mallory", codecs=()))
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(64))
TLS_ALERT = bytes.fromhex("15030300020246")  # "protocol version"
ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\x00\x08\u2066"
SLOW_TUNNEL = 5.5  # seconds until its far end is reached: more than a listener waits for anybody
FORGED = "\nvoicemux: you hung up\x1b[31m"

Serve = Callable[[Peer], None]


@contextlib.contextmanager
def far_end(serve: Serve) -> Iterator[str]:
    """Somebody who is dialled once, and what to dial."""

    def answer() -> None:
        with Peer(server.accept()[0]) as peer, contextlib.suppress(ConnectionError, EOFError):
            serve(peer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join()


def caller(address: str, host: str = "127.0.0.1") -> Peer:
    """Somebody who calls, from `host`: of each a listener takes only so much."""
    return Peer(socket.create_connection(parse_address(address), PATIENCE, (host, 0)))


def says(*what: bytes | Hello) -> Serve:
    """Says that, reads what it is told, and waits for the other to leave."""

    def serve(peer: Peer) -> None:
        peer.send(*what)
        drain(peer)

    return serve


def drain(peer: Peer) -> bytes:
    heard = b""
    while data := peer.socket.recv(65_536):
        heard += data
    return heard


def complaint(err: list[str]) -> str:
    """The one line that says what is wrong."""
    assert [line for line in err if not line.startswith("voicemux: ")] == []
    (line,) = [line for line in err if not line.removeprefix("voicemux: ").startswith(ROUTINE)]
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *((["dial", f"localhost:{port}"], "is not a port: expected a number from 1 to 65535")
          for port in ("0", "65536", "http", "")),
        *((["listen", "--port", port], "is not a port: expected a number from 0 to 65535")
          for port in ("65536", "-1")),
        *((["dial", address], "is not an address: expected") for address in ("", "[::1", "a b")),
        (["listen", "--host", ""], "is not a host: expected a name or an address"),
        (["dial"], "missing argument"),
        (["dial", "a", "7-quiet-test", "--code", "7-quiet-test"], "one code, please"),
        (["dial", "a", "--codec", "mp3"], "is not one of 'auto', 'opus', 'pcm'"),
        (["dial", "a", "--bitrate", "500"], "is not in the range"),
        (["dial", "a", "--frame-ms", "7"], "is not one of"),
        *((["dial", "a", "--bandwidth", kbit], "is not in the range") for kbit in ("0", "17", "-1", "10001")),
        *((["dial", "a", "--bandwidth", kbit], "is not a valid integer") for kbit in ("nan", "1e3", "")),
        (["dial", "a", "--bandwidth", "143", "--frame-ms", "5"], "too little for packets of 5 ms: it takes 144"),
        (["listen", "--bandwidth", "800", "--codec", "pcm"], "too little for PCM: it takes 803"),
        (["dial", "a", "--timeout", "0"], "is not in the range"),
        (["dial", "a", "--timeout", "soon"], "is not a valid float"),
        *(([*command, "--timeout", "nan"], "nan is not a number") for command in (["dial", "a"], ["listen"])),
        (["dial", "a", "--no-audio", "--input", "none"], "--no-audio goes with none of"),
        (["dial", "a", "--json", "--output", "-"], "cannot share standard input and output"),
        *((["dial", "a", option, ""], f"'{option}': expected the name of a file")
          for option in ("--record-call", "--trace")),
        (["dial", "a", "--record", "heard.txt"], "--record takes a file that ends in"),
        (["dial", "a", "--loud"], "no such option"),
        *((["dial", "a", "--unencrypted", *also], "--unencrypted goes with none of CODE, --code-file, --open")
          for also in (["7-quiet-test"], ["--code-file", __file__], ["--open"])),
        *((["listen", "--unencrypted", *also], "--unencrypted goes with none of --code, --open and --allow")
          for also in (["--code", "7-quiet-test"], ["--open"], ["--allow", "bob"])),
        (["dial", "a", "7-quiet-test", "--open"], "--open and a code contradict each other"),
        (["listen", "--code-words", "4"], "--code-words means nothing beside VOICEMUX_CODE"),
        (["listen", "--code-words", "4", "--code", "7-quiet-test"], "--code-words means nothing beside --code"),
        (["dial", "a", "--json", "--line-mode"], "--line-mode means nothing beside --json"),
        (["dial", "a", "--frame-ms", "60", "--codec", "pcm"], "--frame-ms 60 means nothing beside --codec pcm"),
        (["listen", "--input", "/dev/stdin", "--ask"], "--ask means nothing beside --input -"),
        (["conform", "dialer", "--list", "--json"], "--json means nothing beside --list"),
        (["conform", "dialer", "--unencrypted", "--open"], "--unencrypted goes with neither --code nor --open"),
        (["conform", "listener", "a", "--open", "--code", "7-quiet-test"], "--open and --code contradict each other"),
        *((["contacts", "--json", *what], "--json means nothing beside")
          for what in (["forget", "bob"], ["rename", "bob", "rob"], ["address", "bob", "add", "a"])),
        (["listen", "--auto-accept", "--ask"], "--auto-accept and --ask contradict each other"),
        *((["listen", "--code-words", number], "is not in the range") for number in ("1", "9")),
        (["dial", "a", "--code-file", "no such file"], "'no such file' does not exist"),
        (["dial", "a", "--code-file", os.devnull], "--code-file has no code in its first line"),
        (["contacts", "forget"], "missing argument"),
        (["shout"], "no such command"),
        (["demo", "--keep", __file__], "is a file"),
    ],
)  # fmt: skip
def test_misuse_is_named(arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, len(err)) == (2, [], 1), err
    assert words in complaint(err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["listen", "--port", "0", "--code", "x-1"], "that is not a code; a code looks like 42-beeswax-caravan"),
        (["listen", "--port", "0", "--allow", "bob"], "bob is not a contact, so it cannot be allowed"),
        (["contacts", "show", "bob"], "bob is not a contact"),
        (["contacts", "forget", "bob"], "no contact is called 'bob'"),
        (["contacts", "rename", "bob", "carol"], "no contact is called 'bob'"),
    ],
)
def test_what_cannot_be_relied_on_is_named(arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err) == (6, [], [f"voicemux: {words}"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "words"),
    [
        (["--version"], ">/dev/full", 1, "cannot write the output: no space left on device"),
        (["contacts", "--json"], ">/dev/full", 1, "cannot write the output: no space left on device"),
        (["contacts", "show", "bob"], "2>/dev/full", 6, ""),
        (["dial", "localhost", "--code-file", "-"], "<&-", 2, "cannot read the code: bad file descriptor"),
        (["dial", "localhost", "--code-file", "/dev/zero"], "", 6, "that is not a code"),
    ],
)
def test_streams_that_are_full_closed_or_endless_end_in_one_line(
    arguments: list[str], redirection: str, code: int, words: str
) -> None:
    with Program(*arguments, redirect=redirection) as program:
        assert program.wait() == code
    assert (program.out, len(program.err)) == ([], 1 if words else 0), program.err
    assert words in "".join(program.err)


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with listening(TEXT_ONLY) as (_, address):
        port = address.split(":")[1]
        code, out, err = run("listen", "--port", port, "--host", "127.0.0.1")
        assert (code, out) == (3, [])
        assert complaint(err) == (
            f"voicemux: cannot listen on 127.0.0.1 port {port}: address already in use; another program has it, "
            "--port chooses another"
        )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="every port is open to administrators")
def test_a_port_for_administrators_is_named_with_the_way_out() -> None:
    with contextlib.suppress(PermissionError), socket.create_server(("127.0.0.1", 1)):
        pytest.skip("this system has no ports for administrators")
    code, _, err = run("listen", "--port", "1", "--host", "127.0.0.1")
    assert code == 3
    assert complaint(err).endswith(
        "permission denied; ports below 1024 are for administrators, --port chooses another"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dial", "nobody.invalid"], "cannot find the host nobody.invalid: "),
        (["dial", "a" * 300], "cannot find the host aaa"),
        (["dial", "böse..example"], "cannot find the host böse..example: "),
        (["dial", "\x1b[31mred"], r"cannot find the host \x1b[31mred: "),
        (["listen", "--host", "nobody.invalid"], "cannot find the host nobody.invalid: "),
        (["listen", "--host", "192.0.2.1"], "that is not an address of this machine"),
    ],
)
def test_a_host_that_is_not_there_is_named(arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments, TEXT_ONLY)
    assert (code, out) == (3, [])
    assert words in complaint(err)


def test_where_nobody_listens_one_is_asked_whether_voicemux_does() -> None:
    with socket.socket() as bound:  # and not listening: nobody else gets the port meanwhile
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        code, _, err = run("dial", f"127.0.0.1:{port}", TEXT_ONLY)
    assert code == 3
    assert complaint(err) == (
        f"voicemux: cannot reach 127.0.0.1 port {port}: connection refused; does voicemux listen run there?"
    )


def pump(source: socket.socket, sink: socket.socket) -> None:
    """All that comes, and its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def hangs_up_at_once(peer: Peer) -> None:
    peer.finish()


def resets(peer: Peer) -> None:
    peer.socket.recv(8)
    peer.reset()


PLAIN_THERE = (
    "voicemux: plain calls are taken there, not encrypted ones; it runs with --unencrypted: if it should, so must you"
)
ENCRYPTED_THERE = "voicemux: an encrypted call is wanted there; call without --unencrypted"
# What somebody else says, and what a dialler says of it who speaks TLS, and who does not.
STRANGERS: dict[str, tuple[Serve, str, str]] = {
    "HTTP": (says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), *("not voicemux, it speaks HTTP",) * 2),
    "SSH": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), *("that is not voicemux, it speaks SSH",) * 2),
    "TLS": (
        says(TLS_ALERT),
        "no TLS 1.3 with the other side: tlsv1 alert protocol version",
        "that is not voicemux, it speaks TLS",
    ),
    "SMTP": (says(b"220 mail.example ESMTP\r\n"), *("that is not voicemux, it speaks SMTP or FTP",) * 2),
    "echo": (says(b"vmux/1\r\n"), *("that is not voicemux, it speaks something unknown",) * 2),
    "escapes": (says(b"\x1b[2J\x1b[31m"), *("that is not voicemux, it speaks something unknown",) * 2),
    "half a preface": (
        lambda peer: (peer.send(b"VMUX"), peer.finish())[1],
        "that is not voicemux, it speaks something unknown",
        "it gave no greeting",
    ),
}


@pytest.mark.parametrize("options", [(), ("--unencrypted",)], ids=["encrypted", "plain"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_dialler_knows_whom_it_reached_if_that_is_not_voicemux(stranger: str, options: tuple[str, ...]) -> None:
    serve, encrypted, plain = STRANGERS[stranger]
    with far_end(serve) as address:
        code, out, err = run("dial", address, TEXT_ONLY, *options, stdin="secret\n")
    assert (code, out) == (4, [])
    assert (plain if options else encrypted) in complaint(err)


@pytest.mark.parametrize("options", [(), ("--unencrypted",)], ids=["encrypted", "plain"])
@pytest.mark.parametrize("end", [hangs_up_at_once, resets])
def test_a_tunnel_with_nothing_behind_it_is_told_as_such(end: Serve, options: tuple[str, ...]) -> None:
    with far_end(end) as address:
        code, out, err = run("dial", address, TEXT_ONLY, *options, stdin="secret\n")
    assert (code, out) == (3, [])
    assert complaint(err) == (
        "voicemux: the connection was closed at once; if this is a tunnel, nothing listens at its far end; "
        "else it may have too many callers: try again"
    )


@pytest.mark.parametrize("options", [(TEXT_ONLY,), PLAIN], ids=["encrypted", "plain"])
def test_a_tunnel_whose_far_end_needs_longer_than_most_is_waited_for(options: tuple[str, ...]) -> None:
    with listening(*options) as (bob, address):

        def tunnel(peer: Peer) -> None:
            time.sleep(SLOW_TUNNEL)
            with caller(address) as beyond:
                relay = threading.Thread(target=pump, args=(beyond.socket, peer.socket))
                relay.start()
                pump(peer.socket, beyond.socket)
                relay.join()

        with far_end(tunnel) as near:
            assert run("dial", near, *options, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


def test_a_dialler_knows_another_version() -> None:
    with far_end(says(OTHER_VERSION)) as address:
        code, out, err = run("dial", address, *PLAIN, stdin="secret\n")
    assert (code, out) == (4, [])
    assert "version 2 of the protocol is spoken there, version 1 here" in complaint(err)


@pytest.mark.parametrize("preface", [PREFACE, OTHER_VERSION])
def test_a_dialler_says_nothing_to_whom_takes_plain_calls_only(preface: bytes) -> None:
    heard: list[bytes] = []

    def serve(peer: Peer) -> None:
        peer.send(preface)
        heard.append(drain(peer))

    with far_end(serve) as address:
        code, out, err = run("dial", address, TEXT_ONLY, stdin="secret\n")
    assert (code, out) == (6, [])
    assert complaint(err) == PLAIN_THERE
    assert PREFACE not in heard[0]


def test_a_listener_of_another_version_is_told_in_its_own_words() -> None:
    told: list[object] = []

    def serve(peer: Peer) -> None:
        peer.send(OTHER_VERSION)
        told.extend(peer.hear_to_the_end())

    with far_end(serve) as address:
        run("dial", address, *PLAIN)
    preface, bye = told
    assert isinstance(preface, Preface)
    assert isinstance(bye, Bye)
    assert (bye.code, "version 1 here" in bye.reason) == (ByeCode.VERSION, True)


both_ways = pytest.mark.parametrize("options", [(TEXT_ONLY,), PLAIN], ids=["encrypted", "plain"])


@both_ways
@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 8, b"\n"])
def test_a_caller_who_is_not_voicemux_learns_nothing_and_the_next_one_is_served(
    first: bytes, options: tuple[str, ...]
) -> None:
    with listening(*options) as (bob, address):
        with caller(address) as stranger:
            stranger.send(first)
            with contextlib.suppress(ConnectionResetError):
                assert drain(stranger) == b""
        assert "turned away a caller from 127.0.0.1: that is not voicemux" in bob.notice_with("turned away")
        assert run("dial", address, *options, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


def test_a_caller_whose_tls_is_none_is_turned_away_and_the_next_one_is_served() -> None:
    with listening(TEXT_ONLY) as (bob, address):
        with caller(address) as stranger:
            stranger.send(TLS_HELLO + bytes(200))
            with contextlib.suppress(ConnectionResetError):
                assert drain(stranger)[:1] in (b"", TLS_ALERT[:1])
        assert "no TLS 1.3 with the other side: " in bob.notice_with("turned away")
        assert run("dial", address, TEXT_ONLY, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


@pytest.mark.parametrize(
    ("listener", "dialler", "words", "reported"),
    [
        (PLAIN, (TEXT_ONLY,), PLAIN_THERE, "an encrypted call, and only plain ones are taken"),
        ((TEXT_ONLY,), PLAIN, ENCRYPTED_THERE, "a plain call, and only encrypted ones are taken"),
    ],
    ids=["plain", "encrypted"],
)
def test_whoever_calls_in_the_other_way_is_told_and_says_nothing(
    listener: tuple[str, ...], dialler: tuple[str, ...], words: str, reported: str
) -> None:
    with listening(*listener) as (bob, address):
        code, out, err = run("dial", address, *dialler, stdin="secret\n")
        assert (code, out, complaint(err)) == (6, [], words)
        assert bob.notice_with("turned away").endswith(f"127.0.0.1: {reported}")
        assert run("dial", address, *listener, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


@both_ways
def test_callers_who_say_nothing_keep_nobody_waiting(options: tuple[str, ...]) -> None:
    with listening(*options) as (bob, address), contextlib.ExitStack() as stack:
        for number in range(10):
            stack.enter_context(caller(address, f"127.0.0.{2 + number % 2}"))
        stack.enter_context(caller(address)).send(PREFACE)
        caller(address).socket.close()
        assert run("dial", address, *options, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


def test_a_caller_of_another_version_is_told_so_and_the_next_one_served() -> None:
    with listening(TEXT_ONLY) as (bob, address):
        with caller(address) as stranger:
            stranger.send(OTHER_VERSION)
            assert isinstance(stranger.hear(), Preface)
            assert stranger.hear(Bye).code == ByeCode.VERSION
        assert "version 2 of the protocol is spoken there" in bob.notice_with("turned away")
        assert run("dial", address, TEXT_ONLY, "--name", "alice", stdin="hi\n")[0] == 0
        assert bob.read() == "alice> hi"


OFFENCES = {
    "oversize": (b"\xff\xff\x02\x00", "a frame of 65535 bytes, the limit is 4096"),
    "tag 0": (b"\0\0\0\0", "a frame of tag 0, which does not exist"),
    "text that is not UTF-8": (b"\x00\x06\x02\x00\x00\x00\x00\x01\xc3\x28", "TEXT that is not UTF-8"),
    "short text": (b"\x00\x02\x02\x00\x00\x00", "TEXT of 2 bytes that do not fit its layout"),
    "long ping": (b"\x00\x09\x04\x00" + bytes(9), "PING of 9 bytes that do not fit its layout"),
    "second hello": (encode(Hello("again")), "HELLO out of order"),
    "text from the future": (encode(Text(7, "hi")), "TEXT 7"),
}


@pytest.mark.parametrize("offence", OFFENCES)
def test_a_listener_who_breaks_the_protocol_in_a_call_is_told_and_left(offence: str) -> None:
    broken, words = OFFENCES[offence]
    goodbyes: list[Bye] = []

    def serve(peer: Peer) -> None:
        peer.send(*OPENING, broken)
        goodbyes.append(peer.hear(Bye))

    with far_end(serve) as address:
        code, _, err = run("dial", address, *PLAIN)
    assert code == 4
    assert complaint(err).startswith("voicemux: the call broke off (")
    assert words in complaint(err)
    assert [goodbye.code for goodbye in goodbyes] == [ByeCode.PROTOCOL]
    assert words in goodbyes[0].reason


@pytest.mark.parametrize("offence", ["oversize", "text that is not UTF-8"])
def test_a_caller_who_breaks_the_protocol_in_a_call_makes_room_for_the_next(offence: str) -> None:
    broken, words = OFFENCES[offence]
    with listening(*PLAIN) as (bob, address):
        with caller(address) as mallory:
            mallory.send(*OPENING, broken)
            assert mallory.hear(Bye).code == ByeCode.PROTOCOL
        assert words in bob.notice_with("the call broke off")
        say_hi_once_there_is_room(address, *PLAIN)
        assert bob.read() == "alice> hi"


def say_hi_once_there_is_room(address: str, *options: str) -> None:
    """Alice calls; there is room a moment after an end has been told."""
    wait_until(lambda: run("dial", address, *options, "--name", "alice", stdin="hi\n")[0] == 0, PATIENCE)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b"\xff\xff\x01\x00", "65535"),
        (encode(Text(1, "hi")), "TEXT out of order"),
        (b"\x00\x03\x01\x00\x01\x02\xff", "HELLO"),
    ],
)
def test_a_greeting_that_breaks_the_protocol_is_named_on_both_sides(broken: bytes, words: str) -> None:
    with far_end(says(PREFACE, broken)) as address:
        code, _, err = run("dial", address, *PLAIN)
    assert code == 4
    assert words in complaint(err)
    with listening(*PLAIN) as (bob, address), caller(address) as mallory:
        mallory.send(PREFACE, broken)
        assert mallory.hear(Bye).code == ByeCode.PROTOCOL
        assert words in bob.notice_with("turned away")


def test_half_a_frame_and_then_nothing_is_given_up_in_time() -> None:
    with far_end(says(*OPENING, b"\x00\x09\x02\x00half")) as address:
        code, _, err = run("dial", address, *PLAIN, "--timeout", "1.5")
    assert code == 1
    assert "the call broke off (nothing came from the other side for 1.5 s)" in complaint(err)


def test_half_a_frame_and_then_the_end_is_a_broken_connection() -> None:
    def serve(peer: Peer) -> None:
        peer.send(*OPENING, b"\x00\x09\x02\x00half")
        peer.finish()
        drain(peer)

    with far_end(serve) as address:
        code, _, err = run("dial", address, *PLAIN)
    assert code == 1
    assert "the call broke off (the connection broke in the middle of a frame)" in complaint(err)


@pytest.mark.parametrize(
    ("bye", "code", "words"),
    [
        (Bye(ByeCode.BUSY), 1, "the other side is busy"),
        (
            Bye(ByeCode.DECLINED, "not today"),
            1,
            'the other side declined the call (the other side says: "not today")',
        ),
        (Bye(ByeCode.TIMEOUT), 1, "nobody answered"),
        (Bye(ByeCode.VERSION), 1, "another version"),
        (Bye(77), 1, "the other side hung up"),
        (Bye(ByeCode.SECURITY), 6, "an encrypted call is wanted there; call without --unencrypted"),
        (
            Bye(ByeCode.UNKNOWN_CALLER),
            6,
            "you are not known there; the other side is shown a code: voicemux dial HOST CODE",
        ),
        (
            Bye(ByeCode.WRONG_CODE),
            6,
            "the code is wrong, or no longer valid; most likely it is mistyped or old: ask for the code that is "
            "shown now; if it was right, somebody may be in the middle",
        ),
    ],
)
def test_a_refusal_is_told_in_words(bye: Bye, code: int, words: str) -> None:
    with far_end(says(PREFACE, encode(Ringing(), bye))) as address:
        given, _, err = run("dial", address, *PLAIN)
    assert (given, complaint(err)) == (code, f"voicemux: {words}")


def test_a_goodbye_of_any_other_kind_is_a_call_that_failed() -> None:
    with far_end(says(*OPENING, encode(Bye(ByeCode.INTERNAL, "my fault")))) as address:
        code, _, err = run("dial", address, *PLAIN)
    assert code == 1
    assert 'the other side hung up (internal) after 0:00 (the other side says: "my fault")' in complaint(err)


def harmless(lines: list[str]) -> bool:
    return all(character.isprintable() for line in lines for character in line)


def test_nothing_of_a_peer_reaches_the_terminal_raw() -> None:
    name = f"{ESCAPES}eve{FORGED}"
    with listening(*PLAIN, "--once") as (bob, address), caller(address) as eve:
        eve.send(PREFACE, Hello(name, ESCAPES, codecs=()))
        eve.hear(Hello)
        eve.send(Text(1, ESCAPES), Text(2, f"hello{FORGED}"), Bye(0, f"{ESCAPES}{FORGED}"))
        eve.finish()
        bob.wait()
        assert harmless(bob.out)
        assert harmless(bob.err)
        assert len(bob.out) == 4  # \r and \n begin new lines, each with its mark
        assert not [line for line in bob.out if line.startswith("voicemux")]
        assert len(bob.err) == 5
        assert not [line for line in bob.err if line.startswith("voicemux: you hung up")]
        assert "\\x1b[2J" in bob.out[0]


def test_nothing_of_a_refusal_reaches_the_terminal_raw() -> None:
    with far_end(says(PREFACE, encode(Bye(ByeCode.DECLINED, f"{ESCAPES}{FORGED}")))) as address:
        code, out, err = run("dial", address, *PLAIN)
    assert (code, out) == (1, [])
    assert harmless(err)
    assert complaint(err).startswith('voicemux: the other side declined the call (the other side says: "\\x1b[2J')


@pytest.mark.parametrize(("command", "kind"), [(DIAL, "input"), (LISTEN, "output")])
def test_a_device_that_does_not_exist_is_named(command: list[str], kind: str, sound_cards: SoundCards) -> None:
    code, out, err = run(*command, f"--{kind}", "gramophone", env=sound_cards.env("a"))
    assert (code, out) == (5, [])
    assert complaint(err) == f"voicemux: there is no {kind} device 'gramophone'; voicemux devices lists what there is"


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        (DIAL, None, "no such file or directory"),
        (LISTEN, None, "no such file or directory"),
        (DIAL, b"", "is empty"),
        (DIAL, b"I am no sound\n" * 100, "as sound: "),
        (DIAL, b"RIFF\xff\xff\xff\xffWAVEfmt ", "as sound: "),
    ],
    ids=["missing", "missing for a listener", "empty", "text", "half a header"],
)
def test_a_file_that_is_no_sound_is_named(
    command: list[str], content: bytes | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "said.wav"
    if content is not None:
        file.write_bytes(content)
    code, out, err = run(*command, "--input", str(file), "--output", "none")
    assert (code, out, len(err)) == (5, [], 1)
    assert str(file) in complaint(err)
    assert words in complaint(err)


def test_a_wav_without_a_single_sample_is_named(tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    soundfile.write(file, np.zeros(0, np.int16), RATE)
    code, _, err = run("dial", "127.0.0.1:1", "--input", str(file), "--output", "none")
    assert (code, complaint(err)) == (5, f"voicemux: {file} holds no sound")


@pytest.mark.parametrize("option", ["--output", "--record"])
def test_a_recording_that_cannot_be_made_is_named(option: str, tmp_path: Path) -> None:
    code, _, err = run("dial", "127.0.0.1:1", "--input", "none", option, str(tmp_path / "none" / "heard.wav"))
    assert (code, complaint(err)) == (5, f"voicemux: cannot write {tmp_path}/none/heard.wav: no such folder")


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [
        (44_100, 1, "PCM_24"),
        (RATE, 2, "PCM_16"),
        pytest.param(RATE, 1, "PCM_U8", marks=pytest.mark.long),
        pytest.param(11_025, 1, "PCM_16", marks=pytest.mark.long),
    ],
)
def test_every_usual_wav_can_be_said(rate: int, channels: int, subtype: str, tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    original = speech(seconds=1.5)
    at = np.arange(len(original) * rate // RATE) * RATE / rate
    sound = np.interp(at, np.arange(len(original)), original / 2**15)
    soundfile.write(said, np.stack([sound] * channels, axis=1), rate, subtype)
    with (
        listening("--input", "none", "--output", str(heard), "--once") as (bob, address),
        Program("dial", address, "--input", str(said), "--output", "none") as alice,
    ):
        alice.close_input()
        bob.notice_with("hung up")
        assert (alice.wait(), bob.wait()) == (0, 0)
    samples = soundfile.read(heard, dtype="int16")[0]
    assert likeness(original, samples, SYLLABLE) > ALIKE
    assert 0.5 < level(samples) / level(original) < 2


@both_ways
@pytest.mark.parametrize("hosts", [1, 10])
def test_a_flood_of_connections_leaves_room_for_a_caller(hosts: int, options: tuple[str, ...]) -> None:
    with listening(*options) as (bob, address):
        for number in range(50):
            with caller(address, f"127.0.0.{2 + number % hosts}") as stranger, contextlib.suppress(ConnectionError):
                stranger.send(b"GET ")
        say_hi_once_there_is_room(address, *options)
        assert bob.read() == "alice> hi"
