"""Measures a call: its round trips and bit rates, and all its figures in one place."""

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from voicemux.calls.voice import Player, VoiceSender
from voicemux.events import Stats
from voicemux.net.stream import Stream
from voicemux.protocol.messages import Ping, Pong
from voicemux.sending.back import Journey
from voicemux.sending.schedule import SentCounts

LOOK_INTERVAL = 0.1  # seconds between two looks of the timer, and between REPORTs
MOST_PINGS = 16  # PINGs for whose PONGs we wait; older ones are given up
ROUND_TRIPS = 10  # round trips that are kept; the shortest stands for the network without a queue
CALM = 0.015  # seconds above the shortest round trip up to which no queue is assumed on the line
RATE_SPAN = 20  # looks over which bit rates are averaged: 2 s


class Vitals:
    """The measurements of one call. The timer calls `look()`, the writer `ping()`, the demultiplexer `answered()`,
    any thread the rest."""

    def __init__(
        self,
        stream: Stream,
        sent: SentCounts,
        transmitter: VoiceSender | None,
        player: Player | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._stream = stream
        self._sent = sent
        self._transmitter = transmitter
        self._player = player
        # PINGs without a PONG, each as its random data, which tells the peer nothing, and the time at which it was
        # written.
        self._pings: deque[tuple[bytes, float]] = deque(maxlen=MOST_PINGS)
        self._on_its_way: Journey | None = None  # the last known one
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)  # milliseconds
        self._shortest = float("inf")  # shortest round trip on this connection, in seconds
        self._started = self._clock()
        self._before = (0, 0)  # bytes written and read on earlier connections
        self._rates = deque([(self._started, *self._bytes)], maxlen=RATE_SPAN)

    def begin_again(self, stream: Stream) -> None:
        """Another connection carries the call: forget the round trips of the old one."""
        self._before = self._bytes
        self._stream = stream
        self._pings.clear()
        self._round_trips.clear()
        self._shortest = float("inf")
        self._on_its_way = None

    @property
    def _bytes(self) -> tuple[int, int]:
        """Bytes written and read in this call, on all its connections."""
        return self._before[0] + self._stream.bytes_written, self._before[1] + self._stream.bytes_read

    def look(self, now: float) -> None:
        """Note how many bytes have been written and read by `now`, in seconds."""
        self._rates.append((now, *self._bytes))

    def heard(self, on_its_way: Journey | None) -> None:
        """Note how long the peer's voice takes to arrive now; None: none arrives."""
        if on_its_way is not None:
            self._on_its_way = on_its_way

    def ping(self) -> Ping:
        """Return a PING that is written now."""
        data = secrets.token_bytes(8)
        self._pings.append((data, self._clock()))
        return Ping(data)

    def answered(self, pong: Pong) -> float | None:
        """Return the round trip in seconds; None if we have sent no such PING, or given it up."""
        if pong.data not in [data for data, _ in self._pings]:
            return None
        while True:
            data, written = self._pings.popleft()
            if data == pong.data:
                break
        seconds = self._clock() - written
        self._shortest = min(self._shortest, seconds)
        self._round_trips.append(seconds * 1000)
        return seconds

    @property
    def shortest_round_trip(self) -> float:
        """The shortest recent round trip, in seconds. There must have been one."""
        return min(self._round_trips) / 1000

    def known_round_trip(self) -> float | None:
        """The shortest recent round trip in seconds; None if there was none on this connection."""
        found = list(self._round_trips)
        return min(found) / 1000 if found else None

    @property
    def calm(self) -> bool:
        """Whether no queue stands on the line: the last round trip was as short as the shortest, and the PING under
        way has not taken longer."""
        limit = self._shortest + CALM
        return self._last_took_at_most(limit) and all(
            self._clock() - written <= limit for _, written in list(self._pings)[:1]
        )

    @property
    def roomy(self) -> bool:
        """Whether the line has room to spare: the last PING, which waits behind voice, took no longer than the
        shortest round trip of TCP, which the kernel measures. Otherwise, voice may take up most of the line: a packet
        of voice takes 19 ms at 64 kbit/s, and less than `CALM` from 80 kbit/s on."""
        empty = self._stream.min_round_trip()
        return self._last_took_at_most((self._shortest if empty is None else empty) + CALM)

    def _last_took_at_most(self, seconds: float) -> bool:
        return any(round_trip <= seconds * 1000 for round_trip in list(self._round_trips)[-1:])

    def stats(self, texts_received: int, on_its_way: Journey | None, *, is_over: bool = False) -> Stats:
        """Return all figures. `on_its_way` is how long the peer's voice takes to arrive; None while none arrives: if
        the call `is_over`, the last known value is used."""
        on_its_way = self._on_its_way if on_its_way is None and is_over else on_its_way
        sent, figures = self._sent, self._player.figures if self._player else None
        round_trips = list(self._round_trips)
        parts: list[float | None] = [None] * 5
        if figures and figures.received and on_its_way is not None:
            # The peer's capture delay is not known, so ours stands for it.
            capture = self._transmitter.capture_ms if self._transmitter else 0.0
            parts = [capture, figures.packet_ms, on_its_way.seconds * 1000, figures.buffer_ms, figures.playout_ms]
        capture_ms, packet_ms, network_ms, buffer_ms, playout_ms = [_rounded(part) for part in parts]
        written, read = self._bytes
        (began, sent_then, received_then), ended = self._rates[0], self._clock()
        span = max(ended - began, LOOK_INTERVAL)
        return Stats(
            seconds=round(ended - self._started, 1),
            round_trip_ms=_rounded(round_trips[-1] if round_trips else None),
            mouth_to_ear_ms=_rounded(sum(filter(None, parts)) if any(parts) else None),
            capture_ms=capture_ms,
            packet_ms=packet_ms,
            network_ms=network_ms,
            buffer_ms=buffer_ms,
            playout_ms=playout_ms,
            drift_ppm=_rounded(figures.drift_ppm if figures else None),
            kbit_sent=round((written - sent_then) * 8e-3 / span, 1),
            kbit_received=round((read - received_then) * 8e-3 / span, 1),
            audio_sent=sent.audio,
            audio_dropped=sent.dropped,
            audio_received=figures.received if figures else 0,
            audio_late=figures.late if figures else 0,
            audio_concealed=figures.concealed if figures else 0,
            shortened_ms=round(figures.shortened_ms) if figures else 0,
            lengthened_ms=round(figures.lengthened_ms) if figures else 0,
            xruns=(figures.xruns if figures else 0) + (self._transmitter.xruns if self._transmitter else 0),
            echo=self._transmitter.echo if self._transmitter else "not needed",
            echo_db=_rounded(self._transmitter.echo_db if self._transmitter else None),
            texts_sent=sent.texts,
            texts_received=texts_received,
            bytes_sent=written,
            bytes_received=read,
            relay=self._stream.relay,
            **self._levels(),
        )

    def _levels(self) -> dict[str, Any]:
        """The figures of loudness, by their names in `Stats`."""
        own = self._transmitter.levels if self._transmitter else None
        theirs = self._player.levels if self._player else None
        return {
            "input_level_db": _rounded(own.level_db if own else None),
            "input_peak_db": _rounded(own.peak_db if own else None),
            "input_clipped": own.clipped if own else 0,
            "speaking": self._transmitter.gate.speaks if self._transmitter else None,
            "their_level_db": _rounded(theirs.level_db if theirs else None),
        }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)
