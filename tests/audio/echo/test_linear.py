import numpy as np
import pytest

from tests.audio.echo.room import RATE, Samples, Sound, echo, noise, samples, voice
from voicemux.audio.echo.linear import BLOCK, LinearFilter

LAG = RATE * 6 // 100  # samples (60 ms): where `echo` has its first sound
DB = -4.0


def through(made: LinearFilter, near: Samples, far: Samples) -> tuple[Samples, Sound, list[float]]:
    """What is for the second canceller, what has as little echo as possible, and the share of the echo that was
    subtracted; block by block."""
    blocks = range(0, len(near) - BLOCK + 1, BLOCK)
    pieces = [(*made.process(near[at : at + BLOCK], far[at : at + BLOCK]), made.share) for at in blocks]
    softer, left, shares = zip(*pieces, strict=True)
    return np.concatenate(softer), np.concatenate(left).astype(np.float64), list(shares)


def placed() -> LinearFilter:
    made = LinearFilter()
    made.place(LAG, DB)
    return made


def db(sound: Sound, against: Sound, since: float, until: float | None = None) -> float:
    part = slice(int(since * RATE), None if until is None else int(until * RATE))
    return float(10 * np.log10(np.sum(sound[part] ** 2) / np.sum(against[part] ** 2)))


@pytest.fixture(scope="module")
def far() -> Sound:
    return voice("far", 8)


@pytest.fixture(scope="module")
def heard(far: Sound) -> Sound:
    return echo(far, DB)


def test_most_of_an_echo_is_subtracted_and_a_part_always_stays(far: Sound, heard: Sound) -> None:
    near = samples(heard + noise(8))
    softer, left, shares = through(placed(), near, samples(far))
    assert shares[-1] == 1
    assert db(left, near.astype(float), 5) < -10
    assert -15 < db(softer.astype(float), near.astype(float), 5) < -8


def test_until_the_place_of_the_echo_is_known_sound_passes_as_it_is(far: Sound, heard: Sound) -> None:
    near = samples(heard[: 2 * RATE])
    softer, left, shares = through(LinearFilter(), near, samples(far))
    assert np.array_equal(softer, near)
    assert np.array_equal(left, near)
    assert set(shares) == {0.0}


def test_while_nothing_is_played_sound_passes_as_it_is(far: Sound, heard: Sound) -> None:
    made, said = placed(), samples(voice("near", 2))
    through(made, samples(heard), samples(far))
    softer, left, _ = through(made, said, np.zeros(len(said), np.int16))
    assert np.array_equal(softer[RATE:], said[RATE:])
    assert np.array_equal(left[RATE:], said[RATE:])


def test_it_stays_right_while_both_sides_speak(far: Sound, heard: Sound) -> None:
    said = voice("near", 8)
    said[: 4 * RATE] = 0
    near = said + heard + noise(8)
    _, left, shares = through(placed(), samples(near), samples(far))
    assert db(left - said * 32768, heard * 32768, 5) < -8
    assert min(shares[500:]) > 0.8


@pytest.mark.parametrize("shift", [-1440, 1440])
def test_a_filter_that_has_become_wrong_makes_nothing_louder_and_learns(shift: int, far: Sound, heard: Sound) -> None:
    """The reference is shifted by 30 ms after four seconds: more than the filter may be beside its place."""
    near, moved = samples(heard + noise(8)), samples(far)
    moved[4 * RATE :] = np.roll(moved, shift)[4 * RATE :]
    made = placed()
    through(made, near[: 4 * RATE], moved[: 4 * RATE])
    _, left, _ = through(made, near[4 * RATE :], moved[4 * RATE :])
    heard_then = near[4 * RATE :].astype(float)
    assert db(left, heard_then, 0.2, 1) < 1
    assert db(left, heard_then, 1) < 0.5
    made.place(LAG - shift, DB)
    made.place(LAG - shift, DB)
    _, left, _ = through(made, near[4 * RATE :], moved[4 * RATE :])
    assert db(left, heard_then, 2) < -8


def test_an_echo_that_is_found_elsewhere_once_does_not_move_it(far: Sound, heard: Sound) -> None:
    made, near, played = placed(), samples(heard + noise(8)), samples(far)
    through(made, near, played)
    made.place(4 * LAG, DB)
    made.place(LAG + BLOCK, DB)
    made.place(4 * LAG, DB)
    assert made.share == 1
    made.place(4 * LAG, DB)
    assert made.share == 0


@pytest.mark.parametrize("count", [-1440, -480, 700, 1440])
def test_a_shift_of_the_reference_that_it_knows_of_changes_nothing(count: int, far: Sound, heard: Sound) -> None:
    near, played = samples(heard + noise(8)), samples(far)
    made, half = placed(), 4 * RATE
    through(made, near[:half], played[:half])
    made.shift(count)
    after = np.concatenate((np.zeros(max(0, count), np.int16), played[half + max(0, -count) :]))[:half]
    after = np.concatenate((after, np.zeros(half - len(after), np.int16)))
    _, left, _ = through(made, near[half:], after)
    assert db(left, near[half:].astype(float), 0, 0.5) < -5
    assert db(left, near[half:].astype(float), 0.5, 3.5) < -9


def test_a_shift_that_brings_the_echo_before_the_reference_makes_it_forget(far: Sound, heard: Sound) -> None:
    made, near = placed(), samples(heard[:RATE])
    made.shift(LAG)
    softer, _, _ = through(made, near, samples(far))
    assert np.array_equal(softer, near)


def test_what_was_learned_is_forgotten_when_the_reference_was_shifted(far: Sound, heard: Sound) -> None:
    made, near = placed(), samples(heard + noise(8))
    through(made, near, samples(far))
    made.reset()
    softer, _, shares = through(made, near, samples(far))
    assert np.array_equal(softer, near)
    assert set(shares) == {0.0}


@pytest.mark.parametrize("loud", [32767, -32768])
def test_sound_at_full_scale_stays_within_it(loud: int, far: Sound, heard: Sound) -> None:
    made = placed()
    through(made, samples(heard + noise(8)), samples(far))
    softer, left, _ = through(made, np.full(RATE, loud, np.int16), samples(far)[:RATE])
    assert abs(float(np.median(softer)) - loud) < 500
    assert np.isfinite(left).all()
