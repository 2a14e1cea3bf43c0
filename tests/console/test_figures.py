import pytest

from tests.console.strategies import make_stats
from voicemux.console.figures import stats_line, stats_lines, status_line


def test_figures_tell_how_often_the_line_was_lost_and_what_text_waits():
    assert (
        stats_line(make_stats(texts_sent=3, texts_waiting=1)) == "0:00 · lines sent 3 (1 not there yet), received 0"
    )
    assert "the line was lost once" in stats_lines(make_stats(interruptions=1))
    assert "the line was lost 3 times" in stats_lines(make_stats(interruptions=3))
    assert not [line for line in stats_lines(make_stats()) if "lost" in line]


@pytest.mark.parametrize("width", [10, 20, 40, 60, 89, 119, 200])
def test_the_figures_below_the_prompt_fit_its_width(width):
    stats = make_stats(
        seconds=3725.4, round_trip_ms=20.4, mouth_to_ear_ms=163.2, audio_sent=186_250, audio_received=186_240,
        audio_concealed=44, texts_sent=17, texts_received=21,
    )  # fmt: skip
    line = status_line(stats, width)
    assert len(line) <= width
    assert line.startswith("1:02:05")
    if width >= 89:
        assert "concealed 44" in line


@pytest.mark.parametrize(
    ("seconds", "clock"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3599, "59:59"), (36_061, "10:01:01")]
)
def test_the_figures_begin_with_the_time(seconds, clock):
    assert stats_line(make_stats(seconds=seconds)).split(" · ")[0] == clock


def test_figures_of_what_there_was_not_are_left_out():
    assert stats_line(make_stats(texts_sent=1)) == "0:00 · lines sent 1, received 0"


def test_figures_of_a_call_with_voice():
    line = stats_line(
        make_stats(
            seconds=10,
            round_trip_ms=0.44,
            mouth_to_ear_ms=81.7,
            audio_sent=500,
            audio_dropped=1,
            audio_received=499,
            audio_late=2,
            audio_concealed=3,
        )
    )
    for part in (
        "mouth to ear about 82 ms",
        "round trip 0.4 ms",
        "voice sent 500, dropped 1",
        "received 499, late 2, concealed 3 packets",
    ):
        assert part in line
