"""A code call between two people behind routers that let no one in."""

from collections.abc import Iterator

import pytest

from tests.nat.world import RELAY, NotHere, World, made
from tests.running import Program

NO_CODE = {"VOICEMUX_CODE": ""}
PATIENCE = 60.0  # seconds: three Pythons start, and load everything


@pytest.fixture(params=["", "fully-random"], ids=["ports are kept", "ports are random"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    try:
        with made(request.param) as found:
            yield found
    except NotHere as why:
        pytest.skip(str(why))


def test_a_code_call_between_two_nats_through_a_relay(world: World) -> None:
    quiet = ("--no-audio", "--json")
    bob_is = ("listen", *quiet, "--name", "bob", "--relay", RELAY)
    with Program("relay", **world.at(world.relay)) as relay:
        relay.notice_with("relay on port 8690", PATIENCE)
        with Program(*bob_is, env=NO_CODE, **world.at(world.bob)) as bob:
            through, direct = (each.split()[2:] for each in bob.event("listening", PATIENCE)["dial"][:2])
            assert through[0].endswith(f"@{RELAY}")
            assert direct[0] == "192.168.2.2"  # which means nothing in Alice's household
            dial = ("dial", *through, *quiet, "--name", "alice")
            with Program(*dial, env=NO_CODE, **world.at(world.alice)) as alice:
                assert alice.event("connected", PATIENCE)["relay"] == RELAY
                assert bob.event("connected")["name"] == "alice"
                alice.command(command="say", text="hello")
                assert bob.event("text")["text"] == "hello"
                bob.command(command="say", text="hello, alice")
                assert alice.event("text")["text"] == "hello, alice"
                alice.command(command="quit")
                assert alice.event("ended")["undelivered"] == 0
                assert alice.wait() == 0
            assert bob.event("ended")["by"] == "them"
