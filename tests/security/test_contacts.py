import contextlib
import datetime
import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from voicemux.errors import SecurityError
from voicemux.security import contacts as contacts_module
from voicemux.security import files
from voicemux.security.contacts import Contacts
from voicemux.security.entries import Contact

LOCK_FILE = "contacts.json.lock"
BOB, EVE = "b0" * 32, "ee" * 32  # fingerprints
TODAY = datetime.date.today().isoformat()
ENTRY: dict[str, object] = {"name": "bob", "fingerprint": BOB, "addresses": [], "how": "code", "since": "2026-01-31"}


@pytest.fixture
def contacts(tmp_path):
    return Contacts(tmp_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "contacts.json"


def fingerprint(number: int) -> str:
    return f"{number:064x}"


def contact(entry: dict[str, object], *addresses: str) -> Contact:
    return Contact(**{**entry, "addresses": addresses})  # type: ignore[arg-type]


def names(contacts: Contacts) -> list[str]:
    return [contact.name for contact in contacts.directory().all()]


# --- remembered


def test_at_first_nobody_is_known_and_asking_makes_no_file(contacts, path):
    assert contacts.directory().all() == []
    assert (
        contacts.directory().named("bob"),
        contacts.directory().with_fingerprint(BOB),
        contacts.directory().at("bob.example"),
    ) == (None, None, None)
    assert list(path.parent.iterdir()) == []


def test_whoever_is_remembered_is_found_by_name_key_and_address(contacts, path):
    bob = contacts.remember("bob", BOB, "bob.example", "code")
    contacts.remember("eve", EVE, "eve.example:7000", "words")
    assert bob == Contact("bob", BOB, ("bob.example",), "code", TODAY)
    for known in (contacts, Contacts(path.parent)):
        assert (
            known.directory().named("bob")
            == known.directory().with_fingerprint(BOB)
            == known.directory().at("bob.example")
            == bob
        )
        assert (
            known.directory().named("alice")
            is known.directory().with_fingerprint("a" * 64)
            is known.directory().at("eve.example")
            is None
        )


def test_the_file_is_for_people_too(contacts, path):
    contacts.remember("Zoë", BOB, "zoe.example", "code")
    expected = {"name": "Zoë", "fingerprint": BOB, "addresses": ["zoe.example"], "how": "code", "since": TODAY}
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == [expected]
    assert '    "name": "Zoë",\n' in text


def test_what_people_change_in_the_file_counts_at_once(contacts, path):
    contacts.remember("bob", BOB, "", "code")
    path.write_text(path.read_text().replace('"bob"', '"robert"'))
    assert names(contacts) == ["robert"]


def test_whoever_is_known_keeps_name_date_and_how_and_gets_the_new_address(contacts, path):
    path.write_text(json.dumps([ENTRY]))
    now = contact(ENTRY, "new.example")
    assert contacts.remember("robert", BOB, "new.example", "key") == now
    assert contacts.directory().all() == [now]
    contacts.remember("robert", BOB, "", "key")
    assert contacts.directory().at("new.example").name == "bob"


def test_of_two_at_the_same_address_the_last_who_was_met_there_counts(contacts):
    contacts.remember("bob", BOB, "home.example", "code")
    contacts.remember("eve", EVE, "home.example", "code")
    assert contacts.directory().at("home.example").name == "eve"
    contacts.remember("bob", BOB, "home.example", "code")
    assert contacts.directory().at("home.example").name == "bob"


def test_nobody_is_at_no_address(contacts):
    contacts.remember("bob", BOB, "", "code")
    assert contacts.directory().at("") is None


def test_an_address_that_was_pasted_with_something_invisible_does_no_harm(contacts):
    contacts.remember("bob", BOB, "bob\u200b.example", "code")
    assert contacts.directory().all()[0].address == "bob.example"
    assert (
        contacts.directory().at("bob\u200b.example")
        == contacts.directory().at("bob.example")
        == contacts.directory().named("bob")
    )


def test_where_nothing_changes_nothing_is_written(contacts, path):
    contacts.remember("bob", BOB, "bob.example", "code")
    before = path.stat()
    contacts.remember("bob", BOB, "bob.example", "key")
    contacts.remember("bob", BOB, "", "key")
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# --- names


def test_a_name_that_is_taken_gets_a_number(contacts):
    for number, name in enumerate(["bob", "bob", "Bob", "bob-2", "alice"]):
        contacts.remember(name, fingerprint(number), "", "code")
    assert names(contacts) == ["bob", "bob-2", "Bob-3", "bob-2-2", "alice"]


def test_whoever_has_no_name_gets_one(contacts):
    for number, name in enumerate(["", " \t", "\x00\x1b", "\u200b"]):
        contacts.remember(name, fingerprint(number), "", "code")
    assert names(contacts) == ["unnamed", "unnamed-2", "unnamed-3", "unnamed-4"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("b\x1b[31mob", "b[31mob"),
        ("bob\n", "bob"),
        ("\u202ebob", "bob"),
        ("bo\ud800b", "bob"),
        ("  bob   the  second ", "bob the second"),
        ("../../etc/passwd", "_--_etc_passwd"),
        ("..", "unnamed"),
        (".bashrc", "bashrc"),
        ("--open", "open"),
        ("bob> hi", "bob_ hi"),
        ("n" * 40, "n" * 31 + "…"),
        ("10.1.2.3", "10-1-2-3"),
        ("kitchen.lan", "kitchen-lan"),
        ("fd00::5", "fd00__5"),
        ("alice@kitchen", "alice-kitchen"),
        ("8689", "unnamed-8689"),
        ("0x7f000001", "unnamed-0x7f000001"),
        ("LocalHost", "unnamed-LocalHost"),
        ("\uff18\uff16\uff18\uff19", "unnamed-\uff18\uff16\uff18\uff19"),
        ("Dr. Who", "Dr. Who"),
        ("voicemux", "voicemux-2"),
        ("V\u043eiceMux", "V\u043eiceMux-2"),
        ("日本", "日本"),
        ("Zoë-Ann O'Neill", "Zoë-Ann O'Neill"),
    ],
)
def test_a_name_is_kept_without_what_cannot_be_shown(contacts, said, name):
    assert contacts.remember(said, BOB, "", "code").name == name
    assert names(contacts) == [name]


@pytest.mark.parametrize(
    ("one", "other"), [("bob", "BOB"), ("straße", "STRASSE"), ("zoe\u0308", "zo\u00eb"), ("\uff42ob", "bob")]
)
def test_names_that_differ_in_case_or_form_only_are_the_same(contacts, one, other):
    contacts.remember(one, BOB, "", "code")
    assert (
        contacts.directory().named(other)
        == contacts.directory().named(f" {other} ")
        == contacts.directory().with_fingerprint(BOB)
    )
    assert contacts.remember(other, EVE, "", "code").name == f"{other}-2"


hostile_names = st.text(max_size=12) | st.lists(
    st.sampled_from(["bob", "BOB", "ß", "ss", "-2", "-", " ", "\x00", "\u0130", "\u0345", "\u03c2", "\ufb01"])
).map("".join)


@given(st.lists(st.tuples(hostile_names, st.integers(0, 5), st.sampled_from(["", "a", "b"])), max_size=8))
@settings(max_examples=50)  # each of them writes to the disk
def test_whatever_people_call_themselves_every_key_has_one_name_that_finds_it(tmp_path_factory, met):
    contacts = Contacts(tmp_path_factory.mktemp("contacts"))
    for name, number, address in met:
        contacts.remember(name, fingerprint(number), address, "words")
    found = contacts.directory().all()
    assert {contact.fingerprint for contact in found} == {fingerprint(number) for _, number, _ in met}
    assert len(found) == len({contact.fingerprint for contact in found})
    for contact in found:
        assert contact.name.isprintable()
        assert contact.name == contact.name.strip() != ""
        assert [each for each in found if each == contacts.directory().named(contact.name)] == [contact]
        assert contacts.directory().named(contact.name.upper()) in (
            contact,
            None,
        )  # not all letters come back from upper case


# --- those who have not said their name yet


def test_who_said_no_name_is_called_by_the_host_until_it_says_one(contacts, path):
    assert contacts.remember("", BOB, "10.0.0.5", "code", host="10.0.0.5").name == "10-0-0-5"
    assert contacts.remember("", BOB, "", "code", host="10.0.0.6").name == "10-0-0-5"
    assert Contacts(path.parent).remember("bob", BOB, "", "key").name == "bob"
    assert contacts.remember("robert", BOB, "bob.example", "key").name == "bob"
    assert "unnamed" not in path.read_text()


@pytest.mark.parametrize("said", ["eve", "\u0435ve", "EVE", "alice", "voicemux", "10.0.0.7", ""])
def test_a_name_that_is_taken_or_none_replaces_no_host(contacts, said):
    contacts.remember("eve", EVE, "", "code")
    contacts.remember("", BOB, "10.0.0.5", "code", host="10.0.0.5")
    assert contacts.remember(said, BOB, "10.0.0.5", "key", taken=["alice"]).name == "10-0-0-5"
    assert contacts.remember("bob", BOB, "10.0.0.5", "key", taken=["alice"]).name == "bob"


def test_a_name_that_the_user_has_chosen_stays(contacts):
    contacts.remember("", BOB, "kitchen", "code", host="kitchen")
    contacts.rename("kitchen", "kitchen")
    assert contacts.remember("bob", BOB, "kitchen", "key").name == "kitchen"


# --- renamed, and forgotten


def test_a_contact_that_is_renamed_keeps_everything_else(contacts):
    contacts.remember("bob", BOB, "bob.example", "code")
    contacts.remember("eve", EVE, "", "words")
    contacts.rename("BOB", "  robert ")
    assert names(contacts) == ["robert", "eve"]
    assert contacts.directory().named("robert") == Contact("robert", BOB, ("bob.example",), "code", TODAY)


def test_a_name_may_change_its_case(contacts):
    contacts.remember("bob", BOB, "", "code")
    contacts.rename("bob", "Bob")
    assert names(contacts) == ["Bob"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("alice", "carol", "no contact is called 'alice'"),
        ("", "carol", "no contact is called ''"),
        ("al\x1bice", "carol", r"no contact is called 'al\\x1bice'"),
        ("bob", "EVE", "EVE is the name of another contact"),
        ("bob", "\u0435ve", "\u0435ve looks like eve, another contact"),
        ("bob", "b" * 33, "'b+' cannot be a name: expected at most 32 characters"),
        ("bob", "-bob", "'-bob' cannot be a name: expected 'bob'"),
        ("bob", "", "a contact needs a name"),
        ("bob", "  ", "a contact needs a name"),
        ("bob", "ro\x1bbert", r"'ro\\x1bbert' cannot be a name"),
        ("bob", "ro\nbert", r"'ro\\nbert' cannot be a name"),
        ("bob", "robert\u202e", r"'robert\\u202e' cannot be a name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_changes(contacts, path, old, new, why):
    contacts.remember("bob", BOB, "", "code")
    contacts.remember("eve", EVE, "", "code")
    before = path.read_bytes()
    with pytest.raises(SecurityError, match=f"^{why}"):
        contacts.rename(old, new)
    assert path.read_bytes() == before


def test_whoever_is_forgotten_is_a_stranger_again(contacts):
    contacts.remember("bob", BOB, "bob.example", "code")
    contacts.remember("eve", EVE, "", "code")
    contacts.forget("Bob")
    assert names(contacts) == ["eve"]
    assert contacts.directory().with_fingerprint(BOB) is None
    with pytest.raises(SecurityError, match=r"^no contact is called 'bob'$"):
        contacts.forget("bob")


# --- two at once

REMEMBER_MANY = """
import sys
from pathlib import Path
from voicemux.security.contacts import Contacts
contacts, first = Contacts(Path(sys.argv[1])), int(sys.argv[2])
print(flush=True)
sys.stdin.readline()
for number in range(first, first + 20):
    contacts.remember("bob", f"{number:064x}", "", "code")
"""


def test_two_programs_at_once_lose_nothing(tmp_path):
    folder = tmp_path / "new"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", REMEMBER_MANY, folder, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (0, 20)
    ]
    for program in programs:
        assert program.stdin
        assert program.stdout
        program.stdout.readline()
    for program in programs:
        assert program.stdin
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate()
    assert [program.returncode for program in programs] == [0, 0]
    found = Contacts(folder).directory().all()
    assert {contact.fingerprint for contact in found} == {fingerprint(number) for number in range(40)}
    assert {contact.name for contact in found} == {"bob", *(f"bob-{number}" for number in range(2, 41))}


def test_whoever_comes_while_another_changes_the_contacts_waits_for_it(contacts, tmp_path):
    remembered = threading.Event()

    def remember() -> None:
        contacts.remember("bob", BOB, "", "code")
        remembered.set()

    thread = threading.Thread(target=remember)
    with FileLock(tmp_path / LOCK_FILE):
        thread.start()
        assert not remembered.wait(0.2)
        assert contacts.directory().all() == []  # to look needs no waiting
    assert remembered.wait(20)
    thread.join()


def test_after_a_refusal_the_contacts_can_be_changed_at_once(contacts, path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    path.write_text("[")
    with pytest.raises(SecurityError) as refused:
        contacts.forget("bob")
    path.write_text("[]")
    contacts.remember("bob", BOB, "", "code")
    assert refused.value.__traceback__  # what was raised is still at hand, and all that it refers to


# --- files


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_folder_and_files_are_the_owners_only_whatever_the_umask(tmp_path, mask):
    folder = tmp_path / "share" / "voicemux"
    with umask(mask):
        Contacts(folder).remember("bob", BOB, "", "code")
    assert [mode_of(each) for each in (folder.parent, folder)] == [0o700, 0o700]
    assert {path.name: mode_of(path) for path in folder.iterdir()} == {"contacts.json": 0o600, LOCK_FILE: 0o600}


DAMAGED = {
    "no JSON in line 1, expecting value": "",
    "no JSON in line 2, expecting value": '[\n{"name": }]',
    "no JSON in line 1, unterminated string starting at": '[{"name": "bo',
    "no JSON": "[" * 100_000,
    "no list of contacts": json.dumps(ENTRY),
}
UNFIT = {  # what is wrong with the first entry
    "it has not exactly name, fingerprint, addresses, how, since": [
        *('["bob"]', "[[]]", "[null]", "[9]"),
        json.dumps([{"name": "bob"}]),
        json.dumps([{**ENTRY, "nickname": "bobby"}]),
        json.dumps([{**ENTRY, "address": "bob.example"}]),
        json.dumps([{**ENTRY, "unnamed": "yes"}]),
    ],
    "it has 'name' twice": [json.dumps([ENTRY]).replace('{"name"', '{"name": "rob", "name"')],
    "its name is not text": [json.dumps([{**ENTRY, "name": None}])],
    "its how is not text": [json.dumps([{**ENTRY, "how": ["code"]}])],
    "its addresses are not a list of plain texts": [
        json.dumps([{**ENTRY, "addresses": wrong}])
        for wrong in ([8689], ["bob\x1b.example"], "bob.example", None, {"bob.example": 1})
    ],
    "a contact needs a name": [json.dumps([{**ENTRY, "name": name}]) for name in ("", "  ")],
    "cannot be a name: it holds something that cannot be shown": [
        json.dumps([{**ENTRY, "name": f"bob{character}"}]) for character in "\x00\n\x1b\u202e\ud800\u200b"
    ],
    "cannot be a name: it would be taken for an address": [
        json.dumps([{**ENTRY, "name": name}]) for name in ("10.1.2.3", "localhost", "8689", "bob:9240", "\uff11")
    ],
    "cannot be a name: expected at most 32 characters": [json.dumps([{**ENTRY, "name": "b" * 33}])],
    "cannot be a name: expected 'bob_ hi'": [json.dumps([{**ENTRY, "name": "bob> hi"}])],
    "'guess' is not a valid how": [json.dumps([{**ENTRY, "how": "guess"}])],
    "'now' is not a valid since": [json.dumps([{**ENTRY, "since": "now"}])],
    "'2026-02-30' is not a valid since": [json.dumps([{**ENTRY, "since": "2026-02-30"}])],
    "is not a valid fingerprint": [
        json.dumps([{**ENTRY, "fingerprint": wrong}]) for wrong in (BOB[1:], f"{BOB}0", f"g{BOB[1:]}", f"{BOB}\n")
    ],
}
EVES: dict[str, object] = {**ENTRY, "name": "eve", "fingerprint": EVE}


def assert_refused(contacts: Contacts, path: Path, what: str = "") -> None:
    """Whatever is asked for, and the file stays as it is."""
    before = path.read_bytes()
    for attempt in (
        contacts.directory().all,
        lambda: contacts.directory().named("bob"),
        lambda: contacts.directory().with_fingerprint(BOB),
        lambda: contacts.directory().at("bob.example"),
        lambda: contacts.remember("eve", EVE, "", "code"),
        lambda: contacts.rename("bob", "robert"),
        lambda: contacts.forget("bob"),
    ):
        with pytest.raises(SecurityError) as refused:
            attempt()
        line = str(refused.value)
        assert line.startswith(f"{path} is damaged ({what}")
        assert line.endswith("): mend it, or move it away")
        assert line.isprintable()
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_refused_with_the_reason_and_never_written_over(contacts, path, what):
    path.write_text(DAMAGED[what])
    assert_refused(contacts, path, f"{what})")


@pytest.mark.parametrize(
    ("why", "text"), [(why, text) for why in UNFIT for text in UNFIT[why]], ids=lambda value: value[:60]
)
def test_an_entry_that_cannot_be_used_is_named_and_kept_and_the_rest_works(contacts, path, why, text):
    unfit = text[1:-1]
    path.write_text(f"[{unfit},{json.dumps(EVES)}]")
    assert contacts.directory().all() == [contact(EVES)]
    told = contacts.directory().passed_over()
    assert told.startswith(f"{path} has entries that are passed over: contact 1")
    assert why in told
    assert told.isprintable()
    contacts.remember("eve", EVE, "eve.example", "key")
    contacts.remember("carol", fingerprint(7), "", "code")
    assert path.read_text().endswith(f",\n  {unfit}\n]\n")
    assert names(Contacts(path.parent)) == ["eve", "carol"]
    assert Contacts(path.parent).directory().passed_over().endswith(told.partition("contact 1")[2])


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"name": "BOB", "fingerprint": EVE}, "its name is that of bob, or looks like it"),
        ({"name": "b\u043eb", "fingerprint": EVE}, "its name is that of bob, or looks like it"),
        ({"name": "eve", "fingerprint": BOB}, "it has the key of bob"),
    ],
)
def test_of_two_that_contradict_each_other_the_first_counts_whatever_is_written(contacts, path, second, why):
    path.write_text(json.dumps([ENTRY, {**ENTRY, **second}]))
    for _ in range(2):
        assert contacts.directory().all() == [contact(ENTRY)]
        assert why in contacts.directory().passed_over()
        contacts.remember("carol", fingerprint(7), "carol.example", "code")
        contacts.remember("bob", BOB, "", "code")
        contacts.forget("carol")


@pytest.mark.parametrize("second", [{"name": "bob", "fingerprint": EVE}, {"name": "eve", "fingerprint": BOB}])
def test_nobody_takes_the_place_of_a_contact_that_is_forgotten(contacts, path, second):
    path.write_text(json.dumps([ENTRY, {**ENTRY, **second}]))
    contacts.forget("bob")
    assert json.loads(path.read_text()) == []


def test_who_is_passed_over_is_not_called_by_that_name_and_can_be_forgotten(contacts, path):
    path.write_text(json.dumps([{**ENTRY, "since": "now"}, EVES]))
    wrong = r"an entry that cannot be used, contact 1 \('bob'\): 'now' is not a valid since"
    with pytest.raises(SecurityError, match=wrong):
        contacts.directory().named("Bob")
    contacts.forget("bob")
    assert contacts.directory().passed_over() == ""
    assert json.loads(path.read_text()) == [EVES]


def test_many_entries_that_cannot_be_used_are_told_in_one_line(contacts, path):
    path.write_text(json.dumps([*[{**ENTRY, "name": "n" * 10_000}] * 100, EVES]))
    assert contacts.directory().passed_over().endswith("; and 97 more")
    assert len(contacts.directory().passed_over()) < 600
    assert names(contacts) == ["eve"]


@pytest.mark.parametrize("content", [b"\xff\xfe\xfd", b"\x00" * 10, b"9" * 10_000])
def test_what_is_no_text_at_all_is_damage(contacts, path, content):
    path.write_bytes(content)
    assert_refused(contacts, path, "no ")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
@settings(max_examples=50)  # each of them writes to the disk
def test_whatever_json_is_in_the_file_is_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("contacts")
    (folder / "contacts.json").write_text(json.dumps(content))
    if isinstance(content, list):
        assert Contacts(folder).directory().all() == []
        assert bool(Contacts(folder).directory().passed_over()) == bool(content)
    else:
        with pytest.raises(SecurityError):
            Contacts(folder).directory().all()


def test_an_editor_that_marks_the_beginning_of_the_file_does_no_harm(contacts, path):
    path.write_text(json.dumps([ENTRY]), encoding="utf-8-sig")
    assert contacts.directory().all() == [contact(ENTRY)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_no_more_loses_nothing(contacts, path, monkeypatch, number):
    contacts.remember("bob", BOB, "", "code")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(SecurityError, match=rf"^cannot write .*contacts\.json: {os.strerror(number).lower()} \("):
            contacts.remember("eve", EVE, "", "code")
    assert names(contacts) == ["bob"]
    assert {each.name for each in path.parent.iterdir()} == {"contacts.json", LOCK_FILE}
    contacts.remember("eve", EVE, "", "code")


def test_a_file_in_place_of_the_folder_is_said_to_be_one(tmp_path):
    (tmp_path / "file").touch()
    contacts = Contacts(tmp_path / "file")
    with pytest.raises(SecurityError, match=r"^cannot read .*contacts\.json: not a directory \("):
        contacts.directory().all()
    with pytest.raises(SecurityError, match=r"^cannot make the folder .*file: file exists \("):
        contacts.remember("bob", BOB, "", "code")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may do everything")
def test_in_a_folder_that_may_only_be_read_contacts_are_known_and_none_are_made(contacts, tmp_path):
    contacts.remember("bob", BOB, "", "code")
    (tmp_path / LOCK_FILE).unlink()
    tmp_path.chmod(0o500)
    try:
        assert names(contacts) == ["bob"]
        with pytest.raises(SecurityError, match="permission denied"):
            contacts.remember("eve", EVE, "", "code")
    finally:
        tmp_path.chmod(0o700)


# --- several addresses


def test_the_address_that_worked_last_comes_first(contacts):
    for address in ("home.example", "office.example", "home.example"):
        bob = contacts.remember("bob", BOB, address, "code")
    assert bob.addresses == ("home.example", "office.example")
    assert contacts.directory().at("office.example") == contacts.directory().at("home.example") == bob


@pytest.mark.parametrize("tunnel", ["127.0.0.1:9230", "[::1]:9230", "::1", "localhost:9230", "127.9.9.9"])
def test_a_tunnel_never_comes_before_a_real_address(contacts, tunnel):
    assert contacts.remember("bob", BOB, tunnel, "code").addresses == (tunnel,)
    assert contacts.remember("bob", BOB, "home.example", "code").addresses == ("home.example", tunnel)
    assert contacts.remember("bob", BOB, tunnel, "code").addresses == ("home.example", tunnel)


def test_of_many_addresses_the_last_are_kept(contacts):
    for number in range(20):
        bob = contacts.remember("bob", BOB, f"{number}.example", "code")
    assert bob.addresses == tuple(f"{number}.example" for number in range(19, 11, -1))


def test_addresses_are_added_and_dropped_by_hand(contacts):
    contacts.remember("bob", BOB, "home.example", "code")
    contacts.add_address("Bob", "127.0.0.1:9230")
    assert contacts.directory().named("bob").addresses == ("127.0.0.1:9230", "home.example")
    contacts.drop_address("bob", "home.example")
    assert contacts.directory().named("bob").addresses == ("127.0.0.1:9230",)
    with pytest.raises(SecurityError, match=r"home.example is not an address of bob \(known: 127.0.0.1:9230\)"):
        contacts.drop_address("bob", "home.example")
    with pytest.raises(SecurityError, match="no contact is called"):
        contacts.add_address("eve", "home.example")


def test_a_file_of_before_with_one_address_is_read(contacts, path):
    old = {key: value for key, value in ENTRY.items() if key != "addresses"}
    path.write_text(
        json.dumps([{**old, "address": "bob.example"}, {**old, "name": "eve", "fingerprint": EVE, "address": ""}])
    )
    assert contacts.directory().all() == [
        contact(ENTRY, "bob.example"),
        contact({**ENTRY, "name": "eve", "fingerprint": EVE}),
    ]
    contacts.forget("eve")
    assert json.loads(path.read_text()) == [{**ENTRY, "addresses": ["bob.example"]}]


# --- names that look alike


@pytest.mark.parametrize(
    "name", ["b\u043eb", "bob\ufe0f", "bob\u180b", "\u2800bob", "b\u0305ob", "\uff42ob", "bob\u200d", "BOB"]
)
def test_a_new_contact_never_looks_like_another(contacts, name):
    contacts.remember("bob", BOB, "", "code")
    assert contacts.remember(name, EVE, "", "code").name.endswith("-2")


def test_a_new_contact_does_not_look_like_the_user(contacts):
    assert contacts.remember("\u0430lice", BOB, "", "code", taken=["alice"]).name == "\u0430lice-2"


def test_a_long_name_that_is_taken_has_room_for_its_number(contacts):
    for number in range(12):
        last = contacts.remember("n" * 40, fingerprint(number), "", "code").name
    assert last == "n" * 28 + "…-12"
    assert {len(name) for name in names(contacts)} == {32}


@pytest.mark.parametrize("new", ["10.1.2.3", "localhost", "8689", "bob:9240"])
def test_no_contact_can_be_named_like_an_address(contacts, new):
    contacts.remember("bob", BOB, "", "code")
    with pytest.raises(SecurityError, match="it would be taken for an address"):
        contacts.rename("bob", new)


# --- files that are not what they should be


def refused(act) -> str:
    with pytest.raises(SecurityError) as refusal:
        act()
    assert str(refusal.value).isprintable()
    return str(refusal.value)


posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


@posix
def test_contacts_that_others_can_change_are_refused(contacts, path):
    contacts.remember("bob", BOB, "", "code")
    for mode in (0o666, 0o620, 0o602):
        path.chmod(mode)
        assert refused(contacts.directory().all) == f"{path} can be changed by others (mode {mode:04o}): chmod 600 it"
    path.chmod(0o644)
    assert names(contacts) == ["bob"]


@posix
def test_contacts_in_a_folder_that_others_can_change_are_refused(contacts, path):
    contacts.remember("bob", BOB, "", "code")
    path.parent.chmod(0o777)
    assert refused(contacts.directory().all) == f"{path.parent} can be changed by others (mode 0777): chmod 700 it"
    path.parent.chmod(0o755)
    assert names(contacts) == ["bob"]


@posix
def test_a_link_to_the_contacts_stays_one(tmp_path):
    real, folder = tmp_path / "synchronised", tmp_path / "home"
    for each in (real, folder):
        each.mkdir(mode=0o700)
    (folder / "contacts.json").symlink_to(real / "people.json")
    contacts = Contacts(folder)
    contacts.remember("bob", BOB, "", "code")
    contacts.remember("eve", EVE, "", "code")
    assert (folder / "contacts.json").is_symlink()
    assert names(contacts) == ["bob", "eve"]
    real.chmod(0o777)
    assert "can be changed by others" in refused(contacts.directory().all)


@posix
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_contacts_that_are_no_file_are_refused(contacts, path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert refused(contacts.directory().all) == f"{path} is not a file that can be read: it is a {kind}"


def test_contacts_that_fill_the_memory_are_refused(contacts, path):
    with path.open("wb") as file:
        file.truncate(20_000_000)
    assert refused(contacts.directory().all) == f"{path} is too big: expected at most 16 MB"


def test_there_is_an_end_to_the_contacts_that_are_made(contacts, monkeypatch):
    monkeypatch.setattr(contacts_module, "MOST_CONTACTS", 2)
    contacts.remember("bob", BOB, "", "code")
    contacts.remember("eve", EVE, "", "code")
    assert "room for no more" in refused(lambda: contacts.remember("carol", fingerprint(3), "", "code"))
    assert contacts.remember("eve", EVE, "eve.example", "key").address == "eve.example"


def test_contacts_that_have_not_changed_are_read_once(contacts, path, monkeypatch):
    contacts.remember("bob", BOB, "", "code")
    os.utime(path, (1, 1))
    monkeypatch.setattr(files, "TICK", 0)
    assert names(contacts) == ["bob"]
    with monkeypatch.context() as patch:
        patch.setattr(files, "read", lambda *_: pytest.fail("read again"))
        assert (
            contacts.directory().named("bob")
            == contacts.directory().with_fingerprint(BOB)
            == contacts.directory().all()[0]
        )
    path.write_text(path.read_text().replace('"bob"', '"rob"'))
    assert names(contacts) == ["rob"]
