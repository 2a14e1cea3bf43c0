import numpy as np
import pytest

from tests.audio.echo.room import RATE, Samples, echo, noise, samples, voice
from tests.audio.speech import likeness
from voicemux.audio.echo.canceller import BEHIND, WHOLE, Canceller
from voicemux.audio.echo.two_stages import TwoStages

SECONDS = 9
BOTH = 4 * RATE  # samples after which both sides speak
LAG = RATE * 6 // 100  # samples (60 ms): where `echo` has its first sound


def through(made: TwoStages | Canceller, near: Samples, far: Samples) -> Samples:
    blocks = range(0, len(near) - WHOLE + 1, WHOLE)
    return np.concatenate([made.process(near[at : at + WHOLE], far[at : at + WHOLE]) for at in blocks])


@pytest.fixture(scope="module")
def call() -> tuple[Samples, Samples, Samples]:
    """What is said, captured and played."""
    said, far = voice("near", SECONDS), voice("far", SECONDS)
    said[:BOTH] = 0
    return samples(said), samples(said + echo(far, -4) + noise(SECONDS)), samples(far)


@pytest.fixture(scope="module")
def both(call: tuple[Samples, Samples, Samples]) -> Samples:
    made = TwoStages()
    made.place(LAG, -4)
    return through(made, *call[1:])


def test_while_both_sides_speak_the_near_voice_is_left_alone_more_than_by_the_second_stage(
    call: tuple[Samples, Samples, Samples], both: Samples
) -> None:
    said, captured, far = call
    alone = through(Canceller(), captured, far)
    words = slice(BOTH + RATE // 2, None)
    assert likeness(said[words], both[words], 0.5) > 0.93
    assert likeness(said[words], alone[words], 0.5) < 0.88


def test_while_only_the_far_side_speaks_nothing_is_mixed_in(
    call: tuple[Samples, Samples, Samples], both: Samples
) -> None:
    _, captured, _ = call
    part = slice(3 * RATE, BOTH)
    power = float(np.mean(both[part].astype(float) ** 2) / np.mean(captured[part].astype(float) ** 2))
    assert 10 * np.log10(power) < -27


def test_both_stages_are_in_step(call: tuple[Samples, Samples, Samples], both: Samples) -> None:
    """What is mixed would be softer, if one were late."""
    said = call[0][-RATE:].astype(float)
    shifts = range(BEHIND - 100, BEHIND + 100)
    padded = np.concatenate((both, np.zeros(2 * BEHIND, np.int16))).astype(float)
    start = len(both) - RATE
    alike = [float(np.dot(said, padded[start + by : start + by + RATE])) for by in shifts]
    assert abs(shifts[int(np.argmax(alike))] - BEHIND) <= 2


@pytest.mark.parametrize("call_it", ["nothing", "misplace", "reset"])
def test_without_a_place_the_second_stage_works_alone(call_it: str, call: tuple[Samples, Samples, Samples]) -> None:
    _, captured, far = call
    made = TwoStages()
    if call_it != "nothing":
        made.place(LAG, -4)
        getattr(made, call_it)()
    assert np.array_equal(
        through(made, captured[:RATE], far[:RATE]), through(Canceller(), captured[:RATE], far[:RATE])
    )


def test_whole_blocks_of_every_length_are_the_same(call: tuple[Samples, Samples, Samples], both: Samples) -> None:
    _, captured, far = call
    made = TwoStages()
    made.place(LAG, -4)
    starts = range(0, 2 * RATE, 6 * WHOLE)
    long = np.concatenate([made.process(captured[at:][: 6 * WHOLE], far[at:][: 6 * WHOLE]) for at in starts])
    assert np.array_equal(long[:RATE], both[:RATE])
