"""`voicemux` for a shell, without its loading: has tests/warm_start.py become the program, and ends as it does.

`python -I -S warm_command.py SOCKET ARGUMENTS...`: the socket is the starter's. Signals are passed on. It has the
program's standard streams for no longer than it takes to hand them over.
"""

import json
import os
import signal
import socket
import struct
import sys

STATUS = struct.Struct("i")


def main(path: str, *arguments: str) -> int:
    """The exit code of the program; below 0 the signal that ended it."""
    request = {"arguments": arguments, "env": dict(os.environ), "folder": os.getcwd(), "session": False}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as starter:
        starter.connect(path)
        socket.send_fds(starter, [json.dumps(request).encode()], [0, 1, 2])
        pid: int = STATUS.unpack(starter.recv(STATUS.size))[0]
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        code: int = STATUS.unpack(starter.recv(STATUS.size))[0]
    return code


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
