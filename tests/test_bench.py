"""The benchmark can be believed: known delays and lines are measured as they are, and a short call works.

That call judges no absolute times: only that voice is heard at both ends, and not absurdly late.
"""

import json
import socket
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bench import micro, runs
from bench.analysis import back_to_normal, find_heard, find_spoken, speech_quality
from bench.capture import Track
from bench.emulator import Direction, change
from bench.picture import draw
from bench.signals import CHIRPS, GAP, MEASURED, RATE, Samples, script

HEARD = 0.1  # of the chirps: on a busy machine, and by a codec that is meant for speech
TIMES_FLOOR = 40  # of the delay of two sound cards: something between them hoards sound

Figures = dict[str, dict[str, Any]]


def track(samples: Samples) -> Track:
    """A recording whose first sample was played at time 100, read without delay."""
    counts = range(RATE // 200, len(samples), RATE // 200)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return Track(pcm, [100 + count / RATE for count in counts], list(counts))


def test_delays_are_found_through_jumps_losses_and_noise() -> None:
    spoken = script("a", 40, False)
    microphone = track(np.concatenate([spoken.samples, np.zeros(5 * RATE)]))
    heard = np.random.default_rng(1).normal(0, 0.003, len(microphone.samples))
    truth: list[float | None] = []
    caught_up = spoken.chirps[20][0] + 2 * RATE  # what was spoken from the 20th to here is skipped
    for i, (start, kind) in enumerate(spoken.chirps):
        if i % 7 == 3 or (i >= 20 and start < caught_up):
            truth.append(None)
            continue
        truth.append(2.04 if 12 <= i < 20 else 0.04)
        at = start + round((truth[-1] or 0) * RATE)
        heard[at : at + len(CHIRPS[kind])] += 0.2 * CHIRPS[kind]
    found = find_heard(find_spoken(spoken, microphone), track(heard), 3.0)
    assert [delay and round(delay, 3) for delay in found] == truth


def test_many_chirps_in_a_row_that_were_not_heard_do_not_lead_astray() -> None:
    spoken = script("a", 66, False)
    microphone = track(np.concatenate([spoken.samples, np.zeros(5 * RATE)]))
    heard = np.zeros(len(microphone.samples))
    for i, (start, kind) in enumerate(spoken.chirps):
        if not 15 <= i < 40:
            at = start + RATE // 20
            heard[at : at + len(CHIRPS[kind])] += 0.3 * CHIRPS[kind]
    found = find_heard(find_spoken(spoken, microphone), track(heard), longest=15.0)
    assert [each is None for each in found] == [15 <= i < 40 for i in range(66)]
    assert [each for each in found if each is not None] == pytest.approx([0.05] * 41, abs=0.001)


def test_speech_of_which_nothing_was_heard_has_no_quality() -> None:
    said = track(np.random.default_rng(1).normal(0, 0.1, 4 * RATE))
    assert speech_quality(said, track(np.zeros(4 * RATE)), 100.5, 103.0, 0.05) is None


def test_normal_is_what_was_before() -> None:
    times = [float(i) for i in range(20)]
    delays = [0.1] * 5 + [None, 2.0, 1.0, None] + [0.12] * 11
    assert back_to_normal(times, delays, 5.0, 7.0) == 2.0
    assert back_to_normal(times, [*delays[:8], *[2.0] * 12], 5.0, 7.0) is None


def out(line: Direction, until: float, step: float = 0.001) -> list[tuple[float, bytes]]:
    """What comes out of a line, and when."""
    found = []
    for now in np.arange(0, until, step):
        while (packet := line.take(float(now))) is not None:
            found.append((float(now), packet))
    return found


def test_a_slow_line_takes_its_time_and_keeps_the_order() -> None:
    line = Direction(delay=0.05, rate=80_000)
    for i in range(5):
        line.put(bytes([i]) * 1000, 0.0)
    times, packets = zip(*out(line, 1.0), strict=True)
    assert [packet[0] for packet in packets] == [0, 1, 2, 3, 4]
    assert times == pytest.approx([0.15, 0.25, 0.35, 0.45, 0.55], abs=0.002)


def test_a_slow_line_drops_what_its_queue_cannot_hold() -> None:
    line = Direction(rate=80_000)
    for _ in range(30):
        line.put(bytes(1000), 0.0)
    assert line.counters["overflown"] == 20


@pytest.mark.parametrize(("hold", "expected"), [(True, [0.0, 2.0, 2.0, 2.5]), (False, [0.0, 2.5])])
def test_a_blackout_holds_packets_or_drops_them(hold: bool, expected: list[float]) -> None:
    line = Direction(hold=hold)
    line.put(b"before", 0.0)
    found = out(line, 0.5)
    line.dark_until = 2.0
    for at in (1.0, 1.5, 2.5):
        line.put(b"packet", at)
    assert [when for when, _ in found + out(line, 3.0)] == pytest.approx(expected, abs=0.002)


def test_loss_is_what_was_asked_for() -> None:
    line = Direction(loss=0.05)
    line.dice.seed(1)
    for _ in range(10_000):
        line.put(b"", 0.0)
    assert 400 < line.counters["lost"] < 600


def test_losses_in_bursts_are_as_many_and_as_long_as_was_asked_for() -> None:
    line = Direction(loss=0.03, burst=5.0)
    line.dice.seed(1)
    fates = []
    for _ in range(50_000):
        lost = line.counters["lost"]
        line.put(b"", 0.0)
        fates.append(line.counters["lost"] > lost)
    bursts = sum(later and not sooner for sooner, later in pairwise(fates))
    assert sum(fates) / len(fates) == pytest.approx(0.03, rel=0.2)
    assert sum(fates) / bursts == pytest.approx(5.0, rel=0.2)


def test_a_jittery_line_delays_each_packet_otherwise_and_keeps_the_order() -> None:
    line = Direction(delay=0.02, jitter=0.08)
    line.dice.seed(1)
    delays = []
    for number in range(100):
        line.put(bytes([number]), number / 50)
    found = []
    for step in range(2200):
        while (packet := line.take(step / 1000)) is not None:
            found.append(packet[0])
            delays.append(step / 1000 - packet[0] / 50)
    assert found == list(range(100))
    assert 0.02 <= min(delays) < 0.04 < 0.08 < max(delays) <= 0.101


def test_a_setting_of_one_side_changes_its_direction_alone() -> None:
    there, back = Direction(), Direction()
    change([there, back], {"delay": 0.02, "a": {"rate": 48_000}}, 0.0)
    assert [(way.delay, way.rate) for way in (there, back)] == [(0.02, 48_000), (0.02, 0.0)]


def test_speech_is_put_among_the_chirps_where_it_was_asked_for() -> None:
    spoken = script("a", 60, False, spoken_at=(2.0, 14.0))
    first = spoken.chirps[0][0]
    begins = [(start - first) / RATE for start, _ in spoken.spoken]
    assert begins == pytest.approx([2.5, 14.5], abs=GAP[1])
    for start, stop in spoken.spoken:
        assert (stop - start) / RATE == pytest.approx(MEASURED, abs=0.1)
        assert not [chirp for chirp, _ in spoken.chirps if start <= chirp < stop]


def _read_all(stream: socket.socket) -> None:
    while stream.recv(65_536):
        pass


def test_a_transfer_takes_the_line_from_one_word_to_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = [sys.executable, "-m", "bench.transfer", "send", "127.0.0.1", port, "cubic"]
        sender = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert sender.stdin
        sender.stdin.write(b"\n")
        sender.stdin.flush()
        with server.accept()[0] as stream:
            assert sum(len(stream.recv(65_536)) for _ in range(100)) > 100_000
            sender.stdin.write(b"\n")
            sender.stdin.close()
            assert sender.wait(20) == 0
            with pytest.raises(ConnectionResetError):  # what the kernel still held is not sent
                _read_all(stream)


def test_a_picture_shows_every_program() -> None:
    picture = draw("A <title>", {"one": [[0.0, 100.0], [1.0, None]], "two": [[0.0, 50.0]]}, [0.2, 0.5])
    assert picture.count("<circle") == 2
    assert "A &lt;title&gt;" in picture
    assert all(f">{word}</text>" in picture for word in ("one", "two", "not heard"))


@pytest.mark.long
def test_a_player_does_not_grow() -> None:
    body = (
        "import json; from bench import micro; print(json.dumps(micro.growth(hours=0.5)))"  # nothing else is counted
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=True)
    kilobytes = json.loads(done.stdout)["kilobytes"]
    assert len(kilobytes) == 10
    assert kilobytes[-1] < 1.5 * kilobytes[0]


def test_frames_are_counted_at_the_floor_and_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro, "ROUNDS", 1)
    # A stall of the machine makes a floor high now and then.
    assert any(min(row["times_floor"] for row in micro.frames().values()) >= 1 for _ in range(10))
    assert len(micro.frames()) == 11


def test_a_frame_leaves_nothing_behind() -> None:
    assert micro.allocation()["bytes_left_per_frame"] < 1


@pytest.mark.alone
def test_voice_arrives_both_ways_and_its_delay_is_within_a_generous_factor_of_the_floor() -> None:
    figures: Figures = runs.quick()
    for program in ("floor", "voicemux"):
        assert all(direction["heard"] > HEARD for direction in figures[program]["directions"].values()), program
    floor, voicemux = (
        max(direction["median"] for direction in figures[program]["directions"].values())
        for program in ("floor", "voicemux")
    )
    assert floor / 2 < voicemux < TIMES_FLOOR * floor
