"""The program ends when the system asks it to: well, with the right exit code, and within a second."""

import pytest

from tests.program.moments import STATES, fault

SLACK = 2.0  # seconds that a busy machine may add: what is lost would take for ever


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_signal_at_any_moment_ends_the_program_as_it_should(state, number):
    assert not fault(state, f"{state.__name__} {number}", SLACK)
