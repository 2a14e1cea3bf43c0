"""How often the contacts file is read for one call.

What has been read counts here as changed at once, as on a file system with a coarse clock: each look at the file is a
reading.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import voicemux
from tests.peers import PATIENCE
from tests.running import Program
from tests.security.people import Person
from voicemux.security import files
from voicemux.security.contacts import FILE

CODE = "7-quiet-test"
READ = "the contacts are read"
ALWAYS = 10**20  # nanoseconds within which a file counts as changed just now
COUNTING = f"""
import sys
from voicemux.security import files

def read(path, *arguments, read=files.read, **named):
    if path.name == {FILE!r}:
        print({READ!r}, file=sys.stderr)
    return read(path, *arguments, **named)

files.read, files.TICK = read, {ALWAYS}
from voicemux.__main__ import main
main()
"""


class Counting(Program):
    """The program, which says each time that it reads the contacts."""

    python = ("-c", COUNTING)

    def reads(self) -> int:
        return self.err.count(READ)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> "Counter[Path]":
    """How often each folder's contacts have been read in this process."""
    counted, read = Counter[Path](), files.read

    def count(path: Path, most: int, *, is_secret: bool = False) -> bytes | None:
        counted[path.parent] += path.name == FILE
        return read(path, most, is_secret=is_secret)

    monkeypatch.setattr(files, "TICK", ALWAYS)
    monkeypatch.setattr(files, "read", count)
    return counted


@pytest.fixture
def people(tmp_path: Path) -> tuple[Person, Person]:
    return Person(tmp_path / "alice"), Person(tmp_path / "bob")


def introduce(alice: Person, bob: Person, port: int) -> None:
    """They know each other, and alice calls bob there."""
    alice.contacts.remember("bob", bob.identity.fingerprint, f"127.0.0.1:{port}", "code")
    bob.knows(alice, "alice")


@contextlib.contextmanager
def taking_one_call(listener: voicemux.Listener) -> Iterator[None]:
    def take() -> None:
        for call in listener:
            with call:
                list(call.texts())
            listener.stop()

    thread = threading.Thread(target=take)
    thread.start()
    yield
    thread.join(PATIENCE)


def test_a_call_to_a_contact_by_a_program_reads_the_contacts_once_on_each_side(people, reads):
    alice, bob = people
    with voicemux.listen(host="127.0.0.1", port=0, name="bob", home=bob.folder, audio=False) as listener:
        introduce(alice, bob, listener.port)
        reads.clear()
        with (
            taking_one_call(listener),
            voicemux.dial("bob", name="alice", home=alice.folder, audio=False) as call,
        ):
            assert (call.security, call.name) == ("known", "bob")
    assert reads == {alice.folder: 1, bob.folder: 1}


def test_a_first_call_reads_the_contacts_once_more_to_add_one_under_the_lock(people, reads):
    alice, bob = people
    with voicemux.listen(host="127.0.0.1", port=0, name="bob", code=CODE, home=bob.folder, audio=False) as listener:
        reads.clear()
        with taking_one_call(listener):
            address = f"127.0.0.1:{listener.port}"
            with voicemux.dial(address, code=CODE, name="alice", home=alice.folder, audio=False) as call:
                assert (call.security, call.name) == ("code", "bob")
    assert reads == {alice.folder: 2, bob.folder: 2}


def test_a_call_to_a_contact_by_the_command_reads_the_contacts_once_on_each_side(people):
    alice, bob = people
    env = {each: {"VOICEMUX_CODE": "", "VOICEMUX_HOME": str(each.folder)} for each in people}
    with Counting("listen", "--host", "127.0.0.1", "--port", "0", "--once", "--no-audio", env=env[bob]) as listener:
        dial = listener.notice_with("tell the other side to type")
        introduce(alice, bob, int(dial.split("127.0.0.1:")[1].split()[0]))
        at_the_start = listener.reads()
        with Counting("dial", "bob", "--no-audio", env=env[alice]) as dialler:
            dialler.notice_with("connected to")
            listener.notice_with("connected to")
            dialler.write("goodbye\n")
            dialler.close_input()
            assert (dialler.wait(), listener.wait()) == (0, 0)
            assert dialler.reads() == 1
            assert listener.reads() == at_the_start + 1
