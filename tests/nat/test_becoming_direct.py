"""A call through a relay becomes direct where both routers keep the ports of programs, and else stays there."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nat.world import RELAY, NotHere, World, made
from tests.peers import wait_until
from tests.running import Program

NO_CODE = {"VOICEMUX_CODE": ""}
PATIENCE = 60.0  # seconds: three Pythons start, and load everything
QUIET = ("--no-audio", "--json")
LINES = 40  # of text, written while the call changes its way


@contextlib.contextmanager
def called(how: str, *dials: str, listens: tuple[str, ...] = ()) -> Iterator[tuple[World, Program, Program]]:
    """Alice has dialled the code of Bob, who listens at a relay, in a world whose routers choose ports so."""
    with contextlib.ExitStack() as entered:
        try:
            world = entered.enter_context(made(how))
        except NotHere as why:
            pytest.skip(str(why))
        relay = entered.enter_context(Program("relay", **world.at(world.relay)))
        relay.notice_with("relay on port 8690", PATIENCE)
        bob_is = ("listen", *QUIET, "--name", "bob", "--relay", RELAY, *listens)
        bob = entered.enter_context(Program(*bob_is, env=NO_CODE, **world.at(world.bob)))
        through = bob.event("listening", PATIENCE)["dial"][0].split()[2:]
        alice_is = ("dial", *through, *QUIET, "--name", "alice", *dials)
        alice = entered.enter_context(Program(*alice_is, env=NO_CODE, **world.at(world.alice)))
        assert alice.event("connected", PATIENCE)["relay"] == RELAY
        bob.event("connected", PATIENCE)
        yield world, alice, bob


def relay_of(program: Program) -> str:
    program.command(command="stats")
    return str(program.event("stats", PATIENCE)["relay"])


def events(program: Program, *names: str) -> list[dict[str, Any]]:
    """Those that have been read."""
    return [event for event in map(json.loads, program.out) if event["event"] in names]


def frames(trace: Path, kind: str) -> list[dict[str, Any]]:
    """What was sent and received, as the trace has it so far."""
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    return [fact for line in lines if f'"{kind}"' in line and (fact := json.loads(line)).get("type") == kind]


def test_a_call_leaves_its_relay_where_routers_keep_ports_and_comes_back_when_the_direct_line_is_lost() -> None:
    with called("") as (world, alice, bob):
        for number in range(LINES):
            alice.command(command="say", text=f"line {number}")
        assert alice.event("direct", PATIENCE)["path"].startswith("198.51.100.12:")
        assert bob.event("direct", PATIENCE)["path"].startswith("198.51.100.11:")
        assert (relay_of(alice), relay_of(bob)) == ("", "")
        world.cut_direct()
        assert alice.event("resumed", PATIENCE)["relay"] == RELAY
        bob.command(command="say", text="still here")
        assert alice.event("text", PATIENCE)["text"] == "still here"
        assert relay_of(alice) == RELAY
        alice.command(command="quit")
        assert alice.event("ended", PATIENCE)["undelivered"] == 0
        bob.event("ended", PATIENCE)
        assert [text["text"] for text in events(bob, "text")] == [f"line {number}" for number in range(LINES)]
        assert len(events(alice, "interrupted")) == 1  # and none while it became direct


def test_a_call_stays_with_its_relay_where_routers_draw_ports(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with called("fully-random", "--trace", str(trace)) as (_, alice, bob):
        # The second round begins when the first has failed.
        wait_until(lambda: sum(each["now"] for each in frames(trace, "PATHS")) == 2, PATIENCE)
        assert (relay_of(alice), relay_of(bob)) == (RELAY, RELAY)
        alice.command(command="say", text="hello")
        assert bob.event("text", PATIENCE)["text"] == "hello"
        assert not events(alice, "direct", "interrupted")


def test_who_hides_says_no_address(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with called("", "--relay-only", "--trace", str(trace)) as (_, alice, bob):
        for number in range(3):
            alice.command(command="say", text=f"{number}")
            assert bob.event("text", PATIENCE)["text"] == f"{number}"
        assert (relay_of(alice), relay_of(bob)) == (RELAY, RELAY)
        assert not frames(trace, "PATHS")
        assert [hello["paths"] for hello in frames(trace, "HELLO")] == [False, False]
