import sys
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.capture.test_transmitter import Script, blocks_of
from tests.audio.echo.room import RATE, noise, samples, voice
from tests.audio.speech import ALIKE, SYLLABLE, likeness
from voicemux.audio.activity import HANG, PIECE, VoiceActivity
from voicemux.audio.capture.gate import FADE_IN, FADE_OUT, PREROLL, Gate
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.choices import MicMode
from voicemux.audio.codec import OpusEncoder
from voicemux.errors import LibraryMissing
from voicemux.protocol.messages import Audio

BATCH = 960  # samples


def counting(seconds: float) -> np.ndarray:
    """Samples that tell where they were, and are never 0."""
    return (np.arange(int(seconds * RATE)) % 30_000 + 1).astype(np.int16)


def gate(mode: MicMode, speaks: Iterable[bool] = ()) -> Gate:
    """One whose detector says that for each 10 ms, and nothing afterwards."""
    told = iter(speaks)
    made = Gate(lambda: VoiceActivity(lambda piece: float(next(told, False))))
    made.choose(mode)
    return made


def through(made: Gate, sound: np.ndarray, batch: int = BATCH, before: Callable[[int], None] = lambda at: None):
    """What is sent. `before` is called before each block."""
    sent = []
    for at in range(0, len(sound) - batch + 1, batch):
        before(at)
        sent.append(np.frombuffer(made.take(sound[at : at + batch].tobytes()), np.int16))
    return np.concatenate(sent)


def test_an_open_microphone_passes_as_it_is() -> None:
    sound = samples(voice("near", 1))
    made = Gate()
    sent = through(made, sound)
    assert np.array_equal(sent, sound[: len(sent)])
    assert made.delay_ms == 0


def test_with_push_to_talk_silence_is_sent_but_while_the_user_talks_and_nothing_from_before() -> None:
    made, sound = gate(MicMode.PTT), counting(1.0)
    sent = through(made, sound, before=lambda at: setattr(made, "talks", 10 * BATCH <= at < 20 * BATCH))
    begins, ends = 10 * BATCH, 20 * BATCH
    assert not sent[:begins].any()
    assert np.array_equal(sent[begins + FADE_IN : ends], sound[begins + FADE_IN : ends])
    assert sent[ends : ends + FADE_OUT // 2].any()
    assert not sent[ends + FADE_OUT :].any()
    assert made.delay_ms == 0


def test_when_speech_is_found_what_was_said_before_is_sent_too_and_the_delay_is_made_up_for() -> None:
    found = RATE * 3 // 2
    speaks = [found <= at * PIECE < found + RATE * 2 for at in range(1000)]
    made, sound = gate(MicMode.VOICE, speaks), samples(voice("far", 5))
    delays: list[float] = []
    sent = through(made, sound, before=lambda at: delays.append(made.delay_ms))
    opened = int(np.flatnonzero(sent)[0])
    assert found <= opened < found + BATCH
    assert found - PREROLL <= made.opened_at < found - RATE // 20
    said = sound[made.opened_at : found]
    assert likeness(said, sent[opened : opened + PREROLL * 2], len(said) / RATE - 0.01) > ALIKE
    assert 50 < max(delays) <= PREROLL * 1000 / RATE
    assert delays[(found + 2 * RATE) // BATCH] < max(delays) / 2
    shut = found + 2 * RATE + HANG
    assert not sent[shut + FADE_OUT + 2 * BATCH :].any()


def test_what_is_sent_late_sounds_as_what_was_said() -> None:
    lead = np.zeros(RATE)
    said = samples(np.concatenate((lead, voice("near", 6))) + noise(7))
    made = Gate()
    made.choose(MicMode.VOICE)
    sent = through(made, said)
    assert not sent[: RATE // 2].any()
    assert likeness(said[RATE:], sent, SYLLABLE) > 0.9


def test_nothing_that_was_said_while_muted_or_in_another_mode_is_sent() -> None:
    made, sound = gate(MicMode.VOICE, [True] * 1000), counting(0.6)
    sent = through(made, sound, before=lambda at: made.forget() if at < 20 * BATCH else None)
    assert not set(sent[20 * BATCH :]) & set(range(1, 19 * BATCH))
    for mode in (MicMode.VOICE, MicMode.OPEN):
        made = gate(MicMode.PTT, [True] * 1000)
        sent = through(made, sound, before=lambda at: made.choose(mode) if at == 20 * BATCH else None)  # noqa: B023
        assert not sent[: 20 * BATCH].any()
        assert sent[20 * BATCH + FADE_IN] == sound[20 * BATCH + FADE_IN]


def test_the_detector_is_asked_only_where_something_depends_on_it() -> None:
    asked: list[int] = []

    def detect(piece: np.ndarray) -> float:
        asked.append(len(piece))
        return 1.0

    made, block = Gate(lambda: VoiceActivity(detect)), counting(BATCH / RATE).tobytes()
    made.listen()
    made.take(block)
    assert (asked, made.speaks) == ([], None)
    made.forget()
    made.take(block)
    assert (asked, made.speaks) == ([PIECE, PIECE], True)
    made.choose(MicMode.PTT)
    made.take(block)
    assert (len(asked), made.speaks) == (2, None)
    made.choose(MicMode.VOICE)
    made.take(block)
    assert (len(asked), made.speaks) == (4, True)


@given(
    st.lists(st.tuples(st.sampled_from([*MicMode, "talk", "stop", "mute"]), st.integers(1, 60)), max_size=8),
    st.lists(st.booleans(), max_size=300),
    st.sampled_from([240, 480, 960, 2880]),
)
def test_whatever_the_user_does_as_much_comes_out_as_goes_in_and_it_is_never_late_for_long(
    acts: list[tuple[str, int]], speaks: list[bool], batch: int
) -> None:
    made, sound = gate(MicMode.VOICE, speaks), samples(noise(0.02, -30))
    block = np.resize(sound, batch).tobytes()
    for act, count in acts:
        if act in (MicMode.OPEN, MicMode.VOICE, MicMode.PTT):
            made.choose(act)
        elif act == "mute":
            made.forget()
        else:
            made.talks = act == "talk"
        for _ in range(count):
            sent = made.take(block)
            assert len(sent) == len(block)
            assert 0 <= made.delay_ms <= PREROLL * 1000 / RATE + 1
            if made.mode is MicMode.PTT:
                assert made.delay_ms == 0
    made.choose(MicMode.OPEN)
    for _ in range(5):
        sent = made.take(block)
    assert (sent, made.delay_ms) == (block, 0)


def packets(mode: MicMode, sound: np.ndarray) -> list[tuple[int, int]]:
    """Time stamp and size of each packet."""
    sent: list[Audio] = []
    transmitter = Transmitter(Script(blocks_of(sound.tobytes())), OpusEncoder(20, 32_000))
    transmitter.gate.choose(mode)
    transmitter.run(sent.append, lambda since: None)
    return [(audio.timestamp, len(audio.data)) for audio in sent]


def test_packets_do_not_tell_who_speaks() -> None:
    speech = samples(voice("near", 3) + noise(3))
    usual = packets(MicMode.OPEN, speech)
    assert len({size for _, size in usual[5:-1]}) == 1
    for mode in MicMode:
        assert packets(mode, speech) == packets(mode, np.zeros_like(speech)) == usual


def test_without_the_library_voice_cannot_be_chosen_and_the_microphone_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    made = Gate()
    with pytest.raises(LibraryMissing):
        made.choose(MicMode.VOICE)
    made.listen()
    assert (made.mode, made.speaks, made.spoken) == (MicMode.OPEN, None, None)
    sound = counting(0.1)
    assert np.array_equal(through(made, sound), sound)
