"""From AUDIO messages to samples: the voice of one source. The jitter buffer says what is played, the codec how.

Time is an argument: what asks for samples says when they will be played.
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

MAX_ARRIVED = 512  # packets between the demultiplexer and the playing thread: 10 s of usual ones
QUIET = 100.0**2  # mean square (-50 dB) below which a cut or an insertion is not heard
WORTHWHILE = RATE * 20 // 1000  # samples: less than this at a time holds no pitch period and its double
SMOOTHING = 0.05  # of the reported delay: about a second of usual packets


@dataclass(frozen=True)
class Figures:
    """How the playing goes: packets, milliseconds, parts per million."""

    received: int
    late: int
    concealed: int  # made up, or not to be decoded
    shortened_ms: float
    lengthened_ms: float
    packet_ms: float  # the length of the peer's packets, and what its codec looks ahead
    buffer_ms: float  # playout delay, from the arrival of a packet on, but for what it came later than others
    playout_ms: float  # the sink's part
    drift_ppm: float | None
    xruns: int


class Playout:
    """`put()` belongs to the demultiplexer, `take_in()` and `render()` to the thread that plays, the rest to any."""

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
        # A truth value is another line, and whether its packets go on behind those of the one before.
        self._arrived: deque[tuple[Audio, float] | bool] = deque(maxlen=MAX_ARRIVED)
        self._account = account or Account(None, 0)
        self._jitter = JitterBuffer(max_delay, self._account.not_played)
        self._decoder: Decoder | None = None  # of the last packet
        self._packet_samples = 960  # of the last packet; until there is one, the usual 20 ms
        self._lookahead_ms = 0.0
        self._noise = ComfortNoise(channels)
        self._past: Samples = no_sound(LONGEST_PERIOD, channels)  # what was played last
        self._ending: Samples = no_sound(0, channels)  # how it would go on; empty if it goes on
        self._delay = 0.0  # playout delay in seconds, smoothed
        self._wait = 0.0  # of that, the part that was spent here
        self._newest: Audio | None = None
        self._received = 0  # changed by the demultiplexer only, what follows by the playing thread only
        self._late = 0  # packets whose whole time was over when they came
        self._concealed = 0.0  # packets
        self._undecodable = 0
        self._shortened = 0  # samples
        self._lengthened = 0  # samples

    def put(self, audio: Audio, arrival: float) -> None:
        """Take a packet, and the time at which it came. Does not wait."""
        self._received += bool(audio.data)
        self._newest = audio
        self._arrived.append((audio, arrival))

    def begin_again(self, *, goes_on: bool = False) -> None:
        """What comes from now on comes by another line; `goes_on`: behind what came before, without a gap. Any
        thread."""
        self._arrived.append(goes_on)

    def take_in(self) -> bool:
        """Take note of what has come. Whether there is something to play."""
        while self._arrived:
            arrived = self._arrived.popleft()
            if isinstance(arrived, bool):
                self._jitter.begin_again(goes_on=arrived)
            else:
                self._jitter.put(*arrived)
        return not self._jitter.empty

    @property
    def silent(self) -> bool:
        """Whether the peer does not speak, so that nothing is missing if nothing comes."""
        return self._jitter.position is None

    def render(self, now: float, reserve: float) -> Samples:
        """What is to be played at the time `now`, at least one sample.

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
        """How the playing goes. The numbers may be a moment old; the arguments are the sink's."""
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
        """What the peer is told of its voice; None until it was heard. `playout_ms` is the sink's part."""
        newest = self._newest
        if newest is None:
            return None
        played = (self._jitter.position or newest.timestamp) % 2**32
        delay = min(65535, max(0, int(self._delay * 1000 + playout_ms)))
        return Report(newest.source, newest.sequence, played, delay, int(self._jitter.target * 1000))

    def round_trip(self, seconds: float) -> None:
        """The shortest of the last round trips: see `JitterBuffer.round_trip`."""
        self._jitter.round_trip(seconds)

    def _play(self, play: Play) -> Samples:
        if not play.joins:
            self._prepare_to_join()
        sound, fit = self._decode(play)
        sound = sound[play.missed :]
        if not len(sound):  # decoded all the same: the codec must have heard it
            self._late += 1
            self._account.not_played(play.audio, "late")
            return sound
        self._account.played(play.audio, len(sound), play.missed, self._jitter)
        # Short packets are shortened several at a time.
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
        """`sound` with its surplus cut out, or its lack made up, as far as that is not heard."""
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
        """Noise, faded into from whatever came before it."""
        if self._decoder is not None:
            self._prepare_to_join()
            self._decoder = None
        noise = self._noise.make(samples)
        if len(self._ending):
            noise, self._ending = join(self._ending, noise), self._ending[:0]
        return noise

    def _prepare_to_join(self) -> None:
        """What comes next does not continue what came before: have the end of what came before, to fade from it."""
        if not len(self._ending):
            decoder = self._decoder
            self._ending = from_bytes(decoder.conceal(FADE), self._channels) if decoder else self._noise.make(FADE)


def _mean_square(sound: Samples) -> float:
    floats = sound.astype(np.float32).ravel()
    return float(np.dot(floats, floats)) / max(1, len(floats))
