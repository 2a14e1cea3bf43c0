import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.errors import RemoteProtocolError, SecurityError
from voicemux.security.code import Exchange, new_code, tidy
from voicemux.security.words import EVEN, ODD, spoken

DIALLER, LISTENER = b"d" * 32, b"l" * 32
CODE = "42-beeswax-caravan"
WIDE = "".join(chr(ord(character) + 0xFEE0) for character in CODE)  # as East Asian keyboards have it


def exchanges(dialler: str, listener: str) -> tuple[Exchange, Exchange]:
    hashes = {"dialler": DIALLER, "listener": LISTENER}
    return Exchange(dialler, is_dialler=True, **hashes), Exchange(listener, is_dialler=False, **hashes)


def test_a_code_is_a_number_and_words_of_both_lists_in_turn():
    number, first, second, third = new_code(3).split("-")
    assert re.fullmatch(r"[1-9]\d", number)
    assert first in EVEN
    assert second in ODD
    assert third in EVEN


def test_codes_are_not_the_same_again():
    assert len({new_code() for _ in range(100)}) > 95


def test_every_byte_has_a_word_of_its_own_in_each_list():
    assert len({*EVEN, *ODD}) == 512
    assert all(re.fullmatch("[a-z]+", word) for word in EVEN + ODD)
    assert spoken(bytes([0, 255, 255, 0])) == [EVEN[0], ODD[255], EVEN[255], ODD[0]]


@pytest.mark.parametrize(
    "written",
    [
        CODE,
        "42 beeswax caravan",
        " 42-Beeswax--CARAVAN\n",
        "42_beeswax.caravan",
        WIDE,
    ],
)
def test_a_code_is_the_same_however_it_was_written_down(written):
    assert tidy(written) == CODE


@pytest.mark.parametrize("written", ["", " - ", "abc", "!!!!"])
def test_what_is_hardly_anything_is_no_code(written):
    with pytest.raises(SecurityError, match="a code has at least 4"):
        tidy(written)


@given(st.text())
def test_a_tidy_code_is_tidy(text):
    try:
        tidied = tidy(text)
    except SecurityError:
        return
    assert tidy(tidied) == tidied


def test_who_knows_the_code_has_the_same_key_and_each_time_another():
    keys = set()
    for _ in range(3):
        dialler, listener = exchanges(CODE, CODE.upper())
        key = dialler.finish(listener.share)
        assert key == listener.finish(dialler.share)
        assert len(key) == 32
        keys.add(key)
    assert len(keys) == 3


def test_who_does_not_know_the_code_has_another_key():
    dialler, listener = exchanges(CODE, "42-beeswax-carbon")
    assert dialler.finish(listener.share) != listener.finish(dialler.share)


@pytest.mark.parametrize("seen", [{"dialler": b"m" * 32}, {"listener": b"m" * 32}])
def test_who_sees_other_certificates_has_another_key(seen):
    dialler, _ = exchanges(CODE, CODE)
    listener = Exchange(CODE, is_dialler=False, **{"dialler": DIALLER, "listener": LISTENER, **seen})
    assert dialler.finish(listener.share) != listener.finish(dialler.share)


@pytest.mark.parametrize(
    "share", [b"", b"A", b"A" * 33, b"B" + b"\xff" * 32, b"B" + bytes(32), b"B" * 200, b"?" * 33]
)
def test_what_is_no_share_is_the_other_sides_fault(share):
    dialler, _ = exchanges(CODE, CODE)
    with pytest.raises(RemoteProtocolError, match="no share"):
        dialler.finish(share)


def test_our_own_share_said_back_to_us_is_refused():
    dialler, listener = exchanges(CODE, CODE)
    for side in (dialler, listener):
        with pytest.raises(RemoteProtocolError):
            side.finish(side.share)


@given(st.binary(max_size=40))
def test_any_bytes_give_a_key_or_a_protocol_error(share):
    dialler, _ = exchanges(CODE, CODE)
    with contextlib.suppress(RemoteProtocolError):
        assert len(dialler.finish(share)) == 32
