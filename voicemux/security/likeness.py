"""Finds names that look alike, by Unicode's confusable skeletons (UTS #39, section 4).

The data is confusables.txt of Unicode 15.1, as the package confusable-homoglyphs has it. No Python library with
wheels has the algorithm itself: disarm folds to Latin letters only, PyICU has to be compiled.
"""

import functools
import importlib.resources
import json
import unicodedata

MARK = "\u200e"  # in the comments of confusables.txt, put around letters that are written from right to left
# Letters and symbols that show nothing. Other invisible characters are of the categories C, M and Z.
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc\U00013441\U00013442\U0001d159")


def skeleton(text: str) -> str:
    """Return the skeleton of `text`: two texts with the same skeleton look alike.

    A skeleton is for comparing, not for showing. It has no upper case, accents or blanks, and is "" for a text that
    shows nothing.
    """
    return _outline(_outline(text).casefold()).casefold()


def alike(one: str, other: str) -> bool:
    """Whether two texts look alike, or differ in upper and lower case only."""
    return not looks(one).isdisjoint(looks(other))


@functools.lru_cache(maxsize=16_384)
def looks(text: str) -> frozenset[str]:
    """Return the skeletons of a text, with its own case and in lower case: two texts that share one are alike. The I
    of BILL looks like an l, and is an i in lower case."""
    return frozenset((skeleton(text), skeleton(text.casefold())))


def _outline(text: str) -> str:
    table = _prototypes()
    return _bare("".join(table.get(character, character) for character in _bare(text)))


def _bare(text: str) -> str:
    """Return `text` without what a reader does not notice: marks on letters, blanks, formats, variants of width and
    form."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not _is_unseen(part))


def _is_unseen(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "CZ" or category in ("Mn", "Me") or character in BLANKS


@functools.cache
def _prototypes() -> dict[str, str]:
    """Return the prototype (UTS #39) of each character that looks like another."""
    # Only a call that compares names needs its data; its modules would take 360 ms, the data takes 60.
    import confusable_homoglyphs

    file = importlib.resources.files(confusable_homoglyphs).joinpath("confusables.json")
    confusables_data = json.loads(file.read_text(encoding="utf-8"))

    # The data has each pair both ways. Each character has one prototype, which may be several characters. So in a
    # pair, the side with several partners or several characters is the prototype.
    partners = {
        one.replace(MARK, ""): [each["c"].replace(MARK, "") for each in others]
        for one, others in confusables_data.items()
    }
    table = {
        one: others[0]
        for one, others in partners.items()
        if len(one) == 1 and len(set(others)) == 1 and _prefers(partners, others[0], one)
    }
    return {one: "".join(table.get(part, part) for part in other) for one, other in table.items()}


def _prefers(partners: dict[str, list[str]], one: str, other: str) -> bool:
    """Whether `one` is the prototype of the pair. If the data does not say, the choice is arbitrary, but always the
    same."""
    return (len(one), len(partners[one]), other) > (1, 1, one)
