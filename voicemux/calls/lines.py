"""The connections of a call: the current one, and those that it has just left.

While there is no current one, the call is down: text waits, voice is dropped, and `Survival` decides for how long.
Another connection takes over in one step, with the lock held. After that, nothing that the old one reads reaches the
conversation, and its writer takes nothing from it.
"""

from collections.abc import Callable

from voicemux.calls.carrier import Carrier
from voicemux.calls.closing import Closing
from voicemux.calls.parts import Parts
from voicemux.calls.retired import Retired
from voicemux.calls.survival import News, Turn
from voicemux.errors import ConnectionLost, OutOfResources, RemoteProtocolError
from voicemux.events import Direct, Interrupted, Resumed
from voicemux.net.stream import Stream, whole_place
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Audio, Bye, ByeCode, Hello, Paths, TextAck
from voicemux.sending.back import Journey
from voicemux.trace.frames import watch

REPLACED = Bye(ByeCode.REPLACED)  # sent on a connection whose place another one has taken
LAST_WORD = 1.0  # seconds until a replaced connection is cut: time to send REPLACED
ANSWER_TIMEOUT = 10.0  # seconds for the answer to a HELLO that resumes a call (protocol.md §17.4)


SayHello = Callable[[int], None]  # sends our HELLO with this `last_text`


def _say_nothing(last_text: int) -> None:
    """Send nothing: a dialler has sent its HELLO before it takes over."""


class Lines:
    """The connections of one call. Any thread may use it after `seat`. In the end, `cut` it, join, and `close` it."""

    def __init__(self, parts: Parts, on_over: Callable[[], None]) -> None:
        """`on_over` is called once, when the peer's stream has ended on the last connection; it must not wait."""
        self.current: Carrier | None = None
        self.closing = Closing(parts, lambda: self.current, on_over)
        self.on_paths: Callable[[Carrier, Paths], None] = lambda carrier, paths: None  # must not wait
        self._parts = parts
        self._changed = parts.changed
        self._retired = Retired()
        self._reason: ConnectionLost | None = None  # why the line was lost
        self._last: Carrier  # the current one, or while there is none, the one before
        # The old connection during a move: its voice is played until the new one has taken over.
        self._leaving: Carrier | None = None

    def seat(self, stream: Stream, sending: Sending, receiving: Receiving) -> Carrier:
        """Make this connection, the first one or a later one, the current one. The caller starts it."""
        self.current = self._last = carrier = Carrier(stream, sending, receiving, self._parts, self)
        self._parts.texts.carry_by(carrier.writer)
        return carrier

    # --- a `Keeper`, for the connections

    def is_loss(self, bye: Bye) -> bool:
        """Whether that BYE ends the connection only, and not the call."""
        with self._changed:
            is_loss = bye.code == ByeCode.TIMEOUT or (bye.code == ByeCode.REPLACED and not self._parts.dials)
            return is_loss and self._parts.may_survive

    def failed(self, carrier: Carrier, error: RemoteProtocolError) -> None:
        """The peer has broken the protocol."""
        with self._changed:
            if carrier is self.current:
                self._parts.ending.by_error(error)
                self._parts.survival.end()
                carrier.writer.finish(Bye(error.code, str(error)), 0, peer_is_done=True)

    def lost(self, carrier: Carrier, error: ConnectionLost) -> None:
        """The peer has been silent for too long."""
        self._goes_on_without(carrier, error)
        carrier.cut()

    def ended(self, carrier: Carrier, error: ConnectionLost | None) -> None:
        """The thread that reads the connection has ended."""
        if not self._goes_on_without(carrier, error):
            self.closing.finish()

    def _goes_on_without(self, carrier: Carrier, error: ConnectionLost | None) -> bool:
        parts, now = self._parts, self._parts.clock()
        with self._changed:
            if carrier is not self.current:
                return True
            if error is None:
                return False
            if not self._parts.may_survive:
                parts.ending.by_error(error)
                parts.conversation.lose()
                self._changed.notify_all()
                return False
            self._reason = error
            self._retire(None, 0.0)
            parts.conversation.lose()
            news = parts.survival.broke(now)
            self._changed.notify_all()
        carrier.cut()
        self._tell(news)
        return True

    def _retire(self, bye: Bye | None, seconds: float, *, moves: bool = False) -> None:
        """Retire the current connection, if any: it is cut after that many `seconds`, and `bye`. `moves`: the call
        goes on to a better one, and voice still on its way is played."""
        if carrier := self.current:
            self._retired.add(carrier, bye, self._parts.clock() + seconds, keeps_voice=moves and not bye)
            carrier.is_heard, self._leaving = moves, carrier if moves else None
            self.current = None
        self._parts.texts.carry_by(None)

    # --- another connection

    def commit(self, *, moves: bool = False) -> int | None:
        """A new connection is ready for our HELLO: return the `last_text` for it, or None if it is not wanted any
        more. From now on the old one does not count. `moves`: the new one is wanted only while a relay carries the
        call."""
        parts, now = self._parts, self._parts.clock()
        with self._changed:
            moves = moves and _is_relayed(self.current)
            may_go, news = parts.survival.commit(now, moves=moves) if self._parts.may_survive else (False, None)
            if not may_go:
                return None
            self._retire(None, ANSWER_TIMEOUT, moves=moves)  # the peer uses the old one until it has our HELLO
            parts.conversation.lose()
            last_text = parts.conversation.last_text
        self._tell(news)
        return last_text

    def take_over(
        self, stream: Stream, sending: Sending, receiving: Receiving, hello: Hello, say_hello: SayHello = _say_nothing
    ) -> bool:
        """Let this connection carry the call. `hello` is the peer's HELLO on it; `say_hello` sends ours before
        anything else is sent. Returns False if the call is ending or has ended.

        Raises RemoteProtocolError if the peer's `last_text` is impossible; then nothing has changed.
        """
        parts, now = self._parts, self._parts.clock()
        with self._changed:
            if not self._parts.may_survive:
                return False
            happenings = parts.conversation.resume(hello.last_text or 0)
            own_last_text = parts.conversation.last_text
            moves = _is_relayed(self.current) and not stream.relay
            news = parts.survival.resumed(now, moves=moves)
            self._retire(REPLACED, LAST_WORD, moves=moves)
            parts.vitals.begin_again(stream)
            parts.states.begin_again()
            parts.sound.begin_again(hello.playable, goes_on=self._leaving is not None)
            carrier, leaving, self._leaving = self.seat(stream, sending, receiving), self._leaving, None
            self._changed.notify_all()
        carrier.follow(leaving)
        if parts.dials:
            self._retired.leave(leaving, now + LAST_WORD)
        if parts.trace:
            watch(sending, receiving, parts.trace)
        failure: Exception | None = None
        try:
            say_hello(own_last_text)
            stream.set_timeout(parts.silence)
            if own_last_text:
                carrier.writer.send(TextAck(own_last_text))
        except ConnectionLost as error:
            failure = error
        for happening in happenings:
            parts.hears.happened(happening)
        self._tell(*news)  # before any text of the new connection
        try:
            if failure:
                raise failure
            carrier.start()
        except (ConnectionLost, OutOfResources) as error:
            carrier.cut()
            # No reading thread may have been started that would report it.
            self.ended(carrier, ConnectionLost(str(error)))
        return True

    # --- the timer

    def look(self, now: float, *, has_changed: bool = False) -> None:
        """Measure the current connection, and see whether it is lost. `has_changed` is as of `Survival.look`."""
        parts = self._parts
        if carrier := self.current:
            carrier.look(now)
        with self._changed:
            bytes_read = self.current.stream.bytes_read if self.current else None
            news = parts.survival.look(now, bytes_read, has_changed=has_changed)
            if is_over := news is not None and news.turn is Turn.OVER:
                parts.ending.by_error(_no_more(self._reason, parts.survival.grace))
            if parts.survival.wants_dial:
                self._changed.notify_all()
        self._tell(news)
        if is_over:
            self.closing.finish()
        self._retired.tidy(now)

    def signs(self) -> tuple[int, float | None]:
        """Return `Carrier.signs` of the current connection, or of the one before while there is none."""
        return self._last.signs()

    # --- voice

    def send_audio(self, audio: Audio) -> None:
        """Send a packet of our voice, if there is a connection."""
        if carrier := self.current or self._leaving:
            carrier.writer.send_audio(audio)

    def peer_on_its_way(self) -> Journey | None:
        """How long the peer's voice takes to arrive now; None while none arrives."""
        return carrier.writer.feedback.peer_on_its_way() if (carrier := self.current) else None

    def _tell(self, *news: News | None) -> None:
        for each in news:
            if event := _event(each, self._parts.name, self.current, dials=self._parts.dials):
                self._parts.hears.post(event)

    # --- the end

    def cut(self) -> None:
        """Cut all connections: that wakes every thread that waits in one, or will."""
        with self._changed:
            self._parts.survival.end()
            carrier = self.current
        if carrier:
            carrier.cut()
        self._retired.cut()

    def close(self) -> None:
        """Join the threads of all connections, and close their streams."""
        self.cut()
        if self.current:
            self.current.close()
        self._retired.close()


def _event(
    news: News | None, name: str, line: Carrier | None, *, dials: bool
) -> Interrupted | Resumed | Direct | None:
    where, relay = (whole_place(line.stream), line.stream.relay) if line else ("", "")
    seconds = round(max(0.0, news.seconds), 1) if news else 0.0
    match news and news.turn:
        case Turn.INTERRUPTED:
            return Interrupted(name, seconds, dials)
        case Turn.RESUMED:
            return Resumed(name, seconds, where, relay)
        case Turn.MOVED:
            return Direct(name, where)
    return None


def _is_relayed(carrier: Carrier | None) -> bool:
    return carrier is not None and bool(carrier.stream.relay)


def _no_more(reason: ConnectionLost | None, grace: float) -> ConnectionLost:
    """Return the error of a call whose connection was lost for `reason` and not replaced within `grace` seconds."""
    what = str(reason or "the line was lost")
    return ConnectionLost(f"{what}; it did not come back within {grace:.3g} s", kind=reason.kind if reason else None)
