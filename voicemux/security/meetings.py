"""What two contacts have in common for finding each other at a relay (relay.md §5), in a file beside the contacts.

The file is a memory of this program, and no list that people keep: what cannot be read in it is forgotten.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from voicemux.errors import SecurityError
from voicemux.security import files

FILE = "meetings.json"
LOCK_FILE = "meetings.json.lock"
PATIENCE = 5.0  # seconds: others change the file within milliseconds
MOST_BYTES = 4_000_000  # of the file
MOST_MEETINGS = 1000  # those of the contacts that were met last
MOST_SECRETS = 2  # of a contact: the last, and the one before, for the case that only one side has the last
SECRET_SIZE = 32  # bytes


@dataclass(frozen=True)
class Meeting:
    """Of one contact."""

    secrets: tuple[bytes, ...]  # only the two have them; the newest first
    relay: str = ""  # through which the last relayed call went, as one would type it


class Meetings:
    """The file in a folder. Any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._read: tuple[files.Version, dict[str, Meeting]] | None = None  # replaced whole: threads share it

    def all(self) -> dict[str, Meeting]:
        """By the contact's fingerprint; the one that was met last comes last. Raises SecurityError."""
        version = files.version(self._path)
        read = self._read
        if read and version and read[0] == version:
            return read[1]
        meetings = _parsed(files.read(self._path, MOST_BYTES, is_secret=True) or b"{}")
        self._read = (version, meetings) if version else None
        return meetings

    def note(self, fingerprint: str, secret: bytes, relay: str) -> None:
        """A contact was met, directly if `relay` is "". Raises SecurityError if that cannot be written down."""
        files.make_folder(self._folder)
        try:
            with FileLock(self._folder / LOCK_FILE, timeout=PATIENCE, mode=0o600):
                meetings = dict(self.all())
                before = meetings.pop(fingerprint, Meeting(()))
                secrets = tuple(dict.fromkeys((secret, *before.secrets)))[:MOST_SECRETS]
                meetings[fingerprint] = Meeting(secrets, relay or before.relay)
                kept = dict(list(meetings.items())[-MOST_MEETINGS:])
                files.write(self._path, _content(kept))
                self._read = None
        except (OSError, Timeout) as error:
            raise SecurityError(f"cannot change {self._path}: {error}") from error


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
