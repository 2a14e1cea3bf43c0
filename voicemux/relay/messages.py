"""What a client and a relay say to each other: one frozen dataclass for each message of relay.md §4."""

from dataclasses import dataclass
from enum import IntEnum

from voicemux.net.address import Address


class RefusedCode(IntEnum):
    """relay.md §7."""

    ABSENT = 1
    TAKEN = 2
    LIMIT = 3
    PROTOCOL = 4
    VERSION = 5
    TOKEN = 6
    CLOSING = 7


@dataclass(frozen=True, slots=True)
class Wait:
    """To the relay: join me with a program that calls one of these ids. `owner` stays the same for as long as the
    program runs."""

    owner: bytes
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CallFor:
    """To the relay: join me with the program that waits for the first of these ids that one waits for."""

    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """To the relay: the token that a private relay asks for before anything else."""

    token: str


@dataclass(frozen=True, slots=True)
class Parked:
    """WAITING, to the client. `seen` is the address from which the relay sees it come: an IP address and a port."""

    seen: Address


@dataclass(frozen=True, slots=True)
class Paired:
    """To the client: all that follows is the peer's."""

    id: bytes
    seen: Address


@dataclass(frozen=True, slots=True)
class Refused:
    """To the client, and the last word. `seconds` is how long to wait before another try."""

    code: int
    seconds: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """To the client, and the last word: ask there."""

    place: Address


Request = Wait | CallFor | Token
Reply = Parked | Paired | Refused | Moved
RelayMessage = Request | Reply

NAMES: dict[type, str] = {
    Wait: "WAIT",
    CallFor: "CALL",
    Token: "TOKEN",
    Parked: "WAITING",
    Paired: "PAIRED",
    Refused: "REFUSED",
    Moved: "MOVED",
}
