"""What a case is, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicemux.conform.record import Talk

LISTENER, DIALLER, RELAY = "listener", "dialler", "relay"  # which of them the program under test is
PASS, FAIL, SKIP = "pass", "fail", "skip"


class Failed(Exception):
    """The program under test does not do what protocol.md, or relay.md of a relay, says: "expected ..., got ...".

    `hangs`: what was wrong is that nothing came, not even an end.
    """

    def __init__(self, message: str, *, hangs: bool = False) -> None:
        super().__init__(message)
        self.hangs = hangs


class Skipped(Exception):
    """It does not offer what the case is about. `remedy` is what to do to have it checked."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; to have this checked, {remedy}" if remedy else message)


@dataclass(frozen=True)
class Case:
    """`section` is of protocol.md, or of relay.md; `body` plays the other side, and raises Failed or Skipped."""

    name: str
    section: int
    roles: tuple[str, ...]
    body: Callable[[Any], None]
    encrypted: bool  # it needs an encrypted call
    slow: bool  # it takes more than five seconds

    @property
    def about(self) -> str:
        return (self.body.__doc__ or "").strip()


@dataclass(frozen=True)
class Result:
    """`detail` is why it failed or was skipped."""

    name: str
    section: int
    verdict: str
    detail: str
    seconds: float
    said: tuple[Talk, ...] = ()  # of a case that failed: what was said on each of its connections
    document: str = "protocol.md"  # that it is about


CASES: list[Case] = []


def case(
    section: int, *roles: str, encrypted: bool = False, slow: bool = False
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Enters a function among the cases, under its own name; without `roles` it is for both."""

    def enter(body: Callable[[Any], None]) -> Callable[[Any], None]:
        name = body.__name__.removesuffix("_").replace("_", "-")
        CASES.append(Case(name, section, roles or (LISTENER, DIALLER), body, encrypted, slow))
        return body

    return enter
