"""Targets of relay.md: what a client and a relay understand of any bytes, and a relay without its sockets."""

import contextlib
import itertools
from dataclasses import dataclass, field

from fuzz.draws import Draws
from voicemux.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from voicemux.net.address import Address
from voicemux.protocol.frames import FrameDecoder
from voicemux.relay.approach import Approach
from voicemux.relay.cluster_desk import ClusterDesk
from voicemux.relay.desk import Ask, Cut, Desk, Join, Step, Tell
from voicemux.relay.encoding import decoded, encoded
from voicemux.relay.guest import MOST_AHEAD, Guest
from voicemux.relay.ids import id_of_number
from voicemux.relay.limits import Limits
from voicemux.relay.messages import CallFor, Moved, Paired, Refused, RelayMessage, Token, Wait
from voicemux.relay.wire import PREFACE

IDS = tuple(map(id_of_number, "0123"))
OWNERS = (b"alice".ljust(16), b"bob".ljust(16))
SEEN = Address("192.0.2.1", 41_394)
LIMITS = Limits(connections=12, unasked=6, waits=4, calls=20, pairs=6)
TOKENS = ((), ("sesame",))
MOST_GUESTS = 24  # that are there at once in one input


def relay_stream(data: bytes) -> None:
    """A client and a relay understand the same of a stream however it is cut, and say only what they understand."""
    draws = Draws(data)
    kind, pieces = draws.number() % 3, draws.pieces()
    heard, whole = _heard(kind, pieces), _heard(kind, [b"".join(pieces)])
    assert heard == whole or heard[2] == whole[2] == "RemoteProtocolError"
    for message in heard[0]:
        (frame,) = FrameDecoder().feed(encoded(message))
        assert decoded(frame) == message


def _heard(kind: int, pieces: list[bytes]) -> tuple[list[RelayMessage], bytes, str]:
    """What one side understands: messages, the bytes behind the last, and which kind of error ended it."""
    request = Wait(OWNERS[0], IDS[:2]) if kind == 1 else CallFor(IDS[:2])
    side = Guest() if kind == 2 else Approach(request)
    found: list[RelayMessage] = []
    error = ""
    try:
        for piece in pieces:
            found.extend(side.receive(piece))
    except RemoteProtocolError as caught:
        error = type(caught).__name__
        if isinstance(side, Guest) and (blame := side.blame(caught)):
            assert side.reply(blame).startswith(PREFACE)
    if isinstance(side, Approach):
        with contextlib.suppress(ConnectionLost):
            side.receive_end()
            assert side.last
        return found, side.rest, error
    assert error or len(side.ahead) <= MOST_AHEAD
    return found, side.ahead, error


@dataclass(eq=False)
class _Client:
    """One connection: the relay's part with it, and what it was told."""

    number: int
    guest: Guest = field(default_factory=Guest)
    partner: "_Client | None" = None
    is_there: bool = True
    told: list[RelayMessage] = field(default_factory=list)


class Relaying:
    """A relay whose clients say what the draws make up."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        kind = draws.number()
        make = ClusterDesk[_Client] if kind & 2 else Desk[_Client]
        self._desk = make(LIMITS, TOKENS[kind % len(TOKENS)])
        self._asked: list[_Client] = []  # whose listeners are looked for at other relays
        self._clients: list[_Client] = []
        self._numbers = itertools.count()
        self._now = 0.0

    def happen(self) -> None:
        """One thing."""
        match self._draws.number() % 7:
            case 0:
                self._enter()
            case 1 | 2:
                self._say(self._message())
            case 3:
                self._say(self._draws.piece(self._draws.number()))
            case 4:
                if client := self._chosen():
                    self._gone(client)
            case 5:
                self._now += self._draws.number() / 32
                self._do(self._desk.due(self._now))
            case 6 if self._asked and isinstance(self._desk, ClusterDesk):
                number = self._draws.number()
                client = self._asked.pop(number // 2 % len(self._asked))
                self._do(self._desk.answered(client, SEEN if number % 2 else None, self._now))

    def finish(self) -> None:
        """The relay ends, all leave, and nothing of them is left."""
        self._do(self._desk.close(5, SEEN if self._draws.number() % 2 else None))
        for client in [each for each in self._clients if each.is_there]:
            self._gone(client)
        counts = self._desk.counts
        left = (counts.connections_now, counts.waits_now, counts.paired_now, counts.calls_kept_now)
        assert left == (0, 0, 0, 0)
        assert self._desk.next_time is None

    def _enter(self) -> None:
        if len(self._clients) >= MOST_GUESTS:
            return
        client = _Client(next(self._numbers))
        self._clients.append(client)
        self._do(self._desk.enter(client, Address(f"192.0.2.{client.number % 3}", 1), self._now))
        if client.is_there:
            self._hear(client, PREFACE)

    def _message(self) -> bytes:
        number = self._draws.number()
        ids = IDS[number % 3 : number % 3 + 1 + number // 4 % 2]
        request = (Wait(OWNERS[number // 8 % 2], ids), CallFor(ids), Token("sesame"))[number // 16 % 3]
        return encoded(request)

    def _say(self, data: bytes) -> None:
        if client := self._chosen():
            self._hear(client, data)

    def _chosen(self) -> _Client | None:
        here = [each for each in self._clients if each.is_there]
        return here[self._draws.number() % len(here)] if here else None

    def _hear(self, client: _Client, data: bytes) -> None:
        if client.partner:
            return  # these are the peer's bytes
        try:
            for request in list(client.guest.receive(data)):
                self._do(self._desk.hear(client, request, self._now))
        except RemoteProtocolError as error:
            if client.is_there:
                blame = client.guest.blame(error)
                self._do(self._desk.refuse(client, blame)) if blame else self._gone(client)

    def _do(self, steps: list[Step[_Client]]) -> None:
        for step in steps:
            match step:
                case Tell(client, reply):
                    assert client.is_there
                    try:
                        client.guest.reply(reply)
                    except LocalProtocolError as error:
                        raise AssertionError(f"{reply} after {client.told}") from error
                    client.told.append(reply)
                    if isinstance(reply, Refused | Moved):
                        client.is_there = False
                case Ask(client, _):
                    assert client.is_there
                    self._asked.append(client)
                case Cut(client):
                    client.is_there = False
                case Join(caller, waiting):
                    assert caller is not waiting
                    ids = {each.id for each in (caller.told[-1], waiting.told[-1]) if isinstance(each, Paired)}
                    assert len(ids) == 1
                    assert caller.partner is waiting.partner is None
                    assert len(caller.guest.ahead) <= MOST_AHEAD
                    caller.partner, waiting.partner = waiting, caller
        counts = self._desk.counts
        assert counts.connections_now <= LIMITS.connections
        assert counts.paired_now % 2 == 0 or not all(each.is_there for each in self._clients if each.partner)
        self._clients = [each for each in self._clients if each.is_there]

    def _gone(self, client: _Client) -> None:
        client.is_there = False
        self._desk.leave(client)
        if client.partner and client.partner.is_there:
            client.partner.is_there = False
            self._desk.leave(client.partner)
        self._clients = [each for each in self._clients if each.is_there]


def relay_desk(data: bytes) -> None:
    """Whatever clients of a relay say in any order, two are joined by one id, and none leaves anything behind."""
    draws = Draws(data)
    relaying = Relaying(draws)
    while draws:
        relaying.happen()
    relaying.finish()
