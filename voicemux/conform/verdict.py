"""A case of the conformance test, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicemux.conform.record import Talk

LISTENER, DIALLER, RELAY = "listener", "dialler", "relay"  # roles of the program under test
PASS, FAIL, SKIP = "pass", "fail", "skip"


class Failed(Exception):
    """The program under test does not do what protocol.md (or, for a relay, relay.md) says: "expected ..., got ...".
    `hangs`: the fault is that nothing came, not even the end of the stream."""

    def __init__(self, message: str, *, hangs: bool = False) -> None:
        super().__init__(message)
        self.hangs = hangs


class Skipped(Exception):
    """The program under test does not offer what the case is about. `remedy` is how to have it checked."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; to have this checked, {remedy}" if remedy else message)


@dataclass(frozen=True)
class Case:
    """A case. `section` is of protocol.md, or of relay.md. `body` plays the other side, and raises Failed or
    Skipped."""

    name: str
    section: int
    roles: tuple[str, ...]
    body: Callable[[Any], None]
    encrypted: bool  # whether the case needs an encrypted call
    slow: bool  # whether the case takes more than five seconds

    @property
    def about(self) -> str:
        return (self.body.__doc__ or "").strip()


@dataclass(frozen=True)
class Result:
    """The result of a case. `detail` is why it failed or was skipped."""

    name: str
    section: int
    verdict: str
    detail: str
    seconds: float
    said: tuple[Talk, ...] = ()  # records of each connection of a failed case
    document: str = "protocol.md"  # the document of the case's section


CASES: list[Case] = []


def case(
    section: int, *roles: str, encrypted: bool = False, slow: bool = False
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function as a case, under its own name; without `roles`, it is for dialler and listener."""

    def enter(body: Callable[[Any], None]) -> Callable[[Any], None]:
        name = body.__name__.removesuffix("_").replace("_", "-")
        CASES.append(Case(name, section, roles or (LISTENER, DIALLER), body, encrypted, slow))
        return body

    return enter
