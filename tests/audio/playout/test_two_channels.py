"""Two channels are played as one voice is: at the same moments, and never apart."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.listening import on_time
from tests.audio.speech import DIALLER, LISTENER, Samples, level, pitch, place, speech, tone
from tests.audio.tape import opus, packets_of, play
from voicemux.audio.codec import MusicEncoder
from voicemux.audio.endpoints import RATE
from voicemux.audio.pcm import StereoPcmEncoder
from voicemux.audio.playout.limiter import CEILING, Limiter
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.stretch import ComfortNoise, join, lengthen, shorten
from voicemux.audio.playout.tones import Tones
from voicemux.protocol.messages import Audio

SAID = speech(DIALLER, 9)
OTHER = speech(LISTENER, 9)
LENGTH = min(len(SAID), len(OTHER))
PAIRS = np.concatenate(2 * [np.stack((SAID[:LENGTH], OTHER[:LENGTH]), axis=1)])[: 10 * RATE]
PACKET = 960  # samples


def late(sent: float) -> float:
    """Up to 30 ms, always the same."""
    return 0.03 * (int(sent * 50) * 7919 % 101) / 101


def test_pcm_of_two_channels_is_played_bit_for_bit_and_no_later_than_one() -> None:
    player, tape = play(on_time(packets_of(PAIRS, StereoPcmEncoder(20))), 9.9, channels=2)
    mono_player, mono_tape = play(on_time(packets_of(PAIRS[:, 0].copy())), 9.9)
    settled = PAIRS[5 * RATE : 9 * RATE]
    delay, _ = place(settled[:, 0], tape.heard[:, 0])
    mono_delay, _ = place(settled[:, 0], mono_tape.heard)
    assert (tape.heard[delay : delay + len(settled)] == settled).all()
    assert delay <= mono_delay + RATE * 2 // 1000
    assert player.figures.buffer_ms <= mono_player.figures.buffer_ms + 2
    assert (player.figures.late, player.figures.concealed) == (0, 0)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_what_is_cut_out_and_put_in_is_the_same_on_both_channels(ppm: float) -> None:
    """The right channel is the left one upside down, and half as loud: it stays so, whatever the line does."""
    pairs = np.stack((SAID & ~1, -(SAID & ~1) // 2), axis=1).astype(np.int16)
    arrivals = (
        (at / (1 + ppm * 1e-6), audio) for at, audio in on_time(packets_of(pairs, StereoPcmEncoder(20)), late)
    )
    player, tape = play(arrivals, 8.0, channels=2)
    left, right = tape.heard[:, 0].astype(int), tape.heard[:, 1].astype(int)
    assert np.abs(left + 2 * right).max() <= 4  # by rounding
    assert player.figures.shortened_ms + player.figures.lengthened_ms > 0
    assert level(tape.heard[:, 0]) > level(SAID) / 2


def test_one_channel_is_heard_on_both_sides() -> None:
    for packets in (packets_of(SAID), packets_of(SAID, opus())):
        _, tape = play(on_time(packets, late), 5.0, channels=2)
        assert level(tape.heard[:, 0]) > level(SAID) / 2
        apart = tape.heard[:, 0].astype(int) - tape.heard[:, 1]
        assert level(apart) < level(SAID) / 100  # libopus guesses for each side by itself


def test_two_channels_are_heard_as_their_mean_where_there_is_one() -> None:
    _, tape = play(on_time(packets_of(PAIRS, StereoPcmEncoder(20))), 9.9, channels=2, mixes_down=True)
    mean = np.rint(PAIRS.sum(axis=1) / 2).astype(np.int16)[5 * RATE : 9 * RATE]
    delay, likeness = place(mean, tape.heard)
    assert likeness > 0.9999
    assert (tape.heard[delay : delay + len(mean)] == mean).all()


def test_music_has_its_two_channels_apart() -> None:
    pairs = np.stack((tone(500, 3.0), tone(2000, 3.0)), axis=1)
    packets = packets_of(pairs, MusicEncoder(20, 96_000))
    assert {len(each.data) for each in packets} == {240}
    _, tape = play(on_time(packets), 2.9, channels=2)
    assert [pitch(tape.heard[RATE : 2 * RATE, side]) for side in (0, 1)] == pytest.approx([500, 2000], abs=2)


@cache
def packets_of_each_kind() -> list[list[Audio]]:
    """Opus and PCM, of one channel and of two, and such that nothing is in them."""
    return [
        packets_of(SAID[: 2 * RATE], opus()),
        packets_of(PAIRS[: 2 * RATE], MusicEncoder(20, 96_000)),
        packets_of(SAID),
        packets_of(PAIRS, StereoPcmEncoder(20)),
        [Audio(3, 0, n, n * PACKET, b"half a pair") for n in range(100)],
        [Audio(2, 0, n, n * PACKET, b"\xff" * 40) for n in range(100)],
    ]


@pytest.mark.parametrize("channels", [1, 2])
@settings(max_examples=20, deadline=None)
@given(kinds=st.lists(st.integers(0, 5), min_size=5, max_size=60))
def test_who_says_two_channels_and_sends_one_or_changes_in_the_middle_is_played_all_the_same(
    channels: int, kinds: list[int]
) -> None:
    mixed = [packets_of_each_kind()[kind][number] for number, kind in enumerate(kinds)]
    _, tape = play(on_time(mixed), 1.3, channels=channels)
    assert tape.samples_written >= 1.3 * RATE


def test_a_pause_has_the_noise_of_both_channels() -> None:
    noise = ComfortNoise(channels=2)
    random = np.random.default_rng(3)
    quiet = random.normal(0, 50, RATE)
    heard = np.stack((quiet, quiet / 2), axis=1).astype(np.int16)
    noise.learn(heard, 1.0)
    made = noise.make(RATE)
    assert made.shape == (RATE, 2)
    assert level(made[:, 0]) == pytest.approx(50, rel=0.3)
    assert level(made[:, 1]) == pytest.approx(25, rel=0.3)
    assert np.corrcoef(made[:, 0], made[:, 1])[0, 1] > 0.95


@pytest.mark.parametrize(
    "change", [shorten, lambda sound, most, any_length: lengthen(sound, sound, most, any_length=any_length)]
)
@pytest.mark.parametrize("any_length", [True, False])
def test_the_same_on_both_channels_is_changed_as_one_would_be(
    change: Callable[..., Samples], any_length: bool
) -> None:
    one: Samples = tone(200, 0.06)
    alone = change(one, 600, any_length=any_length)
    both = change(np.stack((one, one), axis=1), 600, any_length=any_length)
    assert len(alone) != len(one)
    assert both.tolist() == np.stack((alone, alone), axis=1).tolist()
    assert join(both[:100], both).shape == both.shape


def test_a_peak_on_one_side_lowers_both_and_a_tone_is_heard_on_both() -> None:
    pairs = np.stack((tone(440, 0.2, peak=32_767), tone(440, 0.2, peak=8_000)), axis=1)
    limited = Limiter().limit(pairs)
    assert np.abs(limited[:, 0]).max() <= CEILING
    loud = np.abs(pairs[:, 0]) > 20_000
    gains = limited[loud] / pairs[loud]
    assert np.abs(gains[:, 0] - gains[:, 1]).max() < 0.001
    tones = Tones()
    tones.fall()
    added = tones.add(np.zeros((RATE, 2), np.int16))
    assert added.any()
    assert np.array_equal(added[:, 0], added[:, 1])


def test_music_is_played_up_to_full_scale_and_limited_only_where_the_user_makes_it_louder() -> None:
    loud = np.stack((tone(440, 3.0, peak=32_767), tone(440, 3.0, peak=20_000)), axis=1)
    packets = packets_of(loud, StereoPcmEncoder(20))
    _, tape = play(on_time(packets), 2.9, channels=2, limiter=Limiter())
    assert np.abs(tape.heard[RATE:]).max() == np.abs(loud).max()

    def louder(player: Mixer, _: int) -> None:
        assert player.volume
        player.volume.choose(200)

    _, tape = play(on_time(packets), 2.9, louder, channels=2, limiter=Limiter())
    assert CEILING - 2 <= np.abs(tape.heard[RATE:]).max() <= CEILING
