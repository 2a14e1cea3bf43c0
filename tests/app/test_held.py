import itertools

import pytest

from voicemux.app.held import Held


class Call:
    """Of a call, what `Held` uses."""

    def __init__(self) -> None:
        self.is_hung_up = False

    def hang_up(self) -> None:
        self.is_hung_up = True


def is_hung_up(held: Held) -> bool:
    call = Call()
    held.hang_up_if_all_is_said(call)  # type: ignore[arg-type]
    return call.is_hung_up


@pytest.mark.parametrize(("is_finite", "has_sent_all"), [*itertools.product((False, True), repeat=2)])
def test_a_call_goes_on_as_long_as_something_may_be_typed(is_finite: bool, has_sent_all: bool) -> None:
    held = Held(reads_input=True)
    held.is_finite, held.has_sent_all = is_finite, has_sent_all
    assert not is_hung_up(held)


@pytest.mark.parametrize(("has_sent_all", "ends"), [(False, False), (True, True)])
def test_a_sound_file_is_heard_to_its_end(has_sent_all: bool, ends: bool) -> None:
    held = Held(reads_input=False)
    held.is_finite, held.has_sent_all = True, has_sent_all
    assert is_hung_up(held) == ends


@pytest.mark.parametrize("has_typed_something", [False, True])
def test_an_input_that_was_empty_from_the_beginning_ends_no_call(has_typed_something: bool) -> None:
    held = Held(reads_input=True)
    held.has_typed_all, held.has_typed_something = True, has_typed_something
    assert is_hung_up(held) == has_typed_something
