"""`voicemux conform relay`: our own relay passes, and wrong ones are found."""

import contextlib
import hmac
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.relay.running import GENEROUS, relay
from tests.running import run
from voicemux.conform.relay_subject import RELAY_CASES
from voicemux.conform.report import details
from voicemux.conform.runner import Selection, examine_relay
from voicemux.conform.verdict import FAIL, PASS, SKIP
from voicemux.relay.guest import Guest
from voicemux.relay.leg import Leg
from voicemux.relay.limits import Limits
from voicemux.relay.messages import Paired, Refused, RefusedCode, Reply

USUAL_REPLY, USUAL_READ = Guest.reply, Leg.read


@pytest.mark.parametrize("token", ["", "sesame"])
def test_our_own_relay_passes(token: str) -> None:
    with relay(GENEROUS, tokens=(token,) if token else ()) as (_, place):
        results = examine_relay(replace(place, token=token), Selection(quick=True))
    assert {each.name: each.detail for each in results if each.verdict != PASS} == {}
    assert len(results) == sum(not case.slow for case in RELAY_CASES)


def never(one: bytes, other: bytes) -> bool:
    return False


def always(one: bytes, other: bytes) -> bool:
    return True


def says_why(guest: Guest, error: object) -> Refused:
    return Refused(RefusedCode.PROTOCOL, 0, "that is wrong")


def says_nothing(guest: Guest, error: object) -> None:
    return None


def by_another_id(guest: Guest, reply: Reply) -> bytes:
    return USUAL_REPLY(guest, Paired(bytes(32), reply.seen) if isinstance(reply, Paired) else reply)


def passes_nothing_quickly(leg: Leg, now: float) -> int:
    return 0


def changes_a_byte(leg: Leg, most: int, context: Any) -> bytes | None:
    data = USUAL_READ(leg, most, context)
    return b"?" + data[1:] if data and leg.partner else data


def ends_all(leg: Leg) -> None:
    with socket.fromfd(leg.fileno(), socket.AF_INET, socket.SOCK_STREAM) as both, contextlib.suppress(OSError):
        both.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("place", "name", "fault", "case"),
    [
        (hmac, "compare_digest", always, "relay-other-owner"),
        (hmac, "compare_digest", never, "relay-same-owner"),
        (Guest, "blame", says_why, "relay-strangers"),
        (Guest, "blame", says_nothing, "relay-order"),
        (Guest, "blame", says_nothing, "relay-other-version"),
        (Guest, "reply", by_another_id, "relay-most-ids"),
        (Leg, "read", changes_a_byte, "relay-bytes"),
        (Leg, "finish", ends_all, "relay-half-close"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_relay_is_found(
    place: object, name: str, fault: Callable[..., Any], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, fault)
    monkeypatch.setattr(Leg, "pass_on", passes_nothing_quickly)
    with relay(GENEROUS) as (_, where):
        (result,) = examine_relay(where, Selection((case,)))
    assert result.verdict == FAIL
    assert "relay.md, section" in details(result) or "connection 1" in details(result)


def test_a_relay_that_wants_to_be_left_alone_is_not_called_wrong() -> None:
    with relay(Limits(calls=1)) as (_, place):
        results = examine_relay(place, Selection(("relay-absent", "relay-half-close")))
    assert {each.verdict for each in results} == {SKIP}


def test_the_command() -> None:
    code, out, _ = run("conform", "relay", "--list")
    assert code == 0
    assert any("relay-half-close" in line for line in out)
    with relay(GENEROUS) as (_, place):
        code, out, _ = run("conform", "relay", str(place), "--section", "4")
    assert (code, out[-1][:8]) == (0, "5 passed")
    assert run("conform", "relay", str(place))[0] == 3
