"""One side of a call, apart from the connection that carries it (protocol.md §7, §9, §10).

Pure: no socket, thread, clock or queue; `now` is an argument, in seconds on a clock that never goes back.

A `Conversation` numbers and acknowledges the texts of both directions, watches for signs of life, and knows what may
be sent and awaited once one side has said goodbye. It outlives a connection: if that breaks, `lose()` it, and
`resume(last_text)` on another. No text is lost by that, doubled or reordered.

In: `received` each message of the peer's, `say`, `taken` when a text has been shown, `hang_up`. Out: replies and
happenings, as these return them; texts and the BYE, for which the sender asks (`next_text`, `take_bye`); and what is
due, for which the timer asks (`tick`, by `next_deadline`).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from voicemux.protocol.delivery import Inbox, Outbox
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT, Goodbye
from voicemux.protocol.liveness import Liveness
from voicemux.protocol.messages import Bye, Message, Ping, Pong, Text, TextAck


@dataclass(frozen=True)
class TextCompleted:
    """A text of the peer's is there; `taken()` is owed as soon as it has been shown."""

    text: str


@dataclass(frozen=True)
class TextDelivered:
    """The peer has shown a text that was said with this mark."""

    mark: str


@dataclass(frozen=True)
class PeerHungUp:
    """The peer has said goodbye, and nothing more will come from it."""

    bye: Bye


Reply = Pong | TextAck
Happening = TextCompleted | TextDelivered | PeerHungUp


class Due(Enum):
    """What is to be done now, because time has passed."""

    PING = auto()
    """Send one."""
    SILENCE = auto()
    """The connection counts as dead."""
    CUT = auto()
    """The end of the peer's stream has been awaited for long enough."""


class Conversation:
    """One thread at a time may use it."""

    def __init__(self, silence: float, goodbye: float = GOODBYE_TIMEOUT) -> None:
        """`silence` is the seconds without a byte after which a connection counts as dead, `goodbye` those for the
        last texts of each side."""
        self.texts_received = 0
        self._outbox, self._inbox = Outbox(), Inbox()
        self._marks: deque[tuple[int, str]] = deque()  # the last id of each marked text that is not acknowledged
        self._liveness = Liveness(silence)
        self._goodbye = Goodbye(goodbye)
        self._is_connected = True

    # --- what the user does

    def say(self, text: str, mark: str = "") -> bool:
        """Have `text` sent; if it has a mark, `TextDelivered` comes back. False after `hang_up`: it is not taken.

        Raises LocalProtocolError if it is not Unicode.
        """
        if self.has_hung_up:
            return False
        number = self._outbox.put(text)
        if mark:
            self._marks.append((number, mark))
        return True

    def taken(self, now: float) -> list[Reply | Happening]:
        """The oldest text that has completed has been shown."""
        self._inbox.taken()
        replies = self._acknowledge()
        self._answer_goodbye(now)
        return replies

    def hang_up(
        self, bye: Bye, now: float, timeout: float, *, peer_is_done: bool = False, patience: float | None = None
    ) -> None:
        """Say `bye` once all text has gone, after at most `timeout` seconds. Only the first BYE counts.

        If the peer is done, it acknowledges nothing any more: text that its window has no room for is not waited for.
        After `patience` seconds, by default those for the last texts of both sides, the end of its stream is not
        awaited any more.
        """
        self._goodbye.say(bye, now, timeout)
        self._goodbye.peer_is_done |= peer_is_done
        self._goodbye.await_the_end(now, patience)

    # --- what the connection brings

    def received(self, message: Message, now: float) -> list[Reply | Happening]:
        """What the peer says. Messages that are not about text, life or the end change nothing.

        Raises RemoteProtocolError for text with a gap or beyond a limit, and an acknowledgement of what was not sent.
        """
        match message:
            case Text():
                text = self._inbox.receive(message)
                if text is None:
                    return self._acknowledge()
                self.texts_received += 1
                return [TextCompleted(text)]
            case TextAck():
                self._outbox.acknowledge(message.id)
                return [*self._delivered(message.id)]
            case Ping():
                return [Pong(message.data)]
            case Bye():
                self._goodbye.peer_has_ended = True
                self._goodbye.await_the_end(now)
                self._answer_goodbye(now)
                return [PeerHungUp(message)]
        return []

    def peer_ended(self, now: float) -> list[Reply | Happening]:
        """The peer's stream has ended, and no other connection will take its place: a text that was cut is shown."""
        rest = self._inbox.end()
        self._goodbye.peer_has_ended = True
        self._answer_goodbye(now)
        return [] if rest is None else [TextCompleted(rest)]

    def lose(self) -> None:
        """The connection is lost: no text can arrive, and a BYE waits for none. Text may still be said."""
        self._is_connected = False

    def resume(self, last_text: int) -> list[Happening]:
        """Another connection is up, on which the peer's HELLO has said `last_text`: text goes on from there.

        Not after a BYE of either side (`is_ending`). Raises RemoteProtocolError if that id was never sent, or is less
        than what was acknowledged; then all is as before.
        """
        self._outbox.resume(last_text)
        self._is_connected = True
        self._liveness.begin()
        return self._delivered(last_text)

    @property
    def last_text(self) -> int:
        """What our own HELLO says on another connection: all up to this id need not be sent again."""
        return self._inbox.acknowledgement

    # --- what is to be sent

    @property
    def can_send_text(self) -> bool:
        """Whether a frame of text waits, and the peer's window has room for it."""
        return self._is_connected and self._outbox.can_send

    def next_text(self) -> Text | None:
        """The next frame of text to send; None if none may go."""
        return self._outbox.next() if self._is_connected else None

    def waits_for_text(self, now: float) -> bool:
        """Whether text goes before the BYE, if there is one."""
        return self._is_connected and self._goodbye.waits(now)

    def take_bye(self, now: float) -> Bye | None:
        """Our BYE, if it is to be said now; nothing is sent behind it. None if text goes first, or there is none."""
        text_may_go = self._outbox.can_send or not self._goodbye.peer_is_done
        if self._goodbye.is_sent or (self.waits_for_text(now) and self._outbox.waiting_bytes and text_may_go):
            return None
        self._goodbye.is_sent = self.has_hung_up
        return self._goodbye.bye

    @property
    def bye_deadline(self) -> float | None:
        """When our BYE goes at the latest; None if we have not hung up, or it has gone."""
        return self._goodbye.deadline if self.has_hung_up and not self._goodbye.is_sent else None

    @property
    def has_hung_up(self) -> bool:
        """Whether no more text is taken."""
        return self._goodbye.bye is not None

    @property
    def is_ending(self) -> bool:
        """Whether one side has said BYE, or we are about to: no other connection takes the place of this one."""
        return self.has_hung_up or self._goodbye.peer_has_ended

    # --- what time brings

    def tick(self, now: float, bytes_received: int, *, quick: bool = False) -> list[Due]:
        """What is due. `bytes_received` is what the connection has brought so far; each byte is a sign of life.

        `quick` is whether PINGs are to measure the line more often than to show that we are there.
        """
        if (cut_at := self._goodbye.cut_at) is not None:
            return [Due.CUT] if now >= cut_at else []
        if not self._is_connected:
            return []
        self._liveness.tick(now, bytes_received, quick=quick)
        if self._liveness.is_silent(now):
            return [Due.SILENCE]
        return [Due.PING] if self._liveness.ping_is_due(now) else []

    def next_deadline(self, now: float) -> float | None:
        """When to `tick` at the latest; None if nothing waits for time to pass."""
        if (cut_at := self._goodbye.cut_at) is not None:
            return max(now, cut_at)
        return self._liveness.next_deadline(now) if self._is_connected else None

    # --- what is known of our texts

    @property
    def is_full(self) -> bool:
        """Whether so much text waits that no more should be said."""
        return self._outbox.full

    @property
    def frames_undelivered(self) -> int:
        """TEXT frames that the peer has not acknowledged."""
        return self._outbox.undelivered

    @property
    def text_bytes_in_flight(self) -> int:
        """Bytes of TEXT payload that were sent and not acknowledged."""
        return self._outbox.unacknowledged_bytes

    @property
    def undelivered(self) -> list[tuple[str, str]]:
        """Texts that the peer has not acknowledged, or the rest of them, the oldest first, each behind its mark."""
        marks = dict(self._marks)
        return [(marks.get(number, ""), text) for number, text in self._outbox.undelivered_messages()]

    # --- inside

    def _acknowledge(self) -> list[Reply | Happening]:
        number = self._inbox.acknowledgement
        return [TextAck(number)] if number else []

    def _delivered(self, number: int) -> list[Happening]:
        delivered: list[Happening] = []
        while self._marks and self._marks[0][0] <= number:
            delivered.append(TextDelivered(self._marks.popleft()[1]))
        return delivered

    def _answer_goodbye(self, now: float) -> None:
        """Our BYE follows the acknowledgement of all that the peer has said before its own."""
        if self._goodbye.peer_has_ended and self._inbox.is_taken:
            self.hang_up(Bye(), now, self._goodbye.timeout, peer_is_done=True)
