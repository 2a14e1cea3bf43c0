"""Voice and text over one TCP connection.

`dial` and `listen` are for programs; `errors` and `events` are what they get, `protocol` is the protocol without I/O.
What is named here is kept from version to version, the rest of the package is not.
"""

TYPE_CHECKING = False  # type checkers take it for true; to import it from `typing` would take longer than all of this

if TYPE_CHECKING:
    from voicemux import errors, events, protocol
    from voicemux.api import Call, Listener, dial, listen
    from voicemux.errors import (
        AddressError,
        CallRefused,
        ConnectionLost,
        RemoteProtocolError,
        SecurityError,
        Unreachable,
        VoicemuxError,
    )

__version__ = "0.2.0.dev0"

__all__ = [
    "AddressError",
    "Call",
    "CallRefused",
    "ConnectionLost",
    "Listener",
    "RemoteProtocolError",
    "SecurityError",
    "Unreachable",
    "VoicemuxError",
    "dial",
    "errors",
    "events",
    "listen",
    "protocol",
]

if not TYPE_CHECKING:
    # Imported when it is asked for: `voicemux --help` needs none of it.

    def __getattr__(name):
        from importlib import import_module

        if name in ("errors", "events", "protocol"):
            return import_module(f"voicemux.{name}")
        if name in __all__:
            home = "api" if name in ("Call", "Listener", "dial", "listen") else "errors"
            return getattr(import_module(f"voicemux.{home}"), name)
        raise AttributeError(f"module 'voicemux' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
