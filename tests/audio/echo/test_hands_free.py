import sys

import numpy as np
import pytest

from tests.audio.echo.room import (
    BATCH,
    RATE,
    Sound,
    each_through,
    echo,
    hands_free,
    noise,
    returned,
    samples,
    through,
    voice,
)
from tests.audio.speech import level, likeness, quality
from voicemux.audio.choices import EchoChoice
from voicemux.audio.echo.canceller import BEHIND, WHOLE
from voicemux.audio.echo.hands_free import CLEANED_ALREADY
from voicemux.audio.resample import Resampler
from voicemux.errors import LibraryMissing

SECONDS = 6.0
SETTLED = 1.5  # seconds


@pytest.fixture(scope="module")
def far() -> Sound:
    return voice("far", SECONDS)


@pytest.mark.parametrize(
    ("heard", "least", "worst"),
    [
        ({"db": -4}, -35, -18),
        ({"db": -15}, -35, -25),
        ({"db": -4, "delay": 0.2}, -35, -18),
        ({"db": -15, "drift": 1e-4}, -33, -20),
        ({"db": -4, "delay": 0.1, "clipping": 6, "reverberation": 0.4, "direct_db": -3}, -32, -18),
    ],
    ids=["loud", "laptop", "200 ms", "100 ppm", "clipping in a hall"],
)
def test_what_is_played_does_not_come_back(heard: dict, least: float, worst: float, far: Sound) -> None:
    sent = through(hands_free(), echo(far, **heard) + noise(SECONDS), far)
    whole, worst_half = returned(sent, far, SETTLED)
    assert whole <= least
    assert worst_half <= worst


@pytest.mark.parametrize("delay", [0.45, 1.5])
def test_an_echo_that_is_later_than_the_canceller_looks_is_found_within_six_seconds(delay: float) -> None:
    far = voice("far", 10)
    sent = through(hands_free(), echo(far, -10, delay) + noise(10), far)
    assert returned(sent, far, 7.5)[0] <= -35


def test_after_a_wireless_loudspeaker_a_usual_one_is_heard_again() -> None:
    """The sound server has moved the stream: the echo that was 0.8 s late is at its usual place."""
    far = voice("far", 20)
    late, usual = echo(far, -10, 0.8), echo(far, -10)
    near = np.where(np.arange(len(far)) < 7 * RATE, late, usual)
    assert returned(through(hands_free(), near + noise(20), far), far, 17)[0] <= -33


def test_a_reference_behind_its_echo_is_put_before_it() -> None:
    far = voice("far", 10)
    early = np.concatenate((echo(far, -10, 0.0)[480:], np.zeros(480)))
    assert returned(through(hands_free(), early + noise(10), far), far, 7.5)[0] <= -33


@pytest.mark.parametrize("rate", [8_000])
def test_a_microphone_of_a_telephone_headset_is_cleaned_too(rate: int, far: Sound) -> None:
    narrow = Resampler(RATE, rate).process(samples(echo(far, -10) + noise(SECONDS)))
    near = np.zeros(len(far))
    wide = Resampler(rate, RATE).process(narrow)
    near[: len(wide)] = wide[: len(near)] / 32768
    assert returned(through(hands_free(), near, far), far, SETTLED)[0] <= -33


def test_a_microphone_that_changes_to_another_channel_is_cleaned_again_within_two_seconds() -> None:
    """Of several channels the loudest is followed; each is elsewhere in the room."""
    far = voice("far", 12)
    one, other = echo(far, -10), echo(far, -14, 0.063, reverberation=0.3)
    near = np.where(np.arange(len(far)) < 6 * RATE, one, other)
    assert returned(through(hands_free(), near + noise(12), far), far, 8.0)[0] <= -33


def test_holes_in_what_is_played_cost_nothing(far: Sound) -> None:
    made, near = hands_free(), samples(echo(far, -4) + noise(SECONDS))
    played, sent = samples(far), []
    for at in range(0, len(near) - BATCH + 1, BATCH):
        block = played[at : at + BATCH]
        made.played((block * (at % RATE >= BATCH)).astype(np.int16).tobytes(), RATE, 1)
        sent.append(np.frombuffer(made.captured(near[at : at + BATCH].tobytes(), 0.0), np.int16))
    assert returned(np.concatenate(sent), far, SETTLED)[0] <= -33


def test_captured_blocks_that_are_lost_cost_less_than_two_seconds(far: Sound) -> None:
    made, near, played = hands_free(), samples(echo(far, -4) + noise(SECONDS)), samples(far)
    sent, lost = [], range(2 * RATE, 2 * RATE + 5 * BATCH)
    for at in range(0, len(near) - BATCH + 1, BATCH):
        made.played(played[at : at + BATCH].tobytes(), RATE, 1)
        if at in lost:
            made.lost(BATCH)
            sent.append(np.zeros(BATCH, np.int16))
        else:
            sent.append(np.frombuffer(made.captured(near[at : at + BATCH].tobytes(), 0.0), np.int16))
    assert returned(np.concatenate(sent), far, 4.5)[0] <= -35


def test_who_speaks_alone_sounds_as_without() -> None:
    near = voice("near", SECONDS)
    sent = through(hands_free(), near + noise(SECONDS), np.zeros(len(near)))
    said = samples(near[RATE : 5 * RATE])
    assert quality(said, sent) >= quality(said, samples(near + noise(SECONDS))) - 0.1


@pytest.mark.parametrize(("db", "least"), [(-4, 0.9), (-15, 0.95), (-25, 0.95)])
def test_who_speaks_while_the_other_side_does_is_heard(db: float, least: float) -> None:
    """WebRTC's canceller alone reaches 0.81, 0.88 and 0.91."""
    near, far = voice("near", 10), voice("far", 10)
    near[: 4 * RATE] = 0
    sent = through(hands_free(), near + echo(far, db) + noise(10), far)
    assert likeness(samples(near[5 * RATE :]), sent[5 * RATE :], 0.5) >= least


@pytest.mark.parametrize("batch", [240, 720, 2880])
def test_blocks_of_every_length_come_out_as_long_as_they_went_in(batch: int, far: Sound) -> None:
    made = hands_free()
    pieces = [sent for _, sent in each_through(made, echo(far, -4) + noise(SECONDS), far, batch)]
    assert {len(piece) for piece in pieces} == {batch}
    assert made.delay_ms == (BEHIND + (0 if batch % WHOLE == 0 else 240)) * 1000 / RATE
    assert returned(np.concatenate(pieces), far, SETTLED)[0] <= -33


def test_what_is_sent_is_later_by_as_much_as_is_said() -> None:
    near = voice("near", 3)
    made = hands_free()
    sent = through(made, near, np.zeros(len(near)))
    shifts = range(300, 600)
    piece = samples(near)[RATE : 2 * RATE].astype(float)
    alike = [float(np.dot(piece, sent[RATE + by : 2 * RATE + by])) for by in shifts]
    assert abs(shifts[int(np.argmax(alike))] * 1000 / RATE - made.delay_ms) < 0.2


# --- auto: whether there is an echo


def test_without_an_echo_the_voice_passes_untouched_after_ten_seconds() -> None:
    far, near = voice("far", 20), noise(20)
    made = hands_free()
    near[17 * RATE :] += voice("near", 3)
    sent = through(made, near, far)
    assert (made.echo, made.echo_db, made.delay_ms) == ("not needed", None, 0.0)
    assert np.array_equal(sent[17 * RATE : 19 * RATE], samples(near)[17 * RATE : 19 * RATE])


def test_it_leaves_without_a_click() -> None:
    """A soft tone goes on when the canceller leaves: no two samples are as far apart as at a cut."""
    far, peak = voice("far", 17), 65
    tone = peak / 32768 * np.sin(2 * np.pi * 300 * np.arange(len(far)) / RATE)
    made = hands_free()
    sent = through(made, tone, far)
    assert made.echo == "not needed"
    assert np.abs(np.diff(sent[10 * RATE :].astype(float))).max() < peak / 4


def test_an_echo_that_comes_later_is_cancelled_within_four_seconds() -> None:
    """Somebody pulls the plug of the headset."""
    far = voice("far", 22)
    heard = echo(far, -10)
    heard[: 14 * RATE] = 0
    made = hands_free()
    sent = through(made, heard + noise(22), far)
    assert made.echo == "on"
    assert returned(sent, far, 18)[0] <= -33


def test_if_the_user_wants_it_it_stays_without_an_echo() -> None:
    far = voice("far", 15)
    made = hands_free(EchoChoice.ON, sink=("headset",))
    through(made, noise(15), far)
    assert made.echo == "on"


def test_with_a_headset_nothing_is_done(far: Sound) -> None:
    made = hands_free(sink=("default", "analog-output-headphones"))
    pcm = samples(echo(far, -4)).tobytes()
    made.played(pcm, RATE, 1)
    assert made.captured(pcm, 0.0) is pcm
    assert (made.echo, made.delay_ms, made.batch, made.echo_db) == ("not needed", 0.0, 1, None)


def test_where_the_user_wants_it_off_or_cannot_have_it_the_echo_is_only_measured(
    far: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = hands_free(EchoChoice.OFF)
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    heard = samples(echo(far, -10) + noise(SECONDS))
    for made, state in ((off, "off"), (hands_free(), "not installed")):
        assert np.array_equal(through(made, heard / 32768, far), heard[: len(heard) // BATCH * BATCH])
        assert (made.echo, made.delay_ms, made.batch) == (state, 0.0, 1)
        assert made.echo_db is not None
        assert abs(made.echo_db + 10) < 7
    assert hands_free(EchoChoice.OFF, sink=("headset",)).echo == "off"


def test_where_the_sound_server_cancels_echo_it_is_left_to_it_and_said() -> None:
    told: list[str] = []
    made = hands_free(source=("default", "Echo-Cancel Source"), told=told)
    assert (made.echo, told) == ("not needed", [CLEANED_ALREADY])
    assert made.captured(b"\1\0" * 240, 0.0) == b"\1\0" * 240


def test_two_cancellers_in_a_row_do_no_harm(far: Sound) -> None:
    first, second = hands_free(EchoChoice.ON), hands_free(EchoChoice.ON, source=("Echo-Cancel Source",))
    once = through(first, echo(far, -4) + noise(SECONDS), far)
    twice = through(second, once / 32768, far[: len(once)])
    assert returned(twice, far, SETTLED)[0] <= returned(once, far, SETTLED)[0] + 1
    near = voice("near", SECONDS)
    silence = np.zeros(len(near))
    kept = through(hands_free(EchoChoice.ON), through(hands_free(EchoChoice.ON), near, silence) / 32768, silence)
    assert level(kept[RATE:]) >= level(samples(near)[RATE:]) * 0.8


def test_another_headset_may_be_plugged_in_while_the_microphone_is_away(far: Sound) -> None:
    sinks = ["speakers", "headphones", "speakers"]
    from voicemux.audio.echo.hands_free import HandsFree
    from voicemux.audio.echo.verdict import Names

    made = HandsFree(EchoChoice.AUTO, lambda: Names(("mic",), (sinks.pop(0),)), lambda text: None, lambda error: None)
    states = []
    for _ in range(3):
        made.begin()
        states.append(made.echo)
    assert states == ["on", "not needed", "on"]


def test_it_goes_on_where_the_microphone_begins_anew(far: Sound) -> None:
    made = hands_free()
    heard = echo(far, -4) + noise(SECONDS)
    through(made, heard, far)
    for _ in range(300):
        made.played(samples(far[:BATCH]).tobytes(), RATE, 1)
    made.begin()
    assert returned(through(made, heard, far), far, SETTLED)[0] <= -35


def test_without_the_library_the_voice_passes_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    errors: list[LibraryMissing] = []
    made = hands_free(missing=errors.append)
    assert made.captured(b"\1\0" * 240, 0.0) == b"\1\0" * 240
    assert (made.echo, made.delay_ms, [error.library for error in errors]) == (
        "not installed",
        0.0,
        ["pywebrtc-audio"],
    )
