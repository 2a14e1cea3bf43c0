"""Files of ours that cannot be used: one line says which and why, in words, and nothing is lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from voicemux.errors import SecurityError
from voicemux.security import files
from voicemux.security.contacts import Contacts
from voicemux.security.meetings import Meetings
from voicemux.security.volumes import Volumes

BOB, EVE = "b0" * 32, "ee" * 32  # fingerprints

Keep = Callable[[Path, str], object]
KEEPERS: dict[str, Keep] = {
    "contacts.json": lambda folder, key: Contacts(folder).remember("", key, "", "code", host=key),
    "volumes.json": lambda folder, key: Volumes(folder).keep(key, 150),
    "meetings.json": lambda folder, key: Meetings(folder).note(key, bytes(32), ""),
}
each_file = pytest.mark.parametrize("name", KEEPERS)


def loop(path: Path) -> None:
    path.symlink_to(path)


SPOILS: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (Path.mkdir, "is a folder"),
    "pipe": (os.mkfifo, "it is a pipe"),
    "loop": (loop, "symbolic link"),
}


def refused(name: str, folder: Path) -> str:
    with pytest.raises(SecurityError) as error:
        KEEPERS[name](folder, EVE)
    words = str(error.value)
    assert str(folder / name) in words
    assert "Errno" not in words
    assert "\n" not in words
    return words


@each_file
@pytest.mark.parametrize("spoil", ["folder", "loop"])
def test_a_lock_that_is_no_file_is_named_and_what_is_known_stays(name: str, spoil: str, tmp_path: Path) -> None:
    KEEPERS[name](tmp_path, BOB)
    before = (tmp_path / name).read_bytes()
    lock = tmp_path / f"{name}.lock"
    lock.unlink()
    make, words = SPOILS[spoil]
    make(lock)
    said = refused(name, tmp_path)
    assert f"its lock {lock} is a " in said
    assert words.split()[-1] in said
    assert (tmp_path / name).read_bytes() == before
    lock.rmdir() if spoil == "folder" else lock.unlink()
    KEEPERS[name](tmp_path, EVE)


@each_file
@pytest.mark.parametrize("spoil", SPOILS)
def test_what_stands_in_the_place_of_a_file_is_named_and_stays(name: str, spoil: str, tmp_path: Path) -> None:
    make, words = SPOILS[spoil]
    make(tmp_path / name)
    facts = os.lstat(tmp_path / name)
    assert words in refused(name, tmp_path)
    assert os.path.samestat(os.lstat(tmp_path / name), facts)


@each_file
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_lock_that_cannot_be_made_is_told_in_the_words_of_the_system(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> None:
        raise OSError(number, os.strerror(number), lock.lock_file)

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert f": {os.strerror(number).lower()} (it takes a folder" in refused(name, tmp_path)
    assert os.listdir(tmp_path) == []


@each_file
def test_a_full_disk_loses_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KEEPERS[name](tmp_path, BOB)
    before = (tmp_path / name).read_bytes()

    def fill(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    assert "no space left on device" in refused(name, tmp_path)
    assert (tmp_path / name).read_bytes() == before


@each_file
def test_a_program_that_keeps_the_lock_is_not_waited_for_without_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    with FileLock(tmp_path / f"{name}.lock"):
        assert "is being changed by another program" in refused(name, tmp_path)


def test_what_is_refused_costs_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "contacts.json").mkdir()
    before = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
    for _ in range(3):
        refused("contacts.json", tmp_path)
    assert len(os.listdir("/proc/self/fd") if before else []) == len(before)
