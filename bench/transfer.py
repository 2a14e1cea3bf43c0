"""A transfer by somebody else on the same line: one TCP connection that sends as much as it can while it is told to.

python -m bench.transfer receive ADDRESS PORT
python -m bench.transfer send ADDRESS PORT CONGESTION

The sender begins with the first line on its standard input and ends with the second, or with the input. CONGESTION is
the name of the kernel's congestion control, such as cubic or bbr.
"""

import contextlib
import socket
import struct
import sys
import threading

PIECE = bytes(65_536)
AT_ONCE = struct.pack("ii", 1, 0)  # of SO_LINGER: what is not sent yet is dropped
PATIENCE = 10.0  # seconds to connect, and for one piece to be taken


def receive(address: str, port: int) -> None:
    """Take and forget what each sender sends, one after the other, until this process is ended."""
    with socket.create_server((address, port)) as server:
        while True:
            with server.accept()[0] as stream, contextlib.suppress(ConnectionResetError):
                while stream.recv(len(PIECE)):
                    pass


def send(address: str, port: int, congestion: str) -> None:
    """Send from one line of standard input to the next."""
    if not sys.stdin.readline():
        return
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    with socket.socket() as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        stream.settimeout(PATIENCE)
        stream.connect((address, port))
        while not over.is_set():
            stream.send(PIECE)
        # Otherwise the kernel goes on with what it holds: on 1 Mbit/s with a queue of 2 s, for 6 s more.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def main() -> None:
    what, address, port, *congestion = sys.argv[1:]
    if what == "receive":
        receive(address, int(port))
    else:
        send(address, int(port), *congestion)


if __name__ == "__main__":
    main()
