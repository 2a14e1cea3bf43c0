"""Every error that voicemux raises on purpose. They hold text only, and import nothing.

VoicemuxError
├── AddressError              what was typed is no host, port or file name
├── Unreachable               no such host, nobody listens, or the port cannot be had
├── ConnectionLost            the line broke, or the peer went silent
├── CallRefused               the peer said BYE before the call was up
├── SecurityError             not who was meant, or a key that cannot be trusted
│   └── NotAdmitted           a caller who may not call
├── ProtocolError
│   ├── LocalProtocolError    a bug in this program: never the peer's fault
│   └── RemoteProtocolError   the peer broke the protocol, or does not speak it
└── DeviceError               a sound card, sound file or codec that cannot be used
    └── LibraryMissing        because something is not installed
"""


class VoicemuxError(Exception):
    """The root. `str()` is one lower-case line for people: who, what was expected, what came."""


class AddressError(VoicemuxError):
    """What the user typed is not a host, a port or a file name."""


class Unreachable(VoicemuxError):
    """No connection could be made, or none can be accepted."""


class ConnectionLost(VoicemuxError):
    """The connection ended without a goodbye."""


class CallRefused(VoicemuxError):
    """The peer ended the call before it was up: busy, declined, another version."""


class SecurityError(VoicemuxError):
    """Somebody is not who was meant, or a key, a code or the list of contacts cannot be relied on."""


class NotAdmitted(SecurityError):
    """A caller who may not call. `code` is the BYE code that says so (protocol.md §14)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ProtocolError(VoicemuxError):
    """Something that protocol.md does not allow."""


class LocalProtocolError(ProtocolError):
    """This program tried to send what it must not."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what it must not. `code` is the BYE code to answer with (protocol.md §14)."""

    def __init__(self, message: str, code: int = 3) -> None:
        super().__init__(message)
        self.code = code


class DeviceError(VoicemuxError):
    """A device, sound file or codec does not exist, refuses, or broke."""


class LibraryMissing(DeviceError):
    """A shared library or package that sound needs is not installed. `library` names it for a hint."""

    def __init__(self, library: str, message: str) -> None:
        super().__init__(message)
        self.library = library
