"""Events before a call: of a listener, of a dialler, and of calls that were not answered.

The `address` of a caller is its IP address, or that of the tunnel or relay that it comes through; unix:PATH if it
comes through a Unix socket; "stdio" if it comes through standard input and output. `relay` is the relay that it comes
through, as one would type it; empty if there is none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Listening:
    """The listener is ready for callers. `dial` is the command that the other side would type, one for each address
    of this machine.

    A Unix socket has port 0 and one address, unix:PATH; standard input and output have port 0 and no address. `code`
    is the code that a caller needs who is not a contact; "" if no code is used.
    """

    port: int
    addresses: list[str]
    dial: list[str]
    code: str = ""


@dataclass(frozen=True)
class NewCode:
    """The last code has ended, for the reason `why`. `code` is the next one, "" if there is none; `dial` is what the
    other side types now."""

    code: str
    why: str
    dial: list[str]


@dataclass(frozen=True)
class Invitation:
    """The answer to `/code`: what a new caller types now, one command for each address; empty at a dialler."""

    dial: list[str]


@dataclass(frozen=True)
class Calling:
    """A connection to `address` is being made."""

    address: str


@dataclass(frozen=True)
class CallRinging:
    """A caller rings (at the listener), or it rings at the other side (at the dialler; the name is not known yet).

    `name` is a contact's if its key is known, and `claims` what it calls itself then, if that is something else.
    `asks` is whether the call waits for the user's "accept" or "decline". `security` is what speaks for the caller,
    as in `Connected`; empty at the dialler.
    """

    name: str
    address: str
    asks: bool = False
    claims: str = ""
    security: str = ""
    relay: str = ""


@dataclass(frozen=True)
class Answered:
    """The user has accepted or declined a call that rang."""

    name: str
    address: str
    accepted: bool


@dataclass(frozen=True)
class Missed:
    """A call was missed. `at` is when it began, local time in ISO 8601.

    `why` is "gave_up" (the caller did), "unanswered" (the user did not), or "busy" (with another call).
    """

    name: str
    address: str
    at: str
    why: str
    relay: str = ""


@dataclass(frozen=True)
class MissedCalls:
    """The missed calls since the program started, the oldest first; only the last ones if there are very many."""

    calls: list[Missed]


@dataclass(frozen=True)
class TurnedAway:
    """`times` callers from `address`, a host or a network, were not answered.

    `name` is that of the contact who called, empty if it was none.
    """

    address: str
    why: str
    times: int = 1
    name: str = ""
    relay: str = ""
