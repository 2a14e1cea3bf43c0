"""What clients may do to a relay, and what a relay may do to the call inside."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import voicemux
from tests.peers import PATIENCE
from tests.relay.running import relay
from tests.relay.test_desk import HERE, ONE, Person, Stage, codes
from voicemux.net.tls import Context
from voicemux.relay.desk import Join
from voicemux.relay.leg import Leg
from voicemux.relay.limits import Limits
from voicemux.relay.messages import RefusedCode
from voicemux.relay.wire import PREFACE

USUAL_READ = Leg.read
FRIENDS_HOST = "198.51.100.7"


def test_a_client_that_says_a_byte_now_and_then_is_cut_though_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicemux.relay.desk.ASK_PATIENCE", 0.5)
    said = PREFACE + b"\x10\0\x7f\0" + bytes(4096)  # a frame of a tag that is unknown, which may be long
    with relay() as (server, place), socket.create_connection(place.address) as slow:
        slow.settimeout(0.05)
        until = time.monotonic() + PATIENCE
        is_cut = False
        for byte in said:
            try:
                slow.sendall(bytes([byte]))
                is_cut = slow.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                is_cut = True
            if is_cut or time.monotonic() > until:
                break
        assert is_cut
        assert server.counts.refused["silent"] == 1


def test_a_flood_of_calls_on_one_number_ends_at_the_limit_and_a_friend_gets_through() -> None:
    stage = Stage()

    def bob_waits() -> Person:
        return stage.waits("bob", ONE)

    listener = bob_waits()
    for _ in range(Limits().calls):
        eve = stage.calls("eve", ONE)
        assert stage.steps[-1] == Join(eve, listener)
        for each in (eve, listener):
            stage.desk.leave(each)
        listener = bob_waits()
    for _ in range(100):
        stage.calls("eve", ONE, host=HERE.host)
        assert codes(stage.steps) == [RefusedCode.LIMIT]
    friend = stage.calls("friend", ONE, host=FRIENDS_HOST)
    assert stage.steps[-1] == Join(friend, listener)


def changes_a_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def loses_a_byte(data: bytes) -> bytes:
    return data[1:]


def says_it_twice(data: bytes) -> bytes:
    return data * 2


@pytest.mark.parametrize("harm", [changes_a_byte, loses_a_byte, says_it_twice])
def test_a_relay_that_meddles_ends_the_call_and_no_word_of_it_is_believed(
    harm: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides notice, by TLS, and show only what was said."""
    meddles = threading.Event()
    heard: list[str] = []

    def read(leg: Leg, most: int, context: Context | None) -> bytes | None:
        data = USUAL_READ(leg, most, context)
        return harm(data) if data and leg.partner and meddles.is_set() else data

    def passes_nothing_quickly(leg: Leg, now: float) -> int:
        return 0

    def serve(listener: voicemux.Listener) -> None:
        for call in listener:
            with call:
                for text in call.texts():
                    heard.append(text)
                    call.send(text)
            listener.stop()

    monkeypatch.setattr(Leg, "read", read)
    monkeypatch.setattr(Leg, "pass_on", passes_nothing_quickly)
    with (
        relay() as (_, place),
        voicemux.listen(
            host="127.0.0.1", port=0, relay=str(place), home=tmp_path / "bob", audio=False, grace=0
        ) as listener,
    ):
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        with voicemux.dial(listener.at_relay, home=tmp_path / "alice", audio=False, grace=0) as call:
            call.send("before")
            answers = call.texts()
            assert next(answers) == "before"
            meddles.set()
            call.send("pay 100")
            assert list(answers) == []
            assert call.ended
            assert call.error
        serving.join(PATIENCE)
    assert set(heard) <= {"before", "pay 100"}
    assert heard[0] == "before"
    assert heard.count("pay 100") <= 1


def test_a_relay_that_cuts_at_any_place_of_the_beginning_is_told_in_one_line(tmp_path: Path) -> None:
    """A dialler whose relay ends after so many bytes gets an error of ours, whatever had been said."""
    for most in (0, 4, 8, 12, 40):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            answer = (PREFACE + b"\x00\x27\x12\x00" + bytes(39))[:most]

            def serve(server: socket.socket = server, answer: bytes = answer) -> None:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(answer)

            serving = threading.Thread(target=serve)
            serving.start()
            with pytest.raises(voicemux.VoicemuxError) as caught:
                voicemux.dial(f"4711-quiet-test@127.0.0.1:{port}", home=tmp_path, audio=False)
            assert "\n" not in str(caught.value)
            serving.join()
