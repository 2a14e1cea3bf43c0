"""Arrivals as they were: recorded by players in calls over the lines of `bench/`, and played again.

A trace is a JSON object: `line`; `disturbed`, the seconds from and to which the line was not well, if it was well
before and after; `packets`, each as when it came in milliseconds, its sequence number, time stamp and length in
ticks.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.audio.listening import RATE, Ear, audio
from voicemux.audio.playout.arrivals import MARGIN
from voicemux.audio.playout.jitter import MAX_DELAY, SLACK, STEP, Conceal

TRACES = {file.stem: json.loads(file.read_text()) for file in sorted(Path(__file__).with_name("traces").iterdir())}
NORMAL = 0.030  # seconds more than before
BACK = 1.0  # seconds in which the delay is normal again
SETTLED = 5.0  # seconds after which a line is known

each_trace = pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES.keys())


def hear(trace: dict[str, Any]) -> tuple[Ear, float]:
    """What was played, and for how long packets came, in seconds."""
    lengths = {timestamp: ticks for _, _, timestamp, ticks in trace["packets"]}
    begin, end = trace["packets"][0][0], trace["packets"][-1][0]
    ear = Ear(length=lambda packet: lengths[packet.timestamp])
    ear.expect(((at - begin) / 1000, audio(sequence, timestamp)) for at, sequence, timestamp, _ in trace["packets"])
    seconds = (end - begin) / 1000
    return ear.listen(seconds), seconds


@each_trace
def test_the_delay_has_a_bound_whatever_the_line_did(trace: dict[str, Any]) -> None:
    ear, seconds = hear(trace)
    assert max(ear.delays()) <= MAX_DELAY + 0.1, "and a packet that was begun in time"
    assert max(each.target for each in ear.heard) <= MAX_DELAY
    assert ear.given / RATE == pytest.approx(seconds, abs=0.1)


@each_trace
def test_the_delay_is_normal_again_a_second_after_the_line_is(trace: dict[str, Any]) -> None:
    if "disturbed" not in trace:
        pytest.skip("it was never well")
    ear, seconds = hear(trace)
    begin, end = trace["disturbed"]
    before = max(ear.delays(SETTLED / 2, begin))
    after = ear.delays(end + BACK)
    assert seconds > end + BACK + SETTLED / 2
    assert max(after) < before + NORMAL


@each_trace
def test_on_a_line_that_is_well_nothing_is_made_up_and_nothing_changes(trace: dict[str, Any]) -> None:
    if trace["line"] != "clean" and "disturbed" not in trace:
        pytest.skip("it was never well")
    ear, seconds = hear(trace)
    until = trace.get("disturbed", [seconds])[0]
    calm = [each for each in ear.heard if SETTLED / 2 < each.at < until]
    assert len(calm) > 50
    assert sum(isinstance(each.action, Conceal) for each in calm) * STEP / RATE <= 0.002 * seconds
    delays = ear.delays(SETTLED / 2, until)
    assert max(delays) - min(delays) < 0.02


@each_trace
def test_the_delay_follows_its_target_and_does_not_swing(trace: dict[str, Any]) -> None:
    ear, seconds = hear(trace)
    begin, end = trace.get("disturbed", [seconds, seconds])
    calm = [each for each in ear.plays if SETTLED < each.at < begin or each.at > end + 2 * BACK]
    steps = [later.delay - sooner.delay for sooner, later in pairwise(calm)]
    turns = [step for step in steps if abs(step) > SLACK]
    reversals = sum((sooner > 0) != (later > 0) for sooner, later in pairwise(turns))
    assert reversals <= seconds / 2
    assert min(each.target for each in calm) >= MARGIN - 1e-9
