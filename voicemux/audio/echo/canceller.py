"""WebRTC's echo canceller (AEC3) and noise suppressor, by way of pywebrtc-audio, whose only home this is.

What it is like (0.2.0, measured): a call of less than 10 ms is filled up to 10, which makes its output wrong by 1.2
dB and costs twice the time. It finds an echo that is up to 450 ms later than the reference, and none at 600 ms. The
delay hint that it takes makes no difference. It computes without Python's lock.
"""

from typing import TYPE_CHECKING

from voicemux.audio.endpoints import RATE
from voicemux.audio.resample import Samples
from voicemux.errors import LibraryMissing

if TYPE_CHECKING:
    from pywebrtc_audio import EchoCanceller, GainController, NoiseSuppressor

WHOLE = RATE // 100  # samples (10 ms) that it takes at a time
BEHIND = 430  # samples (9 ms) by which its output is behind its input, mostly its filter bank's
DETECTOR_SUPPRESSION = 2  # level (18 dB at most) of the suppressor before the detector of speech
SUPPRESSED_BEHIND = 334  # samples (7 ms), the suppressor's


class Canceller:
    """Of one microphone. Not for more than one thread at a time."""

    def __init__(self) -> None:
        """Raises LibraryMissing."""
        self._canceller = _load()

    def process(self, near: Samples, far: Samples) -> Samples:
        """What was captured, without what was played; `far` is the reference beside it. Of whole 10 ms."""
        assert len(near) == len(far)
        assert len(near) % WHOLE == 0
        return self._canceller.process(near, far)

    def reset(self) -> None:
        """Forget what it has learned."""
        self._canceller.reset()


class Suppressor:
    """Makes noise softer that goes on and on. Of one microphone, likewise."""

    def __init__(self, level: int) -> None:
        """`level` is 0 to 3, for at most 6, 12, 18 or 21 dB. Raises LibraryMissing."""
        self._suppressor = _load_suppressor(level)

    def process(self, near: Samples) -> Samples:
        """What was captured, with less noise. Of whole 10 ms."""
        assert len(near) % WHOLE == 0
        return self._suppressor.process(near)


class SpeechDetector:
    """Tells speech from other sounds, by the recurrent network of WebRTC's gain control, which changes nothing here.

    It hears the sound with less noise: typing in a noisy room was taken for speech otherwise. Of one microphone,
    likewise.
    """

    def __init__(self) -> None:
        """Raises LibraryMissing."""
        self._suppressor, self._control = _load_suppressor(DETECTOR_SUPPRESSION), _load_detector()

    def probability(self, near: Samples) -> float:
        """How probable speech is in these 10 ms."""
        assert len(near) == WHOLE
        self._control.process(self._suppressor.process(near))
        return float(self._control.speech_probability)


def check_canceller() -> None:
    """Raises LibraryMissing if echo cannot be cancelled here."""
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
