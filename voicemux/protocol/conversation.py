"""One side of a call, without the connection that carries it (protocol.md §7, §9, §10).

Pure: no socket, thread, clock or queue; `now` is an argument, in seconds of a monotonic clock.

A `Conversation` numbers and acknowledges the texts of both directions, decides when PINGs are due and when the peer
counts as dead, and what may still be sent and awaited once a side has said BYE. It outlives a connection: if that
breaks, call `lose()`, and `resume(last_text)` on another. No text is then lost, doubled or reordered.

Call `received` with each message of the peer, `say`, `taken` when a text has been shown, and `hang_up`; they return
replies to send and happenings. The sender asks for texts and the BYE (`next_text`, `take_bye`). The timer asks what
is due (`tick`, at `next_deadline`).
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
    """A whole text of the peer has come. Call `taken()` as soon as it has been shown."""

    text: str


@dataclass(frozen=True)
class TextDelivered:
    """The peer has shown the text that was passed to `say` with this mark."""

    mark: str


@dataclass(frozen=True)
class PeerHungUp:
    """The peer has said BYE, and nothing more will come from it."""

    bye: Bye


Reply = Pong | TextAck
Happening = TextCompleted | TextDelivered | PeerHungUp


class Due(Enum):
    """What the timer must do now."""

    PING = auto()
    """Send a PING."""
    SILENCE = auto()
    """Nothing has come for `silence` seconds: the connection counts as dead."""
    CUT = auto()
    """Close the connection: the peer has not ended its stream in time."""


class Conversation:
    """The texts, signs of life and goodbye of one side. One thread at a time may use it."""

    def __init__(self, silence: float, goodbye: float = GOODBYE_TIMEOUT) -> None:
        """`silence` is after how many seconds without a byte a connection counts as dead. `goodbye` is how many
        seconds each side has for its last texts."""
        self.texts_received = 0
        self._outbox, self._inbox = Outbox(), Inbox()
        self._marks: deque[tuple[int, str]] = deque()  # (last id, mark) of each marked text that is not acknowledged
        self._liveness = Liveness(silence)
        self._goodbye = Goodbye(goodbye)
        self._is_connected = True

    # --- what the user does

    def say(self, text: str, mark: str = "") -> bool:
        """Queue `text` for sending. Returns False after `hang_up`. If it has a mark, a `TextDelivered` will follow.

        Raises LocalProtocolError if `text` is not Unicode.
        """
        if self.has_hung_up:
            return False
        number = self._outbox.put(text)
        if mark:
            self._marks.append((number, mark))
        return True

    def taken(self, now: float) -> list[Reply | Happening]:
        """Note that the oldest text that is not yet `taken` has been shown. Returns the acknowledgement to send."""
        self._inbox.taken()
        replies = self._acknowledge()
        self._answer_goodbye(now)
        return replies

    def hang_up(
        self, bye: Bye, now: float, timeout: float, *, peer_is_done: bool = False, patience: float | None = None
    ) -> None:
        """Say `bye` once all text has been sent, after at most `timeout` seconds. Only the first BYE counts.

        With `peer_is_done`, the peer acknowledges nothing more: text for which its window has no room is not waited
        for. After `patience` seconds, the end of its stream is no longer awaited; by default, that is the time for
        the last texts of both sides.
        """
        self._goodbye.say(bye, now, timeout)
        self._goodbye.peer_is_done |= peer_is_done
        self._goodbye.await_the_end(now, patience)

    # --- what the connection brings

    def received(self, message: Message, now: float) -> list[Reply | Happening]:
        """Take a message of the peer; return replies to send and what has happened.

        Raises RemoteProtocolError for text with a gap or over a limit, and if text is acknowledged that was not sent.
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
        """Note that the peer's stream has ended for good. Returns the received part of a text that was cut off."""
        rest = self._inbox.end()
        self._goodbye.peer_has_ended = True
        self._answer_goodbye(now)
        return [] if rest is None else [TextCompleted(rest)]

    def lose(self) -> None:
        """Note that the connection is lost: no text can arrive, and a BYE waits for none. `say` still works."""
        self._is_connected = False

    def resume(self, last_text: int) -> list[Happening]:
        """Go on with another connection, on which the peer's HELLO has said `last_text`: text goes on from there.

        May not be called after a BYE of either side (`is_ending`). Raises RemoteProtocolError if that id was never
        sent, or is less than what was acknowledged; then nothing has changed.
        """
        self._outbox.resume(last_text)
        self._is_connected = True
        self._liveness.begin()
        return self._delivered(last_text)

    @property
    def last_text(self) -> int:
        """The `last_text` of our HELLO on another connection: texts up to this id need not be sent again."""
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
        """Whether text is still sent before the BYE."""
        return self._is_connected and self._goodbye.waits(now)

    def take_bye(self, now: float) -> Bye | None:
        """Return our BYE if it is to be sent now, as the last message; None if not yet, or we have not hung up."""
        text_may_go = self._outbox.can_send or not self._goodbye.peer_is_done
        if self._goodbye.is_sent or (self.waits_for_text(now) and self._outbox.waiting_bytes and text_may_go):
            return None
        self._goodbye.is_sent = self.has_hung_up
        return self._goodbye.bye

    @property
    def bye_deadline(self) -> float | None:
        """When our BYE must be sent at the latest; None if we have not hung up, or it has been sent."""
        return self._goodbye.deadline if self.has_hung_up and not self._goodbye.is_sent else None

    @property
    def has_hung_up(self) -> bool:
        """Whether `hang_up` was called: `say` takes no more text."""
        return self._goodbye.bye is not None

    @property
    def is_ending(self) -> bool:
        """Whether one side has said BYE, or we are about to: the call is not resumed on another connection."""
        return self.has_hung_up or self._goodbye.peer_has_ended

    # --- what time brings

    def tick(self, now: float, bytes_received: int, *, quick: bool = False) -> list[Due]:
        """Return what is due. `bytes_received` is how many bytes the connection has brought so far; each byte is a
        sign of life. `quick`: send PINGs more often, to measure the line."""
        if (cut_at := self._goodbye.cut_at) is not None:
            return [Due.CUT] if now >= cut_at else []
        if not self._is_connected:
            return []
        self._liveness.tick(now, bytes_received, quick=quick)
        if self._liveness.is_silent(now):
            return [Due.SILENCE]
        return [Due.PING] if self._liveness.ping_is_due(now) else []

    def next_deadline(self, now: float) -> float | None:
        """When to call `tick` at the latest; None if nothing depends on time."""
        if (cut_at := self._goodbye.cut_at) is not None:
            return max(now, cut_at)
        return self._liveness.next_deadline(now) if self._is_connected else None

    # --- what is known of our texts

    @property
    def is_full(self) -> bool:
        """Whether too much text waits to say more."""
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
        """(mark, text) of each text that the peer has not wholly acknowledged, the oldest first; of a text that was
        acknowledged in part, the rest. The mark is "" if it has none."""
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
        """Answer the peer's BYE with ours, once all its texts have been acknowledged."""
        if self._goodbye.peer_has_ended and self._inbox.is_taken:
            self.hang_up(Bye(), now, self._goodbye.timeout, peer_is_done=True)
