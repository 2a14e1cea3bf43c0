"""What the process ends with (docs/command-line.md, "Exit codes")."""

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
    ENDED_WELL = 0
    CALL_FAILED = 1
    MISUSE = 2
    UNREACHABLE = 3
    PROTOCOL = 4  # the other side broke it
    DEVICE = 5
    SECURITY = 6
    INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
    TERMINATED = 143  # likewise of SIGTERM: a command that holds no call, and had not done what it was to do


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
