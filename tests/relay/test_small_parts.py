"""What users type, ids, pace, and the pauses of who comes back."""

import datetime
import errno

import pytest

from voicemux.calls.target import resolve
from voicemux.errors import AddressError
from voicemux.net.address import Address
from voicemux.relay.ids import days, id_of_contact, id_of_number
from voicemux.relay.nats_link import loss_in_words
from voicemux.relay.pace import CHUNK, Pace, Rate
from voicemux.relay.places import RelayPlace, parse_relay, parse_relayed
from voicemux.relay.post import LADDER, pause_after
from voicemux.security.code import codes_like, new_code, number_of
from voicemux.security.guesses import Guesses


@pytest.mark.parametrize(
    ("typed", "address", "is_tls", "shown"),
    [
        ("relay.example.org", Address("relay.example.org", 8690), False, "relay.example.org"),
        ("relay.example.org:9000", Address("relay.example.org", 9000), False, "relay.example.org:9000"),
        ("tls://relay.example.org", Address("relay.example.org", 443), True, "tls://relay.example.org"),
        ("TLS://relay.example.org:8690/", Address("relay.example.org", 8690), True, "tls://relay.example.org:8690"),
        ("[2001:db8::1]:9000", Address("2001:db8::1", 9000), False, "[2001:db8::1]:9000"),
        ("2001:db8::1", Address("2001:db8::1", 8690), False, "[2001:db8::1]"),
        ("192.0.2.1", Address("192.0.2.1", 8690), False, "192.0.2.1"),
    ],
)
def test_a_relay_is_typed_like_a_host(typed: str, address: Address, is_tls: bool, shown: str) -> None:
    place = parse_relay(typed)
    assert (place.address, place.is_tls, str(place)) == (address, is_tls, shown)
    assert parse_relay(shown) == place


@pytest.mark.parametrize("typed", ["", "a b", "4711@relay", "relay:0", "http://relay"])
def test_what_is_no_relay_is_refused(typed: str) -> None:
    with pytest.raises(AddressError):
        parse_relay(typed)


RELAY = RelayPlace(Address("relay.example.org", 8690))


@pytest.mark.parametrize(
    ("typed", "usual", "number", "code"),
    [
        ("4711-beeswax-caravan-klaxon@relay.example.org", None, "4711", "4711-beeswax-caravan-klaxon"),
        ("4711 beeswax caravan klaxon @ relay.example.org", None, "4711", "4711 beeswax caravan klaxon"),
        ("4711@relay.example.org", None, "4711", ""),
        ("4711-beeswax-caravan-klaxon", RELAY, "4711", "4711-beeswax-caravan-klaxon"),
        ("\u0664\u0667\u0661\u0661-a-b@relay.example.org", None, "4711", "\u0664\u0667\u0661\u0661-a-b"),
    ],
)
def test_a_code_leads_to_its_number_at_a_relay(typed: str, usual: RelayPlace | None, number: str, code: str) -> None:
    found = parse_relayed(typed, usual)
    assert found
    assert (found[0].relay, found[0].ids, found[1]) == (RELAY, (id_of_number(number),), code)
    assert "beeswax" not in f"{found[0]} {found[0]!r}"  # the words are secret, and a way is shown


@pytest.mark.parametrize("typed", ["bob", "192.0.2.1", "bob@relay.example.org", "4711", "host:8689"])
def test_what_is_no_code_at_a_relay_is_something_else(typed: str) -> None:
    assert parse_relayed(typed, RELAY) is None


def test_a_plain_call_does_not_go_through_a_relay() -> None:
    with pytest.raises(AddressError, match="encrypted"):
        resolve("4711-a-b@relay.example.org", None)


def test_the_ids_of_a_contact_change_with_the_day_and_the_side() -> None:
    secret, bob, alice = b"s" * 32, b"b" * 32, b"a" * 32
    ids = {id_of_contact(secret, side, day) for side in (bob, alice) for day in (20_000, 20_001)}
    assert len(ids) == 4
    assert id_of_contact(b"t" * 32, bob, 20_000) not in ids


@pytest.mark.parametrize(("clock", "number"), [("12:00", 1), ("00:30", 2), ("23:10", 2), ("01:01", 1)])
def test_around_midnight_two_days_count(clock: str, number: int) -> None:
    now = datetime.datetime.fromisoformat(f"2026-11-30T{clock}:00+00:00")
    found = days(now)
    assert (len(found), found[0]) == (number, now.timestamp() // 86_400)


def test_what_is_too_fast_is_read_later() -> None:
    pace = Pace(Rate(1000.0, 50_000.0), 0.0)
    passed, now = 0, 0.0
    while now < 60:
        if room := pace.room(now):
            pace.left -= room
            passed += room
        else:
            assert pace.again(now) > now
            now = pace.again(now) + 1e-6
    assert 50_000 + 57_000 <= passed <= 50_000 + 60_000 + CHUNK


def test_who_comes_back_does_so_later_and_later_and_not_all_at_once() -> None:
    assert pause_after(0) == 0
    assert [LADDER[each] <= pause_after(each) <= LADDER[each] + 1 for each in range(len(LADDER))]
    assert LADDER[-1] <= pause_after(1000) <= LADDER[-1] + 1
    assert len({pause_after(5) for _ in range(20)}) > 1


def test_a_number_that_all_know_makes_a_code_easier_to_guess() -> None:
    assert codes_like("", 3, number_is_known=True) == 2**24
    assert codes_like("12345-quiet-test", 0, number_is_known=True) < codes_like("12345-quiet-test", 0)
    assert Guesses("", 3, number_is_known=True).rate < Guesses("", 3).rate
    assert number_of(new_code(3, "4711")) == "4711"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed"), "none of its addresses can be reached"),
        (TimeoutError(), "no answer in time"),
        (ValueError("nats: no servers available"), "nats: no servers available"),
    ],
)
def test_the_loss_of_a_cluster_is_told_without_numbers(error: Exception, words: str) -> None:
    """asyncio makes one OSError of those of several addresses."""
    assert loss_in_words(error) == words
