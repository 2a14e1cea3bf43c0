import pytest

from voicemux.audio.echo.meter import EchoEstimate
from voicemux.audio.echo.verdict import ENOUGH, LATEST, SOONEST, USUAL, EchoWatch, Names, is_cleaned, is_headset

RATE = 48_000
HEARD = EchoEstimate(-20.0, RATE // 10, -26.0, -45.0)
WEAK = EchoEstimate(-42.0, RATE // 10, -26.0, -55.0)
ABSENT = EchoEstimate(None, None, -26.0, -60.0)
DOUBLE_TALK = EchoEstimate(None, None, -26.0, -26.0)


def named(sink: str = "", source: str = "") -> Names:
    return Names((source,), ("default", sink))


@pytest.mark.parametrize(
    "sink",
    [
        "Headset (Jabra Evolve2 65)",
        "External Headphones",
        "analog-output-headphones",
        "Headphones",
        "Anna's AirPods Pro",
        "Galaxy Buds2",
        "Hands-Free AG Audio",
        "bluez_output.00_11.headset-head-unit",
        "Earphones (WH-1000XM4)",
        "phone-earpiece",
    ],
)
def test_what_is_worn_on_the_head_has_no_echo(sink: str) -> None:
    assert is_headset(named(sink))


@pytest.mark.parametrize(
    "sink",
    [
        "Speakers (Realtek High Definition Audio)",
        "MacBook Pro Speakers",
        "analog-output-speaker",
        "hdmi-output-0",
        "USB Audio",
        "Jabra SPEAK 510",
        "Buddy's loudspeaker",
    ],
)
def test_whatever_else_it_is_called_may_be_heard(sink: str) -> None:
    assert not is_headset(named(sink))
    assert not is_headset(named("Speakers", source="Headset Microphone"))


@pytest.mark.parametrize(
    "source",
    ["echo-cancel-source", "Echo-Cancel Source", "ec_source", "alsa_input.pci.echo-cancel", "easyeffects_source"],
)
def test_a_microphone_that_the_sound_server_cleans_is_told(source: str) -> None:
    assert is_cleaned(named(source=source))


@pytest.mark.parametrize(
    "source", ["Built-in Audio Analog Stereo", "alsa_input.usb-Rec_Mic", "Monitor of Null Output"]
)
def test_any_other_microphone_is_not(source: str) -> None:
    assert not is_cleaned(named(source=source))


def test_until_it_is_known_there_is_an_echo() -> None:
    watch = EchoWatch()
    assert watch.is_heard
    for _ in range(ENOUGH - 1):
        watch.judge(ABSENT)
    assert watch.is_heard


def test_ten_seconds_without_an_echo_are_enough() -> None:
    watch = EchoWatch()
    for _ in range(ENOUGH):
        watch.judge(ABSENT)
    assert (watch.is_heard, watch.echo_db) == (False, None)


def test_while_both_speak_nothing_is_learned() -> None:
    watch = EchoWatch()
    for _ in range(10 * ENOUGH):
        watch.judge(DOUBLE_TALK)
    assert watch.is_heard


def test_one_second_with_an_echo_is_enough() -> None:
    watch = EchoWatch()
    for each in (*[ABSENT] * ENOUGH, HEARD):
        watch.judge(each)
    assert (watch.is_heard, watch.echo_db) == (True, -20.0)


def test_an_echo_in_between_changes_nothing() -> None:
    watch = EchoWatch()
    for each in (*[ABSENT] * ENOUGH, WEAK, WEAK):
        watch.judge(each)
    assert not watch.is_heard
    watch = EchoWatch()
    for each in [ABSENT, WEAK] * 10 * ENOUGH:
        watch.judge(each)
    assert watch.is_heard


def test_an_echo_that_was_clear_is_lost_after_five_seconds_in_which_none_is() -> None:
    watch = EchoWatch()
    for each in (HEARD, ABSENT, DOUBLE_TALK, late(None), ABSENT, ABSENT):
        assert not watch.is_lost
        watch.judge(each)
    assert watch.is_lost
    watch.judge(HEARD)
    assert not watch.is_lost


def late(lag: int | None) -> EchoEstimate:
    return EchoEstimate(-20.0, lag, -26.0, -45.0)


@pytest.mark.parametrize("lag", [SOONEST, USUAL, LATEST, None])
def test_an_echo_where_the_canceller_looks_is_left_there(lag: int | None) -> None:
    watch = EchoWatch()
    assert [watch.misplaced(late(lag)) for _ in range(5)] == [0] * 5


@pytest.mark.parametrize("lag", [-1000, 0, SOONEST - 100, LATEST + 100, RATE])
def test_one_elsewhere_is_brought_there_once_two_estimates_agree(lag: int) -> None:
    watch = EchoWatch()
    assert watch.misplaced(late(lag)) == 0
    assert SOONEST <= lag - watch.misplaced(late(lag)) <= LATEST


def test_estimates_that_disagree_move_nothing() -> None:
    watch = EchoWatch()
    assert [watch.misplaced(late(lag)) for lag in (RATE, RATE // 2, RATE, None, RATE)] == [0] * 5
