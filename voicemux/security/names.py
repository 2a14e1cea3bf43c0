"""Names of people: what a peer's becomes here, so that it passes for no other name, no address and no path.

What is compared is how names look (`likeness`), not how they are spelt.
"""

import unicodedata
from collections.abc import Iterable

from voicemux.security.likeness import BLANKS, looks

MOST = 32  # characters: as many as are shown of a name
NAMELESS = "unnamed"  # the name of those who give none
CUT = "…"  # in place of the rest of a long name
OUR_OWN = "voicemux"  # what begins our notices
# What marks a line, ends a name, or leads elsewhere in a path.
MARKS = str.maketrans(dict.fromkeys('<>:|/\\"', "_") | dict.fromkeys(BLANKS, " "))
OF_ADDRESSES = str.maketrans(dict.fromkeys(".@[", "-"))
NOT_THE_CONTACT = " (not the contact)"


def tame(name: str, most: int = MOST) -> str:
    """The name a peer gives itself, cut to `most` characters that can be shown; "" if nothing is left."""
    shown = "".join(character for character in name if character.isprintable() or character.isspace())
    shown = " ".join(shown.translate(MARKS).split()).lstrip("-. ")
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + CUT


def passes_for_address(text: str) -> bool:
    """Whether a user who types it means a place, not a person: an address, a number, localhost."""
    text = unicodedata.normalize("NFKC", text.replace(CUT, "")).strip().casefold()
    if not text or any(character.isspace() for character in text):
        return False
    return text == "localhost" or text[0] == "[" or _is_number(text) or not set(text).isdisjoint(".:@/")


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """A name for a new contact: as wanted, but that of no place, and with a number if it looks like a `taken` one."""
    name = tame(wanted) or NAMELESS
    if passes_for_address(name):
        name = tame(name.translate(OF_ADDRESSES)) or NAMELESS
    if passes_for_address(name):
        name = tame(f"{NAMELESS}-{name}")
    if passes_for_address(name):  # there are other characters that pass for dots and colons
        name = NAMELESS
    seen = {look for each in (OUR_OWN, *taken) for look in looks(each)}
    free, number = name, 1
    while not seen.isdisjoint(looks(free)):
        number += 1
        ending = f"-{number}"
        free = tame(name, MOST - len(ending)) + ending
    return free


def marked(claimed: str, contacts: Iterable[str]) -> str:
    """The name of an unknown caller, with a mark that always has room if it looks like a contact's."""
    name = tame(claimed)
    if any(not looks(name).isdisjoint(looks(each)) for each in contacts):
        return tame(claimed, MOST - len(NOT_THE_CONTACT)) + NOT_THE_CONTACT
    return name


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return text.isdigit()
    return True
