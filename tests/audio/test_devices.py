import contextlib
import ctypes
import dataclasses
import operator
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyaudio
import pytest
import soundfile

from tests.audio.speech import DIALLER, LISTENER, RATE, SYLLABLE, level, place, samples_of, speech, tone
from tests.audio.speech import likeness as alike
from tests.conftest import sound_threads
from tests.peers import wait_until
from tests.soundcards import SoundCards, without_sound
from tests.tries import best
from voicemux.audio import blocking, callbacks
from voicemux.audio.attendant import GRACE
from voicemux.audio.blocking import PacedLoudspeaker, PacedMicrophone
from voicemux.audio.callbacks import CalledMicrophone
from voicemux.audio.card import MOST_CAPTURED, CardLoudspeaker, CardMicrophone
from voicemux.audio.cards import Cards
from voicemux.audio.choices import DefaultDevice, EchoChoice, choice
from voicemux.audio.devices import all_devices, find_device, lasting_name, open_sink, open_source
from voicemux.audio.endpoints import BLOCK_BYTES, BLOCK_SAMPLES, BLOCK_SECONDS
from voicemux.audio.playout.jitter import MAX_DELAY
from voicemux.audio.portaudio import PortAudio
from voicemux.audio.reserve import Reserve
from voicemux.audio.studio import Studio, check_input, check_output
from voicemux.errors import DeviceError, LibraryMissing
from voicemux.protocol.messages import Codec

Form = tuple[int, int]  # rate and channels
FORMS = [*(pytest.param(form, marks=pytest.mark.long) for form in ((RATE, 2), (44_100, 1))), (44_100, 2)]
BOTH_WAYS = pytest.mark.usefixtures("way")

# Likeness is judged syllable by syllable: what follows a gap that a busy machine has left is late, and well. A sound
# card waits for no process: a stall leaves gaps, or swallows what was captured. So the best of several tries counts.
EXACT = 0.98  # of what is never encoded, where nothing is lost


@pytest.fixture
def side_a(sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch) -> SoundCards:
    for name, value in sound_cards.env("a").items():
        monkeypatch.setenv(name, value)
    return sound_cards


@pytest.fixture
def portaudio(side_a: SoundCards, monkeypatch: pytest.MonkeyPatch) -> Iterator[PortAudio]:
    """Of cards whose server lives: where the machine stands still for a second, no card is broken."""
    monkeypatch.setattr("voicemux.audio.card.STALL_TIMEOUT", 10.0)
    portaudio = PortAudio()
    yield portaudio
    portaudio.close()


@pytest.fixture(params=["blocking", "callbacks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How PortAudio is used: both ways, whatever is best for these cards."""
    monkeypatch.setattr("voicemux.audio.devices._is_paced", lambda *_: request.param == "blocking")


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Form | None:
    """The only rate and number of channels that cards take."""
    open_stream = pyaudio.PyAudio.open

    def open_some(self: pyaudio.PyAudio, rate: int, channels: int, **options: Any) -> object:
        if (rate, channels) != request.param:
            raise OSError(-9997, "Invalid sample rate")
        return open_stream(self, rate=rate, channels=channels, **options)

    if request.param:
        monkeypatch.setattr(pyaudio.PyAudio, "open", open_some)
    return request.param


def capture(microphone: CardMicrophone, seconds: float) -> np.ndarray:
    blocks = [microphone.read() for _ in range(int(seconds * RATE / BLOCK_SAMPLES))]
    assert all(block and len(block.pcm) == BLOCK_BYTES for block in blocks)
    assert [block and block.position for block in blocks] == [i * BLOCK_SAMPLES for i in range(len(blocks))]
    return samples_of(b"".join(block.pcm for block in blocks if block))


def say(loudspeaker: CardLoudspeaker, samples: np.ndarray) -> None:
    pcm = samples.tobytes()
    for at in range(0, len(pcm) - BLOCK_BYTES + 1, BLOCK_BYTES):
        assert loudspeaker.ready()
        loudspeaker.write(pcm[at : at + BLOCK_BYTES])


def test_devices_are_listed_with_what_they_can_do(portaudio: PortAudio) -> None:
    devices = {device.name: device for device in portaudio.devices()}
    assert set(devices) == {"default", "headset", "headphones"}
    assert [device.number for device in portaudio.devices()] == [0, 1, 2]
    assert {device.system for device in devices.values()} == {"ALSA"}
    assert devices["default"].default_input
    assert devices["default"].default_output
    assert not devices["headset"].default_input
    assert devices["headset"].inputs > 0
    assert devices["headset"].outputs > 0
    assert (devices["headphones"].inputs, devices["headphones"].outputs > 0) == (0, True)
    assert all(device.rate >= 8000 for device in devices.values())


@pytest.mark.parametrize(
    ("kind", "wanted", "name"),
    [
        ("input", "", "default"),
        ("output", "", "default"),
        ("input", "head", "headset"),
        ("input", "SET", "headset"),
        ("output", "phones", "headphones"),
        ("output", "HeadSet", "headset"),
    ],
)
def test_a_device_is_found_by_a_part_of_its_name_and_by_its_number(
    kind: str, wanted: str, name: str, portaudio: PortAudio
) -> None:
    found = portaudio.find(kind, wanted)
    assert found.name == name
    assert portaudio.find(kind, str(found.number)) == found


def test_a_device_of_the_sound_server_is_found_by_the_number_of_the_list_and_opened_through_one_that_there_is(
    portaudio: PortAudio,
) -> None:
    own = portaudio.devices()
    listed = {each.target: each.number for each in all_devices(portaudio) if each.target}
    for kind, target in (("output", "b_spk"), ("input", "wide_mic.monitor")):
        found = find_device(portaudio, kind, str(listed[target]))
        assert (found.target, found.number in range(len(own))) == (target, True)
        assert lasting_name(portaudio, kind, str(listed[target]), found) == target
        with pytest.raises(DeviceError, match="there is no"):
            find_device(portaudio, "input" if kind == "output" else "output", str(listed[target]))
    headphones = portaudio.find("output", "headphones")
    assert lasting_name(portaudio, "output", str(headphones.number), headphones) == "headphones"
    assert lasting_name(portaudio, "output", "phones", headphones) == "phones"


def test_what_is_played_is_captured_only_if_the_user_has_named_that(
    side_a: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone = side_a.add_microphone("usb", "USB", "a_mic")
    cards = Cards()
    try:
        for wanted, is_so in (("usb", False), ("wide_mic.monitor", True), ("default", True), ("", True)):
            cards.open_source(wanted)
            assert cards.wants_monitor() is is_so, wanted
            assert cards.source
            cards.source.close()
        monkeypatch.delenv("PULSE_SOURCE")
        assert not cards.wants_monitor()
    finally:
        cards.close()
        side_a.unplug(microphone)


@pytest.mark.parametrize(
    ("kind", "wanted", "complaint"),
    [
        ("input", "trumpet", "there is no input device 'trumpet'"),
        ("output", "99", "there is no output device '99'"),
        ("output", "9" * 5000, f"there is no output device '{'9' * 5000}'"),
        ("output", "²", "there is no output device '²'"),
        ("input", "headphones", "there is no input device 'headphones'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(kind: str, wanted: str, complaint: str, portaudio: PortAudio) -> None:
    with pytest.raises(DeviceError) as caught:
        portaudio.find(kind, wanted)
    assert str(caught.value) == complaint
    with pytest.raises(DeviceError):
        (check_input if kind == "input" else check_output)(choice(wanted))


def test_a_name_that_fits_several_devices_is_refused_with_their_numbers(portaudio: PortAudio) -> None:
    numbers = {device.name: device.number for device in portaudio.devices()}
    with pytest.raises(DeviceError, match=r"^output device 'head' could be any of: ") as caught:
        portaudio.find("output", "head")
    for name in ("headset", "headphones"):
        assert f"{numbers[name]} {name}" in str(caught.value)


def test_a_system_without_sound_has_no_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in without_sound(tmp_path).items():
        monkeypatch.setenv(name, value)
    portaudio = PortAudio()
    assert portaudio.devices() == []
    for kind, word in [("input", "microphone"), ("output", "loudspeaker")]:
        with pytest.raises(DeviceError, match=rf"^no {word}: this system has no default {kind} device$"):
            portaudio.find(kind, "")
    portaudio.close()


@pytest.mark.parametrize("picky", [None, *FORMS], indirect=True)
@BOTH_WAYS
def test_what_is_played_into_a_microphone_of_any_form_is_captured(
    picky: Form, portaudio: PortAudio, side_a: SoundCards, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "said.wav", said := speech(seconds=1.5), RATE)

    def likeness_of_what_is_captured() -> float:
        microphone = open_source(portaudio, "")
        assert (microphone.label, microphone.finite) == ("default", False)
        assert 0 <= microphone.delay_ms < 200
        since = microphone.start()
        with side_a.play(tmp_path / "said.wav", "a_mic"):
            heard = capture(microphone, 2.2)
        assert time.monotonic() - since > 2
        microphone.stop()
        while microphone.read():
            pass
        microphone.close()
        return alike(said, heard, SYLLABLE)

    assert best(likeness_of_what_is_captured, EXACT) > EXACT


@pytest.mark.parametrize("picky", [(8_000, 1), (16_000, 8)], indirect=True)
def test_a_microphone_of_a_low_rate_or_of_many_channels_is_heard(
    picky: Form, portaudio: PortAudio, side_a: SoundCards, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "said.wav", tone(440, 20), RATE)
    device = dataclasses.replace(portaudio.find("input", ""), rate=picky[0], inputs=picky[1])
    microphone = PacedMicrophone(portaudio, device)
    microphone.start()
    with side_a.play(tmp_path / "said.wav", "a_mic") as mouth:
        wait_until(lambda: level(capture_some(microphone)) > 3000, 20)
        mouth.terminate()
    microphone.close()


@pytest.mark.parametrize("picky", [(RATE, 4)], indirect=True)
def test_a_loudspeaker_that_takes_only_many_channels_plays_on_each(
    picky: Form, portaudio: PortAudio, side_a: SoundCards
) -> None:
    loudspeaker = PacedLoudspeaker(portaudio, dataclasses.replace(portaudio.find("output", ""), outputs=picky[1]))
    loudspeaker.start()
    ear = side_a.record("a_spk")
    wait_until(lambda: say(loudspeaker, tone(440, 0.1)) or level(ear.so_far[-RATE // 5 :]) > 3000, 20)
    ear.stop()
    loudspeaker.close()


def capture_some(microphone: CardMicrophone) -> np.ndarray:
    """A tenth of a second."""
    blocks = [microphone.read() for _ in range(20)]
    return samples_of(b"".join(block.pcm for block in blocks if block))


@pytest.mark.parametrize("gains", [(1, 0), (0, 1), (1, -1)], ids=["left only", "right only", "opposed"])
def test_a_microphone_on_one_channel_or_upside_down_on_the_other_is_heard_at_its_full_level(
    gains: tuple[int, int], portaudio: PortAudio, side_a: SoundCards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "wide_mic.monitor")
    said = speech(seconds=1.5)
    soundfile.write(tmp_path / "said.wav", np.stack([said * gain for gain in gains], axis=1), RATE)

    def likeness_if_it_is_loud_enough() -> float:
        microphone = open_source(portaudio, "")
        microphone.start()
        with side_a.play(tmp_path / "said.wav", "wide_mic"):
            heard = capture(microphone, 2.2)
        microphone.close()
        start = place(said, heard)[0]
        is_loud_enough = level(heard[start : start + len(said)]) == pytest.approx(level(said), rel=0.2)
        return alike(said, heard, SYLLABLE) * is_loud_enough

    assert best(likeness_if_it_is_loud_enough, EXACT) > EXACT


@pytest.mark.parametrize("picky", [None, pytest.param((44_100, 2), marks=pytest.mark.long)], indirect=True)
@BOTH_WAYS
def test_two_channels_go_through_a_loudspeaker_and_come_into_a_microphone_as_two(
    picky: Form, portaudio: PortAudio, side_a: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SINK", "wide_mic")
    monkeypatch.setenv("PULSE_SOURCE", "wide_mic.monitor")
    said = np.stack((speech(DIALLER, 1.5), speech(LISTENER, 1.5)), axis=1)
    size = 2 * BLOCK_BYTES
    pcm = np.concatenate((said, np.zeros((RATE // 2, 2), np.int16))).tobytes()

    def likeness_of_the_worse_side() -> float:
        microphone, loudspeaker = open_source(portaudio, "", 2), open_sink(portaudio, "", 2)
        heard: list[bytes] = []

        def hear() -> None:
            while block := microphone.read():
                heard.append(block.pcm)

        microphone.start()
        ear = threading.Thread(target=hear)
        ear.start()
        loudspeaker.start()
        for at in range(0, len(pcm) - size + 1, size):
            assert loudspeaker.ready()
            loudspeaker.write(pcm[at : at + size])
        microphone.stop()
        ear.join()
        for each in (microphone, loudspeaker):
            each.close()
        came = samples_of(b"".join(heard)).reshape(-1, 2)
        return min(alike(said[:, side].copy(), came[:, side].copy(), SYLLABLE) for side in (0, 1))

    assert best(likeness_of_the_worse_side, EXACT) > EXACT


def test_a_sound_server_that_has_ended_is_there_again_for_the_next_test() -> None:
    with SoundCards() as cards:
        cards.kill()
        cards.revive()
        assert len(cards.record("a_spk").stop_after(0.1)) > 0


@pytest.mark.parametrize("picky", [None, *FORMS], indirect=True)
@BOTH_WAYS
def test_what_is_said_to_a_loudspeaker_of_any_form_is_played(
    picky: Form, portaudio: PortAudio, side_a: SoundCards
) -> None:
    said = speech(seconds=1.5)

    def likeness_of_what_is_played() -> float:
        loudspeaker = open_sink(portaudio, "")
        assert loudspeaker.label == "default"
        assert 0 < loudspeaker.delay_ms < 200
        recording = side_a.record("a_spk")
        since = loudspeaker.start()
        say(loudspeaker, np.concatenate((said, np.zeros(RATE // 5, np.int16))))
        assert time.monotonic() - since > 1.5
        loudspeaker.stop()
        assert not loudspeaker.ready()
        loudspeaker.close()
        return alike(said, recording.stop(), SYLLABLE)

    assert best(likeness_of_what_is_played, EXACT) > EXACT


def run_dry(loudspeaker: CardLoudspeaker, cards: SoundCards, is_enough: Callable[[], bool]) -> None:
    """Again and again until that is enough: of one time in seven, PulseAudio's plugin does not tell."""
    for _ in range(20):
        if is_enough():
            return
        say(loudspeaker, np.zeros(RATE // 2, np.int16))
        with cards.frozen():
            time.sleep(0.1)


def likeness(loudspeaker: CardLoudspeaker, cards: SoundCards, silence: float) -> float:
    """Of what it plays, behind so many seconds of silence, to what it is given. It is closed then."""
    said = speech(seconds=1.5)
    recording = cards.record("a_spk")
    say(loudspeaker, np.concatenate((np.zeros(int(silence * RATE), np.int16), said, np.zeros(RATE // 5, np.int16))))
    loudspeaker.close()
    return alike(said, recording.stop(), SYLLABLE)


@pytest.mark.parametrize(("within", "is_often"), [(60.0, True), (0.0, False)])
@BOTH_WAYS
def test_a_loudspeaker_that_runs_dry_often_is_opened_anew_with_longer_blocks(
    within: float, is_often: bool, portaudio: PortAudio, side_a: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.audio.reserve.OFTEN_WITHIN", within)
    monkeypatch.setattr("voicemux.audio.reserve.CALM", 60.0)
    loudspeaker = open_sink(portaudio, "")
    delay_ms = loudspeaker.delay_ms
    loudspeaker.start()
    run_dry(loudspeaker, side_a, lambda: loudspeaker.xruns >= 5 or loudspeaker.delay_ms > 1.5 * delay_ms)
    assert likeness(loudspeaker, side_a, silence=0.5) > 0.9
    assert (loudspeaker.delay_ms > 1.5 * delay_ms) == is_often


@BOTH_WAYS
def test_long_blocks_become_short_again_in_a_pause_behind_a_calm_while(
    portaudio: PortAudio, side_a: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.audio.reserve.CALM", 3.0)
    loudspeaker = open_sink(portaudio, "")
    delay_ms = loudspeaker.delay_ms
    loudspeaker.start()
    run_dry(loudspeaker, side_a, lambda: loudspeaker.delay_ms > 1.5 * delay_ms)
    say(loudspeaker, tone(440, 3.5))
    assert loudspeaker.delay_ms > 1.5 * delay_ms, "it is no pause"
    deadline = time.monotonic() + 60
    while loudspeaker.delay_ms > delay_ms and time.monotonic() < deadline:
        say(loudspeaker, np.zeros(RATE // 10, np.int16))
    assert loudspeaker.delay_ms == delay_ms
    assert likeness(loudspeaker, side_a, silence=0.2) > 0.9


@pytest.mark.parametrize("samples", [840, 961, 1200])
@BOTH_WAYS
def test_a_loudspeaker_asks_in_time_whatever_the_length_of_what_it_gets(portaudio: PortAudio, samples: int) -> None:
    # One that asks too late has gaps whenever it plays; a stall of the machine makes them now and then.
    assert any(gaps_of_ten(open_sink(portaudio, ""), samples) == 0 for _ in range(20))


def gaps_of_ten(loudspeaker: CardLoudspeaker, samples: int) -> int:
    """How often it runs dry while it gets ten pieces of that length, each when it asks. It is closed then."""
    loudspeaker.start()
    for _ in range(10):
        assert loudspeaker.ready()
        loudspeaker.write(bytes(2 * samples))
    gaps = loudspeaker.xruns
    loudspeaker.close()
    return gaps


@BOTH_WAYS
def test_a_loudspeaker_that_got_nothing_asks_again_after_its_next_callback(
    portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (blocking, callbacks):
        monkeypatch.setattr(module, "Reserve", reserve_of_two)
    assert any(asks_again_in_time(open_sink(portaudio, "")) for _ in range(20))


def reserve_of_two(most: int, forgiven: bool, least: int = 0) -> Reserve:
    """A reserve that begins with two blocks, and keeps them."""
    return Reserve(most, forgiven, max(2, least))


def asks_again_in_time(loudspeaker: CardLoudspeaker) -> bool:
    """Whether it does so once a block, and needs no larger reserve. It is closed then."""
    loudspeaker.start()
    assert loudspeaker.ready()
    loudspeaker.write(bytes(8 * BLOCK_BYTES))
    ahead = []
    while not loudspeaker.urgent:
        assert loudspeaker.ready()
        ahead.append(loudspeaker.ahead)
    loudspeaker.close()
    assert sorted(ahead, reverse=True) == ahead
    return loudspeaker.reserve == 2 * BLOCK_SECONDS and ahead[0] <= 3 * BLOCK_SECONDS and len(ahead) <= 4


def test_a_card_that_takes_no_form_of_sound_is_refused_in_words(
    portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: pyaudio.PyAudio, **_: object) -> None:
        raise OSError(-9985, "Device unavailable")  # as PyAudio does

    monkeypatch.setattr(pyaudio.PyAudio, "open", refuse)
    with pytest.raises(DeviceError, match=r"^cannot open the input device default: device unavailable$"):
        open_source(portaudio, "")
    with pytest.raises(DeviceError, match=r"^cannot open the output device headphones: device unavailable$"):
        open_sink(portaudio, "headphones")


@BOTH_WAYS
def test_who_comes_back_late_to_a_microphone_hears_the_present_and_knows_what_was_lost(portaudio: PortAudio) -> None:
    assert any(is_the_present_whole(open_source(portaudio, "")) for _ in range(10))


def is_the_present_whole(microphone: CardMicrophone) -> bool:
    """Whether who comes half a second late hears what is captured now, and then all of it. It is closed then."""
    since = microphone.start()
    time.sleep(0.5)
    first = microphone.read()
    assert first
    late = time.monotonic() - since
    positions = [first.position, *(block.position for _ in range(39) if (block := microphone.read()))]
    microphone.close()
    is_whole = [later - sooner for sooner, later in pairwise(positions)] == [BLOCK_SAMPLES] * 39
    return first.position / RATE == pytest.approx(late, abs=0.15) and is_whole


@BOTH_WAYS
def test_a_microphone_that_nobody_reads_keeps_little_and_no_gap_is_hidden(portaudio: PortAudio) -> None:
    assert any(is_the_gap_told(open_source(portaudio, "")) for _ in range(10))


def is_the_gap_told(microphone: CardMicrophone) -> bool:
    """Whether the first block after a second is from its end by its position. It is closed then."""
    microphone.batch = 4
    since = microphone.start()
    time.sleep(1.0)
    assert microphone.backlog * microphone.batch <= MOST_CAPTURED
    block = microphone.read()
    late = time.monotonic() - since
    microphone.stop()
    assert microphone.read() is None
    microphone.close()
    assert block
    return block.position / RATE == pytest.approx(late, abs=0.15)


@BOTH_WAYS
def test_stop_wakes_who_waits_for_a_device(portaudio: PortAudio) -> None:
    microphone, loudspeaker = open_source(portaudio, ""), open_sink(portaudio, "")  # not started: nothing comes
    loudspeaker.write(bytes(2 * BLOCK_BYTES))  # so that it wants no more
    results: list[object] = []
    waiting = [
        threading.Thread(target=lambda: results.append(microphone.read())),
        threading.Thread(target=lambda: results.append(loudspeaker.ready())),
    ]
    for thread in waiting:
        thread.start()
    for half in (microphone, loudspeaker):
        half.stop()
    for thread in waiting:
        thread.join(10)
    assert sorted(map(str, results)) == ["False", "None"]
    for half in (microphone, loudspeaker):
        half.close()


@BOTH_WAYS
def test_a_null_sink_that_has_played_silence_ahead_is_not_broken(
    side_a: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged = side_a.add_loudspeaker("ahead", rewinds=True)
    monkeypatch.setenv("PULSE_SINK", "ahead")
    portaudio = PortAudio()
    try:
        for _ in range(2):
            wait_until(lambda: side_a.ahead("ahead") > 1.5)
            with contextlib.closing(open_sink(portaudio, "")) as loudspeaker:
                loudspeaker.start()
                say(loudspeaker, np.zeros(2 * RATE, np.int16))
    finally:
        portaudio.close()
        side_a.unplug(plugged)


@BOTH_WAYS
def test_devices_whose_server_dies_are_reported_within_seconds_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    with SoundCards() as cards:
        for name, value in cards.env("a").items():
            monkeypatch.setenv(name, value)
        portaudio = PortAudio()
        microphone, loudspeaker = open_source(portaudio, ""), open_sink(portaudio, "")
        for half in (microphone, loudspeaker):
            half.start()
        assert all(microphone.read() for _ in range(20))
        say(loudspeaker, np.zeros(RATE // 10, np.int16))
        cards.kill()
        began = time.monotonic()
        with pytest.raises(DeviceError, match=r"^the input device default has stopped$"):
            capture(microphone, 60)
        with pytest.raises(DeviceError, match=r"^the output device default has stopped$"):
            say(loudspeaker, np.zeros(60 * RATE, np.int16))
        assert time.monotonic() - began < 30
        for each in (microphone, loudspeaker, portaudio):
            each.close()


def test_a_device_whose_server_has_gone_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with SoundCards() as cards:
        for name, value in cards.env("a").items():
            monkeypatch.setenv(name, value)
        portaudio = PortAudio()
        cards.kill()
        with pytest.raises(DeviceError, match=r"^cannot (open|start) the input device default: [a-z]"):
            open_source(portaudio, "").start()
        portaudio.close()


def test_what_is_asked_while_another_question_is_unanswered_is_refused_however_long_it_has_waited(
    portaudio: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.audio.portaudio.PATIENCE", 0.3)
    inside, frozen, told, asked = threading.Event(), threading.Event(), list[str](), list[str]()

    def freeze() -> None:
        inside.set()
        frozen.wait()

    def ask(what: Callable[[], object]) -> None:
        with pytest.raises(TimeoutError):
            portaudio.ask(what)
        told.append("refused")

    first = threading.Thread(target=ask, args=(freeze,))
    first.start()
    assert inside.wait(10)
    ask(lambda: asked.append("both are inside"))
    first.join()
    assert (told, asked) == (["refused", "refused"], [])
    frozen.set()
    wait_until(lambda: not any(thread.name == "voicemux-portaudio" for thread in threading.enumerate()))
    assert portaudio.ask(lambda: "it answers again")


@BOTH_WAYS
def test_a_sound_server_that_is_frozen_holds_nobody_and_is_used_again_afterwards(
    portaudio: PortAudio, sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone, loudspeaker = open_source(portaudio, ""), open_sink(portaudio, "")
    microphone.start()
    began = time.monotonic()
    with sound_cards.frozen(), monkeypatch.context() as patch:
        patch.setattr("voicemux.audio.portaudio.PATIENCE", 0.3)
        for kind, use in [
            ("start the output", loudspeaker.start),
            ("open the input", lambda: open_source(portaudio, "")),
            ("open the output", lambda: open_sink(portaudio, "")),
        ]:
            with pytest.raises(
                DeviceError, match=rf"^cannot {kind} device default: the sound system does not answer$"
            ):
                use()
        for half in (microphone, loudspeaker):
            half.close()
        with pytest.raises(DeviceError, match=r"the sound system does not answer$"):
            look_again_and_open(portaudio)
    assert time.monotonic() - began < 20  # seconds: each of six has waited for 0.3
    wait_until(lambda: not any(thread.name == "voicemux-portaudio" for thread in threading.enumerate()))
    portaudio.look_again()
    microphone = open_source(portaudio, "")
    microphone.start()
    assert all(microphone.read() for _ in range(20))
    microphone.close()


def look_again_and_open(portaudio: PortAudio) -> None:
    portaudio.look_again()
    open_source(portaudio, "")


def test_a_stream_that_opens_when_it_was_given_up_is_closed_again(
    portaudio: PortAudio, sound_cards: SoundCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicemux.audio.portaudio.PATIENCE", 0.3)
    before = sound_threads()
    with (
        sound_cards.frozen(),
        pytest.raises(DeviceError, match=r"^cannot open the input device default: the sound system does not answer$"),
    ):
        open_source(portaudio, "")
    wait_until(lambda: not any(thread.name == "voicemux-portaudio" for thread in threading.enumerate()))
    wait_until(lambda: sound_threads() <= before)


def test_a_thread_that_a_frozen_server_holds_is_left_behind_and_closes_its_stream_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SoundCards() as cards:
        for name, value in cards.env("a").items():
            monkeypatch.setenv(name, value)
        portaudio = PortAudio()
        microphone = PacedMicrophone(portaudio, portaudio.find("input", ""))
        microphone.start()
        assert all(microphone.read() for _ in range(20))
        with cards.frozen():
            with pytest.raises(DeviceError, match=r"has stopped$"):
                capture(microphone, 60)
            began = time.monotonic()
            microphone.close()
            portaudio.close()
            assert time.monotonic() - began < GRACE + 20
            assert any(thread.name == "voicemux-capture" for thread in threading.enumerate())
    # no_thread_left_behind sees that neither the thread nor the stream outlives this test


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_stream_whose_server_dies_before_it_is_started_says_so_and_closes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PortAudio's callbacks wait for ever then."""
    with SoundCards() as cards:
        for name, value in cards.env("a").items():
            monkeypatch.setenv(name, value)
        portaudio = PortAudio()
        device = portaudio.find(kind, "")
        half = (PacedMicrophone if kind == "input" else PacedLoudspeaker)(portaudio, device)
        cards.kill()
        with pytest.raises(DeviceError, match=r"^(cannot start )?the (in|out)put device default"):
            _use(half)
        half.close()
        portaudio.close()


def _use(half: CardMicrophone | CardLoudspeaker) -> None:
    half.start()
    if isinstance(half, CardMicrophone):
        capture(half, 60)
    else:
        say(half, np.zeros(60 * RATE, np.int16))


def test_the_thread_state_of_callbacks_is_kept_from_one_to_the_next(portaudio: PortAudio) -> None:
    kept = threading.local()  # is in the thread state
    counts: list[int] = []

    class Watched(CalledMicrophone):
        def _callback(self, *arguments: Any) -> tuple[bytes | None, int]:
            kept.count = getattr(kept, "count", 0) + 1
            counts.append(kept.count)
            return super()._callback(*arguments)

    microphone = Watched(portaudio, portaudio.find("input", ""))
    microphone.start()
    assert all(microphone.read() for _ in range(20))
    microphone.close()
    assert max(counts) > len(counts) / 3  # a card that is late may be started again, by another thread


@BOTH_WAYS
@pytest.mark.parametrize("picky", [None, (44_100, 2)], indirect=True)
def test_all_that_a_loudspeaker_is_given_is_told_in_the_form_that_it_takes(
    picky: Form | None, portaudio: PortAudio
) -> None:
    """Also the silence before and behind what was said, and what fills gaps: an echo has all of it."""
    rate, channels = picky or (RATE, 1)
    said = tone(440, 0.5)

    def told_share_of_what_was_said() -> float:
        loudspeaker = open_sink(portaudio, "")
        told: list[bytes] = []
        forms: set[Form] = set()

        def tap(pcm: bytes, rate: int, channels: int) -> None:
            told.append(pcm)
            forms.add((rate, channels))

        loudspeaker.tap = tap
        began = loudspeaker.start()
        wait_until(lambda: bool(told))
        say(loudspeaker, said)
        wait_until(lambda: sum(map(len, told)) > 1.0 * rate * channels * 2)
        took = time.monotonic() - began
        loudspeaker.close()
        given = samples_of(b"".join(told))[::channels]
        assert forms == {(rate, channels)}
        assert 0.9 < len(given) / rate < took + 0.3
        assert not given[: rate // 500].any()
        where, _ = place(tone(440, 0.4, rate), given)
        share = level(given[where : where + int(0.4 * rate)]) / level(said)
        return min(share, 1 / share)

    assert best(told_share_of_what_was_said, 0.9) > 0.9


@BOTH_WAYS
def test_twenty_calls_leave_no_thread_thread_state_or_descriptor_behind(side_a: SoundCards) -> None:
    left = [after_a_call() for _ in range(20)]
    sooner = map(max, zip(*left[3:10], strict=True))
    later = map(min, zip(*left[-3:], strict=True))  # a thread of PortAudio's may end a little after its call
    assert all(map(operator.le, later, sooner)), left


def after_a_call() -> tuple[int, int, int]:
    """How many threads, thread states and descriptors there are when a studio has been used and closed."""
    before = len(os.listdir("/proc/self/task"))
    studio = Studio()
    studio.open_input(DefaultDevice())
    studio.open_output(DefaultDevice())
    studio.cancel_echo(EchoChoice.AUTO, print, print)
    player, transmitter = (
        studio.make_player(MAX_DELAY),
        studio.make_transmitter((Codec.PCM,)),
    )
    assert player
    assert transmitter
    heard = threading.Event()
    halves = [
        threading.Thread(target=transmitter.run, args=(lambda audio: heard.set(), lambda since: None)),
        threading.Thread(target=player.run, args=(lambda since: None,)),
    ]
    for thread in halves:
        thread.start()
    assert heard.wait(10)
    player.stop()
    transmitter.stop()
    for thread in halves:
        thread.join()
    studio.close()
    deadline = time.monotonic() + 2  # for the system to clear away threads that have ended; the first call keeps some
    while len(os.listdir("/proc/self/task")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(os.listdir("/proc/self/task")), thread_states(), len(os.listdir("/proc/self/fd"))


def thread_states() -> int:
    """That Python has."""
    api = ctypes.pythonapi
    for function in (api.PyInterpreterState_Get, api.PyInterpreterState_ThreadHead, api.PyThreadState_Next):
        function.restype = ctypes.c_void_p
    state = api.PyInterpreterState_ThreadHead(ctypes.c_void_p(api.PyInterpreterState_Get()))
    count = 0
    while state:
        state = api.PyThreadState_Next(ctypes.c_void_p(state))
        count += 1
    return count


@pytest.mark.parametrize(
    ("error", "library"),
    [
        ("libportaudio.so.2: cannot open shared object file: No such file or directory", "portaudio"),
        ("dlopen(_portaudio.so): Library not loaded: /opt/homebrew/lib/libportaudio.2.dylib", "portaudio"),
        ("No module named 'pyaudio'", "pyaudio"),
        ("No module named 'pyaudio._portaudio'", "pyaudio"),
    ],
)
def test_what_is_not_installed_is_named_once(
    error: str, library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyaudio.py").write_text(
        f'print("Could not import it")\nraise ImportError({error!r})\n'
    )  # as it does
    monkeypatch.delitem(sys.modules, "pyaudio")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LibraryMissing) as caught:
        PortAudio()
    assert (caught.value.library, str(caught.value)) == (library, f"no sound: {error}")
    assert capsys.readouterr() == ("", "")


def test_what_the_libraries_print_is_not_on_the_screen_and_what_python_prints_is(tmp_path: Path) -> None:
    code = """
import sys
from voicemux.audio.portaudio import PortAudio
PortAudio().close()
print("still here", file=sys.stderr)
"""
    noisy = {**os.environ, **without_sound(tmp_path)}
    program = subprocess.run([sys.executable, "-c", code], env=noisy, stderr=subprocess.PIPE, text=True, check=True)
    assert program.stderr == "still here\n"
