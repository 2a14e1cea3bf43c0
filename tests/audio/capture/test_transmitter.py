import threading
from itertools import pairwise

import numpy as np
import pytest

from tests.audio.speech import samples_of, speech
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.capture.wish import Wish
from voicemux.audio.choices import MicMode
from voicemux.audio.codec import OpusDecoder, OpusEncoder
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS, SILENT_BLOCK, Block
from voicemux.audio.pcm import PcmEncoder, StereoPcmEncoder
from voicemux.audio.processing import Processing
from voicemux.errors import DeviceError
from voicemux.protocol.messages import Audio, Codec

PACKET = 960  # samples: 20 ms


class Script:
    """A source that has all its blocks at once. `at` has what is done before a block is read."""

    label = "script"
    finite = True
    delay_ms = 7.0
    xruns = 2
    batch = 1

    def __init__(self, blocks: list[Block]) -> None:
        self.at: dict[int, object] = {}
        self._blocks = blocks
        self._read = 0
        self._stopped = False

    def start(self) -> float:
        return 12.5

    def read(self) -> Block | None:
        if callable(act := self.at.get(self._read)):
            act()
        if self._stopped or self._read == len(self._blocks):
            return None
        self._read += 1
        return self._blocks[self._read - 1]

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        pass


def blocks_of(pcm: bytes, start: int = 0) -> list[Block]:
    return [
        Block(start + i // 2, pcm[i : i + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0"))
        for i in range(0, len(pcm), BLOCK_BYTES)
    ]


def numbered(count: int, start: int = 0) -> list[Block]:
    """Blocks that can be told apart by their samples."""
    return blocks_of(np.repeat(np.arange(1, count + 1, dtype=np.int16), BLOCK_SAMPLES).tobytes(), start)


def transmit(source: Script, transmitter: Transmitter | None = None) -> list[Audio]:
    sent: list[Audio] = []
    started: list[float] = []
    (transmitter or Transmitter(source, PcmEncoder(20))).run(sent.append, started.append)
    assert started == [12.5]
    return sent


def test_packets_are_numbered_and_stamped_with_the_time_of_their_first_sample() -> None:
    sent = transmit(Script(numbered(16)))
    assert [each.timestamp for each in sent] == [0, PACKET, 2 * PACKET, 3 * PACKET, 4 * PACKET]
    assert [each.sequence for each in sent] == list(range(sent[0].sequence, sent[0].sequence + 5))
    assert b"".join(each.data for each in sent) == b"".join(block.pcm for block in numbered(16))
    assert {(each.codec, each.source) for each in sent} == {(Codec.PCM, 0)}


def test_the_end_of_a_source_is_silence_and_its_last_packet_is_filled_up() -> None:
    *_, last, end = transmit(Script(numbered(5)))
    assert last.data == numbered(5)[4].pcm + 3 * SILENT_BLOCK
    assert (last.timestamp, end.timestamp, end.data) == (PACKET, 2 * PACKET, b"")


def test_timestamps_and_sequences_wrap() -> None:
    count = 2**16 + 2
    blocks = [Block(2**32 + (i - 5) * BLOCK_SAMPLES, SILENT_BLOCK) for i in range(count)]
    source = Script(blocks)
    sent = transmit(source, Transmitter(source, PcmEncoder(5)))
    assert [each.timestamp for each in sent[3:7]] == [
        2**32 - 2 * BLOCK_SAMPLES,
        2**32 - BLOCK_SAMPLES,
        0,
        BLOCK_SAMPLES,
    ]
    assert [each.sequence for each in sent] == [(sent[0].sequence + i) % 2**16 for i in range(count + 1)]


def test_what_a_source_lost_is_a_gap_of_time_and_no_packet_has_sound_from_both_sides_of_it() -> None:
    sent = transmit(Script(numbered(6) + numbered(4, start=10_000)))
    assert [each.timestamp for each in sent] == [0, 10_000, 10_000 + PACKET]
    assert sent[1].data == b"".join(block.pcm for block in numbered(4))
    assert [each.sequence - sent[0].sequence for each in sent] == [0, 1, 2]


def test_who_is_muted_sends_one_empty_packet_and_goes_on_at_the_right_time() -> None:
    source = Script(numbered(48))
    transmitter = Transmitter(source, PcmEncoder(20))
    source.at = {
        10: lambda: setattr(transmitter, "muted", True),
        30: lambda: setattr(transmitter, "muted", False),
    }
    sent = transmit(source, transmitter)
    blocks = [(each.timestamp // BLOCK_SAMPLES, samples_of(each.data)[0] if each.data else 0) for each in sent]
    assert blocks == [(0, 1), (4, 5), (8, 0), (30, 31), (34, 35), (38, 39), (42, 43), (46, 47), (50, 0)]


def test_who_is_muted_from_the_beginning_sends_nothing() -> None:
    source = Script(numbered(8))
    transmitter = Transmitter(source, PcmEncoder(20))
    transmitter.muted = True
    assert transmit(source, transmitter) == []


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_source_that_opens_late_is_not_opened_before_something_is_to_be_sent(is_stopped: bool) -> None:
    opened: list[Script] = []

    def open_it() -> Script:
        opened.append(Script(numbered(4)))
        return opened[-1]

    transmitter = Transmitter(Script([]), PcmEncoder(20), open_it, opens_late=True)
    transmitter.muted = True
    sent: list[Audio] = []
    thread = threading.Thread(target=transmitter.run, args=(sent.append, lambda since: None))
    thread.start()
    thread.join(0.1)
    assert (thread.is_alive(), opened) == (True, [])
    if is_stopped:
        transmitter.stop()
    else:
        transmitter.muted = False
    thread.join(5)
    assert not thread.is_alive()
    assert (len(opened), len(sent)) == ((0, 0) if is_stopped else (1, 2))


def test_a_source_that_opens_late_and_cannot_be_opened_is_tried_again_like_a_broken_one() -> None:
    sources: list[Script | None] = [None, Script(numbered(4))]

    def open_it() -> Script:
        if source := sources.pop(0):
            return source
        raise DeviceError("it is away")

    transmitter = Transmitter(Script([]), PcmEncoder(20), open_it, opens_late=True)
    with pytest.raises(DeviceError, match="it is away"):
        transmit(Script([]), transmitter)
    transmitter.in_use.reopen()
    assert len(transmit(Script([]), transmitter)) == 2
    assert sources == []


def test_packets_get_longer_and_shorter_between_two_of_them_and_never_two_at_once() -> None:
    first, *rest = blocks_of(speech(seconds=0.165).tobytes())
    wide = [Block(rest[i].position, b"".join(block.pcm for block in rest[i : i + 4])) for i in range(0, 32, 4)]
    source = Script([first, *wide])  # as from a microphone: they never end where packets do
    transmitter = Transmitter(source, OpusEncoder(20, 64_000), wish=Wish(frame_ms=20))
    ladder = transmitter.ladder
    ladder.go(0, 1.0)

    def squeeze() -> None:
        ladder.go(ladder.lowest, 2.0)

    def recover() -> None:
        ladder.go(0, 3.0)

    source.at = {2: squeeze, 4: recover}
    sent = transmit(source, transmitter)
    assert [each.timestamp // BLOCK_SAMPLES for each in sent] == [0, 4, 8, 20, 24, 28, 32, 36]


def test_who_wants_many_bits_has_packets_as_short_as_a_calm_line_allows_and_time_goes_on() -> None:
    source = Script(blocks_of(speech(seconds=0.4).tobytes()))
    transmitter = Transmitter(source, OpusEncoder(20, 64_000), wish=Wish(bitrate=64_000))

    ladder = transmitter.ladder
    source.at = {8: lambda: ladder.go(0, 1.0), 40: lambda: ladder.go(ladder.fitting(20_000), 2.0)}
    sent = transmit(source, transmitter)
    lengths = [(later.timestamp - sooner.timestamp) // 48 for sooner, later in pairwise(sent)]
    assert list(dict.fromkeys(lengths)) == [20, 10, 60]
    assert [each.sequence - sent[0].sequence for each in sent] == list(range(len(sent)))


def test_stop_ends_it() -> None:
    source = Script(numbered(100))
    transmitter = Transmitter(source, PcmEncoder(20))
    source.at = {50: transmitter.stop}
    assert transmit(source, transmitter)[-1].timestamp == 13 * PACKET


def test_a_source_that_breaks_is_reported() -> None:
    source = Script(numbered(8))

    def fail() -> None:
        raise DeviceError("it has stopped")

    source.at = {4: fail}
    with pytest.raises(DeviceError, match="it has stopped"):
        transmit(source)


@pytest.mark.parametrize("frame_ms", [5.0, 20.0, 60.0])
def test_opus_packets_decode_to_what_was_said(frame_ms: float) -> None:
    said = speech(seconds=1.5)
    source = Script(blocks_of(said.tobytes()))
    encoder = OpusEncoder(frame_ms, 64_000)
    transmitter = Transmitter(source, encoder, wish=Wish(frame_ms=frame_ms))
    assert transmitter.codec == Codec.OPUS
    assert (transmitter.capture_ms, transmitter.xruns) == (7.0, 2)
    transmitter.ladder.go(0, 1.0)
    decoder = OpusDecoder()
    sent = transmit(source, transmitter)
    assert {later.timestamp - sooner.timestamp for sooner, later in pairwise(sent)} == {int(frame_ms * 48)}
    heard = samples_of(b"".join(decoder.decode(each.data) for each in sent if each.data))
    delay = int(encoder.lookahead_ms * 48)
    assert np.corrcoef(said[: len(heard) - delay], heard[delay : len(said) + delay])[0, 1] > 0.8


class Inverted(Processing):
    """Keeps what was captured and when, and has it sent upside down."""

    def __init__(self) -> None:
        self.captured_at: list[tuple[bytes, float]] = []

    def captured(self, pcm: bytes, at: float) -> bytes:
        self.captured_at.append((pcm, at))
        return (-samples_of(pcm)).tobytes()


def test_all_that_is_captured_passes_with_the_time_of_its_first_sample_and_what_comes_of_it_is_sent() -> None:
    source, processing, now = Script(numbered(16)), Inverted(), [20.0]
    transmitter = Transmitter(source, PcmEncoder(20), processing=processing, clock=lambda: now[0])

    def pass_on() -> None:
        now[0] = 30.0
        transmitter.muted = True

    source.at = {8: pass_on}
    sent = transmit(source, transmitter)
    assert [pcm for pcm, _ in processing.captured_at] == [block.pcm for block in numbered(16)], "also while muted"
    earlier = BLOCK_SECONDS + source.delay_ms / 1000
    assert [at for _, at in processing.captured_at] == pytest.approx([20.0 - earlier] * 8 + [30.0 - earlier] * 8)
    said = samples_of(b"".join(block.pcm for block in numbered(8)))
    assert (samples_of(b"".join(each.data for each in sent)) == -said).all()


class Late(Processing):
    """Wants 10 ms at once, is 9 ms late, and keeps what it is told."""

    batch = 2

    @property
    def delay_ms(self) -> float:
        return 9.0

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self) -> None:
        self.told.append("begin")

    def lost(self, samples: int) -> None:
        self.told.append(f"{samples} lost")


def test_what_is_sent_later_counts_for_the_delay_and_comes_in_blocks_that_are_wanted() -> None:
    source, processing = Script(numbered(16)), Late()
    transmitter = Transmitter(source, PcmEncoder(5), processing=processing)
    assert transmitter.capture_ms == 7.0 + 9.0
    sent = transmit(source, transmitter)
    assert source.batch == 2
    assert {later.timestamp - sooner.timestamp for sooner, later in pairwise(sent)} == {BLOCK_SAMPLES}


def test_what_processes_is_told_of_the_beginning_and_of_what_is_lost() -> None:
    blocks = numbered(16)
    source, processing = Script([*blocks[:4], *blocks[10:]]), Late()
    transmit(source, Transmitter(source, PcmEncoder(20), processing=processing))
    assert processing.told == ["begin", f"{6 * BLOCK_SAMPLES} lost"]


def test_what_becomes_of_echo_is_told_by_what_processes() -> None:
    transmitter = Transmitter(Script([]), PcmEncoder(20))
    assert (transmitter.echo, transmitter.echo_db) == ("not needed", None)


PAIRS = np.stack((np.arange(4800, dtype=np.int16), -np.arange(4800, dtype=np.int16)), axis=1)


def paired_blocks(pairs: np.ndarray) -> list[Block]:
    return [Block(at, pairs[at : at + BLOCK_SAMPLES].tobytes()) for at in range(0, len(pairs), BLOCK_SAMPLES)]


def test_two_channels_are_counted_as_one_is_and_sent_bit_for_bit() -> None:
    source = Script(paired_blocks(PAIRS))
    sent = transmit(source, Transmitter(source, StereoPcmEncoder(20), channels=(2, 2)))
    assert [each.timestamp for each in sent] == [PACKET * i for i in range(6)]
    assert {each.codec for each in sent} == {Codec.PCM_STEREO}
    assert b"".join(each.data for each in sent) == PAIRS.tobytes()


def test_of_two_channels_the_mean_is_sent_to_a_peer_that_plays_one() -> None:
    source = Script(paired_blocks(PAIRS + np.array([100, 300], np.int16)))
    sent = transmit(source, Transmitter(source, PcmEncoder(20), channels=(2, 1)))
    assert [each.timestamp for each in sent] == [PACKET * i for i in range(6)]
    assert set(samples_of(b"".join(each.data for each in sent))) == {200}


def test_the_meter_and_a_recording_get_the_mean_of_two_channels() -> None:
    source = Script(paired_blocks(PAIRS + np.array([100, 300], np.int16)))
    transmitter, recorded = Transmitter(source, StereoPcmEncoder(20), channels=(2, 2)), list[tuple[int, bytes]]()
    transmitter.tap = lambda position, began, pcm: recorded.append((position, pcm))
    transmit(source, transmitter)
    assert [position for position, _ in recorded] == list(range(0, 4800, BLOCK_SAMPLES))
    assert set(samples_of(b"".join(pcm for _, pcm in recorded))) == {200}


def test_while_two_channels_are_behind_a_gate_that_is_shut_nothing_of_them_is_sent() -> None:
    source = Script(paired_blocks(np.full((4800, 2), 500, np.int16)))
    transmitter = Transmitter(source, StereoPcmEncoder(20), channels=(2, 2))
    transmitter.gate.choose(MicMode.PTT)
    sent = transmit(source, transmitter)
    assert {len(each.data) for each in sent if each.data} == {4 * PACKET}
    assert not any(b"".join(each.data for each in sent))
