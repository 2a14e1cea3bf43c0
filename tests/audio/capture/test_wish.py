import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.capture.ladder import LOWER_RUNGS, Rung
from voicemux.audio.capture.wish import BETTER, BRISK, BRISKEST, USUAL, Wish

wishes = st.builds(
    Wish,
    st.just(0) | st.integers(6_000, 128_000),
    st.sampled_from([0.0, 5.0, 10.0, 20.0, 40.0, 60.0]),
    st.just(0) | st.integers(18_000, 400_000),
    st.booleans(),
)


def test_who_wants_nothing_in_particular_has_what_the_table_says() -> None:
    assert (Wish().usual, Wish().brisk) == (USUAL, [BRISK])
    assert (Wish(at_once=True).usual, Wish(at_once=True).brisk) == (BETTER, [BRISK, BRISKEST])


def test_only_who_names_no_bitrate_and_is_in_no_hurry_has_short_packets_unasked() -> None:
    assert Wish().is_unasked
    assert Wish(bandwidth=200_000).is_unasked
    assert not Wish(bitrate=64_000).is_unasked
    assert not Wish(at_once=True).is_unasked


def test_who_wants_more_bits_has_short_packets_too_where_the_line_is_calm() -> None:
    wish = Wish(bitrate=64_000)
    assert (wish.usual, wish.brisk) == (BETTER, [BRISK])


def test_who_chooses_the_length_of_packets_has_no_others() -> None:
    assert Wish(frame_ms=20).brisk == Wish(frame_ms=20, at_once=True).brisk == []
    assert Wish(frame_ms=5).usual == Rung(5, 32_000)


def test_who_wants_few_bits_has_no_short_packets_unless_in_a_hurry() -> None:
    assert Wish(bitrate=32_000).brisk == []
    assert Wish(bitrate=32_000, at_once=True).brisk == [Rung(10, 32_000), Rung(5, 32_000)]
    assert Wish(bitrate=96_000).brisk == [Rung(10, 96_000)]


@pytest.mark.parametrize(
    ("bandwidth", "most"),
    [(18, LOWER_RUNGS[-1]), (70, Rung(20, 32_000)), (100, BETTER), (140, BRISK), (240, BRISKEST)],
)
def test_a_limit_of_bandwidth_gets_the_best_that_it_allows(bandwidth: int, most: Rung) -> None:
    wish = Wish(bandwidth=bandwidth * 1000, at_once=True)
    assert not wish.lacking
    assert [wish.usual, *wish.brisk][-1] == most


def test_a_limit_that_allows_no_such_packets_is_known_beforehand() -> None:
    assert Wish(frame_ms=5, bandwidth=100_000).lacking > 143_000
    assert not Wish(frame_ms=5, bandwidth=144_000).lacking


@given(wishes)
def test_nothing_is_more_than_the_user_wants(wish: Wish) -> None:
    for rung in (wish.usual, *wish.brisk):
        assert not wish.bitrate or rung.bitrate <= wish.bitrate
        assert not wish.frame_ms or rung.frame_ms >= wish.frame_ms
        assert wish.lacking or not wish.bandwidth or rung.line_rate <= wish.bandwidth
    rates = [rung.line_rate for rung in (wish.usual, *wish.brisk)]
    assert rates == sorted(rates)
