"""Listeners on a Unix socket, and on standard input and output."""

import contextlib
import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from tests.peers import PATIENCE
from voicemux.errors import Kind, Unreachable
from voicemux.net.listener import accept
from voicemux.net.local_listeners import PEER, StdioListener, UnixListener
from voicemux.net.proxies import connect_by
from voicemux.net.stream import whole_place
from voicemux.net.tcp import TcpStream
from voicemux.net.ways import UnixPath, parse_unix

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Python has no Unix sockets on Windows")


def test_who_dials_the_path_reaches_the_listener(tmp_path: Path) -> None:
    path = str(tmp_path / "calls")
    with contextlib.closing(UnixListener(path)) as listener:
        assert listener.places() == [f"unix:{path}"]
        way = parse_unix(listener.places()[0])
        assert way == UnixPath(path)
        with contextlib.closing(connect_by(way)) as there:
            here = accept(listener.sockets[0])
            assert here
            with contextlib.closing(here):
                here.set_timeout(PATIENCE)
                there.write(b"hello")
                assert here.read() == b"hello"
                assert here.peer_address.host == "127.0.0.1"  # for limits
                assert here.place == there.place == whole_place(here) == f"unix:{path}"


def test_only_its_user_can_connect_and_the_file_goes_with_the_listener(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    listener = UnixListener(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listener.close()
    assert not path.exists()


def test_a_socket_that_a_killed_listener_has_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with contextlib.closing(UnixListener(str(path))), contextlib.closing(connect_by(UnixPath(str(path)))):
        pass


def test_another_listener_keeps_its_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "calls")
    with contextlib.closing(UnixListener(path)):
        with pytest.raises(Unreachable, match="another program listens there"):
            UnixListener(path)
        connect_by(UnixPath(path)).close()


def test_a_file_of_another_kind_stays(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("dear bob")
    with pytest.raises(Unreachable, match="letter: a file is there, and not a socket"):
        UnixListener(str(path))
    assert path.read_text() == "dear bob"


def test_what_is_in_the_way_is_called_by_its_name(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("folder", "named pipe", "symbolic link")]
    paths[0].mkdir()
    os.mkfifo(paths[1])
    paths[2].symlink_to(tmp_path / "nowhere")
    for path, kind in (*((each, each.name) for each in paths), (Path("/dev/null"), "device")):
        with pytest.raises(Unreachable, match=f"a {kind} is there, and not a socket"):
            UnixListener(str(path))
        assert os.path.lexists(path)


def test_a_socket_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(Unreachable, match="belongs to another user"):
        UnixListener(str(path))
    assert path.exists()


def test_what_took_the_place_of_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    first = UnixListener(str(path))
    path.unlink()
    with contextlib.closing(UnixListener(str(path))):
        first.close()
        connect_by(UnixPath(str(path))).close()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no/such/folder/calls", "no such file"),
        ("x" * 200, "the path is too long for a socket"),
        ("a\0b", "that is not a path"),
    ],
)
def test_a_path_that_cannot_be_is_told_in_a_line(path: str, why: str) -> None:
    with pytest.raises(Unreachable, match=f"cannot listen on .*: {why}"):
        UnixListener(path)
    with pytest.raises(Unreachable, match="cannot reach unix:"):
        connect_by(UnixPath(path))


def test_no_listener_is_told_as_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        connect_by(UnixPath(str(tmp_path / "none")))
    assert caught.value.kind is Kind.NOBODY_LISTENS


def test_of_standard_input_and_output_one_caller_comes_and_its_end_is_told() -> None:
    ours, theirs = socket.socketpair()
    gone: list[bool] = []
    with theirs, contextlib.closing(StdioListener(TcpStream(ours, PEER))) as listener:
        listener.open(lambda: gone.append(True))
        (doorway,) = listener.doorways
        stream = doorway.take()
        assert stream
        theirs.sendall(b"hello")
        assert stream.read() == b"hello"
        assert not gone
        stream.close()
        assert gone == [True]
