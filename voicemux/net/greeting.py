"""The first bytes of a call, up to both HELLOs (protocol.md §3, §6), from the dialler's side.

The listener's side of it is `reception`, which greets many callers at once.
"""

import contextlib
import time
from collections.abc import Callable

from voicemux.errors import CallRefused, ConnectionLost, RemoteProtocolError
from voicemux.net.line import SILENCE_TIMEOUT, Line
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.messages import Bye, ByeCode, Hello, Message, Preface, Ringing

PREFACE_TIMEOUT = 5.0  # seconds
ANSWER_TIMEOUT = 60.0  # seconds for the listener's HELLO
GOODBYE_TIMEOUT = 2.0  # seconds


class Greeting:
    """`open()`, then `introduce()`; after that `line`, `sending` and `receiving` belong to the call."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.sending = Sending()
        self.receiving = Receiving()

    def open(self) -> None:
        """Exchange prefaces. Raises RemoteProtocolError if the other side does not speak voicemux."""
        self.line.write(self.sending.preface())
        try:
            self._await(Preface, time.monotonic() + PREFACE_TIMEOUT, _ignore)
        except ConnectionLost as error:
            raise RemoteProtocolError(f"that is not voicemux, it gave no greeting ({error})") from error

    def introduce(self, hello: Hello, on_ringing: Callable[[], None]) -> Hello:
        """Send our HELLO and wait for the listener's; `on_ringing` is called when it rings there.

        Raises CallRefused if the listener says BYE instead.
        """
        self.line.write(self.sending.encode(hello))
        answer = self._await(Hello, time.monotonic() + ANSWER_TIMEOUT, on_ringing)
        assert isinstance(answer, Hello)
        self.line.set_timeout(SILENCE_TIMEOUT)
        return answer

    def _await(self, wanted: type, deadline: float, on_ringing: Callable[[], None]) -> Preface | Message:
        data = b""
        while True:
            for message in self.receiving.receive(data):
                if isinstance(message, wanted):
                    return message
                if isinstance(message, Ringing):
                    on_ringing()
                if isinstance(message, Bye):
                    raise CallRefused(describe_refusal(message))
            if (left := deadline - time.monotonic()) <= 0:
                raise ConnectionLost("the other side does not come to the point")
            self.line.set_timeout(left)
            if not (data := self.line.read()):
                self.receiving.receive_end()


def part(line: Line, sending: Sending, bye: Bye) -> None:
    """Say goodbye on a line that never became a call, see protocol.md §10, and close it."""
    with contextlib.suppress(ConnectionLost):
        line.write(sending.encode(bye))
        line.finish()
        deadline = time.monotonic() + GOODBYE_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            line.set_timeout(left)
            if not line.read():
                break
    line.close()


def describe_refusal(bye: Bye) -> str:
    """Why the listener did not take the call. Its reason is a peer's text: to be made printable."""
    known = {ByeCode.BUSY: "busy", ByeCode.DECLINED: "the call was declined", ByeCode.VERSION: "another version"}
    words = known.get(bye.code, "the other side hung up")  # type: ignore[call-overload]
    return f"{words}: {bye.reason}" if bye.reason else str(words)


def _ignore() -> None:
    pass
