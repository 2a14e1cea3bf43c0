"""The messages between a client and a relay: one frozen dataclass for each message of relay.md §4."""

from dataclasses import dataclass
from enum import IntEnum

from voicemux.net.address import Address


class RefusedCode(IntEnum):
    """The codes of REFUSED, from relay.md §7."""

    ABSENT = 1
    TAKEN = 2
    LIMIT = 3
    PROTOCOL = 4
    VERSION = 5
    TOKEN = 6
    CLOSING = 7


@dataclass(frozen=True, slots=True)
class Wait:
    """To the relay: join me with the next program that calls one of these ids. `owner`, 16 random bytes, stays the
    same as long as the program runs."""

    owner: bytes
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CallFor:
    """To the relay: join me with the program that waits for one of these ids, the first for which one waits."""

    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """To the relay: the token that a private relay demands before anything else."""

    token: str


@dataclass(frozen=True, slots=True)
class Parked:
    """WAITING, to the client: it waits now. `seen` is the IP address and port from which the relay sees it come."""

    seen: Address


@dataclass(frozen=True, slots=True)
class Paired:
    """To the client: all bytes that follow are the peer's. `id` is the one that matched."""

    id: bytes
    seen: Address


@dataclass(frozen=True, slots=True)
class Refused:
    """To the client, and nothing after it: the request is refused. `seconds` is how long to wait before another
    try."""

    code: int
    seconds: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """To the client, and nothing after it: ask the relay at `place` instead."""

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
