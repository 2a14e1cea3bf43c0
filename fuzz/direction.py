"""One direction of the text of a call, whose every event the draws decide."""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from fuzz.draws import Draws
from voicemux.errors import RemoteProtocolError
from voicemux.protocol.delivery import Inbox, Outbox, payload_size
from voicemux.protocol.messages import Text
from voicemux.protocol.wire import TEXT_WINDOW

MOST_PUT = 2_000_000  # bytes of text


class Deed(IntEnum):
    WRITE = 0
    SEND = 1
    RECEIVE = 2
    SHOW = 3
    ACKNOWLEDGE = 4
    RESUME = 5
    LIE = 6


class Direction:
    """The line in between may break, with what is on it, and then goes on from what has been acknowledged."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._outbox, self._inbox = Outbox(), Inbox()
        self._put: list[str] = []
        self._room = MOST_PUT
        self._last_sent = 0
        self._line: deque[Text] = deque()
        self._untaken: deque[str] = deque()
        self._shown: list[str] = []
        self._acknowledgements: deque[int] = deque([0])
        self._deeds: dict[Deed, Callable[[], None]] = {
            Deed.WRITE: self._write,
            Deed.SEND: self._send,
            Deed.RECEIVE: self._receive,
            Deed.SHOW: self._show,
            Deed.ACKNOWLEDGE: self._acknowledge,
            Deed.RESUME: self._resume,
            Deed.LIE: self._lie,
        }

    def happen(self) -> None:
        """Something happens, and nothing is wrong afterwards."""
        self._deeds[Deed(self._draws.number() % len(Deed))]()
        assert self._shown + list(self._untaken) == self._put[: len(self._shown) + len(self._untaken)]
        unacknowledged = sum(map(payload_size, self._outbox._unacknowledged))
        assert unacknowledged == self._outbox.unacknowledged_bytes <= TEXT_WINDOW

    def finish(self) -> None:
        """Everything that was put arrives."""
        while not self._outbox.delivered:
            while frame := self._outbox.next():
                self._take_up(frame)
            while self._line:
                self._hear()
            while self._untaken:
                self._show()
            self._outbox.acknowledge(self._acknowledgements[-1])
        assert self._shown == self._put
        assert self._inbox.end() is None

    def _write(self) -> None:
        text = self._draws.piece(self._draws.number() % 32).decode(errors="replace") * self._draws.number()
        self._room -= len(text.encode())
        if self._room >= 0:
            self._put.append(text)
            self._outbox.put(text)

    def _send(self) -> None:
        for _ in range(self._draws.number()):
            if frame := self._outbox.next():
                self._take_up(frame)

    def _receive(self) -> None:
        for _ in range(min(self._draws.number(), len(self._line))):
            self._hear()

    def _show(self) -> None:
        if self._untaken:
            self._shown.append(self._untaken.popleft())
            self._inbox.taken()
            self._acknowledgements.append(self._inbox.acknowledgement)

    def _acknowledge(self) -> None:
        self._outbox.acknowledge(self._acknowledgements[-(self._draws.number() & 1)])
        if len(self._acknowledgements) > 1:
            self._acknowledgements.popleft()

    def _resume(self) -> None:
        """The connection breaks with all that is on it, and another takes its place."""
        last_text = self._inbox.acknowledgement
        self._line.clear()
        self._acknowledgements = deque([last_text])
        self._outbox.resume(last_text)

    def _lie(self) -> None:
        """What nobody may say is refused, and changes nothing."""
        number = self._draws.number(2)
        assert _is_refused(lambda: self._outbox.acknowledge(self._last_sent + 1 + number))
        assert _is_refused(lambda: self._inbox.receive(Text(self._inbox._last_id + 2 + number, "a lie")))

    def _take_up(self, frame: Text) -> None:
        self._last_sent = max(self._last_sent, frame.id)
        self._line.append(frame)

    def _hear(self) -> None:
        if (message := self._inbox.receive(self._line.popleft())) is not None:
            self._untaken.append(message)
        self._acknowledgements.append(self._inbox.acknowledgement)


def _is_refused(deed: Callable[[], Any]) -> bool:
    try:
        deed()
    except RemoteProtocolError:
        return True
    return False
