"""Reads and writes the content of contacts.json: entries that can be used, and others, which stay in the file as they
are.

People edit the file, too. One mistake in it must not keep out the friends in the other entries.
"""

import datetime
import json
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from voicemux.security.likeness import looks
from voicemux.security.names import MOST, passes_for_address, tame

WAYS = ("code", "words", "key")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")  # SHA-256, in lower case
FIELDS = ("name", "fingerprint", "addresses", "how", "since")
OLD_FIELDS = ("name", "fingerprint", "address", "how", "since")  # of versions before 0.1.0, with one address
UNNAMED = "unnamed"  # the field of an entry whose name neither the contact nor the user has chosen
SHOWN = 40  # characters that an error shows of a wrong value


@dataclass(frozen=True)
class Contact:
    """A person whose key is recognised in later calls."""

    name: str
    fingerprint: str  # SHA-256 of the certificate: 64 hexadecimal digits in lower case
    addresses: tuple[str, ...]  # addresses to call: the one that worked last comes first, loopback comes last
    how: str  # one of WAYS: how the key was first verified
    since: str  # ISO date on which the contact was made
    unnamed: bool = False  # whether the name was made here, because the peer gave none

    @property
    def address(self) -> str:
        """The address that is called first; "" if none is known."""
        return self.addresses[0] if self.addresses else ""


@dataclass(frozen=True)
class Unfit:
    """An entry that cannot be used: `text` is the entry as it stands in the file, `why` what is wrong with it. `name`
    and `fingerprint` are those it has, or ""."""

    text: str
    why: str
    name: str
    fingerprint: str


@dataclass(frozen=True)
class Entries:
    """A whole file. Unusable entries are written last: of two entries that contradict each other, the first one
    counts."""

    contacts: tuple[Contact, ...] = ()
    unfit: tuple[Unfit, ...] = ()


def parse(content: bytes) -> Entries:
    """Parse the content of the file. Raises ValueError, with what is wrong, if it is not a list in JSON."""
    try:
        text = content.decode("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else json.detect_encoding(content))
        is_list = isinstance(json.loads(text), list)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON in line {error.lineno}, {error.msg.lower()}") from None
    except (ValueError, RecursionError):  # not Unicode; endless digits; deeply nested brackets
        raise ValueError("no JSON") from None
    if not is_list:
        raise ValueError("no list of contacts")
    contacts: list[Contact] = []
    unfit: list[Unfit] = []
    taken: dict[str, str] = {}  # names by skeleton and by fingerprint
    elements = list(_elements(text))
    # Comparing the looks of 10,000 names takes a second, and needs data that takes 20 ms to load. If all names are
    # ASCII, the user cannot write one name for another by mistake.
    judges_looks = not all(_said(entry, "name").isascii() for _, entry in elements)
    for number, (written, entry) in enumerate(elements, 1):
        try:
            contact = _contact(entry)
            _check_others(contact, taken, looks(contact.name) if judges_looks else ())
            contacts.append(contact)
        except ValueError as error:
            name, key = (_said(entry, field) for field in ("name", "fingerprint"))
            label = f"contact {number}{f' ({_shown(name)})' if name else ''}"
            unfit.append(Unfit(written, f"{label}: {error}", name, key))
    return Entries(tuple(contacts), tuple(unfit))


def content_of(entries: Entries) -> bytes:
    """Return the content of the file, as UTF-8 JSON."""
    written = [json.dumps(_as_entry(contact), indent=2, ensure_ascii=False) for contact in entries.contacts]
    parts = [*(textwrap.indent(part, "  ") for part in written), *(f"  {each.text}" for each in entries.unfit)]
    body = ",\n".join(parts)
    return f"[\n{body}\n]\n".encode() if parts else b"[]\n"


def folded(name: str) -> str:
    """Return a name without case, width and surrounding blanks: two names with the same result are one name."""
    return unicodedata.normalize("NFKC", tidy_name(name)).casefold()


def tidy_name(name: str) -> str:
    """Return a name with single blanks, and none around it."""
    return " ".join(name.split())


def check_name(name: str) -> None:
    """Check that a contact can have this name. Raises ValueError with the reason if not."""
    if not name.isprintable():
        raise ValueError(f"{_shown(name)} cannot be a name: it holds something that cannot be shown")
    if not tidy_name(name):
        raise ValueError("a contact needs a name: expected some letters")
    if passes_for_address(name):
        raise ValueError(f"{_shown(name)} cannot be a name: it would be taken for an address")
    if len(tidy_name(name)) > MOST:
        raise ValueError(f"{_shown(name)} cannot be a name: expected at most {MOST} characters")
    if tame(name) != tidy_name(name):
        raise ValueError(f"{_shown(name)} cannot be a name: expected {_shown(tame(name)) or 'some letters'}")


def _elements(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the elements of a JSON list: each as it is written, and as it is parsed. `text` must be a JSON list."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    at = text.index("[") + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return
        entry, end = decoder.raw_decode(text, at)
        yield text[at:end], entry
        at = end


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as pairs, because a key may appear twice in it."""


def _said(entry: object, field: str) -> str:
    """Return the last value of `field` in an entry if it is a string; else ""."""
    pairs = entry if isinstance(entry, _Pairs) else ()
    return next((value for key, value in reversed(pairs) if key == field and isinstance(value, str)), "")


def _contact(entry: object) -> Contact:
    """Return the contact that a parsed entry describes. Raises ValueError with what is wrong."""
    if not isinstance(entry, _Pairs):
        raise ValueError(f"it has not exactly {', '.join(FIELDS)}")
    keys = [key for key, _ in entry]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ValueError(f"it has {_shown(twice)} twice")
    values = dict(entry)
    unnamed = values.pop(UNNAMED, False)
    if unnamed not in (True, False) or set(values) not in (set(FIELDS), set(OLD_FIELDS)):
        raise ValueError(f"it has not exactly {', '.join(FIELDS)}")
    if "address" in values:
        address = values.pop("address")
        values["addresses"] = [] if address == "" else [address]
    addresses = values.pop("addresses")
    if not isinstance(addresses, list) or not all(map(_is_place, addresses)):
        raise ValueError("its addresses are not a list of plain texts")
    if wrong := next((field for field, value in values.items() if not isinstance(value, str)), None):
        raise ValueError(f"its {wrong} is not text")
    check_name(values["name"])
    expected = {
        "fingerprint": FINGERPRINT.fullmatch(values["fingerprint"]),
        "how": values["how"] in WAYS,
        "since": _is_date(values["since"]),
    }
    if wrong := next((field for field, is_right in expected.items() if not is_right), None):
        raise ValueError(f"{_shown(values[wrong])} is not a valid {wrong}")
    return Contact(addresses=tuple(addresses), unnamed=bool(unnamed), **values)


def _check_others(contact: Contact, taken: dict[str, str], seen_as: Iterable[str]) -> None:
    """Check an entry against those before it, then add its key and looks to `taken`. Raises ValueError if it has the
    key or the name of one of them, or a name that looks like one."""
    if other := taken.get(contact.fingerprint):
        raise ValueError(f"it has the key of {other}")
    marks = (folded(contact.name), *seen_as)
    if other := next((taken[mark] for mark in marks if mark in taken), None):
        raise ValueError(f"its name is that of {other}, or looks like it")
    taken.update(dict.fromkeys((contact.fingerprint, *marks), contact.name))


def _as_entry(contact: Contact) -> dict[str, object]:
    entry: dict[str, object] = {field: getattr(contact, field) for field in FIELDS}
    return entry | ({UNNAMED: True} if contact.unnamed else {})


def _is_place(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return text.isascii()


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…") if text else ""
