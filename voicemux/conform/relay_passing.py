"""Cases of bytes that pass between the two clients of a pair: relay.md §9."""

import secrets
import time

from voicemux.conform.relay_link import RelayLink
from voicemux.conform.relay_subject import RelaySubject, relay_case
from voicemux.conform.verdict import Failed
from voicemux.errors import ConnectionLost, Kind
from voicemux.threads import Threads

SILENCE = 0.5  # seconds without progress, after which the relay has stopped reading
MUCH = 100_000  # bytes: less than the burst of a relay that limits clients to 64 kB a second
MUCH_PATIENCE = 20.0  # seconds for the MUCH bytes
TOO_MUCH = 16_000_000  # bytes that the reader leaves: more than all buffers of kernels on the way hold
FLOOD = 3.0  # seconds for which the sender writes to a client that does not read


@relay_case(9)
def relay_bytes(relay: RelaySubject) -> None:
    """Bytes pass as they are, in both directions at once."""
    dialler, listener = relay.pair()
    there, back = secrets.token_bytes(MUCH), secrets.token_bytes(MUCH)
    writing = [_Writing(dialler, there), _Writing(listener, back)]
    try:
        listener.expect_bytes(there, "to the listener", MUCH_PATIENCE)
        dialler.expect_bytes(back, "to the dialler", MUCH_PATIENCE)
    except Failed:
        for link in (dialler, listener):
            link.stream.cut()  # the bytes that are still being written are not needed any more
        raise
    finally:
        for each in writing:
            each.join()
    for each in writing:
        each.check()


@relay_case(9)
def relay_half_close(relay: RelaySubject) -> None:
    """The end of one direction is passed on behind the bytes before it, and the other direction goes on."""
    for turn in (1, -1):
        one, other = relay.pair()[::turn]
        one.write(b"last words")
        one.finish()
        other.expect_bytes(b"last words", "before the end", MUCH_PATIENCE)
        other.expect_end()
        other.write(b"and an answer")
        one.expect_bytes(b"and an answer", "after the end of the other direction", MUCH_PATIENCE)
        other.finish()
        one.expect_end()


@relay_case(9, slow=True)
def relay_slow_reader(relay: RelaySubject) -> None:
    """The relay reads no more of one client than the other client takes."""
    dialler, _ = relay.pair()
    dialler.stream.set_timeout(SILENCE)
    sent, until = 0, time.monotonic() + FLOOD
    piece = bytes(16_384)
    try:
        while sent < TOO_MUCH and time.monotonic() < until:
            dialler.stream.write(piece)
            sent += len(piece)
    except ConnectionLost as error:
        if error.kind is not Kind.SILENCE:
            raise Failed(f"expected it to read later, got: {error}") from error
    if sent >= TOO_MUCH:
        raise Failed(f"expected it to stop reading, got {sent} bytes taken that no one has read")


@relay_case(9)
def relay_break(relay: RelaySubject) -> None:
    """If one connection breaks, the other ends behind the bytes before it."""
    for turn in (1, -1):
        one, other = relay.pair()[::turn]
        one.write(b"last words")
        other.expect_bytes(b"last words", "before the break", MUCH_PATIENCE)
        one.lose()
        other.read(1, MUCH_PATIENCE)
        if not other.ended:
            raise Failed("expected the end of the stream, got nothing of the kind")


class _Writing:
    """Writes in a thread, so that both directions are full at once."""

    def __init__(self, link: RelayLink, data: bytes) -> None:
        self._failure: Failed | None = None
        self._threads = Threads()
        self._threads.start("writing", lambda: self._write(link, data))

    def _write(self, link: RelayLink, data: bytes) -> None:
        try:
            link.write(data)
        except Failed as error:
            self._failure = error

    def join(self) -> None:
        self._threads.join()

    def check(self) -> None:
        """Wait until all bytes were written. Raises Failed if the relay did not take all of them."""
        if self._failure:
            raise self._failure
