"""The demultiplexer: reads the line and routes each message by its type.

It never writes and its routes never wait: two programs that answer from the reading thread can stop
each other for ever, each waiting for the other to read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from voicemux.net.line import Line
from voicemux.protocol.connection import Receiving

Routes = Mapping[type, Callable[[Any], None]]


def demultiplex(line: Line, receiving: Receiving, routes: Routes) -> None:
    """Route messages until the peer's stream ends. The body of the reading thread.

    Raises ConnectionLost if it ends without a goodbye, RemoteProtocolError if the peer breaks the protocol.
    """
    data = b""  # first what came right behind the HELLO, and has been received already
    while True:
        for message in receiving.receive(data):
            routes[type(message)](message)
        if not (data := line.read()):
            break
    receiving.receive_end()
