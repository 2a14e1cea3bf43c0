"""Private files: only their owner can read and change them, and they are written whole or not at all.

All functions raise SecurityError, which says which file it is, what the system says of it, and what is needed.
"""

import contextlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from voicemux.errors import SecurityError

TICK = 100_000_000  # nanoseconds: some file systems store times that coarsely, or more so (FAT: 2 s)
PATIENCE = 5.0  # seconds to wait for a lock: other programs change a file within milliseconds
OPEN_TO_READ, OPEN_TO_WRITE = 0o044, 0o022  # bits of a file's mode: for the group or for all

WRITABLE = "it takes a folder that you may write to, with room left; VOICEMUX_HOME chooses another"


def usual_folder() -> Path:
    """Return the folder of our key and our contacts: VOICEMUX_HOME, or the system's folder for configuration.

    Raises SecurityError if the system knows no home of this user.
    """
    if chosen := os.environ.get("VOICEMUX_HOME"):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:  # there is neither HOME nor an entry in the system's list of users
        raise SecurityError("no folder for your key and your contacts: set HOME, or VOICEMUX_HOME") from None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home) / "voicemux"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "voicemux"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "voicemux"


def make_folder(folder: Path) -> None:
    """Make a folder and the missing ones above it, for the owner only. Existing folders stay as they are."""
    with _explained("make the folder", folder, "set VOICEMUX_HOME to a folder that you may write to"):
        _make(folder)


def read(path: Path, most: int, *, is_secret: bool = False) -> bytes | None:
    """Return the content of a file; None if there is no file.

    Raises SecurityError if it has over `most` bytes, if others can change it or its folder, or, with `is_secret`, if
    others can read it.
    """
    with _explained("read", path, "it must be a file that you may read"):
        try:
            # Without O_NONBLOCK, opening a pipe would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return None
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            raise SecurityError(f"{path} is not a file that can be read: it is a {_kind(facts.st_mode)}")
        with open(descriptor, "rb") as file:
            _refuse_if_open(path, stat.S_IMODE(facts.st_mode), is_secret=is_secret)
            for folder in {path.parent, Path(os.path.realpath(path)).parent}:
                _refuse_if_open(folder, stat.S_IMODE(os.stat(folder).st_mode), is_secret=False)
            content = file.read(most + 1)
    if len(content) > most:
        raise SecurityError(f"{path} is too big: expected at most {most / 1e6:g} MB")
    return content


Version = tuple[int, ...]


def version(path: Path) -> Version | None:
    """Return a value that changes when the file or its permissions change; None if there is no file, or it was
    changed within the last TICK, when a second change could not be told apart."""
    try:
        facts = path.stat()
        folder = path.parent.stat()
    except OSError:
        return None
    if abs(time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns)) < TICK:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, folder.st_mode


def write(path: Path, content: bytes) -> None:
    """Replace the content of a file, or make it, at once and whole. Its folder must exist. A symbolic link stays
    one."""
    path = Path(os.path.realpath(path))
    with _written(path, content) as draft:
        os.replace(draft, path)


def write_first(path: Path, content: bytes) -> None:
    """Make a file with `content`. If another program has made it meanwhile, its file stays."""
    with _written(path, content) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except (OSError, AttributeError):
            # FAT and some network drives have no hard links, and Android has no os.link.
            os.replace(draft, path)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold the lock of a file that all programs of the user change: a file beside it, whose name ends in ".lock". The
    folder is made if it is missing.

    Raises SecurityError if another program keeps the lock for PATIENCE seconds, or if the lock cannot be used.
    """
    make_folder(path.parent)
    lock = path.with_name(f"{path.name}.lock")
    try:
        held = FileLock(lock, timeout=PATIENCE, mode=0o600).acquire()
    except Timeout as error:
        raise SecurityError(f"{path} is being changed by another program: end that, or try again") from error
    except (OSError, NotImplementedError) as error:  # some versions of filelock raise the latter for file systems
        raise SecurityError(f"cannot change {path}: {_why_not_locked(lock, error)}") from error
    with held:
        yield


def _why_not_locked(lock: Path, error: OSError | NotImplementedError) -> str:
    try:
        mode = lock.lstat().st_mode
    except OSError:
        return f"{_words(error)} ({WRITABLE})"
    if not stat.S_ISREG(mode):
        return f"its lock {lock} is a {_kind(mode)}, and not a file: remove it"
    return f"its lock {lock} cannot be used: {_words(error)} (it must be a file that you may write to)"


def _words(error: Exception) -> str:
    """Return the system's words for an error, without its number."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _refuse_if_open(path: Path, mode: int, *, is_secret: bool) -> None:
    forbidden = OPEN_TO_WRITE | (OPEN_TO_READ if is_secret else 0)
    if os.name == "posix" and mode & forbidden:
        act = "read" if mode & forbidden & OPEN_TO_READ else "changed"
        if path.is_dir():
            raise SecurityError(f"{path} can be changed by others (mode {mode:04o}): chmod 700 it")
        unless = ", if nobody else has seen it" if is_secret else ""
        raise SecurityError(f"{path} can be {act} by others (mode {mode:04o}): chmod 600 it{unless}")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFLNK: "symbolic link"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _make(folder: Path) -> None:
    # Path.mkdir(parents=True) would make the folders above readable by all.
    if not folder.is_dir():
        if folder.parent != folder:
            _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[str]:
    """Yield the name of a temporary file beside `path` that holds `content`, flushed to the disk and for the owner
    only. It is removed at the end."""
    with _explained("write", path, WRITABLE):
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)


@contextlib.contextmanager
def _explained(action: str, path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SecurityError(f"cannot {action} {path}: {_words(error)} ({remedy})") from error
