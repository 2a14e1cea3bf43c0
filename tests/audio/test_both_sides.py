"""Recordings of both sides, on a clock that is passed in."""

import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.clock import Clock
from tests.audio.speech import Samples, level, pitch, place, speech, tone
from voicemux.audio.both_sides import LAG, MOST_WAITING, STITCH, BothSides, CallFile, Timeline
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE
from voicemux.errors import DeviceError

MINE, THEIRS = tone(440, 4.0), tone(1000, 4.0)
PIECE = 2 * BLOCK_SAMPLES


def sides_of(path: str | Path) -> tuple[Samples, Samples]:
    both, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    assert both.shape[1] == 2
    return both[:, 0], both[:, 1]


def pieces(sound: Samples) -> list[tuple[int, Samples]]:
    return [(at, sound[at : at + PIECE]) for at in range(0, len(sound), PIECE)]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 900)), max_size=20), st.integers(1, 700))
def test_every_sample_is_where_its_clock_says_and_between_them_is_silence(
    heard: list[tuple[int, int]], at_once: int
) -> None:
    timeline, wanted, position = Timeline(), np.zeros(0, np.int16), 0
    for gap, length in heard:
        gap += STITCH * (0 < gap <= STITCH)
        position += gap
        sound = np.arange(1, length + 1, dtype=np.int16)
        timeline.put(position, position, sound)
        wanted = np.concatenate((wanted, np.zeros(gap, np.int16), sound))
        position += length
    given_out = [timeline.take(at_once) for _ in range(-(-position // at_once))]
    assert all(len(each) == at_once for each in given_out)
    assert np.concatenate((np.zeros(0, np.int16), *given_out))[:position].tolist() == wanted.tolist()


def test_what_comes_after_its_time_was_given_out_is_left_out() -> None:
    timeline, sound = Timeline(), np.arange(1, 1001, dtype=np.int16)
    timeline.put(0, 0, sound[:100])
    assert timeline.take(300).tolist() == [*sound[:100], *[0] * 200]
    timeline.put(100, 100, sound[100:500])
    assert timeline.take(300).tolist() == [*sound[300:500], *[0] * 100]


def test_a_disk_that_hangs_does_not_make_the_memory_grow() -> None:
    timeline = Timeline()
    for at in range(0, 3 * MOST_WAITING, RATE):
        timeline.put(at, at, np.ones(RATE, np.int16))
    assert timeline.take(3 * MOST_WAITING).sum() <= MOST_WAITING


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_microphone_whose_clock_differs_stays_beside_the_other_side(ppm: int) -> None:
    """Each piece is told a little late, as a busy machine does, and one in 200 half a second late.

    A piece is one number throughout, which tells when it was said.
    """
    timeline, random = Timeline(), np.random.default_rng(1)
    piece, apart, began = RATE // 20, [], {}
    for number in range(600 * 20):
        mark = 1 + number % 10_000
        began[mark] = number * piece * (1 + ppm / 1_000_000)
        late = random.exponential(50) + (RATE // 2 if number % 200 == 77 else 0)
        timeline.put(number * piece, began[mark] + late, np.full(piece, mark, np.int16))
        if number >= LAG // piece:
            given_out = timeline.take(piece)
            for at in np.flatnonzero(np.diff(given_out)) + 1:
                apart.append((number - LAG // piece) * piece + at - began[int(given_out[at])])
    assert len(apart) > 10_000
    assert np.max(np.abs(apart)) < RATE * 0.012  # 12 ms
    assert np.median(np.abs(apart)) < RATE * 0.008


def test_clocks_that_are_apart_for_good_are_laid_together_anew() -> None:
    timeline = Timeline()
    for at, sound in pieces(MINE):
        timeline.put(at, at + (RATE if at >= RATE else 0), sound)
    given_out = timeline.take(5 * RATE)
    assert level(given_out[2 * RATE + RATE // 2 :]) == pytest.approx(level(MINE), rel=0.2)


@pytest.mark.parametrize(
    "ending",
    [".wav", ".flac", ".opus", *(pytest.param(each, marks=pytest.mark.long) for each in (".ogg", ".aiff", ".au"))],
)
def test_a_call_is_in_one_file_we_on_the_left_and_the_other_side_on_the_right(
    ending: str, tmp_path: Path, clock: Clock
) -> None:
    file = CallFile(str(tmp_path / f"call{ending}"))
    began = file.start()
    for at in range(0, len(THEIRS), BLOCK_SAMPLES):
        assert file.ready()
        file.mine(at, began + at / RATE, MINE[at : at + BLOCK_SAMPLES].tobytes())
        file.write(THEIRS[at : at + BLOCK_SAMPLES].tobytes())
    file.stop()
    assert not file.ready()
    left, right = sides_of(file.path)
    assert len(left) == pytest.approx(len(MINE), abs=2 * BLOCK_SAMPLES)
    assert pitch(left[RATE : 2 * RATE]) == pytest.approx(440, abs=2)
    assert pitch(right[RATE : 2 * RATE]) == pytest.approx(1000, abs=2)
    if ending in (".wav", ".flac", ".aiff", ".au"):
        assert np.array_equal(left[: RATE // 2], MINE[: RATE // 2])
        assert np.array_equal(right[: RATE // 2], THEIRS[: RATE // 2])


def test_both_sides_are_on_one_clock_also_after_a_stall_and_while_we_are_muted(tmp_path: Path, clock: Clock) -> None:
    """Both say the same at the same time; ours comes in longer pieces and late, and is missing for a second."""
    words = speech(seconds=4)
    file = CallFile(str(tmp_path / "call.wav"))
    began = file.start()
    for at in range(0, len(words), BLOCK_SAMPLES):
        assert file.ready()
        if at == 2 * RATE:
            clock.sleep(0.7)
        late = at - 6 * PIECE
        if late >= 0 and late % PIECE == 0 and not RATE <= late < 2 * RATE:
            file.mine(
                late + (RATE * 7 // 10 if at >= 2 * RATE else 0),
                began + late / RATE + (0.7 if at >= 2 * RATE else 0),
                words[late : late + PIECE].tobytes(),
            )
        file.write(words[at : at + BLOCK_SAMPLES].tobytes())
    file.close()
    left, right = sides_of(file.path)
    assert not left[RATE + 10 : 2 * RATE].any()
    assert np.array_equal(left[:RATE], right[:RATE])
    begins, alike = place(right[-RATE:-4000], left[-RATE - 2 * PIECE :])
    assert abs(begins - 2 * PIECE) <= BLOCK_SAMPLES
    assert alike > 0.99


def test_a_full_disk_ends_the_recording_once_and_what_is_there_can_be_played(tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = CallFile(str(tmp_path / "call.wav"))
    began = file.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_001, limits[1]))
    try:
        file.mine(0, began, MINE[:RATE].tobytes())
        file.write(THEIRS[: LAG + PIECE].tobytes())
        with pytest.raises(DeviceError, match=r"cannot write call\.wav: file too large"):
            file.write(THEIRS[LAG + PIECE : 2 * RATE].tobytes())
        file.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    left, right = sides_of(file.path)
    assert len(left) == (60_001 - 44) // 4
    assert np.array_equal(right, THEIRS[: len(right)])


def test_a_stall_of_minutes_is_minutes_of_silence(tmp_path: Path, clock: Clock) -> None:
    file = CallFile(str(tmp_path / "call.wav"))
    file.start()
    assert file.ready()
    clock.sleep(120)
    file.write(THEIRS[:BLOCK_SAMPLES].tobytes())
    assert file.ready()
    file.write(THEIRS[:BLOCK_SAMPLES].tobytes())
    file.close()
    left, right = sides_of(file.path)
    assert len(left) == pytest.approx(120 * RATE, abs=2 * BLOCK_SAMPLES)
    assert not left.any()
    assert not right[BLOCK_SAMPLES:-BLOCK_SAMPLES].any()
    assert np.array_equal(right[-BLOCK_SAMPLES:], THEIRS[:BLOCK_SAMPLES])


def test_one_recording_at_a_time_and_the_next_one_when_it_has_ended(tmp_path: Path) -> None:
    sides = BothSides(None, 0.3)
    assert (sides.recorder, sides.path) == (None, "")
    first = sides.start(str(tmp_path / "call.wav"))
    with pytest.raises(DeviceError, match=r"call\.wav is being recorded already"):
        sides.start(str(tmp_path / "other.wav"))
    first.records = False  # as its call has it stopped
    first.stop()
    second = sides.start(str(tmp_path / "call.wav"))
    assert second is sides.recorder is not first
    assert sides.path == str(tmp_path / "call-2.wav")
    sides.close()
    assert [len(sides_of(tmp_path / name)[0]) for name in ("call.wav", "call-2.wav")] == [0, 0]
