"""Whom we know: a name for each key, in a file that people can read and mend.

Every program of the same user shares the file. It is read anew when it has changed, and changed by one at a time.
"""

import contextlib
import datetime
import ipaddress
import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from voicemux.errors import SecurityError
from voicemux.security import files
from voicemux.security.names import free_name, passes_for_address

FILE = "contacts.json"
LOCK_FILE = "contacts.json.lock"
PATIENCE = 5.0  # seconds: others change the file within milliseconds
MOST_BYTES = 16_000_000  # of the file: 20,000 contacts are 4 MB
MOST_CONTACTS = 10_000  # that are made; more are known, if people write them down
MOST_ADDRESSES = 8  # of a contact: those where it was met last
WAYS = ("code", "words", "key")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")  # SHA-256, in lower case


@dataclass(frozen=True)
class Contact:
    """Somebody who will be known again."""

    name: str
    fingerprint: str  # of the certificate: 64 hexadecimal digits
    addresses: tuple[str, ...]  # where to call them: where it worked last comes first, loopback comes last
    how: str  # one of WAYS: what made us believe that it was them
    since: str  # ISO date

    @property
    def address(self) -> str:
        """Where they are called first; "" if no address is known."""
        return self.addresses[0] if self.addresses else ""


FIELDS = [field.name for field in fields(Contact)]
OLD_FIELDS = ["address" if name == "addresses" else name for name in FIELDS]  # up to 0.1.0, with one address


class Contacts:
    """The contacts in a folder. Everything raises SecurityError if the file is damaged or cannot be used.

    What is damaged is never written over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._read: tuple[files.Version, tuple[Contact, ...]] | None = None  # replaced whole: threads share it

    def all(self) -> list[Contact]:
        """In the order in which they were last met."""
        version = files.version(self._path)
        read = self._read
        if read and version and read[0] == version:
            return list(read[1])
        content = files.read(self._path, MOST_BYTES)
        contacts = [] if content is None else self._parse(content)
        self._read = (version, tuple(contacts)) if version else None
        return contacts

    def named(self, name: str) -> Contact | None:
        """Case, width and the like make no difference."""
        return _named(self.all(), name)

    def with_fingerprint(self, fingerprint: str) -> Contact | None:
        return next((contact for contact in self.all() if contact.fingerprint == fingerprint), None)

    def at(self, address: str) -> Contact | None:
        """Who was there last, if the address is written like that."""
        address = _shown(address)
        there = [contact for contact in self.all() if address and address in contact.addresses]
        return max(reversed(there), key=lambda contact: contact.address == address, default=None)

    def remember(self, name: str, fingerprint: str, address: str, how: str, taken: Collection[str] = ()) -> Contact:
        """Add a contact; of one whose key is known, only note where it is now, if `address` is not "".

        The name is what they call themselves, made harmless, and with a number if it looks like another contact's,
        or like one of `taken`.
        """
        address = _shown(address)
        with self._changing() as contacts:
            known = next((contact for contact in contacts if contact.fingerprint == fingerprint), None)
            if known and not address:
                return known
            if known:
                contacts.remove(known)
                contact = replace(known, addresses=_with(known.addresses, address))
            else:
                if len(contacts) >= MOST_CONTACTS:
                    raise SecurityError(f"there are {len(contacts)} contacts, and room for no more: forget some")
                today = datetime.date.today().isoformat()
                own = free_name(name, (*(each.name for each in contacts), *taken))
                contact = Contact(own, fingerprint, _with((), address), how, today)
            contacts.append(contact)
        return contact

    def rename(self, old: str, new: str) -> None:
        """Raises SecurityError if nobody is called `old`, or nobody can be called `new`."""
        if not new.isprintable():
            raise SecurityError(f"{new!r} cannot be a name: it holds something that cannot be shown")
        if not _tidy(new):
            raise SecurityError("a contact needs a name: expected some letters")
        if passes_for_address(new):
            raise SecurityError(f"{new!r} cannot be a name: it would be taken for an address")
        with self._changing() as contacts:
            contact = _get(contacts, old)
            if _named(contacts, new) not in (None, contact):
                raise SecurityError(f"{_tidy(new)} is the name of another contact: choose a different one")
            contacts[contacts.index(contact)] = replace(contact, name=_tidy(new))

    def add_address(self, name: str, address: str) -> None:
        """Call them there first from now on. Raises SecurityError if nobody is called that."""
        with self._changing() as contacts:
            contact = _get(contacts, name)
            addresses = (address, *(each for each in contact.addresses if each != address))
            contacts[contacts.index(contact)] = replace(contact, addresses=addresses[:MOST_ADDRESSES])

    def drop_address(self, name: str, address: str) -> None:
        """Raises SecurityError if nobody is called that, or has no such address."""
        with self._changing() as contacts:
            contact = _get(contacts, name)
            if address not in contact.addresses:
                known = ", ".join(contact.addresses) or "none"
                raise SecurityError(f"{address} is no address of {contact.name} (known: {known})")
            addresses = tuple(each for each in contact.addresses if each != address)
            contacts[contacts.index(contact)] = replace(contact, addresses=addresses)

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
                f"cannot change {self._path}: {why} (it takes a folder that you may write to, with room left; "
                "VOICEMUX_HOME chooses another)"
            ) from error
        with held:
            before = self.all()
            contacts = list(before)
            yield contacts
            if contacts != before:
                self._write(contacts)
                self._read = None

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
        if not isinstance(entry, dict) or set(entry) not in (set(FIELDS), set(OLD_FIELDS)):
            raise self._damaged(f"contact {number} has not exactly {', '.join(FIELDS)}")
        if "address" in entry:
            address = entry["address"]
            entry = {name: entry[name] for name in entry if name != "address"}
            entry["addresses"] = [] if address == "" else [address]
        addresses = entry.pop("addresses")
        if not isinstance(addresses, list) or not all(map(_is_plain, addresses)):
            raise self._damaged(f"contact {number}: its addresses are no plain texts")
        for field, value in entry.items():
            if not _is_plain(value):
                raise self._damaged(f"contact {number}: its {field} is no plain text")
        contact = Contact(addresses=tuple(addresses), **entry)
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


def _with(addresses: tuple[str, ...], address: str) -> tuple[str, ...]:
    """`address` is the last that worked. A tunnel's end here (loopback) leads now to this one and now to that one: it
    comes behind real addresses."""
    all_of_them = [address, *(each for each in addresses if each != address)] if address else list(addresses)
    return tuple(sorted(all_of_them, key=is_loopback)[:MOST_ADDRESSES])


def is_loopback(address: str) -> bool:
    """Whether HOST, HOST:PORT, IPv6 or [IPv6]:PORT is this machine itself."""
    host = address[1:].split("]")[0] if address.startswith("[") else address
    host = (host.split(":")[0] if host.count(":") == 1 else host).casefold().rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


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
