"""The dialler's side of the first bytes of a call, up to both HELLOs (protocol.md §3, §6).

The listener's side is `reception`, which greets many callers at once.
"""

import contextlib
import time
from collections.abc import Callable

from voicemux.errors import (
    CallRefused,
    ConnectionLost,
    Kind,
    RemoteProtocolError,
    SecurityError,
    Unreachable,
    VoicemuxError,
)
from voicemux.net.stream import SILENCE_TIMEOUT, Stream, whole_place
from voicemux.net.tls import TlsStream, dialler_context
from voicemux.protocol.connection import NOT_A_LISTENERS, Receiving, Sending, State
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT
from voicemux.protocol.messages import Bye, ByeCode, Challenge, Hello, Message, Preface, Ringing, Welcome
from voicemux.security.handshake import Dialler, Peer

# Seconds at least for TLS: the far end of a tunnel (Tor, a host that sleeps) may need half of them.
TLS_TIMEOUT = 15.0
GREETING_TIMEOUT = 15.0  # seconds at least for the listener's preface, for the same reason
PREFACE_TIMEOUT = 5.0  # seconds that a listener waits for a caller's preface or ClientHello
AT_ONCE = 1.0  # seconds up to which a connection counts as closed at once
PROOF_TIMEOUT = 10.0  # seconds for the whole authentication
ANSWER_TIMEOUT = 60.0  # seconds for the listener's HELLO (protocol.md §11)
PUNCTUAL = 0.01  # seconds by which a wait may end early: a socket's clock is not quite Python's
MOST_BYTES = 65_536  # bytes between our HELLO and the listener's (protocol.md §6); a RINGING every 5 s makes 50
SECURITY_CODES = {ByeCode.SECURITY, ByeCode.UNKNOWN_CALLER, ByeCode.WRONG_CODE}

Watcher = Callable[[Sending, Receiving], None]


def unwatched(sending: Sending, receiving: Receiving) -> None:
    """A `Watcher` that does nothing."""


class Greeting:
    """The greeting of one listener. Call `open()`, then `introduce()`; with TLS, `secure()` first, and
    `authenticate()` between. Afterwards `stream`, `sending` and `receiving` belong to the call."""

    def __init__(
        self, stream: Stream, patience: float = 0.0, watch: Watcher = unwatched, *, limit: float = float("inf")
    ) -> None:
        """`patience` is how many seconds the user wants to wait for a word, if that is longer than usual.

        `watch` gets what encodes and decodes frames before any has passed. `limit` is the seconds for all of it.
        """
        self.stream = stream
        self._patience = patience
        self._began = self._heard = time.monotonic()  # `_heard`: when the last bytes came
        self._limit = self._began + limit
        self.sending = Sending()
        self.receiving = Receiving(unfit=NOT_A_LISTENERS)
        self._watch = watch
        watch(self.sending, self.receiving)
        self.bye: Bye | None = None  # the listener's BYE, if it has sent one instead of HELLO
        self._rings = False
        self._has_proved = False  # PROOF was sent, and not answered yet

    def secure(self) -> bytes:
        """Begin TLS, and return the listener's certificate in DER. It is not authenticated yet.

        Raises Unreachable if nothing comes, RemoteProtocolError if what comes is not TLS, SecurityError if the other
        side takes plain calls only.
        """
        deadline = time.monotonic() + max(TLS_TIMEOUT, self._patience)
        try:
            self.stream = secured = TlsStream(self.stream, dialler_context(), is_server=False)
            secured.begin()
            while not self.stream.is_secure:
                self._receive(deadline)
        except ConnectionLost as error:
            raise self._no_answer("it does not answer to TLS", error) from error
        self.sending, self.receiving = Sending(State.STRANGER), Receiving(State.STRANGER, NOT_A_LISTENERS)
        self._watch(self.sending, self.receiving)
        return self.stream.peer_certificate

    def authenticate(self, dialler: Dialler) -> Peer:
        """Authenticate both sides, and return the listener. Raises SecurityError if it does not let us in, or is not
        who it should be."""
        deadline = time.monotonic() + PROOF_TIMEOUT
        self.stream.write(self.sending.encode(dialler.claim()))
        challenge = self._await(Challenge, deadline)
        assert isinstance(challenge, Challenge)
        self.stream.write(self.sending.encode(dialler.prove(challenge)))
        self._has_proved = True
        welcome = self._await(Welcome, deadline)
        self._has_proved = False
        assert isinstance(welcome, Welcome)
        return dialler.accept(welcome)

    def open(self) -> None:
        """Exchange prefaces. Raises Unreachable if nothing comes, RemoteProtocolError if what comes is not
        voicemux."""
        try:
            self.stream.write(self.sending.preface())
            self._await(Preface, time.monotonic() + max(GREETING_TIMEOUT, self._patience))
        except ConnectionLost as error:
            raise self._no_answer("it gave no greeting", error) from error

    def introduce(self, hello: Hello, on_ringing: Callable[[], None], who: str = "the other side") -> Hello:
        """Send our HELLO, wait for the listener's, and return it. `who` names the listener in errors. `on_ringing` is
        called once.

        Raises CallRefused if the listener does not answer, or sends BYE; SecurityError if it demands another
        authentication; RemoteProtocolError (FLOOD) if it sends too much.
        """
        self.stream.write(self.sending.encode(hello))
        deadline = time.monotonic() + ANSWER_TIMEOUT
        try:
            answer = self._await(Hello, deadline, on_ringing, who, self.stream.bytes_read + MOST_BYTES)
        except ConnectionLost as error:
            if time.monotonic() < deadline - PUNCTUAL:
                raise
            raise CallRefused("nobody answered", kind=Kind.SILENCE) from error
        assert isinstance(answer, Hello)
        self.stream.set_timeout(SILENCE_TIMEOUT)
        return answer

    def _no_answer(self, what: str, error: ConnectionLost) -> VoicemuxError:
        """Return the error for a listener that did not greet, by what was seen. Behind a tunnel, that may only be its
        near end."""
        waited = time.monotonic() - self._began
        if self.stream.bytes_read:
            return RemoteProtocolError(f"that is not voicemux, {what} ({error})")
        if error.kind is Kind.COMMAND_FAILED:
            return Unreachable(str(error), kind=error.kind)
        if error.kind is Kind.SILENCE:
            return Unreachable(
                f"{whole_place(self.stream)} takes the connection and says nothing for {waited:.0f} s",
                kind=Kind.SAYS_NOTHING,
            )
        when = "at once" if waited < AT_ONCE else f"after {waited:.0f} s without a word"
        return Unreachable(f"the connection was closed {when}", kind=Kind.CLOSED_AT_ONCE)

    def _await(
        self,
        wanted: type,
        deadline: float,
        on_ringing: Callable[[], None] | None = None,
        who: str = "the other side",
        most: int | None = None,
    ) -> Preface | Message:
        """Wait for a message of the type `wanted`, and return it. `most` is the number of bytes that the stream may
        have read by then."""
        data: bytes | None = b""
        while True:
            for message in self.receiving.receive(data or b""):
                if isinstance(message, wanted):
                    return message
                if isinstance(message, Ringing) and on_ringing and not self._rings:
                    self._rings = True
                    on_ringing()
                if isinstance(message, Bye):
                    self.bye = message
                    raise refusal(message, who, has_proved=self._has_proved)
            if most is not None and self.stream.bytes_read > most:
                raise RemoteProtocolError("too much came before the call was answered", ByeCode.FLOOD)
            if (data := self._receive(deadline)) == b"":
                self.receiving.receive_end()

    def _receive(self, deadline: float) -> bytes | None:
        if (left := min(deadline, self._limit) - time.monotonic()) <= 0:
            raise ConnectionLost("the other side does not come to the point", kind=Kind.SILENCE)
        self.stream.set_timeout(left)
        try:
            data = self.stream.receive()
        except ConnectionLost as error:
            if error.kind is not Kind.SILENCE:
                raise
            seconds = max(1, round(time.monotonic() - self._heard))
            raise ConnectionLost(f"nothing came from the other side for {seconds} s", kind=Kind.SILENCE) from error
        self._heard = time.monotonic()
        return data


def part(stream: Stream, sending: Sending, bye: Bye) -> None:
    """Send BYE on a stream that never became a call (protocol.md §10), and close it."""
    with contextlib.suppress(ConnectionLost):
        stream.write(sending.encode(bye))
        stream.finish()
        deadline = time.monotonic() + GOODBYE_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            stream.set_timeout(left)
            if not stream.read():
                break
    stream.close()


def refusal(bye: Bye, who: str = "the other side", *, has_proved: bool = False) -> VoicemuxError:
    """Return the error that says why the listener, called `who`, did not take the call. The reason that it sent
    becomes `said`.

    `has_proved`: the BYE answers our PROOF. Our PROOF is right, so a listener that calls it wrong did not get it from
    us, or has shown us a certificate that is not its own (protocol.md §12, step 4).
    """
    if has_proved and bye.code == ByeCode.PROTOCOL:
        words = "the proof of who you are did not reach the listener as it was sent"
        return SecurityError(words, kind=Kind.MAN_IN_THE_MIDDLE, said=bye.reason)
    known: dict[int, tuple[str, Kind | None]] = {
        ByeCode.BUSY: (f"{who} is busy", None),
        ByeCode.DECLINED: (f"{who} declined the call", None),
        ByeCode.TIMEOUT: ("nobody answered", None),
        ByeCode.VERSION: ("another version", None),
        ByeCode.SECURITY: ("an encrypted call is wanted there", Kind.WANTS_ENCRYPTION),
        ByeCode.UNKNOWN_CALLER: ("you are not known there", Kind.UNKNOWN_CALLER),
        ByeCode.LATER: ("too many wrong codes have been tried there: try again in some minutes", None),
        ByeCode.WRONG_CODE: ("the code is wrong, or no longer valid", Kind.WRONG_CODE),
        ByeCode.GONE: (f"{who} no longer has the call", Kind.GONE),
    }
    words, kind = known.get(bye.code, (f"{who} hung up", None))
    error = SecurityError if bye.code in SECURITY_CODES else CallRefused
    return error(words, kind=kind, said=bye.reason)
