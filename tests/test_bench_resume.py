"""What bench/resume measures with can be believed: the box that breaks connections, the sound that says the time, and
the count of lines."""

import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from bench import cuts
from bench.cuts import CuttingRelay
from bench.middlebox import ACK, IP_HEADER, RST, SYN, TCP, TCP_HEADER, Middlebox
from bench.party import Texts, compare
from bench.resume import CASES, NAMES, percentile, table
from bench.signals import RATE
from bench.timecode import LOUD, PERIOD, STEP, WINDOW, TalkingClocks, heard_again, moments, time_code
from tests.running import PATIENCE

ALICE, BOB = b"\x0a\x4d\x00\x01", b"\x0a\x4d\x00\x02"
BEGAN = 1000.0  # monotonic time at which a recording begins


def packet(source: bytes, target: bytes, flags: int, sequence: int = 1, acknowledged: int = 2) -> bytes:
    ports = (4000, 8689) if source == ALICE else (8689, 4000)
    segment = TCP_HEADER.pack(*ports, sequence, acknowledged, 5 << 4, flags, 1000, 0, 0)
    return IP_HEADER.pack(0x45, 0, 40, 0, 0, 64, TCP, 0, source, target) + segment


def ones_complement(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    return (total & 0xFFFF) + (total >> 16)


def test_a_connection_that_was_reset_is_answered_with_a_reset_at_both_ends() -> None:
    box = Middlebox()
    assert box.judge(packet(ALICE, BOB, SYN)) == (True, b"")
    box.give_up(answers=True)
    for source, target in ((ALICE, BOB), (BOB, ALICE)):
        passes, answer = box.judge(packet(source, target, ACK, acknowledged=4711))
        assert not passes
        *_, came_from, went_to = IP_HEADER.unpack(answer[:20])
        _, _, sequence, _, _, flags, *_ = TCP_HEADER.unpack(answer[20:])
        assert (came_from, went_to, flags, sequence) == (target, source, RST, 4711)
        assert ones_complement(answer[:20]) == 0xFFFF
        assert ones_complement(answer[12:20] + struct.pack(">HH", TCP, 20) + answer[20:]) == 0xFFFF
    assert box.judge(packet(ALICE, BOB, RST)) == (False, b""), "a reset is not answered"


def test_a_box_that_forgets_lets_packets_vanish_until_a_new_connection_begins() -> None:
    box = Middlebox()
    box.judge(packet(ALICE, BOB, ACK))
    box.give_up(answers=False)
    assert box.judge(packet(ALICE, BOB, ACK)) == (False, b"")
    assert box.judge(packet(ALICE, BOB, SYN)) == (True, b"")
    assert box.judge(packet(BOB, ALICE, SYN | ACK)) == (True, b"")
    assert box.judge(b"\x60" + bytes(60)) == (True, b""), "IPv6 is not its business"


def recording(gap: tuple[float, float], delay: float = 0.1) -> np.ndarray:
    """10 s of the clock, heard with that delay; nothing is heard in the gap, which is in monotonic time."""
    heard = time_code(BEGAN - delay, 10 * RATE)
    heard[int((gap[0] - BEGAN) * RATE) : int((gap[1] - BEGAN) * RATE)] = 0
    return heard


def test_the_clock_tells_each_moment() -> None:
    found = moments(time_code(3.0, 2 * RATE))
    expected = 3.0 + np.arange(len(found)) * STEP + WINDOW / 2
    assert np.abs(found - expected).max() < 0.01
    assert np.isnan(moments(np.random.default_rng(1).normal(0, 2 * LOUD, RATE))).all()


@pytest.mark.parametrize("silence", [0.3, 0.6, 4.0])
def test_a_gap_is_as_long_as_it_is(silence: float) -> None:
    cut = BEGAN + 3.0
    heard = heard_again(moments(recording((cut + 0.05, cut + silence))), BEGAN, cut)
    assert heard == pytest.approx(cut + silence, abs=0.05)


def test_what_is_concealed_is_not_taken_for_news() -> None:
    """The last pitch goes on for a while."""
    cut = BEGAN + 3.0
    heard = recording((cut, cut + 1.0))
    last = moments(heard)[int(2.9 / STEP)]
    pitch = 400 + 100 * last
    heard[3 * RATE : 3 * RATE + RATE // 2] = 0.3 * np.sin(2 * np.pi * pitch * np.arange(RATE // 2) / RATE)
    assert heard_again(moments(heard), BEGAN, cut) == pytest.approx(cut + 1.0, abs=0.05)
    assert heard_again(moments(heard[: 4 * RATE]), BEGAN, cut) is None


def test_a_pipe_speaks_the_time_of_now(tmp_path: Path) -> None:
    with TalkingClocks(tmp_path / "clock"), open(tmp_path / "clock", "rb") as pipe:
        for _ in range(50):  # after a stall of this test, the pipe has what is old
            data = pipe.read(4800)
            now = time.monotonic()
            sound = np.frombuffer(data, "<i2") / 32768
            if len(found := moments(sound)) and not np.isnan(found[0]) and (now - found[0]) % PERIOD < 0.2:
                return
    pytest.fail("it never said the time")


def test_lines_are_counted() -> None:
    assert compare(["1", "2", "3"], ["1", "2", "3"]) == Texts(3)
    assert compare(["1", "2", "3"], ["1", "3", "2"]) == Texts(3, reordered=1)
    assert compare(["1", "2", "3"], ["1", "1", "3"]) == Texts(3, lost=1, doubled=1)
    assert compare(["1"], ["1", "what was never said"]).doubled == 1
    assert not (Texts(3) + Texts(2, lost=1)).is_well


def test_a_relay_passes_bytes_on_until_it_cuts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, CuttingRelay(server.getsockname()) as relay:
        for kind, error in (("both", ConnectionResetError), ("gently", None)):
            with socket.create_connection(("127.0.0.1", relay.port)) as dialler, server.accept()[0] as listener:
                for here, there in ((dialler, listener), (listener, dialler)):
                    here.settimeout(PATIENCE)
                    here.sendall(b"hi")
                    assert there.recv(2) == b"hi"
                relay.cut(kind)
                for each in (dialler, listener):
                    if error:
                        with pytest.raises(error):
                            each.recv(1)
                    else:
                        assert each.recv(1) == b""


def test_the_table_has_a_row_for_each_case() -> None:
    texts = vars(Texts(5))
    held = {"threads": 0.0, "descriptors": 0.0, "memory": 0.1}
    figures = [
        {"case": "reset", "cuts": 3, "not_heard": 1, "median": 0.4, "p95": 0.5, "machine_busy": 0.5, **texts},
        {"case": "cable70", "cuts": 1, "ended_after": [64.1, None], "list_is_right": True},
        {"case": "cuts", "cuts": 10, "listener_left": held, "dialler_left": held, "failures": ["call 3"], **texts},
        {"case": "nat", "error": "RuntimeError: no call"},
    ]
    lines = table({"machine": {"cores": 2}, "cases": figures}).splitlines()
    assert "| 0.40 s (1 never) | 0.50 s | 5 | 0 | 0 | 0 |" in lines[2]
    assert "ended after 64.1 s and never" in lines[3]
    assert "1 calls did not begin or not go on" in lines[4]
    assert "threads +0, descriptors +0, memory +0.1 MB" in lines[4]
    assert "no call" in lines[5]
    assert set(NAMES) == {*CASES, "cuts"}
    assert percentile([float(each) for each in range(1, 101)], 0.95) == 95.0
    assert percentile([1.0], 0.95) == 1.0
    assert sum(share for _, share in cuts.KINDS) == pytest.approx(1.0)
