from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.speech import DIALLER, LISTENER, RATE, speech
from voicemux.audio.measure import compare

EARLIER = 2.0  # seconds of silence before the speech, so that a recording may begin there


def record(path: Path, samples: np.ndarray, delay: float = 0.0, since: float = 0.0) -> str:
    """What a recording that began at `since` has of sound that is said at 0 and heard `delay` later."""
    heard = np.concatenate((np.zeros(int((EARLIER + delay) * RATE), np.int16), samples))
    soundfile.write(path, heard[int((EARLIER + since) * RATE) :], RATE)
    return str(path)


@pytest.mark.parametrize("delay", [0.0, 0.0831, 1.2])
@pytest.mark.parametrize("since", [0.0, 0.5, -0.5])
def test_the_delay_of_speech_is_found_whenever_the_recording_began(
    delay: float, since: float, tmp_path: Path
) -> None:
    path = record(tmp_path / "heard.wav", speech(), delay, since)
    found = compare(str(DIALLER), 100.0, path, 100.0 + since)
    assert np.median(found.delays) == pytest.approx(delay, abs=0.001)
    assert found.likeness > 0.99
    assert found.share > 0.8


def test_the_speech_of_somebody_else_is_not_found(tmp_path: Path) -> None:
    found = compare(str(DIALLER), 0, record(tmp_path / "heard.wav", speech(LISTENER)), 0)
    assert found.share < 0.2


def test_in_silence_nothing_is_found(tmp_path: Path) -> None:
    found = compare(str(DIALLER), 0, record(tmp_path / "heard.wav", np.zeros(10 * RATE, np.int16)), 0)
    assert (found.delays, found.likeness, found.share) == ([], 0.0, 0.0)
