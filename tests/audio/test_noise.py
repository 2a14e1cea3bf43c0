import sys

import numpy as np
import pytest

from tests.audio.echo.room import BATCH, RATE, Sound, echo, hands_free, noise, returned, samples, voice
from tests.audio.speech import level
from voicemux.audio.choices import NoiseChoice
from voicemux.audio.echo.canceller import BEHIND, SUPPRESSED_BEHIND, WHOLE
from voicemux.audio.noise import Quieting
from voicemux.audio.processing import Processing
from voicemux.errors import LibraryMissing

FAN = -45.0  # dB


def quieting(choice: NoiseChoice, inner: Processing | None = None) -> Quieting:
    made = Quieting(inner or Processing(), choice, lambda error: None)
    made.begin()
    return made


def through(made: Quieting, near: Sound, batch: int = BATCH) -> np.ndarray:
    captured = samples(near)
    pieces = [
        made.captured(captured[at : at + batch].tobytes(), 0.0) for at in range(0, len(near) - batch + 1, batch)
    ]
    assert {len(piece) for piece in pieces} == {2 * batch}
    return np.frombuffer(b"".join(pieces), np.int16)


def decibels(sent: np.ndarray, before: np.ndarray) -> float:
    return float(20 * np.log10(level(sent) / level(before)))


@pytest.mark.parametrize(("choice", "least"), [(NoiseChoice.LOW, 8), (NoiseChoice.HIGH, 14)])
def test_a_fan_becomes_softer_and_who_speaks_does_not(choice: NoiseChoice, least: float) -> None:
    near = noise(5, FAN)
    near[3 * RATE :] += voice("near", 2)
    sent, before = through(quieting(choice), near), samples(near)
    pause, speech = slice(2 * RATE, 3 * RATE), slice(3 * RATE, 5 * RATE)
    assert decibels(sent[pause], before[pause]) <= -least
    assert abs(decibels(sent[speech], before[speech])) < 2


@pytest.mark.parametrize("batch", [240, 720, 960])
def test_what_is_sent_is_later_by_as_much_as_is_said(batch: int) -> None:
    made, near = quieting(NoiseChoice.LOW), voice("near", 2)
    sent = through(made, near, batch)
    held = 0 if batch % WHOLE == 0 else 240
    assert made.delay_ms == pytest.approx((SUPPRESSED_BEHIND + held) * 1000 / RATE)
    piece = samples(near)[RATE // 2 : RATE].astype(float)
    alike = [float(np.dot(piece, sent[RATE // 2 + by : RATE + by])) for by in range(700)]
    assert abs(int(np.argmax(alike)) - SUPPRESSED_BEHIND - held) < 10


def test_it_comes_after_echo_cancellation_whose_figures_it_passes_on() -> None:
    far = voice("far", 5)
    inner = hands_free()
    made = quieting(NoiseChoice.LOW, inner)
    captured, played = samples(echo(far, -10) + noise(5)), samples(far)
    sent = []
    for at in range(0, len(far) - BATCH + 1, BATCH):
        inner.played(played[at : at + BATCH].tobytes(), RATE, 1)
        sent.append(np.frombuffer(made.captured(captured[at : at + BATCH].tobytes(), 0.0), np.int16))
    assert returned(np.concatenate(sent), far)[0] <= -38
    assert made.delay_ms == pytest.approx((BEHIND + SUPPRESSED_BEHIND) * 1000 / RATE)
    assert (made.echo, made.echo_db) == ("on", inner.echo_db)
    assert made.echo_db is not None


def test_without_the_library_the_voice_passes_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    errors: list[LibraryMissing] = []
    made = Quieting(Processing(), NoiseChoice.HIGH, errors.append)
    made.begin()
    assert made.captured(b"\1\0" * 240, 0.0) == b"\1\0" * 240
    assert (made.delay_ms, [str(error).split(":")[0] for error in errors]) == (0.0, ["no noise suppression"])
