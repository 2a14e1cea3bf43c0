"""Plays the voice of one source, from AUDIO messages to samples. The jitter buffer chooses the packet, the codec
decodes it.

Time is an argument: the caller that asks for samples says when they will be heard.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voicemux.audio.codec import Decoder, lookahead_ms
from voicemux.audio.endpoints import RATE
from voicemux.audio.pcm import UndecodableError
from voicemux.audio.playout.account import Account
from voicemux.audio.playout.jitter import MAX_DELAY, Conceal, Fit, JitterBuffer, Play
from voicemux.audio.playout.stretch import FADE, LONGEST_PERIOD, ComfortNoise, join, lengthen, shorten
from voicemux.audio.resample import Samples, from_bytes, no_sound
from voicemux.protocol.messages import Audio, Report

MAX_ARRIVED = 512  # packets in the queue between the demultiplexer and the playing thread: 10 s of 20 ms packets
QUIET = 100.0**2  # mean square (-50 dB) below which a cut or an insertion is not heard
WORTHWHILE = RATE * 20 // 1000  # samples (20 ms): a shorter piece cannot hold two pitch periods
SMOOTHING = 0.05  # share of the newest delay in the reported one: about a second of usual packets


@dataclass(frozen=True)
class Figures:
    """Figures of the playout: packets, milliseconds, parts per million."""

    received: int
    late: int
    concealed: int  # packets that were concealed, or could not be decoded
    shortened_ms: float
    lengthened_ms: float
    packet_ms: float  # length of the peer's packets, plus the lookahead of its codec
    buffer_ms: float  # time that a packet waits here: the playout delay without the lateness of the line
    playout_ms: float  # delay of the sink
    drift_ppm: float | None
    xruns: int


class Playout:
    """The playout of one source. The demultiplexer calls `put()`, the playing thread `take_in()` and `render()`, any
    thread the rest."""

    def __init__(
        self,
        decoders: Mapping[int, Decoder],
        max_delay: float = MAX_DELAY,
        account: Account | None = None,
        channels: int = 1,
    ) -> None:
        """`decoders` are by codec, and used by nothing else. `max_delay` is the most playout delay, in seconds.

        `account` hears how each packet is played. All decoders make `channels` channels.
        """
        self._channels = channels
        self._decoders = decoders
        # A bool in it means another line, and whether its packets follow without a gap.
        self._arrived: deque[tuple[Audio, float] | bool] = deque(maxlen=MAX_ARRIVED)
        self._account = account or Account(None, 0)
        self._jitter = JitterBuffer(max_delay, self._account.not_played)
        self._decoder: Decoder | None = None  # decoder of the last packet
        self._packet_samples = 960  # length of the last packet; before the first, the usual 20 ms
        self._lookahead_ms = 0.0
        self._noise = ComfortNoise(channels)
        self._past: Samples = no_sound(LONGEST_PERIOD, channels)  # what was played last
        # How the last sound would continue, to fade from; empty if it does continue.
        self._ending: Samples = no_sound(0, channels)
        self._delay = 0.0  # playout delay in seconds, smoothed
        self._wait = 0.0  # the part of `_delay` that packets spend here, smoothed
        self._newest: Audio | None = None
        self._received = 0  # only the demultiplexer changes this; only the playing thread what follows
        self._late = 0  # packets that were entirely too late
        self._concealed = 0.0  # packets
        self._undecodable = 0
        self._shortened = 0  # samples
        self._lengthened = 0  # samples

    def put(self, audio: Audio, arrival: float) -> None:
        """Queue a packet with the time at which it came. Does not wait."""
        self._received += bool(audio.data)
        self._newest = audio
        self._arrived.append((audio, arrival))

    def begin_again(self, *, goes_on: bool = False) -> None:
        """From now on, packets come by another line. `goes_on`: they follow those before without a gap. Any thread
        may call it."""
        self._arrived.append(goes_on)

    def take_in(self) -> bool:
        """Pass what has come to the jitter buffer. Returns whether there is something to play."""
        while self._arrived:
            arrived = self._arrived.popleft()
            if isinstance(arrived, bool):
                self._jitter.begin_again(goes_on=arrived)
            else:
                self._jitter.put(*arrived)
        return not self._jitter.empty

    @property
    def silent(self) -> bool:
        """Whether the peer pauses, so that nothing is missing if nothing comes."""
        return self._jitter.position is None

    def render(self, now: float, reserve: float) -> Samples:
        """Return what to play from the time `now` on, at least one sample.

        `reserve` is the least playout delay in seconds, which the sink needs.
        """
        self._jitter.least_target = reserve
        sound: Samples = no_sound(0, self._channels)
        while not len(sound):
            action = self._jitter.next(now)
            if isinstance(action, Play):
                sound = self._play(action)
            elif isinstance(action, Conceal):
                sound = self._conceal(action)
                self._account.filled(action)
            else:
                sound = self._background(action.ticks)
                self._account.filled(action)
        self._past = np.concatenate((self._past, sound))[-LONGEST_PERIOD:]
        return sound

    def figures(self, playout_ms: float, xruns: int) -> Figures:
        """Return the figures. They may be a moment old; the arguments are the sink's."""
        return Figures(
            received=self._received,
            late=self._jitter.late + self._late,
            concealed=round(self._concealed) + self._undecodable,
            shortened_ms=self._shortened * 1000 / RATE,
            lengthened_ms=self._lengthened * 1000 / RATE,
            packet_ms=self._packet_samples * 1000 / RATE + self._lookahead_ms,
            buffer_ms=self._wait * 1000,
            playout_ms=playout_ms,
            drift_ppm=self._jitter.drift_ppm,
            xruns=xruns,
        )

    def report(self, playout_ms: float) -> Report | None:
        """Return what to tell the peer of its voice; None before any came. `playout_ms` is the sink's delay."""
        newest = self._newest
        if newest is None:
            return None
        played = (self._jitter.position or newest.timestamp) % 2**32
        delay = min(65535, max(0, int(self._delay * 1000 + playout_ms)))
        return Report(newest.source, newest.sequence, played, delay, int(self._jitter.target * 1000))

    def round_trip(self, seconds: float) -> None:
        """Pass on the shortest of the last round trips, in seconds: see `JitterBuffer.round_trip`."""
        self._jitter.round_trip(seconds)

    def _play(self, play: Play) -> Samples:
        if not play.joins:
            self._prepare_to_join()
        sound, fit = self._decode(play)
        sound = sound[play.missed :]
        if not len(sound):  # it was decoded though it is too late, because the next packet depends on it
            self._late += 1
            self._account.not_played(play.audio, "late")
            return sound
        self._account.played(play.audio, len(sound), play.missed, self._jitter)
        # Several short packets are taken together, to be shortened.
        while len(sound) < WORTHWHILE and fit.surplus_in_pause > 0 and (following := fit.take_along()):
            more, fit = self._decode(following)
            self._account.played(following.audio, len(more), 0, self._jitter)
            sound = np.concatenate((sound, more))
        if len(self._ending):
            sound, self._ending = join(self._ending, sound), self._ending[:0]
        self._delay += SMOOTHING * (self._jitter.delay - self._delay) if self._delay else self._jitter.delay
        self._wait += SMOOTHING * (self._jitter.wait - self._wait) if self._wait else self._jitter.wait
        return self._fitted(sound, fit)

    def _fitted(self, sound: Samples, fit: Fit) -> Samples:
        """Return `sound` shortened or lengthened by its surplus, as far as that is not heard."""
        level = _mean_square(sound)
        self._noise.learn(sound, level)
        quiet = level < QUIET
        surplus = fit.surplus_in_pause if quiet else fit.surplus_in_speech
        if surplus > 0:
            fitted = shorten(sound, surplus, any_length=quiet)
            self._shortened += len(sound) - len(fitted)
        elif surplus < 0:
            fitted = lengthen(self._past, sound, -surplus, any_length=quiet)
            self._lengthened += len(fitted) - len(sound)
        else:
            return sound
        self._account.stretched(len(fitted) - len(sound), quiet=quiet)
        if not quiet and len(fitted) != len(sound):
            fit.stretched()
        return fitted

    def _decode(self, play: Play) -> tuple[Samples, Fit]:
        audio = play.audio
        self._decoder = self._decoders.get(audio.codec)
        try:
            if self._decoder is None:
                raise UndecodableError("a codec that was not offered")
            sound = from_bytes(self._decoder.decode(audio.data), self._channels)
        except UndecodableError:
            self._undecodable += 1
            self._account.not_played(audio, "undecodable")
            sound = self._noise.make(self._packet_samples)
        self._packet_samples = max(1, len(sound))
        self._lookahead_ms = lookahead_ms(audio.codec, audio.data)
        return sound, play.finish(len(sound))

    def _conceal(self, conceal: Conceal) -> Samples:
        self._concealed += conceal.ticks / self._packet_samples
        if self._decoder is None or conceal.fading:
            return self._background(conceal.ticks)
        return from_bytes(self._decoder.conceal(conceal.ticks), self._channels)

    def _background(self, samples: int) -> Samples:
        """Return comfort noise, crossfaded from the sound before it."""
        if self._decoder is not None:
            self._prepare_to_join()
            self._decoder = None
        noise = self._noise.make(samples)
        if len(self._ending):
            noise, self._ending = join(self._ending, noise), self._ending[:0]
        return noise

    def _prepare_to_join(self) -> None:
        """Get a continuation of the last sound to fade from, because the next sound does not continue it."""
        if not len(self._ending):
            decoder = self._decoder
            self._ending = from_bytes(decoder.conceal(FADE), self._channels) if decoder else self._noise.make(FADE)


def _mean_square(sound: Samples) -> float:
    floats = sound.astype(np.float32).ravel()
    return float(np.dot(floats, floats)) / max(1, len(floats))
