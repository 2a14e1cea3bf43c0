import inspect

import pytest

from voicemux import errors
from voicemux.app.exit_codes import ExitCode, exit_code

CODES = {
    errors.AddressError: ExitCode.MISUSE,
    errors.Unreachable: ExitCode.UNREACHABLE,
    errors.ConnectionLost: ExitCode.CALL_FAILED,
    errors.CallRefused: ExitCode.CALL_FAILED,
    errors.SecurityError: ExitCode.SECURITY,
    errors.NotAdmitted: ExitCode.SECURITY,
    errors.RemoteProtocolError: ExitCode.PROTOCOL,
    errors.OutOfResources: ExitCode.CALL_FAILED,
    errors.DeviceError: ExitCode.DEVICE,
    errors.LibraryMissing: ExitCode.DEVICE,
}


@pytest.mark.parametrize(("kind", "code"), [*CODES.items()], ids=lambda each: getattr(each, "__name__", ""))
def test_an_error_has_the_code_of_what_went_wrong(kind: type[errors.VoicemuxError], code: ExitCode) -> None:
    arguments = [""] * sum(
        each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
        for each in inspect.signature(kind).parameters.values()
    )
    assert exit_code(kind(*arguments)) is code


def test_a_code_is_the_number_that_shells_see() -> None:
    assert [int(each) for each in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 130, 143]
    assert f"{ExitCode.SECURITY}" == "6"
