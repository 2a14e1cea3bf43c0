"""Reads a stream, and routes each message by its type.

It never writes, and its routes never wait. If two programs answered from their reading threads, each could wait for
ever for the other to read.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from voicemux.errors import RemoteProtocolError
from voicemux.net.quota import Quota
from voicemux.net.stream import Stream
from voicemux.protocol.connection import Receiving
from voicemux.protocol.messages import ByeCode

Routes = Mapping[type, Callable[[Any], None]]


def demultiplex(stream: Stream, receiving: Receiving, routes: Routes) -> None:
    """Route messages until the peer's stream ends. The body of the reading thread.

    Raises ConnectionLost if it ends without a goodbye, RemoteProtocolError if the peer breaks the protocol, or sends
    too much.
    """
    quota = Quota(time.monotonic())
    data: bytes | None = b""  # first, what came right behind the HELLO and is already in `receiving`
    while True:
        for message in receiving.receive(data or b""):
            routes[type(message)](message)
            quota.took(message)
        before = stream.bytes_read
        if (data := stream.receive()) == b"":
            break
        if not quota.read(stream.bytes_read - before, time.monotonic()):
            raise RemoteProtocolError("too much, too fast", ByeCode.FLOOD)
    receiving.receive_end()
