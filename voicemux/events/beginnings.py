"""How calls come about: what a listener and a dialler are told before there is one, and of those that never were."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Listening:
    """Callers can come. `dial` is what the other side would type, one line for each address of this machine.

    A Unix socket has port 0 and one address, unix:PATH; standard input and output have port 0 and no address.
    `code` is what a caller must know who is not a contact; empty if none helps, or none is needed.
    """

    port: int
    addresses: list[str]
    dial: list[str]
    code: str = ""


@dataclass(frozen=True)
class NewCode:
    """The code before it is over, `why`. Now it is `code`, empty for none, and this is what the other side types."""

    code: str
    why: str
    dial: list[str]


@dataclass(frozen=True)
class Invitation:
    """What a new caller types now: the answer to `/code`. One command for each address; none at a dialler."""

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


@dataclass(frozen=True)
class Answered:
    """The user has taken a call that rang, or declined it."""

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


@dataclass(frozen=True)
class MissedCalls:
    """Those of this run, the oldest first; of very many the last."""

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
