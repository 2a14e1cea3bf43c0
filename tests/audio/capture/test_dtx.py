"""What is not sent, and what the other side makes of that."""

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.capture.test_gate import counting, gate, through
from tests.audio.capture.test_transmitter import PACKET, Script, blocks_of, numbered
from tests.audio.echo.room import RATE, samples, voice
from tests.audio.speech import SYLLABLE, likeness
from voicemux.audio.activity import HANG as HANG_OF_SPEECH
from voicemux.audio.activity import PIECE, VoiceActivity
from voicemux.audio.capture.dtx import HANG, MARK_EVERY, Pauses, Sends
from voicemux.audio.capture.gate import FADE_OUT, HOLD, PREROLL, Gate
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.capture.wish import Wish
from voicemux.audio.choices import MicMode
from voicemux.audio.codec import OpusDecoder, OpusEncoder
from voicemux.audio.endpoints import BLOCK_SAMPLES, SILENT_BLOCK
from voicemux.audio.pcm import PcmDecoder, PcmEncoder
from voicemux.audio.playout.playout import Playout
from voicemux.protocol.messages import Audio, Codec

LINE = 0.030  # seconds
SILENCE = bytes(2 * PACKET)


def sent_of(pcm: bytes, encoder: PcmEncoder | OpusEncoder, *, dtx: bool = True) -> list[Audio]:
    source, sent = Script(blocks_of(pcm)), list[Audio]()
    Transmitter(source, encoder, wish=Wish(dtx=dtx)).run(sent.append, lambda since: None)
    return sent


def heard(sent: Iterable[Audio], seconds: float, late: Callable[[Audio], float]) -> tuple[np.ndarray, Playout]:
    """What is played, with a device that takes 5 ms at a time. Every packet leaves when all of the packet is captured
    whose place it takes, and comes later than usual by so many seconds."""
    playout = Playout({Codec.PCM: PcmDecoder(), Codec.OPUS: OpusDecoder()})
    coming = [((each.timestamp + PACKET) / RATE + LINE + late(each), each) for each in sent]
    played: list[np.ndarray] = []
    count = 0
    while count < seconds * RATE:
        now = count / RATE
        while coming and coming[0][0] <= now:
            came, audio = coming.pop(0)
            playout.put(audio, came)
        playout.take_in()
        played.append(playout.render(now, 0.0))
        count += len(played[-1])
    return np.concatenate(played), playout


def test_a_pause_begins_with_a_mark_and_has_one_in_400_ms_and_all_are_numbered_and_in_their_place() -> None:
    pause = 200  # packets, of 20 ms
    sent = sent_of(
        b"".join(block.pcm for block in numbered(40)) + pause * SILENCE + numbered(40)[0].pcm * 4, PcmEncoder(20)
    )
    assert [(later.sequence - sooner.sequence) % 2**16 for sooner, later in pairwise(sent)] == [1] * (len(sent) - 1)
    assert all(each.timestamp % PACKET == 0 for each in sent)
    marks = [each.timestamp for each in sent[:-1] if not each.data]
    begins = 10 * PACKET + HANG
    assert marks == list(range(begins, (10 + pause) * PACKET, MARK_EVERY))
    after = [each for each in sent if each.timestamp >= marks[-1]]
    assert [(each.timestamp, bool(each.data)) for each in after] == [
        (marks[-1], False), ((10 + pause) * PACKET, True), ((11 + pause) * PACKET, False),
    ]  # fmt: skip


def test_a_short_silence_is_sent_and_without_the_option_a_long_one_is_too() -> None:
    short, long = (numbered(40)[0].pcm * 4 + count * SILENCE for count in (10, 500))
    assert all(each.data for each in sent_of(short, PcmEncoder(20))[:-1])
    assert len(sent_of(long, PcmEncoder(20), dtx=False)) == 502


def test_who_is_muted_or_has_another_device_in_a_pause_begins_anew() -> None:
    source = Script(blocks_of(100 * SILENCE))
    transmitter = Transmitter(source, PcmEncoder(20), wish=Wish(dtx=True))
    source.at = {
        80: lambda: setattr(transmitter, "muted", True),
        200: lambda: setattr(transmitter, "muted", False),
    }
    sent: list[Audio] = []
    transmitter.run(sent.append, lambda since: None)
    assert all(later.timestamp > sooner.timestamp for sooner, later in pairwise(sent))
    assert not [each for each in sent if 82 * BLOCK_SAMPLES <= each.timestamp < 200 * BLOCK_SAMPLES]
    assert sum(bool(each.data) for each in sent) == 20


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=8),
    st.sampled_from([240, 480, 960, 1920, 2880]),
)
def test_no_sound_is_left_out_and_no_silence_goes_on_without_a_mark(
    spells: list[tuple[bool, int]], samples: int
) -> None:
    pauses, position = Pauses(are_wanted=True), 0
    unsaid = 0  # samples since anything was sent
    for is_sound, count in spells:
        for _ in range(count):
            sends = pauses.look(position, b"\0\1" if is_sound else b"\0\0", samples)
            unsaid = unsaid + samples if sends is Sends.NOTHING else 0
            assert sends is Sends.SOUND or not is_sound
            assert unsaid < MARK_EVERY + samples
            position += samples


def test_the_other_side_hears_the_words_and_counts_nothing_as_missing_or_late() -> None:
    said = samples(voice("near", 6))
    pause, wobble = np.zeros(2 * RATE, np.int16), 0.015
    sound = np.concatenate([said[RATE : 2 * RATE], pause, said[3 * RATE : 4 * RATE], pause])
    seconds = len(sound) / RATE + 0.5
    encoder = OpusEncoder(20, 32_000)
    sent = sent_of(sound.tobytes(), encoder)
    assert len(sent) < 0.6 * len(sound) / PACKET
    played, playout = heard(sent, seconds, lambda each: wobble * (each.sequence % 2))
    figures = playout.figures(0.0, 0)
    assert (figures.concealed, figures.late) == (0, 0)
    assert figures.received == sum(bool(each.data) for each in sent)
    assert likeness(sound, played, SYLLABLE) > 0.8
    assert figures.buffer_ms < 40 + wobble * 1000
    report = playout.report(0.0)
    assert report is not None
    assert report.target < 30 + wobble * 1000


def test_a_line_that_gets_late_during_a_pause_is_noticed_by_its_marks() -> None:
    sent = sent_of(numbered(1)[0].pcm * 200 + 200 * SILENCE, PcmEncoder(20))
    since = [each for each in sent if not each.data][3].timestamp
    _, playout = heard(sent, 5.0, lambda each: 0.1 * (each.timestamp >= since))
    report = playout.report(0.0)
    assert report is not None
    assert report.target >= 100


def test_with_dtx_an_open_microphone_is_shut_a_while_after_the_last_word_and_its_next_beginning_is_heard() -> None:
    found = RATE * 4
    speaks = [at * PIECE < RATE // 2 or found <= at * PIECE < found + RATE for at in range(1000)]
    told = iter(speaks)
    made = Gate(lambda: VoiceActivity(lambda piece: float(next(told, False))), pauses=True)
    made.listen()
    sound = counting(8.0)
    sent = through(made, sound)
    shut = RATE // 2 + HANG_OF_SPEECH + HOLD
    assert np.array_equal(sent[: shut - PACKET], sound[: shut - PACKET])
    assert not sent[shut + FADE_OUT + PACKET : found].any()
    assert sent[found : found + PACKET].any()
    assert found - PREROLL <= made.opened_at <= found
    assert sent[found + RATE :][: HOLD - PACKET].any()
    assert made.speaks is False


def test_nothing_that_was_said_while_muted_is_sent_by_an_open_microphone_either() -> None:
    made = Gate(lambda: VoiceActivity(lambda piece: 1.0), pauses=True)
    made.listen()
    sound = counting(0.6)
    sent = through(made, sound, 960, lambda at: made.forget() if at < 20 * 960 else None)
    assert not set(sent[20 * 960 :]) & set(range(1, 19 * 960))
    assert made.delay_ms == 0


def test_an_open_microphone_without_a_detector_is_open_all_the_time() -> None:
    made, sound = Gate(pauses=True), counting(8.0)
    assert np.array_equal(through(made, sound), sound[: len(sound) // 960 * 960])


def test_behind_a_gate_what_was_said_before_speech_was_found_is_sent() -> None:
    found = RATE * 3
    speaks = [found <= at * PIECE < found + RATE for at in range(600)]
    sound = samples(voice("far", 5))
    source, sent = Script(blocks_of(sound.tobytes())), list[Audio]()
    transmitter = Transmitter(source, PcmEncoder(20), wish=Wish(dtx=True))
    transmitter.gate = gate(MicMode.VOICE, speaks)
    transmitter.run(sent.append, lambda since: None)
    words = b"".join(each.data for each in sent if each.data and each.timestamp >= found)
    assert min(each.timestamp for each in sent if each.data.strip(b"\0")) // PACKET == found // PACKET
    said = sound[transmitter.gate.opened_at : found]
    assert len(said) > RATE // 20
    assert likeness(said, np.frombuffer(words, np.int16)[: 2 * PREROLL], len(said) / RATE - 0.01) > 0.55


def test_silent_blocks_are_what_a_shut_gate_gives() -> None:
    made = gate(MicMode.PTT)
    assert made.take(SILENT_BLOCK) == SILENT_BLOCK
