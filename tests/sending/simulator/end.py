"""One end of a call: the real schedule, congestion control, ladder, jitter buffer and vitals; a model microphone and
loudspeaker."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from tests.sending.simulator.tcp import Sender
from tests.sending.simulator.timeline import Timeline
from voicemux.audio.capture.ladder import Ladder
from voicemux.audio.capture.wish import ANY, Wish
from voicemux.audio.playout.jitter import MAX_DELAY, Conceal, Fit, JitterBuffer, Pause
from voicemux.audio.playout.stretch import LONGEST_PERIOD, SHORTEST_PERIOD
from voicemux.calls.vitals import LOOK_INTERVAL, Vitals
from voicemux.protocol.connection import Receiving, Sending
from voicemux.protocol.conversation import Due
from voicemux.protocol.durations import duration
from voicemux.protocol.messages import Arrivals, Audio, Codec, Hello, Message, Ping, Pong, Preface, Report, TextAck
from voicemux.protocol.wire import PREFACE
from voicemux.sending.congestion import CongestionControl
from voicemux.sending.schedule import Schedule

RATE = 48_000
BLOCK = 240  # samples that a loudspeaker wants at a time
AHEAD = 0.010  # seconds between asking for a sound and hearing it
TLS = 22  # bytes around each write
RECORD = struct.Struct(">H20x")
TOCS: dict[float, int] = {
    5: 29 << 3,
    10: 30 << 3,
    20: 31 << 3,
    40: 10 << 3,
    60: 11 << 3,
}  # first bytes of Opus, by milliseconds
REPORT_EVERY = 10  # looks, to a peer that goes by ARRIVALS


class SimulatedStream:
    """What a `Stream` is to those who write."""

    timeout = 15.0

    def __init__(self, sender: Sender) -> None:
        self.bytes_written = self.bytes_read = 0
        self._sender = sender

    def write(self, data: bytes) -> None:
        self._sender.write(RECORD.pack(len(data)) + data)
        self.bytes_written += len(data) + TLS

    def bytes_in_flight(self) -> int:
        return self._sender.written - self._sender.acknowledged

    def bytes_unsent(self) -> int:
        return self._sender.pending

    def min_round_trip(self) -> float | None:
        return self._sender.shortest

    def leave_bbr(self) -> None:
        self._sender.control = "cubic"


class Heard(NamedTuple):
    """A piece of what the loudspeaker plays."""

    time: float
    seconds: float
    delay: float | None  # from mouth to ear; None if it is made up


class Loudspeaker:
    def __init__(self, timeline: Timeline) -> None:
        self.heard: list[Heard] = []
        self.jitter = JitterBuffer(MAX_DELAY)
        self._timeline = timeline
        self._lengths: dict[int, int] = {}
        timeline.at(0.0, self._ask)

    def put(self, audio: Audio) -> None:
        self._lengths[audio.sequence] = duration(audio.codec, audio.data)
        self.jitter.put(audio, self._timeline.now)

    def _ask(self) -> None:
        now = self._timeline.now + AHEAD
        ticks = self._play(now)
        self._timeline.at(self._timeline.now + ticks / RATE, self._ask)

    def _play(self, now: float) -> int:
        while True:
            action = self.jitter.next(now)
            if isinstance(action, Conceal | Pause):
                self.heard.append(Heard(now, action.ticks / RATE, None))
                return action.ticks
            length = self._lengths[action.audio.sequence]
            fit = action.finish(length)
            rest = length - action.missed
            if rest > 0:
                begun = (action.audio.timestamp + action.missed) / RATE
                self.heard.append(Heard(now, rest / RATE, now - begun))
                return self._fit(fit, rest)

    def _fit(self, fit: Fit, ticks: int) -> int:
        surplus = fit.surplus_in_speech
        most = min(abs(surplus), ticks - BLOCK, LONGEST_PERIOD)
        if most < SHORTEST_PERIOD:
            return ticks
        fit.stretched()
        return ticks - most if surplus > 0 else ticks + most


class Sent(NamedTuple):
    """How an end did at a look."""

    time: float
    bitrate: int
    frame_ms: float
    dropped: int  # packets so far
    state: str


class End:
    """One who speaks all the time."""

    def __init__(
        self, timeline: Timeline, sender: Sender, offset: float, *, is_old: bool = False, wish: Wish = ANY
    ) -> None:
        """`offset` is when its first packet begins; `is_old`: it says REPORT, and no ARRIVALS."""
        self.timeline, self.is_old, self.wish = timeline, is_old, wish
        self.stream = SimulatedStream(sender)
        self.sending, self.receiving = Sending(), Receiving()
        self.congestion = CongestionControl()
        self.schedule = Schedule(self.congestion)
        self.ladder = Ladder(wish.usual, wish.brisk, at_once=wish.at_once, is_unasked=wish.is_unasked)
        self.loudspeaker = Loudspeaker(timeline)
        self.vitals = Vitals(self.stream, self.schedule.counts, self, None, lambda: timeline.now)  # type: ignore[arg-type]
        self.sent: list[Sent] = []
        self.estimates: list[tuple[float, float]] = []  # when, and how late it says that the other side is heard
        self.spoken = 0  # packets
        self._sequence = 0
        self._newest: Audio | None = None
        self._looks = 0
        self._stream = bytearray()
        self._pump_at: float | None = None
        self._routes: dict[type, Callable[..., object]] = {
            Audio: self._hear,
            Arrivals: lambda arrivals: self.congestion.on_arrivals(arrivals, timeline.now),
            Report: lambda report: self.congestion.on_report(report, timeline.now),
            Ping: lambda ping: self.schedule.put_control(Pong(ping.data), timeline.now),
            Pong: self._on_pong,
            TextAck: lambda ack: self.schedule.received(ack, timeline.now),
        }
        timeline.at(offset, lambda: self._speak(offset))
        timeline.at(offset + 0.05, self._look)

    @property
    def eager(self) -> bool:
        """As a Transmitter has it."""
        return self.ladder.eager

    def greet(self, peer: "End", round_trip: float) -> None:
        list(peer.receiving.receive(PREFACE + self.sending.encode(Hello())))
        self.congestion.on_kernel_round_trip(round_trip)

    def read(self, data: bytes) -> None:
        """What TCP brings."""
        self.stream.bytes_read += len(data)
        self._stream += data
        while len(self._stream) >= RECORD.size:
            end = RECORD.size + RECORD.unpack_from(self._stream)[0]
            if len(self._stream) < end:
                break
            record = bytes(self._stream[RECORD.size : end])
            del self._stream[:end]
            for message in self.receiving.receive(record):
                self._route(message)
        self._pump()

    def _route(self, message: Preface | Message) -> None:
        self._routes[type(message)](message)

    def _hear(self, audio: Audio) -> None:
        self._newest = audio
        self.congestion.on_audio(audio, self.timeline.now)
        self.loudspeaker.put(audio)

    def _on_pong(self, pong: Pong) -> None:
        round_trip = self.vitals.answered(pong)
        if round_trip is not None:
            self.congestion.on_round_trip(round_trip, self.timeline.now)
            self.loudspeaker.jitter.round_trip(self.vitals.shortest_round_trip)

    def _speak(self, began: float) -> None:
        """A packet is begun now, and is sent when it has been spoken."""
        rung = self.ladder.rung
        seconds = rung.frame_ms / 1000

        def send() -> None:
            self._sequence = (self._sequence + 1) % 2**16
            self.spoken += 1
            data = bytes([TOCS[rung.frame_ms]]).ljust(round(rung.bitrate * seconds / 8), b"\0")
            audio = Audio(Codec.OPUS, 0, self._sequence, round(began * RATE), data)
            self.schedule.put_audio(audio, self.timeline.now)
            self._pump()
            self._speak(began + seconds)

        self.timeline.at(began + seconds, send)

    def _look(self) -> None:
        """The timer's thread."""
        self._looks += 1
        now = self.timeline.now
        self.vitals.look(now)
        if Due.PING in self.schedule.conversation.tick(now, self.stream.bytes_read, quick=self.eager):
            self.schedule.put_ping(self.vitals.ping, now)
        if not self.is_old:
            self.schedule.put_arrivals(now)
        if self._newest and (self._looks % REPORT_EVERY == 0 or not self.congestion.tells_arrivals):
            self.schedule.put_control(Report(0, self._newest.sequence, self._newest.timestamp, 0, 0), now)
        self.congestion.on_unsent(self.stream.bytes_unsent())
        self.congestion.judge(self.ladder, now, calm=self.vitals.calm, roomy=self.vitals.roomy)
        if self.congestion.bbr_starves:
            self.stream.leave_bbr()
        journey = self.congestion.peer_on_its_way(now)
        if journey is not None and self._newest:
            length = duration(self._newest.codec, self._newest.data) / RATE
            self.estimates.append((now, length + journey.seconds + self.loudspeaker.jitter.wait))
        rung, state = self.ladder.rung, self.congestion.state
        self.sent.append(Sent(now, rung.bitrate, rung.frame_ms, self.schedule.counts.dropped, state))
        self._pump()
        self.timeline.at(now + LOOK_INTERVAL, self._look)

    def _pump(self) -> None:
        """The writing thread."""
        now = self.timeline.now
        while messages := self._choose(now):
            before = self.stream.bytes_written
            padding = self.congestion.padding(messages[-1], now)
            self.stream.write(b"".join(map(self.sending.encode, messages)) + padding)
            self.schedule.on_sent(messages, self.stream.bytes_written - before, now)
        deadline = self.schedule.next_deadline(now)
        if deadline is not None and (self._pump_at is None or self._pump_at <= now):
            self._pump_at = deadline
            self.timeline.at(self._pump_at, self._pump)

    def _choose(self, now: float) -> list[Message]:
        self.congestion.on_kernel_ack(self.stream.bytes_in_flight(), now)
        self.congestion.on_unsent(self.stream.bytes_unsent())
        return self.schedule.choose(now)
