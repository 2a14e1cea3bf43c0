"""The program ends when the system asks it to: well, with the right exit code, and within a second."""

import signal

import pytest

from tests.program.moments import STATES, fault
from tests.running import Program

SLACK = 2.0  # seconds that a busy machine may add: what is lost would take for ever


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_signal_at_any_moment_ends_the_program_as_it_should(state, number):
    assert not fault(state, f"{state.__name__} {number}", SLACK)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    ("arguments", "sign"), [(("conform", "dialer", "--unencrypted", "--port", "0"), "waiting at"), (("demo",), "")]
)
def test_what_has_not_done_its_work_says_so_with_its_exit_code(arguments, sign, number, code):
    with Program(*arguments) as program:
        program.notice_with(sign)
        program.process.send_signal(number)
        assert program.wait() == code
