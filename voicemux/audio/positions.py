"""Which channels a stream must have so that PulseAudio gives it every channel of a microphone. Pure.

A device and a stream have a map each: the position of every channel, such as "front-left" or "aux0". PulseAudio
copies a channel to the one of the same position. A channel whose position the stream lacks is mixed into those of its
side at 1/9, or, if its position is an auxiliary one ("aux"), lost (PulseAudio 16.1, `setup_remap` in resampler.c).
ALSA's plugin makes the stream's map from the number of channels alone (alsa-plugins 1.2.7, `pulse_prepare`). So the
number decides what is heard.
"""

from typing import NamedTuple

LEFT, RIGHT = "front-left", "front-right"
SURROUND = (LEFT, RIGHT, "rear-left", "rear-right", "front-center", "lfe", "side-left", "side-right")
FRONT = (0, 1)  # the channels LEFT and RIGHT of every stream of at least two
SIZES = (8, 6, 5, 4, 2)  # of the beginnings of SURROUND that the plugin uses; further channels are auxiliary ones
MOST = 32  # channels that PulseAudio allows
ANY_STREAM = frozenset({"mono", LEFT, RIGHT})  # positions that one or two channels hear at their full level


class HeardChannels(NamedTuple):
    """A stream of `channels` channels, of which `picks` are of use, in the order of the microphone's. Those of the
    front come last if the microphone has none, because the server may move the stream to another microphone. For two
    channels inside, `picks` are pairs."""

    channels: int
    picks: tuple[int, ...]


def heard_channels(positions: tuple[str, ...], inside: int) -> HeardChannels | None:
    """Return the narrowest stream that hears all channels of a microphone with these positions; None if `inside`
    channels, or as many as the microphone has, do.

    `inside` is the number of channels of the program's sound. For two, the server's mix is kept unless the microphone
    has auxiliary channels, which would be lost.
    """
    has_more = any(each.startswith("aux") for each in positions)
    if ANY_STREAM.issuperset(positions) or (inside == 2 and not has_more):
        return None
    for channels in range(2, MOST + 1):
        offered = stream_map(channels)
        if set(positions) & _ALL <= set(offered):
            own = [offered.index(each) for each in dict.fromkeys(positions) if each in offered]
            own += own[-1:] * (len(own) % inside)
            front = [each for each in FRONT if each not in own]
            return HeardChannels(channels, (*own, *(FRONT if front and inside == 2 else front)))
    return None


def lacks_sides(positions: tuple[str, ...]) -> bool:
    """Whether a loudspeaker with these positions plays nothing of a stream of two channels, but all of one of one:
    it has auxiliary channels only."""
    return bool(positions) and all(each.startswith("aux") for each in positions)


def stream_map(channels: int) -> tuple[str, ...]:
    """Return the positions of a stream of ALSA's plugin with `channels` channels, at least two."""
    size = next(each for each in SIZES if each <= channels)
    return (*SURROUND[:size], *(f"aux{number}" for number in range(channels - size)))


_ALL = frozenset(stream_map(MOST))
