"""Connects to a listener by its way: TCP, a SOCKS5 proxy, a command such as ssh, or a Unix socket."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from voicemux.errors import ConnectionLost, Kind, Unreachable
from voicemux.net.address import Address
from voicemux.net.connecting import connect
from voicemux.net.socket_errors import reason_of_path
from voicemux.net.tcp import TcpStream
from voicemux.net.ways import ProxyCommand, SocksProxy, UnixPath, Way

SOCKS_TIMEOUT = 60.0  # seconds for the proxy: Tor may take 30 to build a circuit to an onion service
MOST_SOCKS_HOST = 255  # bytes of a host name (RFC 1928)
COMMAND_END = 2.0  # seconds that a command has to end by itself once its connection has ended


def connect_by(way: Way) -> TcpStream:
    """Connect by that way. Raises Unreachable, with the reason."""
    if isinstance(way, Address):
        return connect(way)
    if isinstance(way, UnixPath):
        return _connect_to_path(way)
    if isinstance(way.proxy, SocksProxy):
        return _connect_by_socks(way.address, way.proxy)
    return _connect_by_command(way.address, way.proxy)


class SocksStream(TcpStream):
    """A connection through a SOCKS5 proxy."""

    def finish(self) -> None:
        """Do nothing: many proxies, Tor among them, close both directions when one ends, which would lose the peer's
        last bytes. The peer answers our BYE, and ends the stream then."""


def _connect_by_socks(address: Address, proxy: SocksProxy) -> TcpStream:
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
    from python_socks.sync import Proxy as SyncProxy

    client = SyncProxy(
        ProxyType.SOCKS5, *proxy.address, username=proxy.user or None, password=proxy.password or None, rdns=True
    )
    where = f"{proxy.address.host} port {proxy.address.port}"
    if not _fits_socks(address.host):
        raise Unreachable(f"{address.host} is not a host name", kind=Kind.NO_SUCH_HOST)
    try:
        connection = client.connect(address.host, address.port, timeout=SOCKS_TIMEOUT)
    except ProxyTimeoutError as error:
        raise Unreachable(f"the proxy at {where} does not answer in {SOCKS_TIMEOUT:.0f} s") from error
    except (ProxyConnectionError, OSError) as error:
        raise Unreachable(f"cannot reach the proxy at {where}", kind=Kind.NO_PROXY) from error
    except ProxyError as error:
        raise Unreachable(f"the proxy at {where} finds no way to {address}: {str(error).lower()}") from error
    return SocksStream(connection, address)


def _fits_socks(host: str) -> bool:
    """Return whether a proxy can be asked for the host: its name fits in SOCKS5 and IDNA, which the library does not
    check."""
    try:
        return 0 < len(host.encode("idna")) <= MOST_SOCKS_HOST
    except UnicodeError:
        return False


class CommandStream(TcpStream):
    """A connection to a command that runs on this machine. The command ends with the stream."""

    def __init__(self, connection: socket.socket, peer_address: Address, command: "subprocess.Popen[bytes]") -> None:
        super().__init__(connection, peer_address)
        self._command = command

    def receive(self) -> bytes:
        """See `Stream`. Raises ConnectionLost if the command has ended without a byte."""
        with self._complaining():
            data = super().receive()
            if not (data or self.bytes_read):
                raise ConnectionLost
            return data

    def write(self, data: bytes) -> None:
        """See `Stream`. Raises ConnectionLost if the command has ended without a byte."""
        with self._complaining():
            super().write(data)

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        """If the command has failed, raise an error that tells its exit code, instead of the error of the connection
        to it."""
        try:
            yield
        except ConnectionLost as error:
            if self.bytes_read or error.kind is Kind.SILENCE:
                raise
            raise ConnectionLost(f"the proxy command ended{self._how()}", kind=Kind.COMMAND_FAILED) from error

    def _how(self) -> str:
        try:
            code = self._command.wait(COMMAND_END)
        except subprocess.TimeoutExpired:
            return ""
        return f" with exit code {code}" if code >= 0 else f" by signal {-code}"

    def close(self) -> None:
        """See `Stream`. The command gets COMMAND_END seconds to end, then it is killed."""
        super().close()
        try:
            self._command.wait(COMMAND_END)
        except subprocess.TimeoutExpired:
            self._command.kill()
            self._command.wait()


def _connect_by_command(address: Address, proxy: ProxyCommand) -> TcpStream:
    if sys.platform == "win32":
        raise Unreachable("--proxy-command takes a shell that Windows does not have")
    # Ctrl-C ends the call, which sends BYE through the command; the command must not end by it.
    script = f"trap '' INT\nexec {proxy.to(address)}"
    ours, theirs = socket.socketpair()
    try:
        command = subprocess.Popen(["/bin/sh", "-c", script], stdin=theirs.fileno(), stdout=theirs.fileno())
    except OSError as error:
        ours.close()
        raise Unreachable(f"the proxy command cannot be run: {error.strerror}") from error
    finally:
        theirs.close()
    return CommandStream(ours, address, command)


def _connect_to_path(way: UnixPath) -> TcpStream:
    if sys.platform == "win32":
        raise Unreachable("Windows has no Unix sockets here")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(way.path)
    except (OSError, ValueError) as error:
        connection.close()
        is_absent = isinstance(error, FileNotFoundError | ConnectionRefusedError)
        raise Unreachable(
            f"cannot reach {way}: {reason_of_path(error)}", kind=Kind.NOBODY_LISTENS if is_absent else None
        ) from error
    return TcpStream(connection, Address(way.host, 0), str(way))
