"""A call of two hours in a few seconds: what goes wrong only after a long time."""

import pickle
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.audio.listening import PACKET, QUIET, RATE, Ear, audio
from voicemux.protocol.messages import Audio

OUTAGE_EVERY = 613.0  # seconds
OUTAGE = 2.0  # seconds
LOST = 0.001  # share of packets that the sender drops
TURN, TALK, BREATH = 250, 200, 50  # packets: of five seconds one speaks four, and each second has a breath
SPAN = 60.0  # seconds that are looked at together


def conversation(seconds: int, ppm: float) -> Iterator[tuple[float, Audio]]:
    """When each packet comes. The line is a little jittery, loses some, and has outages after which all comes."""
    chance = random.Random(1)
    last, sequence = 0.0, 0
    for number in range(seconds * 50):
        sent = number * PACKET / RATE / (1 + ppm * 1e-6)
        spurt = number % TURN
        if spurt > TALK:
            continue
        sequence += 1
        if chance.random() < LOST:
            continue
        outage = sent % OUTAGE_EVERY
        late = chance.uniform(0, 0.004) + (max(0.0, OUTAGE - outage) if sent > OUTAGE_EVERY else 0.0)
        last = max(last, sent + 0.02 + late)
        data = b"" if spurt == TALK else QUIET if spurt % BREATH > BREATH - 5 else b"x"
        yield last, audio(sequence, number * PACKET, data)


@pytest.mark.parametrize(
    ("hours", "ppm"), [(0.5, 300), *(pytest.param(2, ppm, marks=pytest.mark.long) for ppm in (300, -300))]
)
def test_hours_of_talk_are_like_two_minutes(hours: float, ppm: int) -> None:
    seconds = int(hours * 3600)
    ear = Ear(keeps=False)
    arrivals = conversation(seconds, ppm)
    ahead = next(arrivals, None)
    sizes, delays, concealed = [], [], []
    for span in range(int(seconds / SPAN)):
        coming = []
        while ahead and ahead[0] <= (span + 1) * SPAN:
            coming.append((ahead[0] - ear.now, ahead[1]))
            ahead = next(arrivals, None)
        ear.expect(coming).listen((span + 1) * SPAN - ear.now)
        sizes.append(len(pickle.dumps(ear.jitter)))
        delays.append(ear.jitter.delay)
        concealed.append(ear.jitter.concealed / RATE)
    assert ear.given / RATE == pytest.approx(seconds, abs=0.05)
    assert max(sizes[5:]) < min(sizes[5:]) + 2000, "it remembers ever more"
    assert max(delays) < 0.06
    assert ear.jitter.drift_ppm == pytest.approx(ppm, abs=20)
    # What was made up: the packets lost, the outages, and what drift costs below a pause now and then.
    outages = seconds // OUTAGE_EVERY
    assert concealed[-1] < LOST * seconds + outages * (OUTAGE + 1) + 0.001 * seconds
    assert ear.jitter.late <= outages * (OUTAGE + 1) * 50
    in_a_span = [later - sooner for sooner, later in pairwise(concealed)]
    calm = [each for each in in_a_span if each < 1.0]
    assert len(calm) >= len(in_a_span) - 2 * outages
    assert max(calm) < 0.6, "there is a glitch that comes again and again"
    # The drift alone, less what pauses and gaps take care of.
    stretched = (ear.shortened if ppm > 0 else ear.lengthened) / RATE
    assert stretched < seconds * 300e-6 + outages * 0.2 + 5
