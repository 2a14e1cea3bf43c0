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
    """What went wrong, where something can be done about it. `remedies.hint` has the words; no text is matched."""

    NO_SUCH_HOST = "no_such_host"
    NO_SUCH_CONTACT = "no_such_contact"  # nor a host of that name
    BARE_PORT = "bare_port"  # behind an IPv6 address that has no brackets
    NOBODY_LISTENS = "nobody_listens"  # the host is there, and nothing takes connections at that port
    NO_PROXY = "no_proxy"  # through which the listener was to be reached
    COMMAND_FAILED = "command_failed"  # that was to be the connection
    SILENCE = "silence"  # for as long as we were ready to wait
    SAYS_NOTHING = "says_nothing"  # a connection, on which not a byte has come
    CLOSED_AT_ONCE = "closed_at_once"  # a connection that ended before a byte had come
    OTHER_NETWORK = "other_network"  # no way to an address that means something in one network only
    NO_ZONE = "no_zone"  # an address that takes the interface behind it
    PORT_TAKEN = "port_taken"
    PORT_FORBIDDEN = "port_forbidden"
    NOT_OUR_ADDRESS = "not_our_address"
    UNKNOWN_CALLER = "unknown_caller"  # the listener does not know us
    UNKNOWN_LISTENER = "unknown_listener"  # we do not know the listener, and have no code for it
    WRONG_CODE = "wrong_code"
    MALFORMED_CODE = "malformed_code"  # what was given cannot be a code
    WANTS_ENCRYPTION = "wants_encryption"  # the peer takes encrypted calls only
    WANTS_PLAIN = "wants_plain"  # the peer takes plain calls only
    MAN_IN_THE_MIDDLE = "man_in_the_middle"  # what only an attacker between the two ends can bring about
    GONE = "gone"  # a call that was to go on, and that the listener does not have any more
    NO_RELAY = "no_relay"  # the relay itself cannot be reached
    NOT_WAITING = "not_waiting"  # at the relay, the listener who is meant
    NUMBER_TAKEN = "number_taken"  # at the relay, by another program
    WANTS_TOKEN = "wants_token"  # the relay, and has heard none or a wrong one
    NO_SUCH_DEVICE = "no_such_device"
    ONLY_A_MONITOR = "only_a_monitor"  # the default input hears what the loudspeaker plays, and no voice
    NOT_RAW = "not_raw"  # what was piped in is not raw sound
    UNKNOWN_FORM = "unknown_form"  # of a sound file
    COMPRESSED = "compressed"  # an archive, which may hold a sound file


class VoicemuxError(Exception):
    """The root. `str()` is one lower-case line for people: who, what was expected, what came.

    `kind` is what went wrong, as data; None if there is no advice on it. `said` is what the peer gave as its
    reason: a stranger's words, not part of `str()`, to be made printable and quoted by who shows them.
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
