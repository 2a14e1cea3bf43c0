import numpy as np
import pytest

from tests.audio.echo.room import RATE, Sound, echo, noise, samples, voice
from voicemux.audio.echo.meter import EchoEstimate, EchoMeter

SECONDS = 6.0


def estimates(near: Sound, far: Sound, meter: EchoMeter | None = None) -> list[EchoEstimate]:
    meter = meter or EchoMeter()
    captured, played = samples(near), samples(far)
    found = [meter.hear(captured[at : at + 960], played[at : at + 960]) for at in range(0, len(far) - 959, 960)]
    return [each for each in found if each]


@pytest.fixture(scope="module")
def far() -> Sound:
    return voice("far", SECONDS)


@pytest.mark.parametrize("db", [-4, -15, -25, -35])
def test_an_echo_is_found_and_its_level_and_its_delay_are_known(db: float, far: Sound) -> None:
    found = estimates(echo(far, db) + noise(SECONDS), far)
    assert len(found) >= 3
    assert all(each.echo_db is not None and abs(each.echo_db - db) < 7 for each in found)
    assert all(each.lag is not None and abs(each.lag / RATE - 0.061) < 0.012 for each in found)


@pytest.mark.parametrize("delay", [0.005, 0.2, 0.7, 1.5])
def test_an_echo_is_found_however_late_it_is(delay: float, far: Sound) -> None:
    found = estimates(echo(far, -15, delay) + noise(SECONDS), far)[2:]
    assert found
    assert all(each.lag is not None and abs(each.lag / RATE - delay) < 0.012 for each in found)


def test_an_echo_that_comes_before_the_reference_is_found_too(far: Sound) -> None:
    early = np.concatenate((echo(far, -15, 0.0)[960:], np.zeros(960)))
    lags = [each.lag for each in estimates(early + noise(SECONDS), far)]
    assert all(lag is not None and abs(lag / RATE + 0.019) < 0.012 for lag in lags)


def test_an_echo_is_found_below_the_noise_of_the_room(far: Sound) -> None:
    assert all(each.echo_db is not None for each in estimates(echo(far, -25) + noise(SECONDS, -45), far))


def test_what_drifts_or_clips_is_found_too(far: Sound) -> None:
    for heard in (echo(far, -15, drift=2e-4), echo(far, -4, clipping=6, reverberation=0.4, direct_db=-3)):
        assert all(each.echo_db is not None for each in estimates(heard + noise(SECONDS), far))


@pytest.mark.parametrize("near", ["nobody", "somebody"])
def test_no_echo_is_found_where_there_is_none(near: str, far: Sound) -> None:
    speech = voice("near", SECONDS) if near == "somebody" else 0.0
    found = estimates(noise(SECONDS) + speech, far)
    assert found
    assert [each.echo_db for each in found] == [None] * len(found)


def test_nothing_is_said_while_nothing_is_played() -> None:
    assert not estimates(voice("near", SECONDS), np.zeros(int(SECONDS * RATE)))


def test_a_tone_has_an_echo_and_no_delay_that_could_be_known() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(int(SECONDS * RATE)) / RATE)
    found = estimates(echo(tone, -15) + noise(SECONDS), tone)
    assert found
    assert all(each.echo_db is not None and each.lag is None for each in found)


def test_after_a_shift_nothing_is_said_until_all_that_is_looked_at_is_new(far: Sound) -> None:
    meter = EchoMeter()
    assert estimates(echo(far, -15) + noise(SECONDS), far, meter)
    meter.restart()
    assert not estimates(noise(2.0), far[: 2 * RATE], meter)
