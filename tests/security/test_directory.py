from pathlib import Path

import pytest

from voicemux.errors import SecurityError
from voicemux.security import files
from voicemux.security.contacts import FILE, Contacts

BOB, EVE = "b0" * 32, "ee" * 32  # fingerprints
AT = "bob.example"


@pytest.fixture
def contacts(tmp_path: Path) -> Contacts:
    contacts = Contacts(tmp_path)
    contacts.remember("eve", EVE, "", "code")
    contacts.remember("bob", BOB, AT, "code")
    return contacts


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch, contacts: Contacts) -> list[str]:
    """What is done with the file from now on."""
    done, read, write = list[str](), files.read, files.write

    def noted_read(path: Path, most: int) -> bytes | None:
        done.append("read")
        return read(path, most)

    def noted_write(path: Path, content: bytes) -> None:
        done.append("written")
        write(path, content)

    monkeypatch.setattr(files, "TICK", 10**20)  # what has been read counts as changed at once
    monkeypatch.setattr(files, "read", noted_read)
    monkeypatch.setattr(files, "write", noted_write)
    return done


def test_nothing_is_read_before_the_first_question_and_nothing_after_it(contacts, touched):
    known = contacts.directory()
    assert touched == []
    assert known.named("bob") == known.with_fingerprint(BOB) == known.at(AT) == known.all()[-1]
    assert known.passed_over() == ""
    assert touched == ["read"]


def test_what_others_change_meanwhile_is_for_the_next_call(contacts):
    known = contacts.directory()
    assert known.named("bob")
    contacts.forget("bob")
    assert known.named("bob")
    assert contacts.directory().named("bob") is None


def test_to_meet_again_who_was_met_last_leaves_the_file_alone(contacts, touched):
    known = contacts.directory()
    assert contacts.remember("bob", BOB, AT, "key", known=known) == known.named("bob")
    assert contacts.remember("bob", BOB, "", "key", known=known) == known.named("bob")
    assert touched == ["read"]


@pytest.mark.parametrize(
    ("name", "key", "address"), [("eve", EVE, ""), ("eve", EVE, "eve.example"), ("bob", BOB, "elsewhere.example")]
)
def test_what_is_new_of_a_contact_is_written_to_what_the_file_says_now_and_known_afterwards(
    contacts, touched, name, key, address
):
    known = contacts.directory()
    known.all()
    contacts.remember("carol", "ca" * 32, "", "code")
    touched.clear()
    contact = contacts.remember(name, key, address, "key", known=known)
    if address:
        assert touched == ["read", "written"]
        assert known.all() == contacts.directory().all()
        assert {each.name for each in known.all()} == {"eve", "bob", "carol"}
    assert known.with_fingerprint(key) == contact
    assert contact.address == address


def test_a_new_contact_is_added_once_and_the_file_is_read_again_under_the_lock(contacts, touched):
    known = contacts.directory()
    dave = contacts.remember("dave", "da" * 32, "", "code", known=known)
    assert contacts.remember("dave", "da" * 32, "", "code", known=known) == dave
    assert touched == ["read", "read", "written"]


def test_a_file_that_cannot_be_read_is_an_error_at_each_question_until_it_can(contacts, tmp_path):
    path = tmp_path / FILE
    good = path.read_bytes()
    path.write_bytes(b"{")
    known = contacts.directory()
    for ask in (known.all, known.passed_over, lambda: known.named("bob"), lambda: known.with_fingerprint(BOB)):
        with pytest.raises(SecurityError, match="is damaged"):
            ask()
    path.write_bytes(good)
    assert known.named("bob")
