"""Listeners without an address: on a Unix socket, and for one call over standard input and output."""

import contextlib
import os
import shlex
import socket
import stat
import sys
from collections.abc import Callable

from voicemux.errors import Unreachable
from voicemux.net.address import Address
from voicemux.net.listener import BACKLOG, LOCAL_HOST, Doorway, ListeningSockets
from voicemux.net.pipes import PipeStream
from voicemux.net.socket_errors import reason, reason_of_path
from voicemux.net.stream import LayeredStream, Stream
from voicemux.net.tcp import TcpStream
from voicemux.net.ways import UnixPath

FOR_US_ONLY = 0o177  # umask: mode 0600
PEER = Address(LOCAL_HOST, 0)
STDIO = "stdio"  # `place` of a stream over standard input and output
# What a path may hold in place of a socket, besides a file: the check of its mode, and the words for it.
KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnixListener(ListeningSockets):
    """A listener on a Unix socket that only this user can connect to. The socket's file is removed with it."""

    def __init__(self, path: str) -> None:
        """Listen at `path`. The file of a listener of ours that was killed is replaced. Raises Unreachable, also if
        any other file is there."""
        self._way = UnixPath(os.path.abspath(path))
        self.doorways: list[Doorway] = []
        self.port = 0
        self.sockets: list[socket.socket] = [_bound(self._way.path)]
        self._file = _identity(self._way.path)

    def addresses(self) -> list[str]:
        """See `ListeningSockets`."""
        return [str(self._way)]

    def places(self) -> list[str]:
        """See `ListeningSockets`."""
        return [shlex.quote(str(self._way))]

    def numbers(self) -> list[str]:
        """See `ListeningSockets`: none."""
        return []

    def close(self) -> None:
        """See `ListeningSockets`."""
        is_ours = self._file is not None and _identity(self._way.path) == self._file
        self._file = None
        if is_ours:
            with contextlib.suppress(OSError):
                os.unlink(self._way.path)
        super().close()


class StdioListener(ListeningSockets):
    """A listener for one call, over standard input and output."""

    def __init__(self, stream: Stream) -> None:
        """`stream` comes from `take_standard_streams`."""
        self.sockets: list[socket.socket] = []
        self.doorways: list[Doorway] = []
        self.port = 0
        self._stream = stream
        self._doorway = Doorway()
        self.doorways.append(self._doorway)

    def open(self, on_gone: Callable[[], None]) -> None:
        """Let the caller in. `on_gone` is called, in any thread, when its stream is closed."""
        self._doorway.put(_OnlyStream(self._stream, on_gone))

    def addresses(self) -> list[str]:
        """See `ListeningSockets`: none."""
        return []

    def numbers(self) -> list[str]:
        """See `ListeningSockets`: none."""
        return []


class _OnlyStream(LayeredStream):
    """A stream that calls `on_gone` when it is closed."""

    def __init__(self, stream: Stream, on_gone: Callable[[], None]) -> None:
        super().__init__(stream)
        self._on_gone = on_gone
        self.is_secure = False
        self.peer_certificate = b""

    def read(self) -> bytes:
        """See `Stream`."""
        return self._stream.read()

    def receive(self) -> bytes | None:
        """See `Stream`."""
        return self._stream.receive()

    def write(self, data: bytes) -> None:
        """See `Stream`."""
        self._stream.write(data)

    def finish(self) -> None:
        """See `Stream`."""
        self._stream.finish()

    def close(self) -> None:
        """See `Stream`."""
        super().close()
        self._on_gone()


def take_standard_streams() -> Stream:
    """Return standard input and output as a stream. From now on, nothing can be typed, and what is printed goes to
    standard error. Raises Unreachable if they do not lead to another program."""
    if sys.platform == "win32":
        raise Unreachable("--stdio is not there on Windows")
    try:
        found = [os.fstat(each) for each in (0, 1)]
    except OSError as error:
        raise Unreachable("--stdio takes a program at the other end: standard input or output is closed") from error
    if not all(stat.S_ISFIFO(each.st_mode) or stat.S_ISSOCK(each.st_mode) for each in found):
        raise Unreachable(
            "--stdio takes a program at the other end of standard input and output, as "
            "voicemux dial --proxy-command 'ssh THERE voicemux listen --stdio' is"
        )
    reading, writing = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
    if os.path.samestat(*found) and stat.S_ISSOCK(found[0].st_mode):
        os.close(writing)
        return TcpStream(socket.socket(fileno=reading), PEER, STDIO)
    return PipeStream(reading, writing, PEER, STDIO)


def _bound(path: str) -> socket.socket:
    if sys.platform == "win32":
        raise Unreachable("--unix is not there on Windows")
    if "\0" in path:  # some kernels would take the part before it
        raise Unreachable(f"cannot listen on {path!r}: that is not a path")
    _remove_what_is_left(path)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(FOR_US_ONLY)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise Unreachable(f"cannot listen on {path}: {reason_of_path(error)}") from error
    finally:
        os.umask(before)
    return listening


def _remove_what_is_left(path: str) -> None:
    """Remove the socket of a listener of ours that was killed. Raises Unreachable if any other file is there."""
    assert sys.platform != "win32"
    try:
        found = os.lstat(path)
    except OSError:  # there is none, or `bind` will report the error
        return
    if not stat.S_ISSOCK(found.st_mode):
        kind = next((words for is_one, words in KINDS if is_one(found.st_mode)), "a file")
        raise Unreachable(f"cannot listen on {path}: {kind} is there, and not a socket")
    if found.st_uid != os.geteuid():
        raise Unreachable(f"cannot listen on {path}: the socket there belongs to another user")
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(1.0)
        try:
            knocking.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except OSError as error:
            raise Unreachable(f"cannot listen on {path}: {reason(error)}") from error
    raise Unreachable(f"cannot listen on {path}: another program listens there")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
