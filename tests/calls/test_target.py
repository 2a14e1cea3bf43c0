from pathlib import Path

import pytest

from voicemux.calls.target import Target, resolve
from voicemux.errors import AddressError, SecurityError
from voicemux.net.address import DEFAULT_PORT, Address
from voicemux.security.directory import Directory
from voicemux.security.entries import Contact, Entries


def directory(*contacts: Contact) -> Directory:
    return Directory(Path("contacts.json"), lambda: Entries(contacts))


def contact(name: str, *addresses: str) -> Contact:
    return Contact(name, "b" * 64, addresses, "code", "2026-11-30")


def test_a_contact_is_meant_by_its_name_and_called_at_its_addresses_in_turn():
    bob = contact("bob", "bob.example", "192.0.2.7:9000", "bob.example")
    known = directory(bob)
    ways = (Address("bob.example", DEFAULT_PORT), Address("192.0.2.7", 9000))
    assert resolve("BOB", known) == Target("BOB", ways, bob, known)


def test_a_port_behind_a_name_is_that_of_the_contacts_hosts():
    bob = contact("bob", "bob.example", "192.0.2.7:9000")
    target = resolve("bob:9001", directory(bob))
    assert target.ways == (Address("bob.example", 9001), Address("192.0.2.7", 9001))
    assert target.contact is bob


@pytest.mark.parametrize("text", ["192.0.2.7", "bob.example", "localhost:9000", "[::1]:9000"])
def test_what_looks_like_an_address_means_the_place_and_no_contact(text):
    target = resolve(text, directory(contact("bob", "bob.example", "192.0.2.7")))
    assert target.contact is None
    assert list(map(str, target.ways)) == [text]


def test_a_plain_call_knows_no_contacts():
    assert resolve("bob", None) == Target("bob", (Address("bob", DEFAULT_PORT),))


def test_what_is_written_down_and_is_no_address_is_told_and_passed_over():
    told: list[str] = []
    target = resolve("bob", directory(contact("bob", "bob:voice", "bob.example")), told.append)
    assert list(map(str, target.ways)) == ["bob.example"]
    assert told == ["an address of bob cannot be used: 'voice' is not a port: expected a number from 1 to 65535"]


def test_a_contact_without_an_address_that_can_be_used_is_an_error():
    with pytest.raises(SecurityError, match=r"^no address of bob is known: "):
        resolve("bob", directory(contact("bob")))
    with pytest.raises(AddressError, match=r"^an address of bob cannot be used: "):
        resolve("bob", directory(contact("bob", "bob:voice")))


def test_contacts_that_cannot_be_read_are_asked_for_again_at_the_next_question():
    answers: list[SecurityError | Entries] = [
        SecurityError("the file is damaged"),
        Entries((contact("bob", "bob.example"),)),
    ]

    def read() -> Entries:
        if isinstance(answer := answers.pop(0), SecurityError):
            raise answer
        return answer

    known = Directory(Path("contacts.json"), read)
    with pytest.raises(SecurityError):
        resolve("bob", known)
    assert resolve("bob", known) == resolve("bob", known)
    assert answers == []
