"""Micro-benchmarks: what a frame, a start and an hour of voice cost. As ratios where that says more.

The floor of a frame is the least that Python can do for it: unpack a header, slice a payload.
"""

import contextlib
import os
import struct
import subprocess
import sys
import time
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from bench import handshake
from voicemux.audio.echo.canceller import WHOLE, Canceller
from voicemux.audio.echo.two_stages import TwoStages
from voicemux.audio.endpoints import RATE
from voicemux.audio.pcm import PcmDecoder
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.net.demultiplexer import demultiplex
from voicemux.protocol import wire
from voicemux.protocol.connection import Receiving, Sending, State
from voicemux.protocol.encoding import to_frame
from voicemux.protocol.frames import FrameDecoder, encode_frame
from voicemux.protocol.messages import OWN_SOURCE, Audio, Bye, Codec, Hello
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.schedule import Schedule
from voicemux.trace.facts import Trace
from voicemux.trace.file import TraceFile
from voicemux.trace.frames import watch

FRAMES = 20_000
AT_ONCE = 5_000  # that a peer may send without being told that this is too fast
READ = 65_536  # bytes that one read gives at most
ROUNDS = 5
STARTS = 9
PACKET = RATE // 50  # samples: 20 ms
HOURS = 2
ECHO_LAG = RATE // 50  # samples: 20 ms
BARE = struct.Struct(">HBB")
PER_HOUR = 3600 * 50  # packets


def audio(i: int) -> Audio:
    return Audio(Codec.OPUS, 0, i % 2**16, i * PACKET % 2**32, bytes(80))


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few rounds: the others were disturbed."""
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return min(took)


class Replay:
    """A stream that gives recorded bytes, for `demultiplex`."""

    bytes_read = 0  # that count for how much a peer may send: none, or it would be too fast

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def receive(self) -> bytes:
        chunk = self._data[self._position : self._position + READ]
        self._position += len(chunk)
        return chunk


def recorded(count: int) -> bytes:
    """What a peer says that greets, speaks so many packets and hangs up."""
    sending = Sending()
    said = [sending.preface(), sending.encode(Hello("bench", codecs=(Codec.OPUS,)))]
    said += [sending.encode(audio(i)) for i in range(count)]
    return b"".join([*said, sending.encode(Bye())])


def cut_with_construct(data: bytes) -> int:
    """How the frames are cut if construct parses every header."""
    position = count = 0
    while position < len(data):
        header = wire.HEADER.parse(data[position : position + 4])
        position += 4 + header.length
        count += 1
    return count


def cut_at_the_floor(data: bytes) -> int:
    position = count = 0
    while position < len(data):
        length, tag, flags = BARE.unpack_from(data, position)
        payload = data[position + 4 : position + 4 + length]
        position += 4 + length
        count += bool(tag and payload) or flags
    return count


def cut(data: bytes) -> int:
    """How voicemux does it, by the struct derived from the construct layout."""
    decoder = FrameDecoder()
    return sum(1 for start in range(0, len(data), READ) for _ in decoder.feed(data[start : start + READ]))


def route(data: bytes, trace: Trace | None = None) -> None:
    routes = dict.fromkeys((Hello, Audio, Bye), _ignore)
    for _ in range(FRAMES // AT_ONCE):
        greeted = Receiving()
        if trace:
            watch(Sending(), greeted, trace)
        replay: Any = Replay(data[len(wire.PREFACE) :])
        list(greeted.receive(data[: len(wire.PREFACE)]))
        demultiplex(replay, greeted, routes)


def choose(packets: list[Audio], trace: Trace | None = None) -> None:
    """Each packet is queued, chosen at once, framed and counted as sent, in a call in which nothing is in the way."""
    schedule, sending = Schedule(CongestionControl(), trace=trace), Sending(State.OPEN)
    if trace:
        watch(sending, Receiving(), trace)
    for number, packet in enumerate(packets):
        now = number / 50
        schedule.put_audio(packet, now)
        messages = schedule.choose(now)
        size = sum(len(sending.encode(message)) for message in messages)
        schedule.on_sent(messages, size, now)
        schedule.congestion.on_kernel_ack(0, now)


@contextlib.contextmanager
def nowhere() -> Iterator[TraceFile]:
    """A trace that goes to no disk."""
    trace = TraceFile(os.open(os.devnull, os.O_WRONLY), "dialler", _ignore, most_waiting=100 * FRAMES)
    try:
        yield trace
    finally:
        trace.close()


def traced(work: Callable[[TraceFile], object]) -> float:
    """As `fastest`, with a trace, whose lines are made and written meanwhile."""
    with nowhere() as trace:
        return fastest(lambda: work(trace))


def _ignore(_: object) -> None:
    pass


def frames() -> dict[str, dict[str, float]]:
    """Frames a second, and how many times the floor's time that is."""
    frame_bytes = b"".join(encode_frame(to_frame(audio(i))) for i in range(FRAMES))
    call_bytes = recorded(AT_ONCE)
    to_encode = [to_frame(audio(i)) for i in range(FRAMES)]
    messages = [audio(i) for i in range(FRAMES)]
    took = {
        "cut, at the floor": fastest(lambda: cut_at_the_floor(frame_bytes)),
        "cut, derived struct (voicemux)": fastest(lambda: cut(frame_bytes)),
        "cut, construct interpreted": fastest(lambda: cut_with_construct(frame_bytes)),
        "cut, checked and routed as messages": fastest(lambda: route(call_bytes)),
        "cut, checked, routed and traced": traced(lambda trace: route(call_bytes, trace)),
        "framed, at the floor": fastest(lambda: [BARE.pack(88, 3, 0) + frame.payload for frame in to_encode]),
        "framed, derived struct (voicemux)": fastest(lambda: [encode_frame(frame) for frame in to_encode]),
        "framed, construct interpreted": fastest(
            lambda: [wire.HEADER.build({"length": 88, "tag": 3, "flags": 0}) + frame.payload for frame in to_encode]
        ),
        "framed, from messages": fastest(lambda: [encode_frame(to_frame(message)) for message in messages]),
        "framed, chosen by the schedule": fastest(lambda: choose(messages)),
        "framed, chosen and traced": traced(lambda trace: choose(messages, trace)),
    }
    floors = {kind: took[f"{kind}, at the floor"] for kind in ("cut", "framed")}
    return {
        name: {"per_second": round(FRAMES / seconds), "times_floor": round(seconds / floors[name.split(",")[0]], 1)}
        for name, seconds in took.items()
    }


def start_up() -> dict[str, float]:
    """`voicemux --help` beside Python by itself, in turns."""
    took: dict[str, list[float]] = {"bare": [], "help": []}
    commands = {"bare": ("-c", "pass"), "help": ("-m", "voicemux", "--help")}
    for _ in range(STARTS):
        for name, arguments in commands.items():
            begin = time.perf_counter()
            subprocess.run((sys.executable, *arguments), stdout=subprocess.DEVNULL, check=True)
            took[name].append(time.perf_counter() - begin)
    bare, with_help = (median(values) for values in took.values())
    return {"bare_ms": round(bare * 1000), "help_ms": round(with_help * 1000), "ratio": round(with_help / bare, 1)}


def allocation() -> dict[str, float]:
    """Bytes that a frame takes while it is received, and that are left of it afterwards."""
    receiving = Receiving()
    sending = Sending()
    greeting = sending.preface() + sending.encode(Hello())
    list(receiving.receive(greeting))
    packets = [sending.encode(audio(i)) for i in range(2000)]
    peaks = array("q", bytes(8 * 1000))  # made before, so that it is not counted
    tracemalloc.start()
    try:
        for packet in packets[:1000]:
            list(receiving.receive(packet))
        before = tracemalloc.get_traced_memory()[0]
        for i, packet in enumerate(packets[1000:]):
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            list(receiving.receive(packet))
            peaks[i] = tracemalloc.get_traced_memory()[1] - start
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return {"bytes_at_peak": median(peaks), "bytes_left_per_frame": round(left / 1000, 2)}


class FastSink:
    """A loudspeaker for which time flies: each packet's blocks are asked for as soon as it has come."""

    label = "nowhere"
    delay_ms = ahead = reserve = 0.0
    urgent = True
    xruns = 0

    def __init__(self, packets: int) -> None:
        self.kilobytes: list[float] = []  # what everything holds, at ten moments of the call
        self.player: Mixer | None = None
        self._packets = packets
        self._arrived = 0
        self._now = 0.0  # seconds

    def clock(self) -> float:
        return self._now

    def start(self) -> float:
        return self._now

    def ready(self) -> bool:
        assert self.player
        while self._arrived * 0.020 <= self._now:
            data = bytes(PACKET * 2)
            number = self._arrived
            self.player.put(Audio(Codec.PCM, 0, number % 2**16, number * PACKET % 2**32, data))
            self._arrived += 1
            if number % (self._packets // 10) == self._packets // 20:
                self.kilobytes.append(round(tracemalloc.get_traced_memory()[0] / 1024, 1))
        return self._arrived < self._packets

    def write(self, pcm: bytes) -> None:
        self._now += len(pcm) / (2 * RATE)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def growth(hours: float = HOURS) -> dict[str, Any]:
    """What a player holds in the course of hours of packets."""
    sink = FastSink(round(hours * PER_HOUR))
    tracemalloc.start()
    try:
        sink.player = Mixer(sink, {OWN_SOURCE: Playout({Codec.PCM: PcmDecoder()})}, clock=sink.clock)
        sink.player.run(lambda _: None)
    finally:
        tracemalloc.stop()
    return {"hours": hours, "kilobytes": sink.kilobytes}


def cancelling(seconds: int = 10) -> dict[str, float]:
    """Processor time of the cancellation in percent of a core, while the other side speaks: WebRTC's canceller alone,
    and behind the adaptive filter."""
    far = (np.random.default_rng(0).standard_normal(seconds * RATE) * 3000).astype(np.int16)
    near = np.roll(far, ECHO_LAG) // 4

    def through(canceller: Canceller | TwoStages) -> None:
        if isinstance(canceller, TwoStages):
            canceller.place(ECHO_LAG, -12.0)
        for at in range(0, len(far), WHOLE):
            canceller.process(near[at : at + WHOLE], far[at : at + WHOLE])

    alone, both = (fastest(lambda kind=kind: through(kind())) for kind in (Canceller, TwoStages))
    return {"percent": round(100 * both / seconds, 1), "times_webrtc": round(both / alone, 1)}


def measure() -> dict[str, Any]:
    return {
        "frames": frames(),
        "start_up": start_up(),
        "allocation": allocation(),
        "growth": growth(),
        "cancelling": cancelling(),
        "calls": handshake.calls(),
        "siege": handshake.siege(),
    }


def table(figures: dict[str, Any]) -> str:
    start, alloc, grown = figures["start_up"], figures["allocation"], figures["growth"]
    siege, plain = figures["siege"], figures["calls"]["plain"]
    rows = [
        "| a frame of 20 ms of voice | frames/s | times the floor |",
        "| --- | --- | --- |",
        *(f"| {name} | {row['per_second']:,} | {row['times_floor']} |" for name, row in figures["frames"].items()),
        "",
        f"`voicemux --help` takes {start['ratio']} times as long as `python -c pass`"
        f" ({start['help_ms']} to {start['bare_ms']} ms).",
        f"A frame takes {alloc['bytes_at_peak']:.0f} bytes while it is received and leaves"
        f" {alloc['bytes_left_per_frame']}.",
        f"Through {grown['hours']} simulated hours a player holds {min(grown['kilobytes'])} to"
        f" {max(grown['kilobytes'])} kB (at first {grown['kilobytes'][0]}, at last {grown['kilobytes'][-1]}).",
        f"Cancelling echo takes {figures['cancelling']['percent']} % of a core while the other side speaks,"
        f" {figures['cancelling']['times_webrtc']} times as much as WebRTC's canceller alone.",
        "",
        "| a call, from the start of the program | ms | times plain | CPU of both sides, ms |",
        "| --- | --- | --- | --- |",
        *(
            f"| {way} | {row['call_ms']} | {row['call_ms'] / plain['call_ms']:.1f} | {row['cpu_ms']} |"
            for way, row in figures["calls"].items()
        ),
        "",
        f"While {siege['connections']} strangers hold on to all that they can get, a listener has"
        f" {siege['megabytes_during']} MB instead of {siege['megabytes_before']}, has spent {siege['cpu_ms']} ms,"
        f" and a friend is through in {siege['friend_ms']} ms; alone, with a code, in {siege['friend_alone_ms']}.",
    ]
    return "\n".join(rows)
