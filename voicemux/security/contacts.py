"""The contacts: a name for each key, in a file that people can read and mend.

All programs of the user share the file. It is read again when it has changed, and one program at a time changes it.
"""

import contextlib
import datetime
import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from voicemux.errors import SecurityError
from voicemux.security import files
from voicemux.security.directory import Directory, contact_named, plain_address, unfit_named
from voicemux.security.entries import Contact, Entries, Unfit, check_name, content_of, parse, tidy_name
from voicemux.security.likeness import alike
from voicemux.security.names import free_name, tame

FILE = "contacts.json"
MOST_BYTES = 16_000_000  # bytes of the file: 20,000 contacts take 4 MB
MOST_CONTACTS = 10_000  # contacts that are added by calls; more are read if people write them down
MOST_ADDRESSES = 8  # addresses of a contact: those that worked last


class Contacts:
    """The contacts file in a folder. Every method raises SecurityError if the file is damaged or cannot be used.

    A damaged file is never overwritten. An entry that cannot be used is skipped, and stays in the file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._read: tuple[files.Version, Entries] | None = None  # replaced whole: threads share it

    def directory(self) -> Directory:
        """Return the contacts as a Directory for one call or one command. The file is read at the first question."""
        return Directory(self._path, self._entries)

    def remember(
        self,
        name: str,
        fingerprint: str,
        address: str,
        how: str,
        taken: Collection[str] = (),
        *,
        host: str = "",
        known: Directory | None = None,
    ) -> Contact:
        """Add a contact, or note that a known one was met. `address` is where it was reached; "" if that is not
        known.

        `name` is the name that the peer gave itself, "" if none. It is made harmless, and gets a number if it looks
        like the name of another contact or one of `taken`. Without a name, the contact is called by `host`, until a
        call in which it gives a name that is free. `how` is one of `entries.WAYS`. `known` is the call's directory:
        if it has all of that already, the file is neither read nor written; otherwise `known` has it afterwards.
        Returns the contact.
        """

        def met(contacts: list[Contact]) -> Contact:
            return _met(contacts, name, fingerprint, plain_address(address), how, taken, host)

        if known and known.with_fingerprint(fingerprint):
            contacts = list(known.entries.contacts)
            contact = met(contacts)
            if tuple(contacts) == known.entries.contacts:
                return contact
        with self._changing_entries() as (contacts, unfit):
            contact = met(contacts)
        if known:
            known.entries = Entries(tuple(contacts), tuple(unfit))
        return contact

    def rename(self, old: str, new: str) -> None:
        """Rename a contact. Raises SecurityError if no contact has the name `old`, or `new` cannot be its name."""
        try:
            check_name(new)
        except ValueError as error:
            raise SecurityError(str(error)) from None
        with self._changing() as contacts:
            contact = _get(contacts, old)
            others = [each for each in contacts if each is not contact]
            if contact_named(others, new):
                raise SecurityError(f"{tidy_name(new)} is the name of another contact: choose a different one")
            if like := next((each for each in others if alike(each.name, new)), None):
                raise SecurityError(
                    f"{tidy_name(new)} looks like {like.name}, another contact: choose a different one"
                )
            contacts[contacts.index(contact)] = replace(contact, name=tidy_name(new), unnamed=False)

    def add_address(self, name: str, address: str) -> None:
        """Put an address first, where the contact is called from now on. Raises SecurityError if no contact has that
        name."""
        with self._changing() as contacts:
            contact = _get(contacts, name)
            addresses = (address, *(each for each in contact.addresses if each != address))
            contacts[contacts.index(contact)] = replace(contact, addresses=addresses[:MOST_ADDRESSES])

    def drop_address(self, name: str, address: str) -> None:
        """Remove an address of a contact. Raises SecurityError if no contact has that name, or this one has no such
        address."""
        with self._changing() as contacts:
            contact = _get(contacts, name)
            if address not in contact.addresses:
                known = ", ".join(contact.addresses) or "none"
                raise SecurityError(f"{address} is not an address of {contact.name} (known: {known})")
            addresses = tuple(each for each in contact.addresses if each != address)
            contacts[contacts.index(contact)] = replace(contact, addresses=addresses)

    def forget(self, name: str) -> None:
        """Remove a contact, and also skipped entries with its name or key, one of which would otherwise take its
        place.

        Raises SecurityError if no entry has that name.
        """
        with self._changing_entries() as (contacts, unfit):
            gone = unfit_named(unfit, name)
            contact = contact_named(contacts, name) if gone else _get(contacts, name)
            if contact:
                contacts.remove(contact)
                gone += [each for each in unfit if each.fingerprint == contact.fingerprint]
            unfit[:] = [each for each in unfit if each not in gone]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Contact]]:
        """Yield the contacts to be changed in place. The result is written at the end, unless an error was raised."""
        with self._changing_entries() as (contacts, _):
            yield contacts

    @contextlib.contextmanager
    def _changing_entries(self) -> Iterator[tuple[list[Contact], list[Unfit]]]:
        """Yield the contacts and the skipped entries, to be changed in place. The result is written at the end,
        unless an error was raised.

        Holds the file's lock, see `files.changing`.
        """
        with files.changing(self._path):
            before = self._entries()
            contacts, unfit = list(before.contacts), list(before.unfit)
            yield contacts, unfit
            after = Entries(tuple(contacts), tuple(unfit))
            if after != before:
                files.write(self._path, content_of(after))
                self._read = None

    def _entries(self) -> Entries:
        version = files.version(self._path)
        read = self._read
        if read and version and read[0] == version:
            return read[1]
        content = files.read(self._path, MOST_BYTES)
        try:
            entries = Entries() if content is None else parse(content)
        except ValueError as error:
            raise SecurityError(f"{self._path} is damaged ({error}): mend it, or move it away") from None
        self._read = (version, entries) if version else None
        return entries


def _met(
    contacts: list[Contact],
    name: str,
    fingerprint: str,
    address: str,
    how: str,
    taken: Collection[str],
    host: str,
) -> Contact:
    """Return the contact with that key, which has just been met: added to `contacts`, or moved to their end."""
    known = next((contact for contact in contacts if contact.fingerprint == fingerprint), None)
    if known:
        others = [each.name for each in contacts if each is not known]
        contact = _introduced(known, name, (*others, *taken))
        if not address:
            contacts[contacts.index(known)] = contact
            return contact
        contacts.remove(known)
        contact = replace(contact, addresses=_with(known.addresses, address))
    else:
        if len(contacts) >= MOST_CONTACTS:
            raise SecurityError(f"there are {len(contacts)} contacts, and room for no more: forget some")
        today = datetime.date.today().isoformat()
        own = free_name(tame(name) or host, (*(each.name for each in contacts), *taken))
        contact = Contact(own, fingerprint, _with((), address), how, today, unnamed=not tame(name))
    contacts.append(contact)
    return contact


def _get(contacts: list[Contact], name: str) -> Contact:
    contact = contact_named(contacts, name)
    if contact is None:
        raise SecurityError(f"no contact is called {name!r}")
    return contact


def _introduced(contact: Contact, name: str, taken: Iterable[str]) -> Contact:
    """Return the contact, with the name that it gives itself if it had none before and that name is free."""
    if contact.unnamed and tame(name) and free_name(name, taken) == tame(name):
        return replace(contact, name=tame(name), unnamed=False)
    return contact


def _with(addresses: tuple[str, ...], address: str) -> tuple[str, ...]:
    """Return the addresses with `address`, the last that worked, first. Addresses of this machine (loopback) come
    last: they are ends of tunnels, which lead to one contact today and to another tomorrow."""
    all_of_them = [address, *(each for each in addresses if each != address)] if address else list(addresses)
    return tuple(sorted(all_of_them, key=is_this_machine)[:MOST_ADDRESSES])


def is_this_machine(address: str) -> bool:
    """Whether an address, written HOST, HOST:PORT, IPv6 or [IPv6]:PORT, is this machine itself."""
    host = address[1:].split("]")[0] if address.startswith("[") else address
    host = (host.split(":")[0] if host.count(":") == 1 else host).casefold().rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
