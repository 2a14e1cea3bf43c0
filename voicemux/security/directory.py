"""What the contacts file says, for one call: read at the first question, and not again. No file here.

All questions about one call are asked of one `Directory`, so their answers agree with each other.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from voicemux.errors import SecurityError
from voicemux.security.entries import Contact, Entries, Unfit, folded

MOST_TOLD = 3  # entries of which it is said what is wrong


class Directory:
    """Get one from `Contacts.directory`. Each question raises SecurityError if the file cannot be read."""

    def __init__(self, path: Path, read: Callable[[], Entries]) -> None:
        """`path` is for errors; `read` is called once, or again after it has raised SecurityError."""
        self._path = path
        self._read = read

    @cached_property
    def entries(self) -> Entries:
        """All of the file. May be set to what the same call has written meanwhile."""
        return self._read()

    def all(self) -> list[Contact]:
        """In the order in which they were last met."""
        return list(self.entries.contacts)

    def passed_over(self) -> str:
        """What is wrong with entries that cannot be used, in one line; "" if all can."""
        unfit = self.entries.unfit
        more = f"; and {len(unfit) - MOST_TOLD} more" if len(unfit) > MOST_TOLD else ""
        told = "; ".join(each.why for each in unfit[:MOST_TOLD])
        return f"{self._path} has entries that are passed over: {told}{more}" if unfit else ""

    def named(self, name: str) -> Contact | None:
        """Case, width and the like make no difference. Raises SecurityError if their entry cannot be used."""
        contact = contact_named(self.entries.contacts, name)
        if contact is None and (unfit := next(iter(unfit_named(self.entries.unfit, name)), None)):
            raise SecurityError(f"{self._path} has an entry that cannot be used, {unfit.why}: mend it")
        return contact

    def with_fingerprint(self, fingerprint: str) -> Contact | None:
        """The contact with that key."""
        return next((each for each in self.entries.contacts if each.fingerprint == fingerprint), None)

    def at(self, address: str) -> Contact | None:
        """Who was there last, if the address is written like that."""
        address = plain_address(address)
        there = [each for each in self.entries.contacts if address and address in each.addresses]
        return max(reversed(there), key=lambda contact: contact.address == address, default=None)


def contact_named(contacts: Iterable[Contact], name: str) -> Contact | None:
    """The contact of that name, however it is written."""
    return next((contact for contact in contacts if folded(contact.name) == folded(name)), None)


def unfit_named(unfit: Iterable[Unfit], name: str) -> list[Unfit]:
    """Entries that cannot be used, and say that name."""
    return [each for each in unfit if folded(name) and folded(each.name) == folded(name)]


def plain_address(text: str) -> str:
    """An address without what cannot be shown."""
    return "".join(filter(str.isprintable, text))
