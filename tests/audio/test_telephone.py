import pytest

from voicemux.audio.telephone import is_telephone


@pytest.mark.parametrize(
    ("names", "rate", "expected"),
    [
        (("bluez_source.AA.handsfree_head_unit", "WH-1000"), 48_000, True),
        (("bluez_output.AA", "headset-head-unit"), 48_000, True),
        (("Headset (WH-1000 Hands-Free AG Audio)",), 44_100, True),
        (("AirPods",), 16_000, True),
        (("USB Mic",), 8_000, True),
        (("bluez_sink.AA.a2dp_sink", "Headset"), 48_000, False),
        (("Built-in Audio Analog Stereo",), 44_100, False),
        ((), 48_000, False),
    ],
)
def test_a_telephone_mode_is_known_by_its_names_and_by_its_rate(
    names: tuple[str, ...], rate: int, expected: bool
) -> None:
    assert is_telephone(names, rate) == expected
