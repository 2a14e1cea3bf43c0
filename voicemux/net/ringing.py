"""The connection of a caller while its call rings. The caller is told so repeatedly, and is listened to, because it
may hang up."""

import time

from voicemux.errors import ConnectionLost, RemoteProtocolError
from voicemux.net.caller import Caller
from voicemux.net.stream import SILENCE_TIMEOUT, receive_within
from voicemux.net.visitor import VISITOR_PATIENCE
from voicemux.protocol.messages import Arrivals, Audio, Bye, ByeCode, Message, Paths, Ping, Preface, Report, Ringing

MOST_BYTES = 262_144  # bytes from a caller while it rings: twice the 64 KiB window of text in the smallest frames
UNHEARD = (Audio, Ping, Report, Arrivals, Paths)  # too early (protocol.md §6), and of no use later


class Ring:
    """The ringing of one caller, for one thread. Call `sound()` every few seconds, `listen()` in between, `take()`
    when the user takes the call."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._most = caller.stream.bytes_read + MOST_BYTES
        self._kept: list[Message | Preface] = []

    def sound(self) -> None:
        """Tell the caller that it rings. Raises ConnectionLost."""
        caller = self._caller
        caller.stream.set_timeout(VISITOR_PATIENCE)
        caller.stream.write(caller.sending.encode(Ringing()))

    def listen(self, seconds: float) -> None:
        """Read what the caller sends in `seconds`.

        Raises ConnectionLost when the caller hangs up, or its stream breaks; RemoteProtocolError if it sends what it
        must not.
        """
        deadline = time.monotonic() + seconds
        self._hear(b"")  # what came right behind the HELLO
        while (left := deadline - time.monotonic()) > 0:
            data = receive_within(self._caller.stream, left)
            if data == b"":
                self._caller.receiving.receive_end()
            self._hear(data or b"")

    def take(self) -> None:
        """Stop ringing. Messages that came meanwhile are kept for the call."""
        self._caller.receiving.keep(self._kept)
        self._caller.stream.set_timeout(SILENCE_TIMEOUT)

    def _hear(self, data: bytes) -> None:
        for message in self._caller.receiving.receive(data):
            if isinstance(message, Bye):
                raise ConnectionLost("the caller has hung up")
            if not isinstance(message, UNHEARD):
                self._kept.append(message)
        if self._caller.stream.bytes_read > self._most:
            raise RemoteProtocolError("too much came while it rang", ByeCode.FLOOD)
