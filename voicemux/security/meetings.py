"""Secrets that contacts share, by which they find each other at a relay (relay.md §5), in a file beside the contacts.

Only the program uses the file, and people do not edit it: entries that cannot be read are dropped.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicemux.security import files

FILE = "meetings.json"
MOST_BYTES = 4_000_000  # bytes of the file
MOST_MEETINGS = 1000  # contacts whose secrets are kept: those that were met last
MOST_SECRETS = 2  # secrets of a contact: the last and the one before, in case only one side has the last
SECRET_SIZE = 32  # bytes


@dataclass(frozen=True)
class Meeting:
    """The secrets that we share with one contact, and the relay of the last call."""

    secrets: tuple[bytes, ...]  # SECRET_SIZE bytes each, the newest first
    relay: str = ""  # relay of the last relayed call, as the user would type it; "" if there was none


class Meetings:
    """The file of secrets in a folder. Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._read: tuple[files.Version, dict[str, Meeting]] | None = None  # replaced whole: threads share it

    def all(self) -> dict[str, Meeting]:
        """Return all meetings by the contact's fingerprint; the contact that was met last comes last. Raises
        SecurityError if the file cannot be read."""
        version = files.version(self._path)
        read = self._read
        if read and version and read[0] == version:
            return read[1]
        meetings = _parsed(files.read(self._path, MOST_BYTES, is_secret=True) or b"{}")
        self._read = (version, meetings) if version else None
        return meetings

    def note(self, fingerprint: str, secret: bytes, relay: str) -> None:
        """Keep the secret of a call with a contact. `relay` is the relay of the call; "" if it was direct. Raises
        SecurityError if the file cannot be written."""
        with files.changing(self._path):
            meetings = dict(self.all())
            before = meetings.pop(fingerprint, Meeting(()))
            secrets = tuple(dict.fromkeys((secret, *before.secrets)))[:MOST_SECRETS]
            meetings[fingerprint] = Meeting(secrets, relay or before.relay)
            kept = dict(list(meetings.items())[-MOST_MEETINGS:])
            files.write(self._path, _content(kept))
            self._read = None


def _content(meetings: dict[str, Meeting]) -> bytes:
    told = {
        fingerprint: {"secrets": [each.hex() for each in meeting.secrets], "relay": meeting.relay}
        for fingerprint, meeting in meetings.items()
    }
    return json.dumps(told, indent=1).encode() + b"\n"


def _parsed(content: bytes) -> dict[str, Meeting]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, Meeting] = {}
    for fingerprint, entry in told.items() if isinstance(told, dict) else ():
        if meeting := _meeting(entry):
            found[fingerprint] = meeting
    return found


def _meeting(entry: Any) -> Meeting | None:
    try:
        secrets = tuple(bytes.fromhex(each) for each in entry["secrets"])
        relay = entry["relay"]
    except (TypeError, KeyError, ValueError):
        return None
    is_fit = isinstance(relay, str) and relay.isprintable() and all(len(each) == SECRET_SIZE for each in secrets)
    return Meeting(secrets[:MOST_SECRETS], relay) if is_fit and secrets else None
