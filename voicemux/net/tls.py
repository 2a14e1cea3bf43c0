"""TLS 1.3 on a stream of bytes: `TlsStream` is a `Stream` around a `Stream`. The only home of ssl.

Not an SSLSocket: one that is read by a thread and written by another crashes the interpreter (CPython gh-143756),
because OpenSSL allows one thread at a time. Here every use of it is behind a lock, and none waits for the network.
What OpenSSL itself has to say while reading (an answer to a KeyUpdate) goes out with what is written next: RFC 8446
§4.6.3 asks for no more, and the reader never writes.
"""

import contextlib
import ssl
import threading
import warnings
from pathlib import Path

from voicemux.errors import ConnectionLost, Kind, RemoteProtocolError, SecurityError, VoicemuxError
from voicemux.net.stream import LayeredStream, Stream
from voicemux.protocol.connection import describe_stranger
from voicemux.protocol.wire import PREFACE_STEM

READ_SIZE = 65_536  # bytes
FIRST_BYTES = 16  # of a peer, that are kept to say what it is if it does not speak TLS
HANDSHAKE = 0x16  # the first byte of TLS
ALERT = 0x15
MOST_HANDSHAKE = 16_384  # bytes that a peer may say before there is a connection: a certificate has about 400

Context = ssl.SSLContext


def listener_context(identity: Path) -> Context:
    """`identity` is a PEM file with key and certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # sessions are not resumed: a ticket would be one more secret to keep
    context.load_cert_chain(identity)
    return context


def dialler_context() -> Context:
    """It takes every certificate: who it belongs to is asked afterwards (protocol.md §12)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified_context() -> Context:
    """Of a client that takes only certificates that an authority of this system has signed for the host's name.

    OpenSSL's SSL_CERT_FILE adds others.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def served_context(certificate: Path, key: Path) -> Context:
    """Of a server with a certificate of an authority, as PEM files. Raises SecurityError if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise SecurityError(f"cannot use the certificate {certificate} with the key {key}: {why}") from error
    return context


def until_tls_1_2(context: Context) -> Context:
    """The same context with TLS 1.2 only, which no peer should take: for tests of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Channel:
    """Bytes of the network in, bytes of the peer out, and the other way round. Any thread."""

    def __init__(self, context: Context, *, is_server: bool, name: str | None = None) -> None:
        """`name` is the server's, where the context has its certificate verified."""
        self._lock = threading.Lock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server, server_hostname=name)
        self._received = 0  # bytes, before it is established
        self._first = b""
        self.established = False
        self.ended = False  # the peer has said that nothing more comes

    def receive(self, data: bytes) -> bytes | None:
        """What the peer says with these bytes, None if nothing yet; with b"", the end of them, and for an end b"".

        Raises RemoteProtocolError or SecurityError while it is not established, ConnectionLost afterwards.
        """
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
            try:
                if not self.established:
                    self._take_note(data)
                    self._tls.do_handshake()
                    self.established = True
                return self._read()
            except ssl.SSLWantReadError:
                return None
            except ssl.SSLError as error:
                raise self._failure(error) from error

    def begin(self) -> None:
        """Say the first word."""
        with self._lock, contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()

    def seal(self, data: bytes) -> bytes:
        """What is to be sent for the peer to receive `data`. Raises ConnectionLost if the reader has found damage."""
        with self._lock:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                raise self._failure(error) from error
            return self._outgoing.read()

    def take_outgoing(self) -> bytes:
        """What TLS itself wants sent."""
        with self._lock:
            return self._outgoing.read()

    def finish(self) -> bytes:
        """What is to be sent for the peer to know that nothing more comes."""
        with self._lock:
            with contextlib.suppress(ssl.SSLError, ValueError, OSError):  # it waits for the peer's word: we do not
                self._tls.unwrap()
            return self._outgoing.read()

    @property
    def peer_certificate(self) -> bytes:
        """Of the server, in DER; b"" before there is one."""
        with self._lock:
            return (self._tls.getpeercert(binary_form=True) or b"") if self.established else b""

    def _read(self) -> bytes | None:
        parts = []
        while not self.ended:
            try:
                part = self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # the latter: TCP ended first; a BYE is what counts
                part = b""
            self.ended = not part
            parts.append(part)
            if not self._incoming.pending and not self._tls.pending():  # cheaper to ask than to be told by an error
                break
        return b"".join(parts) or (b"" if self.ended else None)

    def _take_note(self, data: bytes) -> None:
        self._received += len(data)
        self._first = (self._first + data)[:FIRST_BYTES]
        if self._received > MOST_HANDSHAKE:
            raise RemoteProtocolError(f"a TLS handshake of over {MOST_HANDSHAKE} bytes")

    def _failure(self, error: ssl.SSLError) -> Exception:
        reason = (error.reason or "it was cut off").lower().replace("_", " ")
        if self.established:
            return ConnectionLost(f"the encrypted stream is damaged: {reason}")
        if self._first.startswith(PREFACE_STEM):
            return SecurityError("plain calls are taken there, not encrypted ones", kind=Kind.WANTS_PLAIN)
        if isinstance(error, ssl.SSLCertVerificationError):
            return SecurityError(f"the certificate there cannot be relied on: {error.verify_message.lower()}")
        if not self._first:
            return ConnectionLost("the connection ended without a word")
        if self._first[0] not in (HANDSHAKE, ALERT):
            return RemoteProtocolError(describe_stranger(self._first))
        if isinstance(error, ssl.SSLEOFError) and self._first[0] == HANDSHAKE:
            return ConnectionLost("the connection ended in the middle of the TLS handshake")
        return RemoteProtocolError(f"no TLS 1.3 with the other side: {reason}")


class TlsStream(LayeredStream):
    """A `Stream` whose bytes go through TLS on another, which belongs to it from now on.

    Begin with `begin()` on the dialler's side, `answer()` on the listener's; read until `is_secure`.
    """

    def __init__(self, stream: Stream, context: Context, *, is_server: bool, name: str | None = None) -> None:
        super().__init__(stream)
        self._channel = Channel(context, is_server=is_server, name=name)

    def begin(self) -> None:
        """Say the first word of the handshake."""
        self._channel.begin()
        self._stream.write(self._channel.take_outgoing())

    def answer(self, first: bytes) -> bytes | None:
        """`first` has been read of the handshake already. Returns and raises as `receive`."""
        return self._open(first)

    @property
    def is_secure(self) -> bool:
        """See `Stream`."""
        return self._channel.established

    @property
    def peer_certificate(self) -> bytes:
        """See `Stream`."""
        return self._channel.peer_certificate

    def read(self) -> bytes:
        """See `Stream`."""
        while (data := self.receive()) is None:
            pass
        return data

    def receive(self) -> bytes | None:
        """See `Stream`. Raises RemoteProtocolError or SecurityError, too, until it `is_secure`."""
        if self._channel.ended:
            return b""
        data = self._stream.receive()
        return None if data is None else self._open(data)

    def _open(self, data: bytes) -> bytes | None:
        channel = self._channel
        if channel.established:  # from then on only the thread that writes sends
            return channel.receive(data)
        try:
            heard = channel.receive(data)
        except VoicemuxError:
            with contextlib.suppress(ConnectionLost):  # what is wrong counts, not that the peer could not be told
                self._stream.write(channel.take_outgoing())
            raise
        if answer := channel.take_outgoing():  # else there is no need to notice yet that the peer has gone
            self._stream.write(answer)
        return heard

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        self._stream.write(self._channel.seal(data))

    def finish(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(ConnectionLost):
            self._stream.write(self._channel.finish())
            self._stream.finish()
