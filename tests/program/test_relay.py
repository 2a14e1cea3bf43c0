"""A relay, a listener and a dialler, each a program of its own. The listener's port is not used."""

import contextlib
import json
import re
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import wait_until
from tests.relay.running import relay
from tests.running import Program, run

NO_CODE = {"VOICEMUX_CODE": ""}


@contextlib.contextmanager
def relaying(*options: str) -> Iterator[tuple[Program, str]]:
    """A relay, and where it is."""
    with Program("relay", "--host", "127.0.0.1", "--port", "0", *options) as program:
        port = re.search(r"relay on port (\d+)", program.notice_with("relay on port"))
        assert port
        yield program, f"127.0.0.1:{port[1]}"


@contextlib.contextmanager
def listening(place: str, *options: str, home: Path | None = None) -> Iterator[tuple[Program, str]]:
    """A listener at the relay, and what others type behind `dial`. No one can reach its port."""
    env = NO_CODE | ({"VOICEMUX_HOME": str(home)} if home else {})
    arguments = ("--host", "127.0.0.1", "--port", "0", "--no-audio", "--json", "--name", "bob")
    with Program("listen", "--relay", place, *arguments, *options, env=env) as listener:
        target = listener.event("listening")["dial"][0].removeprefix("voicemux dial ")
        yield listener, target


def dialling(target: str, *options: str, env: dict[str, str] | None = None) -> Program:
    return Program(
        "dial", *target.split(), "--no-audio", "--json", "--name", "alice", *options, env=NO_CODE | (env or {})
    )


def test_a_code_call_goes_through_the_relay_and_a_second_caller_hears_that_bob_is_busy() -> None:
    with relaying() as (_, place), listening(place) as (bob, target):
        assert re.fullmatch(rf"[1-9]\d{{3}}-\w+-\w+-\w+@{place}", target)
        with dialling(target) as alice:
            connected = alice.event("connected")
            assert (connected["name"], connected["security"], connected["relay"]) == ("bob", "code", place)
            following = bob.event("new_code")["dial"][0].removeprefix("voicemux dial ")
            assert (following.split("-")[0], following != target) == (target.split("-")[0], True)
            met = bob.event("connected")
            assert (met["name"], met["security"], met["relay"]) == ("alice", "code", place)
            assert "is busy" in run("dial", following, "--no-audio", env=NO_CODE)[2][-1]
            for number in range(50):
                alice.command(command="say", text=f"line {number} from alice")
                bob.command(command="say", text=f"line {number} from bob")
            for number in range(50):
                assert bob.event("text")["text"] == f"line {number} from alice"
                assert alice.event("text")["text"] == f"line {number} from bob"
            alice.command(command="quit")
            assert alice.event("ended")["undelivered"] == 0
            assert alice.wait() == 0
        assert bob.event("ended")["by"] == "them"


def test_a_person_is_told_that_it_goes_through_a_relay() -> None:
    with relaying() as (_, place), listening(place, "--once") as (_, target):
        code, _, err = run("dial", target, "--no-audio", stdin="hello\n", env=NO_CODE)
        assert code == 0
        assert any(f"connected to bob (through {place}), who knows the code" in line for line in err)


def test_wrong_words_are_wrong_through_a_relay_too() -> None:
    with relaying() as (_, place), listening(place) as (_, target):
        number = target.split("-")[0]
        code, out, _ = run("dial", f"{number}-wrong-words-here@{place}", "--no-audio", "--json", env=NO_CODE)
        assert code == 6
        assert json.loads(out[-1])["kind"] == "wrong_code"


def test_a_number_that_no_one_waits_under() -> None:
    with relaying() as (_, place):
        code, _, err = run("dial", f"4711-a-b-c@{place}", "--no-audio", env=NO_CODE)
        assert code == 3
        assert f"no one waits under number 4711 at {place}" in err[-1]


def test_a_relay_that_swaps_callers_learns_nothing_and_is_noticed() -> None:
    """Another listener stands in for the one that is meant: it has not the words."""
    with relaying() as (_, false), listening(false, "--code", "4711-other-words"):
        code, out, _ = run("dial", f"4711-quiet-test@{false}", "--no-audio", "--json", env=NO_CODE)
        assert (code, json.loads(out[-1])["kind"]) == (6, "wrong_code")


def test_a_relay_that_is_killed_ends_a_call_without_grace_in_one_line() -> None:
    with relaying() as (program, place), listening(place) as (bob, target), dialling(target, "--grace", "0") as alice:
        alice.event("connected")
        bob.event("connected")
        program.process.kill()
        for each in (alice, bob):
            assert each.event("ended")["by"] == "error"
        assert alice.wait() == 1


def test_a_call_outlives_its_relay_when_that_is_started_anew() -> None:
    with contextlib.ExitStack() as programs:
        program, place = programs.enter_context(relaying())
        bob, target = programs.enter_context(listening(place))
        alice = programs.enter_context(dialling(target))
        alice.event("connected")
        bob.event("connected")
        alice.command(command="say", text="before")
        assert bob.event("text")["text"] == "before"
        program.process.kill()
        program.process.wait()
        alice.event("interrupted")
        for one in (alice, bob):
            one.command(command="say", text="meanwhile")
        programs.enter_context(Program("relay", "--host", "127.0.0.1", "--port", place.split(":")[1]))
        for one in (alice, bob):
            assert one.event("text")["text"] == "meanwhile"
        alice.command(command="quit")
        assert alice.event("ended")["undelivered"] == 0
        assert bob.event("ended")["by"] == "them"


def test_sigterm_moves_people_on_and_lets_the_call_go_on() -> None:
    with (
        relay() as (_, other),
        relaying("--move-to", str(other)) as (program, place),
        listening(place, "--code", "4711-quiet-test") as (bob, target),
        dialling(target) as alice,
    ):
        bob.event("connected")
        program.process.send_signal(signal.SIGTERM)
        alice.command(command="say", text="are you still there?")
        assert bob.event("text")["text"] == "are you still there?"
        # The listener waits at the other relay now. Until it does, its number is called in vain.
        wait_until(lambda: "busy" in run("dial", f"4711-quiet-test@{other}", "--no-audio", env=NO_CODE)[2][-1])
        alice.command(command="quit")
        alice.wait()
        assert program.wait() == 0
        assert "1 calls, 1 joined" in program.err[-1]


def test_a_private_relay_wants_its_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\n\nother\n")
    tokens.chmod(0o600)
    with relaying("--token-file", str(tokens)) as (_, place):
        code, _, err = run("dial", f"4711-a-b-c@{place}", "--no-audio", env=NO_CODE)
        assert (code, "VOICEMUX_RELAY_TOKEN" in err[-1]) == (6, True)
        sesame = {"VOICEMUX_RELAY_TOKEN": "sesame"}
        code, _, err = run("dial", f"4711-a-b-c@{place}", "--no-audio", env=NO_CODE | sesame)
        assert code == 3


def test_counts_for_prometheus_are_numbers_only() -> None:
    pytest.importorskip("prometheus_client")
    with relaying("--metrics", "0") as (program, place):
        where = re.search(r"port (\d+)", program.err[0])
        assert where
        url = f"http://127.0.0.1:{where[1]}/metrics"
        with listening(place), urllib.request.urlopen(url, timeout=20) as answer:
            told = answer.read().decode()
        assert "voicemux_relay_waits_total 1.0" in told
        assert "voicemux_relay_waits_now 1.0" in told
        program.interrupt()
        assert program.wait() == 130


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("dial", "4711-a-b-c@127.0.0.1:1", "42-x-y"), "one code, please"),
        (("dial", "--unencrypted", "4711-a-b-c@127.0.0.1:1"), "encrypted"),
        (("listen", "--unencrypted", "--relay", "127.0.0.1:1"), "--relay means nothing beside --unencrypted"),
        (("listen", "--relay", "a b"), "--relay"),
        (("relay", "--cert", "x"), "belong together"),
        (("relay", "--metrics", "localhost"), "not a port"),
        (("relay", "--cluster", "nats://127.0.0.1:99999", "--here", "a"), "--cluster takes"),
        (("relay", "--cluster", "nats://@:4222", "--here", "a"), "--cluster takes"),
        (("relay", "--cert", "/nowhere", "--key", "/nowhere"), "cannot use the certificate"),
        (("relay", "--token-file", "/nowhere"), "no token"),
        (("relay", "--port", "x"), "not a port"),
        (("relay", "--cluster", "nats://127.0.0.1"), "belong together"),
        (("relay", "--cluster", "127.0.0.1:4222", "--here", "127.0.0.1"), "takes nats://HOST"),
        (("listen", "--relay-only"), "means nothing without --relay"),
        (("listen", "--unix", ""), "takes a path"),
    ],
)
def test_what_contradicts_itself_is_said_in_one_line(arguments: tuple[str, ...], part: str) -> None:
    code, _, err = run(*arguments, env=NO_CODE)
    assert (code in (2, 3, 6), len(err)) == (True, 1), err
    assert part in err[0]


def test_a_listener_whose_relay_is_away_can_be_called_directly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    with listening(f"127.0.0.1:{port}", "--code", "4711-quiet-test") as (bob, _):
        notice = next(json.loads(line) for line in bob.out if '"notice"' in line)
        assert "no one can call through the relay" in notice["text"]
        direct = json.loads(bob.out[-1])["dial"][-1].removeprefix("voicemux dial ")
        with dialling(direct) as alice:
            assert alice.event("connected")["relay"] == ""
            alice.command(command="quit")
            assert alice.wait() == 0


def test_contacts_find_each_other_again_directly_or_through_the_relay(tmp_path: Path) -> None:
    """After a call through the relay they know no address. A dead one costs a moment, and a right one wins."""
    homes = {name: {"VOICEMUX_HOME": str(tmp_path / name)} for name in ("alice", "bob")}
    with relaying() as (_, place), listening(place, home=tmp_path / "bob") as (bob, target):

        def meet(whom: str) -> str:
            with dialling(whom, env=homes["alice"]) as alice:
                relay = alice.event("connected")["relay"]
                alice.command(command="quit")
                assert alice.wait() == 0
            bob.event("ended")
            return relay

        assert meet(target) == place
        wait_until(lambda: "bob" in "".join(run("contacts", env=homes["alice"])[1]))
        found = [""]

        def is_found() -> bool:  # bob has to see that he has a contact now
            code, _, err = run("dial", "bob", "--no-audio", stdin="hello\n", env=NO_CODE | homes["alice"])
            found[0] = "".join(err)
            return code == 0

        wait_until(is_found, 60)
        assert f"(through {place}), whose key you know" in found[0]
        bob.event("ended")
        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and says nothing
            dead = f"127.0.0.1:{silent.getsockname()[1]}"
            assert run("contacts", "address", "bob", "add", dead, env=homes["alice"])[0] == 0
            wait_until(is_found, 60)
            assert f"(through {place})" in found[0]
            bob.event("ended")
        port = json.loads(bob.out[0])["port"]
        run("contacts", "address", "bob", "add", f"127.0.0.1:{port}", env=homes["alice"])
        assert meet("bob") == ""


@contextlib.contextmanager
def recording(place: str) -> Iterator[tuple[str, bytearray]]:
    """Another way to the relay for one dialler, and what it says there."""
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    kept += data
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            host, port = place.split(":")
            with server.accept()[0] as near, socket.create_connection((host, int(port))) as far:
                back = threading.Thread(target=pump, args=(far, near, bytearray()))
                back.start()
                pump(near, far, said)
                back.join()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", said
        thread.join()


def test_a_relay_that_replays_a_call_gets_nowhere() -> None:
    with relaying() as (_, place), listening(place, "--code", "4711-quiet-test") as (bob, target):
        with recording(place) as (way, said), dialling(target.replace(place, way)) as alice:
            alice.event("connected")
            bob.event("connected")
            alice.command(command="quit")
            assert alice.wait() == 0
        bob.event("ended")
        host, port = place.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as eve:
            eve.sendall(said)  # CALL and all that Alice said inside, as the relay has seen it
            with contextlib.suppress(ConnectionError):
                while eve.recv(65_536):
                    pass
        bob.command(command="quit")
        assert bob.wait() == 0
        assert sum('"event": "connected"' in line for line in bob.out) == 1
