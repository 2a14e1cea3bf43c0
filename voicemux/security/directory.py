"""The contacts as one call or command sees them: read at the first question, and not again.

All questions about one call are asked of one `Directory`, so its answers agree with each other. It opens no file
itself.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from voicemux.errors import SecurityError
from voicemux.security.entries import Contact, Entries, Unfit, folded

MOST_TOLD = 3  # entries whose fault is reported


class Directory:
    """Answers questions about contacts. `Contacts.directory` makes it. Each method raises SecurityError if the file
    cannot be read."""

    def __init__(self, path: Path, read: Callable[[], Entries]) -> None:
        """`path` is named in errors. `read` is called once, and again only if it has raised SecurityError."""
        self._path = path
        self._read = read

    @cached_property
    def entries(self) -> Entries:
        """The entries of the file. May be set to what the same call has written meanwhile."""
        return self._read()

    def all(self) -> list[Contact]:
        """Return all contacts; the one that was met last comes last."""
        return list(self.entries.contacts)

    def passed_over(self) -> str:
        """Return the faults of entries that cannot be used, in one line; "" if all can."""
        unfit = self.entries.unfit
        more = f"; and {len(unfit) - MOST_TOLD} more" if len(unfit) > MOST_TOLD else ""
        told = "; ".join(each.why for each in unfit[:MOST_TOLD])
        return f"{self._path} has entries that are passed over: {told}{more}" if unfit else ""

    def named(self, name: str) -> Contact | None:
        """Return the contact of that name, or None. Case, width and blanks around it make no difference. Raises
        SecurityError if the entry with that name cannot be used."""
        contact = contact_named(self.entries.contacts, name)
        if contact is None and (unfit := next(iter(unfit_named(self.entries.unfit, name)), None)):
            raise SecurityError(f"{self._path} has an entry that cannot be used, {unfit.why}: mend it")
        return contact

    def with_fingerprint(self, fingerprint: str) -> Contact | None:
        """Return the contact whose key has that fingerprint, or None."""
        return next((each for each in self.entries.contacts if each.fingerprint == fingerprint), None)

    def at(self, address: str) -> Contact | None:
        """Return the contact that was last reached at `address`, or None. Only the same spelling of the address is
        found."""
        address = plain_address(address)
        there = [each for each in self.entries.contacts if address and address in each.addresses]
        return max(reversed(there), key=lambda contact: contact.address == address, default=None)


def contact_named(contacts: Iterable[Contact], name: str) -> Contact | None:
    """Return the contact of that name, or None. Case, width and blanks around it make no difference."""
    return next((contact for contact in contacts if folded(contact.name) == folded(name)), None)


def unfit_named(unfit: Iterable[Unfit], name: str) -> list[Unfit]:
    """Return the entries with that name that cannot be used."""
    return [each for each in unfit if folded(name) and folded(each.name) == folded(name)]


def plain_address(text: str) -> str:
    """Return an address without characters that cannot be printed."""
    return "".join(filter(str.isprintable, text))
