"""Contacts find each other by ids that only the two can compute."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.peers import wait_until
from voicemux.calls.racing import Race
from voicemux.calls.rendezvous import ids_to_wait_for, meant_by, note_meeting, ways_to_contact
from voicemux.calls.target import resolve
from voicemux.calls.trust import Security, Trust
from voicemux.calls.waiting import RelayPosts
from voicemux.net.address import Address
from voicemux.protocol.messages import Method
from voicemux.relay.places import RelayedWay, RelayPlace
from voicemux.relay.wire import MOST_CALLED, MOST_WAITED
from voicemux.security.contacts import Contacts
from voicemux.security.entries import Contact
from voicemux.security.handshake import Peer
from voicemux.security.meetings import Meeting

ALICE, BOB = "a" * 64, "b" * 64
NOON = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
HERE, THERE = RelayPlace(Address("relay.example.org", 8690)), RelayPlace(Address("other.example.org", 8690))
SECRET, BEFORE = b"s" * 32, b"t" * 32


def bob(*addresses: str) -> Contact:
    return Contact("bob", BOB, addresses, "code", "2026-11-30")


def called(meeting: Meeting, now: datetime.datetime = NOON) -> set[bytes]:
    (way,) = ways_to_contact(bob(), meeting, HERE, "", now)
    return set(way.ids)


def waited(meeting: Meeting, now: datetime.datetime = NOON) -> set[bytes]:
    return set(ids_to_wait_for(BOB, {ALICE: meeting}, [ALICE], now))


def test_what_one_calls_the_other_waits_for() -> None:
    assert called(Meeting((SECRET,))) == waited(Meeting((SECRET,)))


def test_it_is_enough_to_have_one_of_the_last_two_secrets_in_common() -> None:
    assert called(Meeting((SECRET, BEFORE))) & waited(Meeting((BEFORE,)))
    assert called(Meeting((BEFORE,))) & waited(Meeting((SECRET, BEFORE)))


def test_clocks_may_differ_by_an_hour_around_midnight() -> None:
    meeting = Meeting((SECRET, BEFORE))
    for minutes in (-59, -1, 0, 1, 59):
        other = NOON.replace(hour=0) + datetime.timedelta(minutes=minutes)
        assert called(meeting, NOON.replace(hour=0)) & waited(meeting, other)
    assert not called(meeting) & waited(meeting, NOON + datetime.timedelta(days=2))


def test_only_contacts_that_may_call_are_waited_for() -> None:
    assert ids_to_wait_for(BOB, {ALICE: Meeting((SECRET,))}, [], NOON) == ()


def test_as_many_as_there_is_room_for_the_last_first() -> None:
    meetings = {f"{number:064x}": Meeting((SECRET, number.to_bytes(32))) for number in range(100)}
    ids = ids_to_wait_for(BOB, meetings, set(meetings), NOON)
    assert len(ids) <= MOST_WAITED
    last = ids_to_wait_for(BOB, {f"{99:064x}": meetings[f"{99:064x}"]}, set(meetings), NOON)
    assert set(last) <= set(ids)
    assert len(called(Meeting((SECRET, BEFORE)), NOON.replace(hour=0))) <= MOST_CALLED


def test_the_relay_of_the_last_call_is_tried_and_then_the_usual_one() -> None:
    meeting = Meeting((SECRET,), "other.example.org")
    assert [each.relay for each in ways_to_contact(bob(), meeting, HERE, "", NOON)] == [THERE, HERE]
    assert [each.relay for each in ways_to_contact(bob(), meeting, None, "", NOON)] == [THERE]
    assert [each.relay for each in ways_to_contact(bob(), meeting, THERE, "", NOON)] == [THERE]
    assert ways_to_contact(bob(), None, HERE, "", NOON) == ()
    assert ways_to_contact(bob(), Meeting((SECRET,), "a b"), None, "", NOON) == ()


def test_a_token_is_not_said_to_another_relay() -> None:
    ways = ways_to_contact(bob(), Meeting((SECRET,), "other.example.org"), HERE, "sesame", NOON)
    assert [each.relay.token for each in ways] == ["", ""]
    (way,) = ways_to_contact(bob(), Meeting((SECRET,), "other.example.org"), None, "sesame", NOON)
    assert way.relay.token == "sesame"


class Known:
    """One contact."""

    def __init__(self, contact: Contact) -> None:
        self.contact = contact

    def named(self, _: str) -> Contact:
        return self.contact


def test_a_contact_without_an_address_is_called_through_the_relay() -> None:
    way = RelayedWay(HERE, (SECRET,))
    known: Any = Known(bob())
    assert resolve("bob", known, through=lambda _: (way,)).ways == (way,)
    known = Known(bob("192.0.2.1"))
    direct = Address("192.0.2.1", 8689)
    both = resolve("bob", known, through=lambda _: (way,)).ways
    assert both == (direct, way)
    assert (Race.is_for(both), Race.is_for((way,)), Race.is_for((direct,))) == (True, False, False)


def test_nothing_is_noted_of_a_peer_that_may_be_anyone() -> None:
    class Nothing:
        def note(self, *_: object) -> None:
            raise AssertionError

    nothing: Any = Nothing()
    note_meeting(nothing, Peer(BOB, Method.OPEN, (), SECRET), "")
    note_meeting(nothing, Peer(BOB, Method.KNOWN, ()), "")


# --- secrets that cannot be read


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """We know bob by one address, and a folder is in the place of the secrets that we share with him."""
    contacts = Contacts(tmp_path)
    contacts.remember("bob", BOB, "192.0.2.7:8689", "code")
    (tmp_path / "meetings.json").mkdir()
    return Trust(Security(tmp_path, allowed=("bob",)))


def test_a_contact_is_still_called_directly(trust: Trust) -> None:
    told: list[str] = []
    assert meant_by("bob", trust, HERE, "", told.append).ways == (Address("192.0.2.7", 8689),)
    (words,) = told
    assert "meetings.json is not a file" in words
    assert words.endswith("; bob cannot be called through a relay")


def test_a_listener_tells_once_that_no_contact_can_call_through_the_relay(
    trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.relay.post.CHECK", 0.01)
    told: list[str] = []
    looks: list[str] = []
    read = trust.meetings.all
    monkeypatch.setattr(trust.meetings, "all", lambda: looks.append("") or read())
    posts = RelayPosts(HERE, trust, told.append)
    posts.begin()
    posts.start(lambda _: None)
    try:
        wait_until(lambda: len(looks) >= 3)
    finally:
        posts.close()
    (words,) = told
    assert "meetings.json is not a file" in words
    assert words.endswith("no contact can call through the relay relay.example.org")
