import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.console.remedies import hint
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
        "\u0664\u0662-beeswax-caravan",  # Arabic-Indic digits
        "\u06f4\u06f2 beeswax caravan",  # Persian ones
        "\uff14\uff12\u3000beeswax\u3000caravan",
    ],
)
def test_a_code_is_the_same_however_it_was_written_down(written):
    assert tidy(written) == CODE


@pytest.mark.parametrize(
    "code",
    ["7-quiet-test", "1 a b", "7-r2d2-c3po", "12-\u043b\u0435\u0442\u043e-\u0447\u0430\u0439", "007-\u8336-\u6c34"],
)
def test_a_code_that_somebody_chose_is_a_number_and_words_too(code):
    assert tidy(code) == code.replace(" ", "-")


@pytest.mark.parametrize(
    "written",
    [
        *("", " - ", "abc", "!!!!", "8689", "42", "42-", "-42-"),
        *("bedlamp company", "26-bedlamp", "bedlamp-26-company", "sesame", "42-8689-1", "42-beeswax-26"),
        *("localhost", "192.168.1.5", "10.0.0.1:8689", "kitchen.lan", "alice@kitchen.lan", "Bob the Builder"),
        *("fd00::5", "[2001:db8:aa::1]:9000", "2001:db8:aa:bb::1", "--open"),
    ],
)
def test_what_cannot_be_a_code_is_told_from_a_wrong_one(written):
    with pytest.raises(SecurityError, match=r"^that is not a code$") as refused:
        tidy(written)
    assert hint(refused.value) == "a code looks like 42-beeswax-caravan"


@given(st.integers(2, 8))
def test_every_code_that_is_made_can_be_a_code(words):
    code = new_code(words)
    assert tidy(code) == code


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
    with pytest.raises(RemoteProtocolError, match="not a share"):
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
