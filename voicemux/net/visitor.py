"""One connection that a listener greets, up to its HELLO (protocol.md §3, §6). The dialler's side is `greeting`.

Limits hold for what a stranger can cost here: bytes (a frame decoder holds one frame), time, and tries of a code.
"""

import time
from dataclasses import dataclass, field

from voicemux.errors import ConnectionLost, NotAdmitted, RemoteProtocolError
from voicemux.net.caller import Caller
from voicemux.net.greeting import PREFACE_TIMEOUT
from voicemux.net.lobby import Stage
from voicemux.net.stream import Stream
from voicemux.net.tls import HANDSHAKE, Context, TlsStream
from voicemux.protocol.connection import NOT_A_DIALLERS, Receiving, Sending, State
from voicemux.protocol.goodbye import GOODBYE_TIMEOUT
from voicemux.protocol.messages import Bye, ByeCode, Claim, Hello, Message, Preface, Proof
from voicemux.security.admission import Admission, Candidate
from voicemux.security.handshake import Peer

HELLO_TIMEOUT = 10.0  # seconds from a visitor's preface to its HELLO
MOST_BYTES = 65_536  # bytes from a visitor: all that it may send has about 2000
VISITOR_PATIENCE = 0.5  # seconds for a write to a visitor: the few bytes fit any empty buffer


@dataclass(eq=False)
class Visitor:
    """A connection that is not a call yet, for one thread. Call `hear()` when there is something to read, until it
    returns HELLO or the visitor must go."""

    stream: Stream
    number: int = 0  # number of the connection, in the order of acceptance
    # Time by which it must have sent what comes next.
    deadline: float = field(default_factory=lambda: time.monotonic() + PREFACE_TIMEOUT)
    sending: Sending = field(default_factory=Sending)
    receiving: Receiving = field(default_factory=lambda: Receiving(unfit=NOT_A_DIALLERS))
    opened: bool = False  # whether its first bytes have come
    proving: Candidate | None = None
    peer: Peer | None = None
    leaving: bool = False  # BYE was sent to it

    def __post_init__(self) -> None:
        self.stream.set_timeout(VISITOR_PATIENCE)

    @property
    def host(self) -> str:
        """The IP address that it comes from; a loopback address if it has none."""
        return self.stream.peer_address.host

    @property
    def stage(self) -> Stage:
        """How far the visitor has come."""
        if self.leaving:
            return Stage.LEAVING
        if self.peer:
            return Stage.PROVED
        if self.proving:
            return Stage.CLAIMED
        if self.stream.is_secure:
            return Stage.SECURE
        return Stage.ANSWERED if self.stream.bytes_written else Stage.SILENT

    def hear(self, tls: Context | None, admission: Admission | None) -> Hello | None:
        """Read once, and answer. Returns the visitor's HELLO once it has come and the visitor may call; after that,
        nothing more is read here.

        Without `tls`, calls are plain. Raises ConnectionLost if the visitor has gone; NotAdmitted, whose text is for
        the owner; RemoteProtocolError; SecurityError if the contacts cannot be read.
        """
        data = self._receive(tls)
        if self.stream.bytes_read > MOST_BYTES and not self.leaving:
            raise NotAdmitted("it said too much before it said who it is", ByeCode.FLOOD)
        if data == b"":
            raise ConnectionLost("the visitor has gone")
        return self._greet(data, admission) if data and not self.leaving else None

    def refuse(self, error: RemoteProtocolError) -> bool:
        """Send BYE with what the visitor has done wrong. Returns False if it does not speak voicemux: then it is sent
        nothing."""
        if error.code == ByeCode.VERSION:
            self.stream.write(self.sending.preface())
        elif not self.receiving.greeted:
            return False
        self.send_away(Bye(error.code, str(error)))
        return True

    def send_away(self, bye: Bye) -> None:
        """Send BYE, and give the visitor time to read it: closing at once could destroy the BYE on its way."""
        self.leaving = True
        self.stream.write(self.sending.encode(bye))
        self.stream.finish()
        self.deadline = time.monotonic() + GOODBYE_TIMEOUT

    def caller(self, hello: Hello) -> Caller:
        """Return the caller that the visitor is after its HELLO."""
        known = self.proving.known if self.proving else None
        return Caller(self.stream, self.sending, self.receiving, hello, self.peer, known, self.number)

    def _receive(self, tls: Context | None) -> bytes | None:
        data = self.stream.receive()
        if self.opened or not data:
            return data
        self.opened = True
        if data[0] != HANDSHAKE:
            return data
        if tls is None:
            self.stream.write(self.sending.preface())  # unencrypted, so that the caller sees what is spoken here
            raise NotAdmitted("an encrypted call, and only plain ones are taken", ByeCode.SECURITY)
        self.sending, self.receiving = Sending(State.STRANGER), Receiving(State.STRANGER, NOT_A_DIALLERS)
        self.stream = secured = TlsStream(self.stream, tls, is_server=True)
        return secured.answer(data)

    def _greet(self, data: bytes, admission: Admission | None) -> Hello | None:
        for message in self.receiving.receive(data):
            if isinstance(message, Preface):
                self.stream.write(self.sending.preface())
                self.deadline = time.monotonic() + HELLO_TIMEOUT
                if admission and not self.stream.is_secure:
                    raise NotAdmitted("a plain call, and only encrypted ones are taken", ByeCode.SECURITY)
            elif isinstance(message, Hello):
                if admission:
                    assert self.proving
                    assert self.peer
                    if self.proving.may_only_resume and message.last_text is None:
                        raise NotAdmitted("no contact, and no code", ByeCode.UNKNOWN_CALLER)
                    admission.use(self.proving, self.peer, time.monotonic())
                return message
            elif isinstance(message, Bye):
                self.send_away(Bye())
                return None
            else:
                assert admission
                self._authenticate(message, admission)
        return None

    def _authenticate(self, message: Message, admission: Admission) -> None:
        now = time.monotonic()
        if isinstance(message, Claim):
            self.proving = admission.begin(message, self.host, now)
            self.stream.write(self.sending.encode(self.proving.challenge))
        else:
            assert isinstance(message, Proof)
            assert self.proving
            welcome, self.peer = admission.finish(self.proving, message, self.host, now)
            self.stream.write(self.sending.encode(welcome))
