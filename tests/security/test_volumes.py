import json
from pathlib import Path

import pytest

from voicemux.security.volumes import FILE, MOST_VOLUMES, Volumes

BOB, ALICE = "b" * 64, "a" * 64
UNFIT: list[object] = [True, -1, 401, 1.5, "loud", None, []]


def test_what_was_chosen_last_for_a_contact_is_kept(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path)
    assert volumes.of(BOB) is None
    for volume in (150, "auto", 80):
        volumes.keep(BOB, volume)
        assert Volumes(tmp_path).of(BOB) == volume
    assert volumes.of(ALICE) is None


@pytest.mark.parametrize(
    "content", [b"nonsense", b"[]", b"\xff", *(json.dumps({BOB: each}).encode() for each in UNFIT)]
)
def test_what_makes_no_sense_is_forgotten(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    volumes = Volumes(tmp_path)
    assert volumes.of(BOB) is None
    volumes.keep(ALICE, 120)
    assert volumes.of(ALICE) == 120


def test_of_very_many_the_last_are_kept(tmp_path: Path) -> None:
    many = {f"{number:064x}": 100 for number in range(MOST_VOLUMES)}
    (tmp_path / FILE).write_text(json.dumps(many))
    (tmp_path / FILE).chmod(0o600)
    volumes = Volumes(tmp_path)
    volumes.keep(BOB, 50)
    assert (volumes.of(f"{0:064x}"), volumes.of(f"{1:064x}"), volumes.of(BOB)) == (None, 100, 50)
