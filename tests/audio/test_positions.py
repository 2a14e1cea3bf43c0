"""The narrowest stream that hears every channel of a microphone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.audio.positions import LEFT, MOST, RIGHT, SURROUND, HeardChannels, heard_channels, stream_map

AUX = tuple(f"aux{number}" for number in range(8))
ELSE = ("mono", "rear-center", "top-front-left", "aux30")


@pytest.mark.parametrize(
    ("channels", "ends"), [(2, RIGHT), (3, "aux0"), (4, "rear-right"), (5, "front-center"), (7, "aux0"), (9, "aux0")]
)
def test_alsa_gives_a_stream_its_map_by_the_number_of_channels(channels: int, ends: str) -> None:
    assert len(stream_map(channels)) == channels
    assert stream_map(channels)[-1] == ends
    assert stream_map(MOST)[8:] == tuple(f"aux{number}" for number in range(24))


@pytest.mark.parametrize(
    ("positions", "inside", "heard"),
    [
        (("mono",), 1, None),
        ((LEFT, RIGHT), 1, None),
        ((LEFT, RIGHT), 2, None),
        (SURROUND, 1, HeardChannels(8, tuple(range(8)))),
        (SURROUND, 2, None),
        ((LEFT, RIGHT, "front-center"), 1, HeardChannels(5, (0, 1, 4))),
        ((LEFT, RIGHT, "lfe"), 1, HeardChannels(6, (0, 1, 5))),
        (("aux0",), 1, HeardChannels(3, (2, 0, 1))),
        (AUX, 1, HeardChannels(16, (*range(8, 16), 0, 1))),
        (AUX[:2], 2, HeardChannels(10, (8, 9, 0, 1))),
        (("aux0",), 2, HeardChannels(3, (2, 2, 0, 1))),
        ((LEFT, RIGHT, "aux0"), 2, HeardChannels(3, (0, 1, 2, 2))),
        ((LEFT, "aux0"), 2, HeardChannels(3, (0, 2, 0, 1))),
        (("rear-center", "top-center"), 1, HeardChannels(2, (0, 1))),
    ],
)
def test_a_stream_is_as_wide_as_the_channels_need(
    positions: tuple[str, ...], inside: int, heard: HeardChannels | None
) -> None:
    assert heard_channels(positions, inside) == heard


@given(st.lists(st.sampled_from((*SURROUND, *AUX, *ELSE)), min_size=1, max_size=12), st.sampled_from([1, 2]))
def test_every_position_that_a_stream_can_have_is_heard(positions: list[str], inside: int) -> None:
    heard = heard_channels(tuple(positions), inside)
    if heard is None:
        assert inside == 2 or set(positions) <= {"mono", LEFT, RIGHT}
        return
    picked = [stream_map(heard.channels)[each] for each in heard.picks]
    assert len(picked) % inside == 0
    assert len(set(picked)) == len(picked) or inside == 2
    assert set(positions) - set(ELSE) <= set(picked)
    assert {LEFT, RIGHT} <= set(picked)
