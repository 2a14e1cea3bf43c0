"""Checks the arguments of `dial`, `listen` and calls. A wrong type raises a TypeError that names it."""

import os
from collections.abc import Iterable
from pathlib import Path

HIGHEST_PORT = 65_535
MOST_GRACE = 600  # seconds
ECHO = ("off", "auto", "on")


def text(name: str, given: object) -> None:
    if not isinstance(given, str):
        raise TypeError(f"expected {name} to be a str, got {_type(given)}")


def port(given: object) -> None:
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"expected port to be an int, got {_type(given)}")
    if not 0 <= given <= HIGHEST_PORT:
        raise ValueError(f"expected a port of 0 to {HIGHEST_PORT}, got {given}")


def grace(given: object) -> None:
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"expected grace to be an int, got {_type(given)}")
    if not 0 <= given <= MOST_GRACE:
        raise ValueError(f"expected a grace of 0 to {MOST_GRACE} seconds, got {given}")


def names(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Any iterable of names; a single name would be taken for one of each of its letters."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"expected {name} to be a list or tuple of names, got {_type(given)}")
    found = tuple(given)
    for each in found:
        text(f"each name of {name}", each)
    return found


def echo(given: object) -> None:
    text("echo", given)
    if given not in ECHO:
        raise ValueError(f"expected echo to be one of {', '.join(ECHO)}, got {given!r}")


def folder(given: object) -> Path | None:
    """Return `home`, a str or path, as a Path; None if it is None."""
    if given is None:
        return None
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"expected home to be a path or a str, got {_type(given)}")
    return Path(given)


def _type(given: object) -> str:
    return type(given).__name__
