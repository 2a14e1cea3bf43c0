"""WebRTC's echo canceller (AEC3), noise suppressor and speech detector, through pywebrtc-audio, whose only home this
is.

What was measured (0.2.0): a call with less than 10 ms is padded to 10 ms, which makes the output wrong by 1.2 dB and
costs twice the time. An echo is found up to 450 ms behind the reference, and not at 600 ms. Its delay hint makes no
difference. It runs without holding Python's lock.
"""

from typing import TYPE_CHECKING

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples
from voicemux.errors import LibraryMissing

if TYPE_CHECKING:
    from pywebrtc_audio import EchoCanceller, GainController, NoiseSuppressor

WHOLE = RATE // 100  # samples (10 ms) that must be given at a time
BEHIND = 430  # samples (9 ms) by which the output is later than the input, mostly because of the filter bank
DETECTOR_SUPPRESSION = 2  # level (18 dB at most) of the suppressor before the speech detector
SUPPRESSED_BEHIND = 334  # samples (7 ms) by which the suppressor's output is later than its input


class Canceller:
    """The echo canceller of one microphone. Only one thread at a time may use it."""

    def __init__(self) -> None:
        """Load the library. Raises LibraryMissing."""
        self._canceller = _load()

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the captured sound `near` without the echo of `far`, the reference beside it. Both have whole 10
        ms."""
        assert len(near) == len(far)
        assert len(near) % WHOLE == 0
        return self._canceller.process(near, far)

    def reset(self) -> None:
        """Forget what it has learned."""
        self._canceller.reset()


class Suppressor:
    """Makes steady noise of one microphone softer. Only one thread at a time may use it."""

    def __init__(self, level: int) -> None:
        """`level` is 0 to 3, for at most 6, 12, 18 or 21 dB less noise. Raises LibraryMissing."""
        self._suppressor = _load_suppressor(level)

    def process(self, near: Samples) -> Samples:
        """Return the captured sound, of whole 10 ms, with less noise."""
        assert len(near) % WHOLE == 0
        return self._suppressor.process(near)


class SpeechDetector:
    """Tells speech from other sounds of one microphone, by the recurrent network of WebRTC's gain control, whose gain
    is not used. Only one thread at a time may use it.

    Noise is suppressed before it: otherwise, typing in a noisy room was taken for speech.
    """

    def __init__(self) -> None:
        """Raises LibraryMissing."""
        self._control, self._suppressor = _load_detector(), _load_suppressor(DETECTOR_SUPPRESSION)

    def probability(self, near: Samples) -> float:
        """Return the probability of speech in these 10 ms, 0 to 1."""
        assert len(near) == WHOLE
        self._control.process(self._suppressor.process(near))
        return float(self._control.speech_probability)


def check_canceller() -> None:
    """Check that echo can be cancelled. Raises LibraryMissing."""
    _load()


def _load() -> "EchoCanceller":
    try:
        from pywebrtc_audio import EchoCanceller
    except ImportError as error:
        raise LibraryMissing("pywebrtc-audio", f"no echo cancellation: {str(error).lower()}") from error
    return EchoCanceller(RATE)


def _load_suppressor(level: int) -> "NoiseSuppressor":
    try:
        from pywebrtc_audio import NoiseSuppressor
    except ImportError as error:
        raise LibraryMissing("pywebrtc-audio", f"no noise suppression: {str(error).lower()}") from error
    return NoiseSuppressor(RATE, level=level)


def _load_detector() -> "GainController":
    try:
        from pywebrtc_audio import GainController
    except ImportError as error:
        raise LibraryMissing("pywebrtc-audio", f"no detection of speech: {str(error).lower()}") from error
    return GainController(RATE, max_gain_db=0.0)
