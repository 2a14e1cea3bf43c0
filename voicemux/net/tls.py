"""TLS 1.3 on a stream of bytes: `TlsStream` is a `Stream` around a `Stream`. The only home of ssl.

This is not an SSLSocket: if one thread reads it while another writes, the interpreter crashes (CPython gh-143756),
because OpenSSL allows one thread at a time. Here, each use of OpenSSL is guarded by a lock, and none waits for the
network. What OpenSSL itself wants to send while reading (an answer to a KeyUpdate) goes out with the next write,
because the reader never writes; RFC 8446 §4.6.3 asks for no more.
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
FIRST_BYTES = 16  # bytes of a peer that are kept, to say what it is if it does not speak TLS
HANDSHAKE = 0x16  # first byte of a TLS handshake record
ALERT = 0x15  # first byte of a TLS alert record
MOST_HANDSHAKE = 16_384  # bytes that a peer may send before TLS is established; a certificate has about 400

Context = ssl.SSLContext


def listener_context(identity: Path) -> Context:
    """Return the TLS context of a listener. `identity` is a PEM file with its key and certificate. Raises
    SecurityError if it cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # sessions are not resumed: a ticket would be one more secret to keep
    _load(context, identity)
    return context


def dialler_context() -> Context:
    """Return the TLS context of a dialler. It accepts every certificate: the key is judged afterwards (protocol.md
    §12)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verified_context() -> Context:
    """Return the TLS context of a client that accepts only certificates which an authority of this system has signed
    for the host's name. OpenSSL's SSL_CERT_FILE adds authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def served_context(certificate: Path, key: Path) -> Context:
    """Return the TLS context of a server with an authority's certificate, as PEM files. Raises SecurityError if they
    cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    _load(context, certificate, key)
    return context


def _load(context: Context, certificate: Path, key: Path | None = None) -> None:
    """Load PEM files; without `key`, `certificate` holds both. Raises SecurityError if they cannot be used."""
    what = f"{certificate} with the key {key}" if key else f"and key in {certificate}"
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:  # its words are of OpenSSL's source code
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        why = "they do not belong together" if mismatch else "PEM files are expected"
        raise SecurityError(f"cannot use the certificate {what}: {why}") from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SecurityError(f"cannot use the certificate {what}: {why}") from error


def until_tls_1_2(context: Context) -> Context:
    """Limit `context` to TLS 1.2, which no peer should accept, and return it: for tests of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Channel:
    """One TLS connection without its socket: turns bytes of the network into bytes of the peer, and back. Any thread
    may use it."""

    def __init__(self, context: Context, *, is_server: bool, name: str | None = None) -> None:
        """`name` is the server's host name, if the context verifies certificates."""
        self._lock = threading.Lock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server, server_hostname=name)
        self._received = 0  # bytes that have come before TLS was established
        self._first = b""
        self.established = False
        self.ended = False  # the peer has ended its direction

    def receive(self, data: bytes) -> bytes | None:
        """Decrypt `data` (b"" is the end of the network's stream) and return the peer's bytes; None if they are not
        complete; b"" at the end of the peer's stream.

        Raises RemoteProtocolError or SecurityError until TLS is established, ConnectionLost afterwards.
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
        """Begin the handshake, as the client."""
        with self._lock, contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()

    def seal(self, data: bytes) -> bytes:
        """Encrypt `data`, and return the bytes to send. Raises ConnectionLost if the reader has found the stream
        damaged."""
        with self._lock:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                raise self._failure(error) from error
            return self._outgoing.read()

    def take_outgoing(self) -> bytes:
        """Return the bytes that TLS itself wants to send."""
        with self._lock:
            return self._outgoing.read()

    def finish(self) -> bytes:
        """Return the bytes that tell the peer that nothing more comes."""
        with self._lock:
            # It waits for the peer to end, too, and we do not.
            with contextlib.suppress(ssl.SSLError, ValueError, OSError):
                self._tls.unwrap()
            return self._outgoing.read()

    @property
    def peer_certificate(self) -> bytes:
        """The server's certificate, in DER; b"" before there is one."""
        with self._lock:
            return (self._tls.getpeercert(binary_form=True) or b"") if self.established else b""

    def _read(self) -> bytes | None:
        parts = []
        while not self.ended:
            try:
                part = self._tls.read(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            # EOF means that TCP ended without TLS's own end; only a BYE counts as a goodbye anyway.
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                part = b""
            self.ended = not part
            parts.append(part)
            if not self._incoming.pending and not self._tls.pending():  # cheaper than the exception of one more read
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

    Call `begin()` on the dialler's side, `answer()` on the listener's, and read until `is_secure`.
    """

    def __init__(self, stream: Stream, context: Context, *, is_server: bool, name: str | None = None) -> None:
        super().__init__(stream)
        self._channel = Channel(context, is_server=is_server, name=name)

    def begin(self) -> None:
        """Send the ClientHello."""
        self._channel.begin()
        self._stream.write(self._channel.take_outgoing())

    def answer(self, first: bytes) -> bytes | None:
        """Go on with a handshake whose bytes `first` were read already. Returns and raises as `receive`."""
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
        if channel.established:  # from then on, only the thread that writes may send
            return channel.receive(data)
        try:
            heard = channel.receive(data)
        except VoicemuxError:
            # The fault is raised, not that the peer could not be told of it.
            with contextlib.suppress(ConnectionLost):
                self._stream.write(channel.take_outgoing())
            raise
        # Without an answer, there is no need to notice yet that the peer has gone.
        if answer := channel.take_outgoing():
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
