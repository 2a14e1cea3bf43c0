import random
from collections.abc import Callable

import numpy as np
import pytest

from tests.audio.listening import on_time
from tests.audio.speech import Samples, level, samples_of, speech, tone
from tests.audio.tape import PLAYOUT_MS, Tape, opus, packets_of, play
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import RATE
from voicemux.audio.pcm import PcmEncoder
from voicemux.audio.playout.limiter import CEILING, Limiter
from voicemux.audio.playout.mixer import LEAST, MOST, Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.audio.processing import Processing
from voicemux.errors import DeviceError
from voicemux.protocol.messages import OWN_SOURCE, Audio

OTHER = 1  # a source beside the peer


def voice() -> dict[int, Playout]:
    """That of the peer alone."""
    return {OWN_SOURCE: Playout(make_decoders())}


def of(source: int, packets: list[Audio]) -> list[Audio]:
    return [Audio(each.codec, source, each.sequence, each.timestamp, each.data) for each in packets]


def test_who_is_deafened_hears_nothing_until_told_otherwise() -> None:
    def deafen(player: Mixer, block: int) -> None:
        player.deafened = 40 <= block < 60

    _, tape = play(on_time(packets_of(tone(440, 3))), 2.9, deafen)
    assert not any(map(any, tape.pieces[40:60]))
    for there in (tape.pieces[30:39], tape.pieces[62:90]):
        assert level(samples_of(b"".join(there))) > 0


def test_the_voice_of_another_source_is_not_played() -> None:
    player, tape = play(on_time(of(OTHER, packets_of(tone(440, 0.5)))), 0.5)
    assert not tape.heard.any()
    assert (player.figures.received, player.report()) == (0, None)


def test_stop_ends_it() -> None:
    tape = Tape(1000, before=lambda block: player.stop() if block == 10 else None)
    player = tape.played_by(voice())
    player.run(lambda since: None)
    assert len(tape.pieces) == 10


def test_a_sink_that_breaks_is_reported_and_its_successor_is_used() -> None:
    def fail(block: int) -> None:
        if block == 10:
            raise DeviceError("it has stopped")

    broken, successor = Tape(1000, before=fail), Tape(0.1)
    player = Mixer(broken, voice(), reopen=lambda: successor)
    assert player.in_use.can_reopen
    with pytest.raises(DeviceError, match="it has stopped"):
        player.run(lambda since: None)
    player.in_use.reopen()
    player.run(lambda since: None)
    assert successor.pieces
    player.stop()
    assert successor.stopped
    assert not Mixer(broken, voice()).in_use.can_reopen


def test_a_sink_that_is_opened_after_the_end_is_stopped_at_once() -> None:
    successor = Tape(1000)
    player = Mixer(Tape(1), voice(), reopen=lambda: successor)
    player.stop()
    player.in_use.reopen()
    player.run(lambda since: None)
    assert successor.pieces == []


def test_a_recording_that_breaks_records_no_more() -> None:
    def fail(block: int) -> None:
        if block == 10:
            raise DeviceError("the disk is full")

    recorder = Mixer(Tape(1000, before=fail), voice(), records=True)
    assert recorder.records
    with pytest.raises(DeviceError, match="the disk is full"):
        recorder.run(lambda since: None)
    assert not recorder.records


# --- several voices


def late(least: float, most: float) -> Callable[[float], float]:
    """From one second to the next, packets are more or less late; never at the moment that more is wanted."""
    return lambda sent: 0.0013 + (least if sent % 2 < 1 else most)


VOICES = {
    OWN_SOURCE: list(on_time(packets_of(speech(seconds=4) // 4, opus(20)), late(0.0, 0.05))),
    OTHER: list(on_time(of(OTHER, packets_of(tone(440, 3) // 4, PcmEncoder(5))), late(0.01, 0.02))),
    2: list(on_time(of(2, packets_of(speech(seconds=3) // 4, PcmEncoder(40))), late(0.0, 0.15))),
}


def heard_of(*sources: int) -> Samples:
    arrivals = [arrival for source in sources for arrival in VOICES[source]]
    tape = Tape(4, arrivals)
    tape.played_by({source: Playout(make_decoders()) for source in (OWN_SOURCE, *sources)}).run(lambda since: None)
    heard: Samples = tape.heard[: 4 * RATE]
    return heard


def test_several_voices_are_heard_as_the_sum_of_what_each_is_alone() -> None:
    alone = [heard_of(source) for source in VOICES]
    assert all(level(each) > 300 for each in alone)
    assert (heard_of(*VOICES) == np.sum(alone, axis=0)).all()


@pytest.mark.parametrize(("limiter", "least", "most"), [(Limiter(), -CEILING, CEILING), (None, LEAST, MOST)])
def test_the_sum_of_loud_voices_stays_within_its_bounds(limiter: Limiter | None, least: int, most: int) -> None:
    loud = packets_of(tone(440, 1, 30_000))
    arrivals = [*on_time(loud), *on_time(of(OTHER, loud))]
    tape = Tape(0.9, arrivals)
    playouts = {source: Playout(make_decoders()) for source in (OWN_SOURCE, OTHER)}
    tape.played_by(playouts, limiter=limiter).run(lambda since: None)
    assert (tape.heard.min(), tape.heard.max()) == (least, most)
    assert np.abs(np.diff(tape.heard.astype(int))).max() < 6_000, "it does not wrap around"


def test_a_reserve_is_not_filled_with_a_guess_for_a_voice_whose_packets_are_still_on_their_way() -> None:
    """One voice is always here early, the other as its line has it."""
    said, chance = tone(440, 4) // 4, random.Random(1)
    jittery = on_time(of(OTHER, packets_of(said, PcmEncoder(5))), lambda sent: chance.uniform(0, 0.02))
    playouts = {source: Playout(make_decoders()) for source in (OWN_SOURCE, OTHER)}
    tape = Tape(3.9, [*on_time(packets_of(said)), *jittery], reserve=0.020)
    tape.played_by(playouts).run(lambda since: None)
    assert [playout.figures(PLAYOUT_MS, xruns=0).concealed for playout in playouts.values()] == [0, 0]


# --- what is to be heard passes in one place


class Kept(Processing):
    def __init__(self) -> None:
        self.rendered_at: list[tuple[bytes, float]] = []

    def rendered(self, pcm: bytes, at: float) -> None:
        self.rendered_at.append((pcm, at))


@pytest.mark.parametrize("reserve", [0.0, 0.010])
def test_all_that_is_written_passes_with_the_time_at_which_it_is_heard(reserve: float) -> None:
    kept, tape = Kept(), Tape(1, on_time(packets_of(tone(440, 1))), reserve=reserve)
    player = tape.played_by(voice(), processing=kept, limiter=Limiter())
    player.run(lambda since: None)
    assert [pcm for pcm, _ in kept.rendered_at] == tape.pieces
    position = 0
    for pcm, at in kept.rendered_at:
        assert at == pytest.approx(position / RATE + PLAYOUT_MS / 1000)
        position += len(pcm) // 2


def test_what_a_deafened_user_does_not_hear_passes_as_silence() -> None:
    kept, tape = Kept(), Tape(1, on_time(packets_of(tone(440, 1))))
    player = tape.played_by(voice(), processing=kept)
    player.deafened = True
    player.run(lambda since: None)
    assert not any(any(pcm) for pcm, _ in kept.rendered_at)
