import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.clock import Clock
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SECONDS
from voicemux.audio.metronome import MAX_LAG, Metronome, PacedSink


class Bucket(PacedSink):
    """Counts what a recording would have: the blocks written and those that a stall has swallowed."""

    def __init__(self, metronome: Metronome | None = None) -> None:
        super().__init__(metronome)
        self.blocks = 0.0

    def write(self, pcm: bytes) -> None:
        self.blocks += self._account(pcm) + len(pcm) / BLOCK_BYTES


@pytest.mark.parametrize("first", [0, 1])
def test_it_beats_every_5_ms_from_its_first_beat_on(first: int, clock: Clock) -> None:
    metronome = Metronome(first)
    began = metronome.start()
    beats = [metronome.wait() for _ in range(60)]
    assert beats == list(range(first, first + 60))
    assert clock.now - began == pytest.approx((60 + first - 1) * BLOCK_SECONDS)


def test_a_short_delay_is_made_up_for(clock: Clock) -> None:
    metronome = Metronome(0)
    metronome.start()
    clock.sleep(MAX_LAG / 2)
    began = clock.now
    assert [metronome.wait() for _ in range(8)] == list(range(8))
    assert clock.now == began


def test_after_a_long_delay_beats_are_left_out_and_time_is_right_again(clock: Clock) -> None:
    metronome = Metronome(0)
    began = metronome.start()
    assert metronome.wait() == 0
    clock.sleep(3 * MAX_LAG)
    beat = metronome.wait()
    assert beat is not None
    assert beat > 2 * MAX_LAG / BLOCK_SECONDS
    assert beat * BLOCK_SECONDS <= clock.now - began


def test_stop_ends_a_wait_at_once_and_for_good() -> None:
    metronome = Metronome(first=2000)  # ten seconds away
    metronome.start()
    stopper = threading.Timer(0.05, metronome.stop)
    stopper.start()
    began = time.monotonic()
    assert metronome.wait() is None
    assert time.monotonic() - began < 5
    assert metronome.wait() is None
    stopper.join()


@given(st.lists(st.tuples(st.integers(1, 1200).map(lambda samples: 2 * samples), st.integers(0, 3)), max_size=60))
def test_what_a_paced_sink_takes_is_as_long_as_the_beats(pieces: list[tuple[int, int]]) -> None:
    beats, stalls = [0], [0]

    class Stalling(Metronome):
        def wait(self) -> int:
            beats.append(beats[-1] + 1 + stalls.pop() if stalls else beats[-1] + 1)
            return beats[-1] - 1

    sink = Bucket(Stalling(first=0))
    for size, stall in pieces:
        stalls = [stall]
        assert sink.ready()
        before = sink.blocks
        sink.write(bytes(size))
        assert before < beats[-1], "it asked before what it had was over"
        assert sink.blocks > beats[-1] - 1, "it asked too late"


def test_a_paced_sink_that_is_stopped_wants_no_more() -> None:
    sink = Bucket()
    sink.start()
    assert sink.ready()
    sink.stop()
    assert not sink.ready()
