"""Says what the user can do about an error, with commands for this system. It depends on the kind of the error, never
on its text."""

import platform
import shlex
import sys
from pathlib import Path

from voicemux.errors import Kind, LibraryMissing, VoicemuxError

OS_RELEASE = Path("/etc/os-release")

# Names of the packages on each kind of system, by the ID or ID_LIKE of its os-release.
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


_HINTS = {
    Kind.NO_SUCH_CONTACT: (
        "the first call takes an address: voicemux dial HOST CODE; voicemux contacts lists whom you know"
    ),
    Kind.BARE_PORT: "if the last part is a port, the address before it needs brackets: [fd00::5]:9003",
    Kind.NOBODY_LISTENS: "does voicemux listen run there?",
    Kind.NO_PROXY: "does a SOCKS5 proxy run there? Tor's is at 127.0.0.1:9050",
    Kind.COMMAND_FAILED: "try it by hand: it should wait for what is typed, and not end by itself",
    Kind.SAYS_NOTHING: (
        "if this is a tunnel, its far end is slow or away, and --timeout waits longer; else it is not voicemux"
    ),
    Kind.CLOSED_AT_ONCE: (
        "if this is a tunnel, nothing listens at its far end; else it may have too many callers: try again"
    ),
    Kind.OTHER_NETWORK: (
        "that address means something inside one network only: from elsewhere it takes a VPN, a tunnel, or a router "
        "that forwards the port, and the address of that"
    ),
    Kind.NO_ZONE: "add the interface that leads there: fe80::1%eth0, or whatever yours is called",
    Kind.PORT_TAKEN: "another program has it, --port chooses another",
    Kind.PORT_FORBIDDEN: "ports below 1024 are for administrators, --port chooses another",
    Kind.NOT_OUR_ADDRESS: "that is not an address of this machine",
    Kind.UNKNOWN_CALLER: "the other side is shown a code: voicemux dial HOST CODE",
    Kind.UNKNOWN_LISTENER: "ask for the code that the other side is shown, or call with --open and compare words",
    Kind.WRONG_CODE: (
        "most likely it is mistyped or old: ask for the code that is shown now; "
        "if it was right, somebody may be in the middle"
    ),
    Kind.MALFORMED_CODE: "a code looks like 42-beeswax-caravan",
    Kind.WANTS_ENCRYPTION: "call without --unencrypted",
    Kind.WANTS_PLAIN: "it runs with --unencrypted: if it should, so must you",
    Kind.MAN_IN_THE_MIDDLE: "somebody may be in the middle: nothing was said; call by another way and ask",
    Kind.GONE: "its program was started anew, or its user hung up: call again",
    Kind.NO_RELAY: "does voicemux relay run there, and is its port (8690) open?",
    Kind.NOT_WAITING: "does voicemux listen --relay run at the other side, and is the number right?",
    Kind.NUMBER_TAKEN: "choose a code that begins with another number",
    Kind.WANTS_TOKEN: "ask its owner for the token, and set VOICEMUX_RELAY_TOKEN",
    Kind.NO_SUCH_DEVICE: "voicemux devices lists what there is",
    Kind.ONLY_A_MONITOR: "plug in a microphone; --input with the whole name sends what is played all the same",
    Kind.NOT_RAW: "this makes raw sound of it: ... | ffmpeg -i - -f s16le -ar 48000 -ac 1 - | voicemux ... --input -",
    Kind.COMPRESSED: "unpack it first",
    Kind.UNKNOWN_FORM: "if it is sound, this makes a file of it that can be used: ffmpeg -i FILE sound.wav",
}


def hint(error: VoicemuxError) -> str:
    """Return what the user can do about the error, as a clause; "" if nothing is known."""
    if isinstance(error, LibraryMissing):
        return f"to have it: {remedy(error.library)}"
    return _HINTS.get(error.kind, "") if error.kind else ""


def remedy(library: str) -> str:
    """Return the command that installs `library`: "pyaudio", "portaudio", "opus", or a package of the same name."""
    if library in ("pywebrtc-audio", "prometheus-client", "miniupnpc"):
        return f"{shlex.quote(sys.executable)} -m pip install {library}"
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
