"""The exit codes of the process (docs/command-line.md, "Exit codes")."""

import enum

from voicemux.errors import (
    AddressError,
    CallRefused,
    ConnectionLost,
    DeviceError,
    RemoteProtocolError,
    SecurityError,
    Unreachable,
    VoicemuxError,
)


class ExitCode(enum.IntEnum):
    """How the process ends."""

    ENDED_WELL = 0
    CALL_FAILED = 1
    MISUSE = 2
    UNREACHABLE = 3
    PROTOCOL = 4  # the other side broke the protocol
    DEVICE = 5
    SECURITY = 6
    INTERRUPTED = 130  # 128 plus the number of SIGINT, as in shells
    TERMINATED = 143  # 128 plus the number of SIGTERM: for commands without a call that were not finished


_OF_ERRORS: dict[type[VoicemuxError], ExitCode] = {  # the first that fits
    AddressError: ExitCode.MISUSE,
    Unreachable: ExitCode.UNREACHABLE,
    RemoteProtocolError: ExitCode.PROTOCOL,
    DeviceError: ExitCode.DEVICE,
    SecurityError: ExitCode.SECURITY,
    ConnectionLost: ExitCode.CALL_FAILED,
    CallRefused: ExitCode.CALL_FAILED,
    VoicemuxError: ExitCode.CALL_FAILED,
}


def exit_code(error: VoicemuxError) -> ExitCode:
    """The code of the first row of the table that fits the error."""
    return next(code for kind, code in _OF_ERRORS.items() if isinstance(error, kind))
