"""What to type when something is not installed: the exact command, on the system that this is."""

import platform
import shlex
import sys
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")

# What each kind of system calls the packages, by the ID or ID_LIKE of its os-release.
_INSTALL = {
    "debian": "apt install",
    "ubuntu": "apt install",
    "fedora": "dnf install",
    "rhel": "dnf install",
    "arch": "pacman -S",
    "suse": "zypper install",
    "alpine": "apk add",
}
_PACKAGES = {
    "portaudio": {"apt": "libportaudio2", "dnf": "portaudio", "zyp": "libportaudio2", "": "portaudio"},
    "opus": {"apt": "libopus0", "zyp": "libopus0", "": "opus"},
    "pyaudio": {
        "apt": "portaudio19-dev python3-dev gcc",
        "dnf": "portaudio-devel python3-devel gcc",
        "zyp": "portaudio-devel python3-devel gcc",
        "pac": "portaudio gcc",
        "apk": "portaudio-dev python3-dev gcc musl-dev",
        "": "portaudio",
    },
}


def remedy(library: str) -> str:
    """The command that installs `library`: "pyaudio", "portaudio" or "opus"."""
    pip = (
        f" && {shlex.quote(sys.executable)} -m pip install --force-reinstall --no-cache-dir PyAudio"
        if library == "pyaudio"
        else ""
    )
    if platform.system() == "Darwin":
        return f"brew install {_PACKAGES[library]['']}{pip}"
    if platform.system() == "Windows":
        return "py -m pip install PyAudio" if library != "opus" else "copy opus.dll from opus-codec.org into the PATH"
    install = _installer()
    packages = _PACKAGES[library].get(install[:3], _PACKAGES[library][""])
    return f"sudo {install} {packages}{pip}"


def _installer() -> str:
    try:
        lines = OS_RELEASE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    release = dict(line.split("=", 1) for line in lines if "=" in line)
    names = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".replace('"', "").replace("'", "")
    for name in names.split():
        if name in _INSTALL:
            return _INSTALL[name]
    return "apt install"
