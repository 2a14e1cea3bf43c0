"""Files that are nobody else's business: read and changed by their owner only, and written whole or not at all.

All that read or write raise SecurityError: which file, what the system says of it, and what it takes.
"""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from voicemux.errors import SecurityError

OPEN_TO_READ, OPEN_TO_WRITE = 0o044, 0o022  # bits of a mode: for the group or for all


def usual_folder() -> Path:
    """Where our key and our contacts are: VOICEMUX_HOME, or the system's place for such things."""
    if chosen := os.environ.get("VOICEMUX_HOME"):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home) / "voicemux"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "voicemux"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "voicemux"


def make_folder(folder: Path) -> None:
    """Make it and those above it that are missing, for the owner only. Those that exist stay as they are."""
    with _explained("make the folder", folder, "choose a place that you may write to"):
        _make(folder)


def read(path: Path, *, is_secret: bool = False) -> bytes | None:
    """What the file holds; None if there is none. A secret must be one: refused if others can read or change it."""
    with _explained("read", path, "it must be a file that you may read"):
        try:
            with path.open("rb") as file:
                if is_secret:
                    _refuse_if_open(path, stat.S_IMODE(os.fstat(file.fileno()).st_mode))
                return file.read()
        except FileNotFoundError:
            return None


def write(path: Path, content: bytes) -> None:
    """Put `content` in place of what the file holds, if it exists. Its folder must."""
    with _written(path, content) as draft:
        os.replace(draft, path)


def write_first(path: Path, content: bytes) -> None:
    """Make the file with `content`, unless another program has been faster: then its file stays."""
    with _written(path, content) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except (OSError, AttributeError):
            # FAT and some network drives have no hard links, and Android has no os.link.
            os.replace(draft, path)


def _refuse_if_open(path: Path, mode: int) -> None:
    if os.name == "posix" and mode & (OPEN_TO_READ | OPEN_TO_WRITE):
        act = "read" if mode & OPEN_TO_READ else "changed"
        raise SecurityError(
            f"{path} can be {act} by others (mode {mode:04o}): chmod 600 it, if nobody else has seen it"
        )


def _make(folder: Path) -> None:
    # Path.mkdir(parents=True) would make those above it readable by all.
    if not folder.is_dir():
        if folder.parent != folder:
            _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[str]:
    """The name of a file beside `path` that holds `content`, on the disk and for the owner only; gone afterwards."""
    with _explained("write", path, "its folder must be one that you may write to, with room left"):
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
        why = (error.strerror or str(error)).lower()
        raise SecurityError(f"cannot {action} {path}: {why} ({remedy})") from error
