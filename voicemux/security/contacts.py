"""Whom we know: a name for each key, in a file that people can read and mend.

Every program of the same user shares the file. It is read anew each time, and changed by one at a time.
"""

import contextlib
import datetime
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from voicemux.errors import SecurityError
from voicemux.security import files

FILE = "contacts.json"
LOCK_FILE = "contacts.json.lock"
PATIENCE = 5.0  # seconds: others change the file within milliseconds
NAMELESS = "unnamed"  # the name of those who give none
WAYS = ("code", "words", "key")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")  # SHA-256, in lower case


@dataclass(frozen=True)
class Contact:
    """Somebody who will be known again."""

    name: str
    fingerprint: str  # of the certificate: 64 hexadecimal digits
    address: str  # where they were called last; "" if they never were
    how: str  # one of WAYS: what made us believe that it was them
    since: str  # ISO date


FIELDS = [field.name for field in fields(Contact)]


class Contacts:
    """The contacts in a folder. Everything raises SecurityError if the file is damaged or cannot be used.

    What is damaged is never written over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE

    def all(self) -> list[Contact]:
        """In the order in which they were last met."""
        content = files.read(self._path)
        return [] if content is None else self._parse(content)

    def named(self, name: str) -> Contact | None:
        """Case, width and the like make no difference."""
        return _named(self.all(), name)

    def with_fingerprint(self, fingerprint: str) -> Contact | None:
        return next((contact for contact in self.all() if contact.fingerprint == fingerprint), None)

    def at(self, address: str) -> Contact | None:
        """Who was there last, if the address is written like that."""
        address = _shown(address)
        return next((contact for contact in reversed(self.all()) if address and contact.address == address), None)

    def remember(self, name: str, fingerprint: str, address: str, how: str) -> Contact:
        """Add a contact; of one whose key is known, only note where it is now, if `address` is not "".

        The name is what they call themselves, without what cannot be shown, and with a number if it is taken.
        """
        address = _shown(address)
        with self._changing() as contacts:
            known = next((contact for contact in contacts if contact.fingerprint == fingerprint), None)
            if known and not address:
                return known
            if known:
                contacts.remove(known)
                contact = replace(known, address=address)
            else:
                today = datetime.date.today().isoformat()
                contact = Contact(_free_name(contacts, name), fingerprint, address, how, today)
            contacts.append(contact)
        return contact

    def rename(self, old: str, new: str) -> None:
        """Raises SecurityError if nobody is called `old`, or nobody can be called `new`."""
        if not new.isprintable():
            raise SecurityError(f"{new!r} cannot be a name: it holds something that cannot be shown")
        if not _tidy(new):
            raise SecurityError("a contact needs a name: expected some letters")
        with self._changing() as contacts:
            contact = _get(contacts, old)
            if _named(contacts, new) not in (None, contact):
                raise SecurityError(f"{_tidy(new)} is the name of another contact: choose a different one")
            contacts[contacts.index(contact)] = replace(contact, name=_tidy(new))

    def forget(self, name: str) -> None:
        """Raises SecurityError if nobody is called that."""
        with self._changing() as contacts:
            contacts.remove(_get(contacts, name))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Contact]]:
        """The contacts, to be changed; what they are at the end is written, unless something was raised."""
        files.make_folder(self._folder)
        lock = FileLock(self._folder / LOCK_FILE, timeout=PATIENCE, mode=0o600)
        try:
            held = lock.acquire()
        except Timeout as error:
            raise SecurityError(
                f"{self._path} is being changed by another program: end that, or try again"
            ) from error
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SecurityError(
                f"cannot change {self._path}: {why} (its folder must be one that you may write to, with room left)"
            ) from error
        with held:
            before = self.all()
            contacts = list(before)
            yield contacts
            if contacts != before:
                self._write(contacts)

    def _write(self, contacts: list[Contact]) -> None:
        text = json.dumps([asdict(contact) for contact in contacts], indent=2, ensure_ascii=False)
        files.write(self._path, f"{text}\n".encode())

    def _parse(self, content: bytes) -> list[Contact]:
        try:
            entries = json.loads(content)
        except json.JSONDecodeError as error:
            raise self._damaged(f"no JSON in line {error.lineno}, {error.msg.lower()}") from None
        except (ValueError, RecursionError):  # no Unicode; endless digits; brackets in brackets in brackets
            raise self._damaged("no JSON") from None
        if not isinstance(entries, list):
            raise self._damaged("no list of contacts")
        contacts = [self._parse_entry(number, entry) for number, entry in enumerate(entries, 1)]
        seen = set()
        for contact in contacts:
            for mark in (("name", _folded(contact.name)), ("fingerprint", contact.fingerprint)):
                if mark in seen:
                    raise self._damaged(f"two contacts have the {' '.join(mark)}")
                seen.add(mark)
        return contacts

    def _parse_entry(self, number: int, entry: Any) -> Contact:
        if not isinstance(entry, dict) or set(entry) != set(FIELDS):
            raise self._damaged(f"contact {number} has not exactly {', '.join(FIELDS)}")
        for field, value in entry.items():
            if not isinstance(value, str) or not value.isprintable():
                raise self._damaged(f"contact {number}: its {field} is no plain text")
        contact = Contact(**entry)
        expected = {
            "name": bool(_tidy(contact.name)),
            "fingerprint": FINGERPRINT.fullmatch(contact.fingerprint),
            "how": contact.how in WAYS,
            "since": _is_date(contact.since),
        }
        for field, is_right in expected.items():
            if not is_right:
                raise self._damaged(f"contact {number}: {entry[field]!r} is no {field}")
        return contact

    def _damaged(self, what: str) -> SecurityError:
        return SecurityError(f"{self._path} is damaged ({what}): mend it, or move it away")


def _get(contacts: list[Contact], name: str) -> Contact:
    contact = _named(contacts, name)
    if contact is None:
        raise SecurityError(f"no contact is called {name!r}")
    return contact


def _named(contacts: list[Contact], name: str) -> Contact | None:
    return next((contact for contact in contacts if _folded(contact.name) == _folded(name)), None)


def _free_name(contacts: list[Contact], wanted: str) -> str:
    wanted = _tidy(_shown(wanted)) or NAMELESS
    taken = {_folded(contact.name) for contact in contacts}
    name, number = wanted, 1
    while _folded(name) in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", _tidy(name)).casefold()


def _tidy(name: str) -> str:
    return " ".join(name.split())


def _shown(text: str) -> str:
    return "".join(filter(str.isprintable, text))


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
