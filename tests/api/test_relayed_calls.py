"""Programs that find each other at a relay."""

import contextlib
import threading
from pathlib import Path

import pytest

import voicemux
from tests.net.places import free_port
from tests.peers import PATIENCE, wait_until
from tests.relay.running import relay
from voicemux.errors import Unreachable


def answer_two(listener: voicemux.Listener) -> None:
    """Say each text back, until two calls are over."""
    for number, call in enumerate(listener, 1):
        with call:
            for text in call.texts():
                call.send(f"{call.relay}: {text}")
        if number == 2:
            break


def dial_when_there(target: str, home: Path) -> voicemux.Call:
    """A call. A listener waits for a new contact a moment after the first call."""
    calls: list[voicemux.Call] = []

    def is_there() -> bool:
        with contextlib.suppress(Unreachable):
            calls.append(voicemux.dial(target, name="alice", home=home, audio=False))
        return bool(calls)

    wait_until(is_there)
    return calls[0]


def test_a_code_at_a_relay_leads_to_the_listener_and_later_its_name_does(tmp_path: Path) -> None:
    with (
        relay() as (_, place),
        voicemux.listen(
            host="127.0.0.1", port=0, name="bot", relay=str(place), home=tmp_path / "bot", audio=False
        ) as listener,
    ):
        code, _, where = listener.at_relay.rpartition("@")
        assert (code, where) == (listener.code, str(place))
        answering = threading.Thread(target=answer_two, args=(listener,))
        answering.start()
        for target in (listener.at_relay, "bot"):
            with dial_when_there(target, tmp_path / "alice") as call:
                assert call.relay == str(place)
                call.send("hello")
                assert next(call.texts()) == f"{place}: hello"
        answering.join(PATIENCE)


def test_a_listener_without_its_relay_listens_at_its_port_and_waits_when_the_relay_is_back(tmp_path: Path) -> None:
    port = free_port()
    where = f"127.0.0.1:{port}"
    with voicemux.listen(
        host="127.0.0.1", port=0, code="4711-quiet-test", relay=where, home=tmp_path, audio=False
    ) as listener:
        assert listener.at_relay == f"4711-quiet-test@{where}"
        with relay(port=port) as (server, _):
            wait_until(lambda: server.counts.waits_now > 0)


def test_a_number_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    with relay() as (_, place):
        options = {"host": "127.0.0.1", "port": 0, "code": "4711-quiet-test", "relay": str(place), "audio": False}
        with (
            voicemux.listen(home=tmp_path / "first", **options),  # type: ignore[arg-type]
            pytest.raises(Unreachable, match="another program waits"),
        ):
            voicemux.listen(home=tmp_path / "second", **options)  # type: ignore[arg-type]


def test_no_one_hears_what_is_said_at_a_relay(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain and relay"):
        voicemux.listen(port=0, plain=True, relay="localhost", home=tmp_path)
    with pytest.raises(TypeError, match="expected relay to be a str"):
        voicemux.dial("bob", relay=5, home=tmp_path)  # type: ignore[arg-type]
