"""Every error that voicemux raises on purpose. They hold data only, and import nothing of ours.

VoicemuxError
├── AddressError              what was typed is not a host, port or file name
├── Unreachable               no such host, no listener there, or the port cannot be had
├── ConnectionLost            the line broke, or the peer went silent
├── CallRefused               the peer said BYE before the call was up
├── SecurityError             not who was meant, or a key that cannot be trusted
│   └── NotAdmitted           a caller who may not call
├── ProtocolError
│   ├── LocalProtocolError    a bug in this program: never the peer's fault
│   └── RemoteProtocolError   the peer broke the protocol, or does not speak it
├── OutOfResources            the system gives no thread
└── DeviceError               a sound card, sound file or codec that cannot be used
    └── LibraryMissing        because something is not installed
"""

import enum


class Kind(enum.StrEnum):
    """What went wrong, if there is advice about it. `remedies.hint` has the advice; no code matches the text of an
    error."""

    NO_SUCH_HOST = "no_such_host"
    NO_SUCH_CONTACT = "no_such_contact"  # neither a contact nor a host has that name
    BARE_PORT = "bare_port"  # a port after an IPv6 address without brackets
    NOBODY_LISTENS = "nobody_listens"  # the host answers, but no program listens at that port
    NO_PROXY = "no_proxy"  # the SOCKS5 proxy cannot be reached
    COMMAND_FAILED = "command_failed"  # the proxy command has failed
    SILENCE = "silence"  # no answer came until the timeout
    SAYS_NOTHING = "says_nothing"  # the connection was made, but not a byte has come
    CLOSED_AT_ONCE = "closed_at_once"  # the connection was made, and ended before a byte had come
    OTHER_NETWORK = "other_network"  # no route to an address that is valid in one network only
    NO_ZONE = "no_zone"  # a link-local IPv6 address without its interface
    PORT_TAKEN = "port_taken"
    PORT_FORBIDDEN = "port_forbidden"
    NOT_OUR_ADDRESS = "not_our_address"
    UNKNOWN_CALLER = "unknown_caller"  # the listener does not know us
    UNKNOWN_LISTENER = "unknown_listener"  # we do not know the listener, and have no code for it
    WRONG_CODE = "wrong_code"
    MALFORMED_CODE = "malformed_code"  # the text cannot be a code
    WANTS_ENCRYPTION = "wants_encryption"  # the peer takes encrypted calls only
    WANTS_PLAIN = "wants_plain"  # the peer takes plain calls only
    MAN_IN_THE_MIDDLE = "man_in_the_middle"  # a fault that only an attacker between the two ends can cause
    GONE = "gone"  # the listener no longer has the call that was to be resumed
    NO_RELAY = "no_relay"  # the relay itself cannot be reached
    NOT_WAITING = "not_waiting"  # the listener does not wait at the relay
    NUMBER_TAKEN = "number_taken"  # another program waits with this number at the relay
    WANTS_TOKEN = "wants_token"  # the relay needs a token, and got none or a wrong one
    NO_SUCH_DEVICE = "no_such_device"
    ONLY_A_MONITOR = "only_a_monitor"  # the default input hears what the loudspeaker plays, and no voice
    NOT_RAW = "not_raw"  # standard input is not raw sound
    UNKNOWN_FORM = "unknown_form"  # the format of the sound file is unknown
    COMPRESSED = "compressed"  # an archive, which may hold a sound file


class VoicemuxError(Exception):
    """The root of all errors. `str()` is one lower-case line for people: what it is about, what was expected, what
    came.

    `kind` is what went wrong, as data; None if there is no advice on it. `said` is the reason that the peer gave: it
    is not part of `str()`, and whatever shows it must make it printable and quote it.
    """

    def __init__(self, message: str = "", *, kind: Kind | None = None, said: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.said = said


class AddressError(VoicemuxError):
    """What the user typed is not a host, a port or a file name."""


class Unreachable(VoicemuxError):
    """No connection could be made, or none can be accepted."""


class ConnectionLost(VoicemuxError):
    """The connection ended without a goodbye."""


class CallRefused(VoicemuxError):
    """The peer ended the call before it was up: busy, declined, another version."""


class SecurityError(VoicemuxError):
    """The peer is not who was meant, or a key, a code or the list of contacts cannot be relied on."""


class NotAdmitted(SecurityError):
    """A caller who may not call. `code` is the BYE code that says so (protocol.md §14)."""

    def __init__(self, message: str, code: int, *, kind: Kind | None = None) -> None:
        super().__init__(message, kind=kind)
        self.code = code


class ProtocolError(VoicemuxError):
    """Something that protocol.md does not allow."""


class LocalProtocolError(ProtocolError):
    """This program tried to send what it must not."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what it must not. `code` is the BYE code to answer with (protocol.md §14)."""

    def __init__(self, message: str, code: int = 3, *, kind: Kind | None = None) -> None:
        super().__init__(message, kind=kind)
        self.code = code


class OutOfResources(VoicemuxError):
    """The system does not give what every call needs: a thread."""


class DeviceError(VoicemuxError):
    """A device, sound file or codec does not exist, refuses, or broke."""


class LibraryMissing(DeviceError):
    """A shared library or package that sound needs is not installed. `library` names it for a hint."""

    def __init__(self, library: str, message: str) -> None:
        super().__init__(message)
        self.library = library
