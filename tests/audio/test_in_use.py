"""Another source or sink takes the place of the one before, while the half that uses it runs."""

import itertools
import threading

import numpy as np
import pytest

from tests.audio.tape import Tape
from tests.peers import wait_until
from voicemux.audio.absent import Absent
from voicemux.audio.capture.transmitter import Transmitter
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import BLOCK_SAMPLES, RATE, Block, Source
from voicemux.audio.in_use import InUse
from voicemux.audio.pcm import PcmEncoder
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.errors import DeviceError
from voicemux.protocol.messages import OWN_SOURCE, Audio

PATIENCE = 20.0  # seconds
PACKET = 960  # samples


class Endless:
    """A microphone that hears `sample` for ever, from the time `since` on. It is as quick as it is read."""

    finite = False
    delay_ms = 0.0
    xruns = 0
    batch = 1

    def __init__(self, sample: int, since: float, breaks: bool = False) -> None:
        self.label = f"microphone {sample}"
        self.reads = 0
        self._pcm = np.full(BLOCK_SAMPLES, sample, np.int16).tobytes()
        self._since = since
        self._breaks = breaks
        self._stopped = threading.Event()

    def start(self) -> float:
        return self._since

    def read(self) -> Block | None:
        if self._stopped.wait(0.0005):
            return None
        if self._breaks:
            raise DeviceError("it has stopped")
        self.reads += 1
        return Block((self.reads - 1) * BLOCK_SAMPLES, self._pcm)

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        pass


def heard(sent: list[Audio]) -> list[int]:
    """The first sample of each packet that has any."""
    return [int(np.frombuffer(each.data, np.int16)[0]) for each in sent if each.data]


def test_voice_goes_on_with_the_other_microphone_and_no_moment_is_sent_twice() -> None:
    first, second = Endless(1, since=10.0), Endless(2, since=10.1)
    transmitter, sent, started = Transmitter(first, PcmEncoder(20)), list[Audio](), list[float]()
    thread = threading.Thread(target=transmitter.run, args=(sent.append, started.append))
    thread.start()
    wait_until(lambda: first.reads > 40, PATIENCE)
    transmitter.in_use.exchange(second, 10.1)
    wait_until(lambda: heard(sent)[-1] == 2, PATIENCE)
    transmitter.stop()
    thread.join(PATIENCE)
    assert started == [10.0, 10.1]
    assert transmitter.label == "microphone 2"
    assert heard(sent) == sorted(heard(sent))
    voice = [each for each in sent if each.data]
    assert all(later.timestamp - sooner.timestamp >= PACKET for sooner, later in itertools.pairwise(voice))
    last = max(each.timestamp for each in voice if heard([each]) == [1])
    next_ = min(each.timestamp for each in voice if heard([each]) == [2])
    assert next_ - last < 0.3 * RATE


def test_a_microphone_that_has_broken_is_exchanged_before_it_comes_back() -> None:
    def reopen() -> Endless:
        raise AssertionError("there is another one")

    transmitter = Transmitter(Endless(1, 10.0, breaks=True), PcmEncoder(20), reopen)
    with pytest.raises(DeviceError):
        transmitter.run(lambda _: None, lambda _: None)
    exchanging = threading.Thread(target=transmitter.in_use.exchange, args=(Endless(2, 12.0), 12.0))
    exchanging.start()
    wait_until(lambda: transmitter.in_use.has_another, PATIENCE)
    transmitter.in_use.reopen()
    sent: list[Audio] = []
    thread = threading.Thread(target=transmitter.run, args=(sent.append, lambda _: None))
    thread.start()
    wait_until(lambda: heard(sent), PATIENCE)
    transmitter.stop()
    for each in (exchanging, thread):
        each.join(PATIENCE)
    assert set(heard(sent)) == {2}
    assert min(each.timestamp for each in sent) == 2 * RATE


def test_the_loudspeaker_is_exchanged_while_it_plays() -> None:
    exchanging = []

    def exchange(block: int) -> None:
        if block == 10:
            exchanging.append(threading.Thread(target=player.in_use.exchange, args=(second, 12.6)))
            exchanging[0].start()
            wait_until(lambda: player.in_use.has_another, PATIENCE)

    first, second = Tape(1000, before=exchange), Tape(0.1)
    started: list[float] = []
    player = Mixer(first, {OWN_SOURCE: Playout(make_decoders())})
    player.run(started.append)
    exchanging[0].join(PATIENCE)
    assert started == [12.5, 12.6]
    assert len(first.pieces) < 100
    assert second.pieces


def test_a_half_that_has_ended_is_not_waited_for_and_stops_what_it_is_offered() -> None:
    first, second = Endless(1, 1.0), Endless(2, 2.0)
    in_use: InUse[Source] = InUse(first)
    in_use.stop()
    in_use.exchange(second, 2.0)
    assert in_use.has_another
    assert not in_use.goes_on
    assert in_use.begin(lambda _: None) == 2.0
    assert second.read() is None


def test_a_device_that_is_not_there_begins_never_and_says_why() -> None:
    absent = Absent("", "no microphone")
    with pytest.raises(DeviceError, match=r"^no microphone$"):
        absent.start()
    assert absent.read() is None
    assert not absent.ready()
    assert Transmitter(absent, PcmEncoder(20)).in_use.is_missing
    assert not Transmitter(Absent("headset", "not open"), PcmEncoder(20), opens_late=True).in_use.is_missing
    assert Mixer(absent, {OWN_SOURCE: Playout(make_decoders())}).in_use.is_missing
