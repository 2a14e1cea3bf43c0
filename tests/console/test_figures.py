import pytest

from tests.console.strategies import make_stats
from voicemux.console.figures import level_line, meter, stats_line, stats_lines, status_line
from voicemux.events import Level


def test_figures_tell_how_often_the_line_was_lost_and_what_text_waits():
    assert (
        stats_line(make_stats(texts_sent=3, texts_waiting=1)) == "0:00 · lines sent 3 (1 not there yet), received 0"
    )
    assert "the call goes through the relay relay.example.org" in stats_lines(make_stats(relay="relay.example.org"))
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


def test_meters_stand_below_the_prompt_where_there_is_sound():
    stats = make_stats(input_level_db=-28.3, input_peak_db=-17.0, their_level_db=-37.0, audio_received=5)
    assert "mic [#####.|.] -28 dB · them [###.....]" in status_line(stats, 79)
    assert "mic" not in status_line(make_stats(), 79)


@pytest.mark.parametrize(
    ("level", "peak", "clipped", "shown"),
    [
        (-100, None, False, "[........]"),
        (-54, None, False, "[#.......]"),
        (-30, -20, False, "[#####|..]"),
        (-6, 0, False, "[#######|]"),
        (-30, 0, True, "[#####..!]"),
    ],
)
def test_a_meter_has_a_cell_for_each_six_decibels(level, peak, clipped, shown):
    assert meter(level, peak, clipped=clipped) == shown


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (
            Level(-24.2, -61.3, 0, False, -23.4),
            "your microphone: speech at -24 dB (good), noise at -61 dB, never clipped; their speech comes at -23 dB",
        ),
        (
            Level(-10.0, -50.0, 12, True, None),
            "your microphone: speech at -10 dB (loud), noise at -50 dB, clipped 12 samples; you are muted; "
            "no speech has come from them",
        ),
        (
            Level(None, -61.0, 0, False, None),
            "your microphone: no speech in the last 10 seconds, noise at -61 dB, never clipped; "
            "no speech has come from them",
        ),
        (
            Level(None, None, 0, False, -41.0),
            "your microphone: nothing has come from it; their speech comes at -41 dB",
        ),
    ],
)
def test_levels_are_told_in_a_sentence(level, said):
    assert level_line(level) == said
