from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.audio.speech import DIALLER, LISTENER, level, pitch, quality, speech, tone
from voicemux.audio.playout.stretch import (
    FADE,
    LONGEST_PERIOD,
    RATE,
    SHORTEST_PERIOD,
    ComfortNoise,
    join,
    lengthen,
    shorten,
)
from voicemux.audio.resample import Samples

PACKET = 960  # samples: 20 ms
VOICES = (80, 110, 150, 220, 330)  # Hz, from a deep voice to a child's
any_sound = arrays.arrays(np.int16, st.integers(0, 3000), elements=st.integers(-32768, 32767))


def voice(hertz: float, seconds: float) -> Samples:
    """A vowel: a pitch with its harmonics, ever weaker."""
    harmonics = [tone(hertz * i, seconds, peak=8000 / i**1.5).astype(np.float64) for i in range(1, 12)]
    return np.sum(harmonics, axis=0).astype(np.int16)


def hiss(seconds: float, loud: float = 100.0) -> Samples:
    return (np.random.default_rng(7).standard_normal(int(seconds * RATE)) * loud).astype(np.int16)


def roughness(samples: Samples) -> float:
    """The largest bend from one sample to the next but one: what a click has, and nothing that is sung."""
    return float(np.max(np.abs(np.diff(samples.astype(np.float64), 2))))


def faster(said: Samples, most: int = LONGEST_PERIOD, every: int = 3, *, any_length: bool = False) -> Samples:
    """`said` in packets, every third of which is shortened."""
    packets = [said[at : at + PACKET] for at in range(0, len(said) - PACKET + 1, PACKET)]
    return np.concatenate(
        [each if i % every else shorten(each, most, any_length=any_length) for i, each in enumerate(packets)]
    )


def slower(said: Samples, most: int = LONGEST_PERIOD, every: int = 3, *, any_length: bool = False) -> Samples:
    heard = np.zeros(LONGEST_PERIOD, np.int16)
    for i, at in enumerate(range(0, len(said) - PACKET + 1, PACKET)):
        packet = said[at : at + PACKET]
        past = heard[-LONGEST_PERIOD:]
        heard = np.concatenate((heard, packet if i % every else lengthen(past, packet, most, any_length=any_length)))
    return heard[LONGEST_PERIOD:]


both_ways = pytest.mark.parametrize("stretch", [faster, slower])


# --- how much


@pytest.mark.parametrize("hertz", VOICES)
def test_whole_periods_are_cut_out_and_put_in(hertz: int) -> None:
    sound = voice(hertz, 0.1)
    cut = len(sound) - len(shorten(sound, LONGEST_PERIOD, any_length=False))
    put = len(lengthen(sound[:PACKET], sound[PACKET:], LONGEST_PERIOD, any_length=False)) - len(sound[PACKET:])
    for each in (cut, put):
        periods = each * hertz / RATE
        assert each >= SHORTEST_PERIOD
        assert periods == pytest.approx(round(periods), abs=0.03)


@given(st.integers(0, 2000), st.sampled_from(VOICES))
@settings(deadline=None, max_examples=60)
def test_never_more_than_asked_for(most: int, hertz: int) -> None:
    sound = voice(hertz, 0.06)
    past, now = sound[:PACKET], sound[PACKET:]
    for any_length in (False, True):
        assert 0 <= len(now) - len(shorten(now, most, any_length=any_length)) <= most
        assert 0 <= len(lengthen(past, now, most, any_length=any_length)) - len(now) <= most


@given(st.integers(FADE, PACKET - FADE))
@settings(deadline=None, max_examples=30)
def test_where_there_is_no_pitch_it_is_exactly_as_much(most: int) -> None:
    sound = hiss(0.04)
    past, now = sound[:PACKET], sound[PACKET:]
    assert len(shorten(now, most, any_length=True)) == len(now) - most
    assert len(lengthen(past, now, most, any_length=True)) == len(now) + most


@both_ways
def test_noise_is_left_alone_unless_it_does_not_matter(stretch: Callable[..., Samples]) -> None:
    said = hiss(1.0)[: 50 * PACKET]
    assert (stretch(said) == said).all()
    assert len(stretch(said, any_length=True)) != len(said)


def test_speech_can_be_stretched_often_enough() -> None:
    said = speech(DIALLER)
    whole = len(said) // PACKET * PACKET
    assert len(faster(said)) < 0.93 * whole
    assert len(slower(said)) > 1.07 * whole


@given(any_sound, any_sound, st.integers(-10, 4000), st.booleans())
@settings(deadline=None)
def test_whatever_it_is_given_it_gives_samples_back(
    past: Samples, sound: Samples, most: int, any_length: bool
) -> None:
    for stretched in (
        shorten(sound, most, any_length=any_length),
        lengthen(past, sound, most, any_length=any_length),
    ):
        assert stretched.dtype == np.int16
        assert abs(len(stretched) - len(sound)) <= max(0, most)
    assert len(join(past, sound)) == len(sound)


# --- how it sounds


@both_ways
@pytest.mark.parametrize("hertz", VOICES)
def test_a_voice_keeps_its_pitch_and_level_without_a_click(stretch: Callable[..., Samples], hertz: int) -> None:
    said = voice(hertz, 1.0)
    heard = stretch(said)
    assert abs(len(heard) - len(said)) > 0.04 * len(said)
    assert pitch(heard) == pytest.approx(hertz, abs=2.5)
    assert level(heard) == pytest.approx(level(said), rel=0.03)
    assert roughness(heard) < 1.3 * roughness(said)


def test_a_cut_without_any_care_would_be_noticed() -> None:
    said = voice(110, 0.1)
    assert roughness(np.concatenate((said[:1000], said[1100:]))) > 3 * roughness(said)


@both_ways
@pytest.mark.parametrize("file", [DIALLER, LISTENER])
def test_speech_has_no_click_at_any_seam(stretch: Callable[..., Samples], file: Path) -> None:
    said = speech(file)
    assert roughness(stretch(said)) < 1.3 * roughness(said)


def test_speech_that_has_been_made_faster_and_slower_is_hardly_worse() -> None:
    said = speech(DIALLER)
    every = 60  # packets: what a clock of 300 ppm would need is one in 150
    assert quality(said, slower(faster(said, every=every), every=every)) > 3.0


@both_ways
def test_silence_that_is_stretched_is_silence(stretch: Callable[..., Samples]) -> None:
    said = np.zeros(50 * PACKET, np.int16)
    assert not stretch(said, any_length=True).any()
    assert (stretch(said) == 0).all()


def test_what_is_joined_begins_as_the_one_would_go_on_and_ends_as_the_other() -> None:
    before, after = tone(300, 0.02), tone(700, 0.02)
    joined = join(before, after)
    assert joined[0] == before[0]
    assert (joined[FADE:] == after[FADE:]).all()
    assert roughness(joined) <= 1.1 * max(roughness(before), roughness(after))
    assert (join(before[:0], after) == after).all()
    assert (join(after, after) == after).all()


# --- comfort noise


def learnt(*sounds: Samples) -> ComfortNoise:
    noise = ComfortNoise()
    for sound in sounds:
        for at in range(0, len(sound) - PACKET + 1, PACKET):
            packet = sound[at : at + PACKET]
            noise.learn(packet, float(np.mean(packet.astype(np.float64) ** 2)))
    return noise


def test_whoever_has_heard_nothing_yet_makes_silence() -> None:
    assert not ComfortNoise().make(10_000).any()


def test_a_digital_silence_is_nothing_to_learn_from() -> None:
    assert not learnt(np.zeros(RATE, np.int16)).make(10_000).any()
    assert level(learnt(hiss(0.5), np.zeros(RATE, np.int16)).make(RATE)) > 50


@pytest.mark.parametrize("loud", [10.0, 100.0, 1000.0])
def test_it_is_as_loud_as_the_background(loud: float) -> None:
    assert level(learnt(hiss(1.0, loud), tone(440, 0.5)).make(RATE)) == pytest.approx(loud, rel=0.25)


@pytest.mark.parametrize("hertz", [200, 2000, 8000])
def test_it_sounds_like_the_background(hertz: int) -> None:
    hum = hiss(0.5, 20.0) + tone(hertz, 0.5, peak=200)
    assert pitch(learnt(hum, voice(110, 0.5)).make(RATE)) == pytest.approx(hertz, abs=60)


def test_it_is_noise_and_not_a_loop() -> None:
    made = learnt(hiss(0.5)).make(4 * PACKET).astype(np.float64).reshape(4, PACKET)
    assert abs(np.asarray(np.corrcoef(made))[np.triu_indices(4, 1)]).max() < 0.3


def test_it_has_no_seams() -> None:
    made = learnt(hiss(0.5)).make(RATE)
    steps = np.abs(np.diff(made.astype(np.float64)))
    at_seams = steps[PACKET // 2 - 1 :: PACKET // 2]
    assert at_seams.mean() == pytest.approx(steps.mean(), rel=0.35)


def test_it_follows_a_background_that_has_become_louder_after_a_while() -> None:
    assert level(learnt(hiss(0.5, 50.0), hiss(10.0, 200.0)).make(RATE)) == pytest.approx(200, rel=0.3)


@given(st.lists(st.integers(0, 3000), max_size=20))
@settings(deadline=None)
def test_pieces_of_any_length_are_one_noise(sizes: list[int]) -> None:
    whole, pieces = learnt(hiss(0.1)), learnt(hiss(0.1))
    made = [pieces.make(size) for size in sizes]
    assert [len(each) for each in made] == sizes
    assert (np.concatenate([whole.make(0), *made]) == whole.make(sum(sizes))).all()
