from collections.abc import Callable

import numpy as np
import pytest

from voicemux.audio.echo.reference import AIM, BACKLOG, LONGEST, MOST, MOST_GIVEN, MOST_WAITING, Reference
from voicemux.audio.resample import to_channels

RATE = 48_000
BLOCK = 240  # samples: what a loudspeaker takes at a time
BATCH = 960  # samples: what a microphone gives at a time
MILLISECOND = RATE // 1000


def numbered(first: int, count: int) -> np.ndarray:
    """Samples that say in milliseconds when they were played; never 0."""
    return (np.arange(first, first + count) // MILLISECOND % 30_000 + 1).astype(np.int16)


class Cards:
    """A loudspeaker and a microphone, each with threads that come late, and one clock.

    Both handle a sample at its time or later, by `late(seconds)`. What was to be played while the loudspeaker
    `stands` is not played: the next sample is.
    """

    def __init__(
        self,
        late_out: Callable[[float], float] = lambda at: 0.0,
        late_in: Callable[[float], float] = lambda at: 0.0,
        stands: Callable[[float], bool] = lambda at: False,
        drift: float = 0.0,
    ) -> None:
        self.reference = Reference()
        self.offsets: list[tuple[float, float]] = []  # when, and milliseconds that the reference is behind
        self._late_out, self._late_in, self._stands, self._drift = late_out, late_in, stands, drift

    def run(self, seconds: float) -> None:
        events: list[tuple[float, int, str, int]] = []
        for at in range(0, int(seconds * RATE), BLOCK):
            due = at / RATE
            if not self._stands(due):
                events.append((due + self._late_out(due), at, "out", at))
        for at in range(0, int(seconds * RATE * (1 + self._drift)), BATCH):
            due = (at + BATCH) / RATE / (1 + self._drift)
            events.append((due + self._late_in(due), at, "in", at))
        for kind in ("out", "in"):  # a block does not overtake the one before it
            newest = 0.0
            for i, (when, _, each, at) in enumerate(events):
                if each == kind:
                    newest = max(newest, when)
                    events[i] = (newest, at, each, at)
        for when, _, kind, at in sorted(events):
            if kind == "out":
                self.reference.played(numbered(at, BLOCK).tobytes(), RATE, 1)
                continue
            taken = self.reference.take(BATCH)
            if taken[-1]:
                captured = (at + BATCH - 1) // MILLISECOND / (1 + self._drift)
                behind = (captured - int(taken[-1]) + 1 + 15_000) % 30_000 - 15_000
                self.offsets.append((when, behind))

    def behind(self, since: float = 0.0) -> list[float]:
        return [behind for when, behind in self.offsets if when >= since]


def test_as_many_samples_come_out_as_were_captured() -> None:
    reference = Reference()
    reference.played(numbered(0, 100).tobytes(), RATE, 1)
    assert [len(reference.take(count)) for count in (1, 480, 960, 7)] == [1, 480, 960, 7]


def test_what_is_missing_is_silence() -> None:
    reference = Reference()
    reference.played(numbered(0, 100).tobytes(), RATE, 1)
    assert list(np.flatnonzero(reference.take(AIM + 960))) == list(range(AIM, AIM + 100))


def test_two_cards_that_keep_time_are_never_corrected() -> None:
    cards = Cards()
    cards.run(30)
    assert cards.reference.corrections == 0
    assert np.ptp(cards.behind()) <= 1


def test_late_blocks_of_either_card_shift_nothing() -> None:
    dice = np.random.default_rng(3)
    cards = Cards(late_out=lambda at: dice.uniform(0, 0.015), late_in=lambda at: dice.uniform(0, 0.03))
    cards.run(30)
    assert cards.reference.corrections == 0
    assert np.ptp(cards.behind(since=2)) <= 1


def test_a_loudspeaker_whose_blocks_come_very_late_costs_few_corrections() -> None:
    cards = Cards(late_out=lambda at: 0.030 if at % 4 < 0.03 else 0.0)
    cards.run(40)
    assert cards.reference.corrections <= 2
    assert np.ptp(cards.behind(since=20)) <= 30


@pytest.mark.parametrize("late", ["late_out", "late_in"])
def test_a_stall_of_a_third_of_a_second_is_mended_within_two_seconds(late: str) -> None:
    stall = {late: lambda at: max(0.0, 5.3 - at) if 5.0 <= at < 5.3 else 0.0}
    cards = Cards(**stall)  # type: ignore[arg-type]
    cards.run(12)
    assert cards.reference.corrections <= 2
    assert abs(np.median(cards.behind(since=8)) - np.median(cards.behind()[:100])) <= 30


def test_a_loudspeaker_that_really_stood_still_is_before_its_echo_again_within_two_seconds() -> None:
    cards = Cards(stands=lambda at: 5.0 <= at < 5.6)
    cards.run(12)
    assert cards.reference.corrections <= 2
    assert all(0 <= behind <= 70 for behind in cards.behind(since=8))


def test_drift_is_followed_in_steps_that_come_minutes_apart() -> None:
    for drift in (4e-4, -4e-4):
        cards = Cards(drift=drift)
        cards.run(150)
        assert cards.reference.corrections <= 4
        assert all(-1 <= behind <= 75 for behind in cards.behind())


def test_what_was_captured_and_lost_is_left_out_of_the_reference_too() -> None:
    reference = Reference()
    played = numbered(0, RATE)
    reference.played(played[: RATE // 10].tobytes(), RATE, 1)
    reference.take(AIM + 480)
    reference.lost(960)
    assert np.array_equal(reference.take(480), played[480 + 960 : 480 + 960 + 480])


def test_what_was_played_before_the_microphone_began_again_is_of_no_use() -> None:
    reference = Reference()
    reference.played(numbered(0, 2 * RATE).tobytes(), RATE, 1)
    reference.restart()
    reference.played(numbered(2 * RATE, 960).tobytes(), RATE, 1)
    assert np.array_equal(reference.take(AIM + 960)[AIM:], numbered(2 * RATE, 960))


def test_a_backlog_is_caught_up_with_at_once() -> None:
    reference = Reference()
    for at in range(0, RATE, BLOCK):
        reference.played(numbered(at, BLOCK).tobytes(), RATE, 1)
    reference.take(480)
    assert reference.take(AIM)[-1] == 1000


def test_what_waits_is_limited_while_nothing_is_captured() -> None:
    reference = Reference()
    for _ in range(10 * MOST_GIVEN):
        reference.played(bytes(2 * BLOCK), RATE, 1)
    reference.take(480)
    left = 0
    while reference.take(480).any() and left < 10**7:
        left += 480
    assert left <= MOST + BACKLOG


def test_an_echo_that_is_late_has_the_reference_wait_as_long() -> None:
    reference = Reference()
    reference.shift(RATE)
    reference.played(numbered(0, 960).tobytes(), RATE, 1)
    taken = reference.take(2 * RATE)
    assert int(np.flatnonzero(taken)[0]) == AIM + RATE


@pytest.mark.parametrize("count", [10 * RATE, 10**9])
def test_the_reference_waits_no_longer_than_two_seconds(count: int) -> None:
    reference = Reference()
    for _ in range(3):
        reference.shift(count)
    reference.played(numbered(0, 960).tobytes(), RATE, 1)
    assert int(np.flatnonzero(reference.take(MOST_WAITING))[0]) <= LONGEST


def test_a_reference_that_comes_behind_its_echo_waits_less_from_then_on() -> None:
    cards = Cards()
    cards.run(3)
    before = cards.behind()[-1]
    cards.reference.shift(-10 * MILLISECOND)
    cards.offsets.clear()
    cards.run(3)
    assert before - 11 <= cards.behind()[0] <= before - 9


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (44_100, 2), (48_000, 2), (16_000, 2)])
def test_the_form_that_a_card_takes_is_made_the_usual_one(rate: int, channels: int) -> None:
    reference = Reference()
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.int16)
    for at in range(0, rate, rate // 100):
        reference.played(to_channels(tone[at : at + rate // 100], channels), rate, channels)
        reference.take(480)
    expected = 8000 / np.sqrt(2)
    reference.played(to_channels(tone[: rate // 10], channels), rate, channels)
    assert abs(np.sqrt(np.mean(reference.take(4000).astype(float) ** 2)) - expected) < expected / 10
