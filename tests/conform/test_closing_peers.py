"""Whatever a peer does to its connection, each case ends, with a failure that says what came."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.peers import RESET
from voicemux.conform.link import encode
from voicemux.conform.runner import Selection, examine_dialler, examine_listener
from voicemux.conform.verdict import Result
from voicemux.net.address import Address
from voicemux.net.listener import ListeningSockets
from voicemux.protocol.messages import Bye, ByeCode, Hello, Message, Ping, Text
from voicemux.protocol.wire import PREFACE

HELLO, TWO_TEXTS = Hello(), (Text(1, "one"), Text(2, "two"))
CASES = ("tag-zero", "pong", "goodbye", "text-acknowledged", "all-at-once", "unknown-tags")
Act = Callable[[socket.socket], None]


def says(*messages: Message, then: Act = lambda line: None) -> Act:
    """Preface and messages, without a look at what comes."""

    def act(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(PREFACE + encode(*messages))
        then(line)

    return act


def resets(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def writes_for_ever(line: socket.socket) -> None:
    number = 2
    while True:
        number += 1
        line.sendall(encode(Text(number, "and on")))
        if number == 500:
            return


def half_closes(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_WR)
    while line.recv(65_536):
        pass


ENDINGS: dict[str, Act] = {
    "at once": lambda line: None,
    "with a reset at the first byte": lambda line: (line.recv(1), resets(line))[1],
    "after its preface": says(),
    "after a HELLO": says(HELLO),
    "after text": says(HELLO, *TWO_TEXTS),
    "with a reset after text": says(HELLO, *TWO_TEXTS, then=resets),
    "after much text": says(HELLO, *TWO_TEXTS, then=writes_for_ever),
    "with half of the connection after text": says(HELLO, *TWO_TEXTS, then=half_closes),
    "in the middle of a frame": says(HELLO, *TWO_TEXTS, then=lambda line: line.sendall(b"\0\x09\2")),
    "with rubbish": says(HELLO, *TWO_TEXTS, then=lambda line: line.sendall(b"\xff" * 100)),
    "with a goodbye after text": says(HELLO, *TWO_TEXTS, Bye(ByeCode.INTERNAL, "oh"), then=half_closes),
    "after a PING": says(HELLO, Ping(bytes(8)), *TWO_TEXTS),
}
NAMED = pytest.mark.parametrize("ending", ENDINGS)


@contextlib.contextmanager
def listener_that(act: Act) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ends = threading.Event()

        def serve() -> None:
            while not ends.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError), server.accept()[0] as line:
                    line.settimeout(10)
                    act(line)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ends.set()
            thread.join()


@contextlib.contextmanager
def dialler_that(act: Act, port: int) -> Iterator[None]:
    ends = threading.Event()

    def dial() -> None:
        while not ends.wait(0.02):
            with (
                contextlib.suppress(TimeoutError, ConnectionError),
                socket.create_connection(("127.0.0.1", port), 10) as line,
            ):
                line.sendall(PREFACE)
                act(line)

    thread = threading.Thread(target=dial)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def judge(results: list[Result]) -> None:
    assert {result.name for result in results} == set(CASES)
    for result in results:
        assert result.verdict in ("pass", "fail")
        assert len(result.detail) < 300
        if result.verdict == "fail":
            assert ", got " in result.detail
            assert result.said


@NAMED
def test_a_listener_may_end_as_it_likes(ending: str) -> None:
    act = ENDINGS[ending]
    answers = iter([says(then=lambda line: None)])  # the first knock finds out whether it is voicemux at all
    with listener_that(lambda line: next(answers, act)(line)) as port:
        judge(examine_listener(Address("127.0.0.1", port), selection=Selection(CASES)))


@NAMED
def test_a_dialler_may_end_as_it_likes(ending: str) -> None:
    act = ENDINGS[ending]
    with contextlib.closing(ListeningSockets("127.0.0.1", 0)) as listener, dialler_that(act, listener.port):
        judge(examine_dialler(listener, selection=Selection(CASES)))
