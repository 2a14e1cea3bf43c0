"""Makes peers' names harmless: such a name cannot pass for another name, an address or a path.

Names are compared by how they look (`likeness`), not by how they are spelt.
"""

import unicodedata
from collections.abc import Iterable

from voicemux.security.likeness import BLANKS, looks

MOST = 32  # characters of a name that are kept and shown
NAMELESS = "unnamed"  # name of a contact that gave none
CUT = "…"  # in place of the rest of a long name
OUR_OWN = "voicemux"  # the beginning of our notices, which must not look like a name
# Characters that mark a line, end a name, or lead elsewhere in a path, and what replaces them.
MARKS = str.maketrans(dict.fromkeys('<>:|/\\"', "_") | dict.fromkeys(BLANKS, " "))
OF_ADDRESSES = str.maketrans(dict.fromkeys(".@[", "-"))
NOT_THE_CONTACT = " (not the contact)"


def tame(name: str, most: int = MOST) -> str:
    """Return the name that a peer gives itself, harmless and cut to `most` characters; "" if nothing is left."""
    shown = "".join(character for character in name if character.isprintable() or character.isspace())
    shown = " ".join(shown.translate(MARKS).split()).lstrip("-. ")
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + CUT


def passes_for_address(text: str) -> bool:
    """Whether a user who types `text` means a place, not a person: an address, a number, localhost."""
    text = unicodedata.normalize("NFKC", text.replace(CUT, "")).strip().casefold()
    if not text or any(character.isspace() for character in text):
        return False
    return text == "localhost" or text[0] == "[" or _is_number(text) or not set(text).isdisjoint(".:@/")


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return a name for a new contact: `wanted`, changed if it could be an address, with a number if it looks like
    one of `taken`."""
    name = tame(wanted) or NAMELESS
    if passes_for_address(name):
        name = tame(name.translate(OF_ADDRESSES)) or NAMELESS
    if passes_for_address(name):
        name = tame(f"{NAMELESS}-{name}")
    if passes_for_address(name):  # other characters can pass for dots and colons
        name = NAMELESS
    seen = {look for each in (OUR_OWN, *taken) for look in looks(each)}
    free, number = name, 1
    while not seen.isdisjoint(looks(free)):
        number += 1
        ending = f"-{number}"
        free = tame(name, MOST - len(ending)) + ending
    return free


def marked(claimed: str, contacts: Iterable[str]) -> str:
    """Return the name of an unknown caller, with NOT_THE_CONTACT behind it if it looks like a contact's. The name is
    cut so that the mark fits."""
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
