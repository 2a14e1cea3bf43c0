import json
from pathlib import Path

import pytest

from voicemux.errors import SecurityError
from voicemux.security.meetings import FILE, MOST_MEETINGS, Meeting, Meetings

BOB, ALICE = "b" * 64, "a" * 64


def secret(number: int) -> bytes:
    return number.to_bytes(32)


def test_the_last_two_secrets_are_kept_and_the_last_relay(tmp_path: Path) -> None:
    meetings = Meetings(tmp_path)
    meetings.note(BOB, secret(1), "relay.example.org")
    meetings.note(ALICE, secret(9), "")
    meetings.note(BOB, secret(2), "")
    meetings.note(BOB, secret(3), "")
    meetings.note(BOB, secret(3), "")
    assert list(Meetings(tmp_path).all().items()) == [
        (ALICE, Meeting((secret(9),))),
        (BOB, Meeting((secret(3), secret(2)), "relay.example.org")),
    ]


def test_others_cannot_read_the_file(tmp_path: Path) -> None:
    Meetings(tmp_path).note(BOB, secret(1), "")
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(SecurityError, match="chmod 600"):
        Meetings(tmp_path).all()


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps({BOB: {"secrets": ["00"], "relay": ""}}).encode(),
        json.dumps({BOB: {"secrets": "", "relay": ""}}).encode(),
        json.dumps({BOB: {"secrets": [secret(1).hex()], "relay": 7}}).encode(),
        json.dumps({BOB: {"secrets": [secret(1).hex()], "relay": "a\nb"}}).encode(),
        json.dumps({BOB: [1]}).encode(),
    ],
)
def test_what_makes_no_sense_is_forgotten(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    meetings = Meetings(tmp_path)
    assert meetings.all() == {}
    meetings.note(BOB, secret(1), "")
    assert list(meetings.all()) == [BOB]


def test_of_very_many_the_last_are_kept(tmp_path: Path) -> None:
    many = {f"{number:064x}": {"secrets": [secret(1).hex()], "relay": ""} for number in range(MOST_MEETINGS)}
    (tmp_path / FILE).write_text(json.dumps(many), encoding="ascii")
    (tmp_path / FILE).chmod(0o600)
    meetings = Meetings(tmp_path)
    meetings.note(BOB, secret(1), "")
    assert len(meetings.all()) == MOST_MEETINGS
    assert (f"{0:064x}" in meetings.all(), BOB in meetings.all()) == (False, True)
