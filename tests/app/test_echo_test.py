from dataclasses import replace

import pytest

from tests.console.strategies import make_stats
from voicemux.app.echo_test import EVERY, FIRST, IN_VAIN, EchoVerdicts, verdict
from voicemux.events import Level, Stats


def level(speech: float | None) -> Level:
    return Level(None, None, 0, False, speech)


def stats(came: int = 500, missed: int = 0) -> Stats:
    figures = make_stats(audio_received=came, audio_late=missed // 2, audio_concealed=missed - missed // 2)
    return replace(figures, mouth_to_ear_ms=83.4, round_trip_ms=31.2)


def test_a_caller_who_speaks_is_told_after_a_while_and_again_now_and_then() -> None:
    verdicts = EchoVerdicts(now=100.0)
    told = []
    for tenth in range(0, 400, 5):
        now = 100.0 + tenth / 10
        if text := verdicts.look(now, level(-24.0 if now >= 103 else None), stats(came=10 * tenth)):
            told.append((now, text))
    assert [now for now, _ in told] == [103.0 + FIRST, 103.0 + FIRST + EVERY]
    assert all("your voice comes at -24 dB (good), no gaps" in text and "; all is well" in text for _, text in told)


@pytest.mark.parametrize(("came", "part"), [(0, "no voice comes"), (700, "no speech was heard so far")])
def test_a_caller_who_is_not_heard_is_told_so(came: int, part: str) -> None:
    verdicts = EchoVerdicts(now=0.0)
    assert verdicts.look(IN_VAIN - 1, level(None), stats(came)) is None
    text = verdicts.look(IN_VAIN, level(None), stats(came))
    assert text
    assert part in text
    assert verdicts.look(IN_VAIN + 1, level(None), stats(came)) is None


def test_a_caller_who_has_spoken_and_is_silent_hears_nothing_of_it() -> None:
    verdicts = EchoVerdicts(now=0.0)
    assert verdicts.look(1.0, level(-24.0), stats()) is None
    assert verdicts.look(1.0 + FIRST, level(None), stats()) is None


def test_only_the_gaps_since_the_last_verdict_count() -> None:
    verdicts = EchoVerdicts(now=0.0)
    verdicts.look(1.0, level(-24.0), stats(came=10))
    first = verdicts.look(1.0 + FIRST, level(-24.0), stats(came=300, missed=30))
    second = verdicts.look(1.0 + FIRST + EVERY, level(-24.0), stats(came=1300, missed=31))
    assert first
    assert second
    assert "10.0 % gaps: the line is slow or busy" in first
    assert "0.1 % gaps" in second
    assert ("all is well" in first, "all is well" in second) == (False, True)


@pytest.mark.parametrize(
    ("speech", "delay", "part"),
    [
        (-47.0, 83.0, "at -47 dB (too soft: turn your microphone up)"),
        (-9.0, 83.0, "at -9 dB (a little loud)"),
        (-24.0, 612.0, "about 612 ms from mouth to ear: that is late"),
        (-24.0, None, "no gaps, round trip 31 ms; all is well"),
    ],
)
def test_a_verdict_says_what_is_the_matter(speech: float, delay: float | None, part: str) -> None:
    assert part in verdict(speech, 500, 0, replace(stats(), mouth_to_ear_ms=delay))
