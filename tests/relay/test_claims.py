"""Whose an id is when listeners at two relays want it at once."""

import itertools

import pytest

from voicemux.relay.claims import Claims, IdClaim, Standing
from voicemux.relay.ids import id_of_number

ID, OTHER = id_of_number("4711"), id_of_number("4712")
LOW, HIGH = b"a" * 16, b"b" * 16


def test_the_listener_that_waits_keeps_the_id() -> None:
    claims = Claims()
    assert claims.hear(ID, HIGH) is Standing.FREE
    claims.note(ID, HIGH)
    assert [claims.hear(ID, each) for each in (b"", LOW, HIGH)] == [Standing.OURS, Standing.OURS, Standing.MOVED]
    claims.note(ID, b"")
    assert claims.hear(ID, LOW) is Standing.FREE
    assert not claims.is_wanted(ID)


def test_a_claim_is_no_listener_and_is_forgotten() -> None:
    claims = Claims()
    claim = claims.begin(LOW, (ID, OTHER, ID))
    assert claims.is_wanted(OTHER)
    assert claims.hear(ID, b"") is Standing.FREE  # a caller
    assert claims.hear(ID, LOW) is Standing.FREE  # its own program, elsewhere
    assert claim.decide()
    claims.end(claim)
    assert not claims.is_wanted(ID)


ASKS, DECIDES = "asks", "decides"
ORDERS = [
    order
    for order in itertools.permutations([(LOW, ASKS), (LOW, DECIDES), (HIGH, ASKS), (HIGH, DECIDES)])
    if all(order.index((each, ASKS)) < order.index((each, DECIDES)) for each in (LOW, HIGH))
]


@pytest.mark.parametrize(
    "order", ORDERS, ids=lambda order: "-".join(f"{who.decode()[0]} {what}" for who, what in order)
)
def test_of_two_listeners_exactly_one_gets_the_id_in_any_order(order: list[tuple[bytes, str]]) -> None:
    """Each relay can be asked from the moment in which it asks."""
    relays = {LOW: Claims(), HIGH: Claims()}
    found: dict[bytes, IdClaim] = {}
    told = dict.fromkeys(relays, Standing.FREE)
    waits = dict.fromkeys(relays, False)
    for who, what in order:
        if what == ASKS:
            found[who] = relays[who].begin(who, (ID,))
            for other in found:
                if other != who:
                    told[who] = relays[other].hear(ID, who)
        else:
            waits[who] = told[who] is Standing.FREE and found[who].decide()
    assert sorted(waits.values()) == [False, True]
