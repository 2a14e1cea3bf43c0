"""The tones when the line is lost and when it is back, judged by their frequencies."""

from pathlib import Path

import numpy as np
import pytest

from tests.audio.listening import on_time
from tests.audio.speech import pitch
from tests.audio.speech import tone as steady_tone
from tests.audio.tape import Tape, packets_of
from voicemux.audio.choices import SoundFile
from voicemux.audio.codec import make_decoders
from voicemux.audio.endpoints import RATE
from voicemux.audio.playout.jitter import MAX_DELAY
from voicemux.audio.playout.limiter import CEILING, Limiter
from voicemux.audio.playout.mixer import Mixer
from voicemux.audio.playout.playout import Playout
from voicemux.audio.playout.tones import HIGH, LOW, Tones
from voicemux.audio.processing import Processing
from voicemux.audio.resample import Samples
from voicemux.audio.studio import Studio
from voicemux.protocol.messages import OWN_SOURCE

BEGIN = 0.2  # seconds until the tone
WINDOW = 0.08  # seconds: 12 Hz from one frequency to the next
NEAR = 17.0  # Hz
HEARD = 1e-3  # of full scale (effective value)


def played(
    kind: str, voice: Samples | None = None, *, deafened: bool = False, limiter: Limiter | None = None
) -> Tape:
    """A second in which the line is lost ("fall") or comes back ("rise") after 0.2 s, and `voice` is heard."""
    tones = Tones()
    arrivals = [] if voice is None else on_time(packets_of(voice))

    due = [getattr(tones, kind)]

    def begin(_: int) -> None:
        if due and tape.samples_written >= BEGIN * RATE:
            due.pop()()

    tape = Tape(1.0, arrivals, before=begin)
    player = tape.played_by({OWN_SOURCE: Playout(make_decoders())}, tones=tones, limiter=limiter)
    player.deafened = deafened
    player.run(lambda since: None)
    return tape


def loudness(sound: Samples) -> float:
    return float(np.sqrt(np.mean((sound / 32768.0) ** 2)))


def ends_of_tone(heard: Samples) -> tuple[float, float]:
    """The pitches at its beginning and its end."""
    audible = np.flatnonzero(heard)
    window = int(WINDOW * RATE)
    return pitch(heard[audible[0] : audible[0] + window]), pitch(heard[audible[-1] - window : audible[-1]])


@pytest.mark.parametrize(("kind", "begin", "end"), [("fall", HIGH, LOW), ("rise", LOW, HIGH)])
@pytest.mark.parametrize("deafened", [False, True])
def test_a_lost_line_falls_and_a_line_that_is_back_rises(kind: str, begin: float, end: float, deafened: bool) -> None:
    heard = played(kind, deafened=deafened).heard
    assert ends_of_tone(heard) == (pytest.approx(begin, abs=NEAR), pytest.approx(end, abs=NEAR))
    assert np.flatnonzero(heard)[0] / RATE == pytest.approx(BEGIN, abs=0.02), "it begins at once"
    assert (np.flatnonzero(heard)[-1] - np.flatnonzero(heard)[0]) / RATE < 0.3, "it is short"
    assert np.abs(np.diff(heard.astype(int))).max() < 400, "it does not click"


def test_a_tone_is_added_to_the_voice_and_stays_below_the_ceiling() -> None:
    loud = steady_tone(1500, 1.0, peak=30_000)
    heard = played("fall", loud, limiter=Limiter()).heard
    assert np.abs(heard).max() <= CEILING
    during = heard[int(0.22 * RATE) : int(0.28 * RATE)]
    spectrum = np.abs(np.fft.rfft(during * np.hanning(len(during)), RATE))
    before = heard[int(0.12 * RATE) : int(0.18 * RATE)]
    silence = np.abs(np.fft.rfft(before * np.hanning(len(before)), RATE))
    assert spectrum[int(HIGH)] > 10 * silence[int(HIGH)]
    assert pitch(during) == pytest.approx(1500, abs=NEAR)


def test_a_line_that_comes_and_goes_is_told_by_its_last_changes() -> None:
    tones = Tones()
    for _ in range(50):
        tones.fall()
        tones.rise()
    sound = tones.add(np.zeros(RATE * 5, np.int16))
    sound = np.concatenate([sound, tones.add(np.zeros(RATE * 5, np.int16)), tones.add(np.zeros(RATE, np.int16))])
    assert np.count_nonzero(np.abs(sound) > 100) / RATE < 1.0


def test_what_the_loudspeaker_plays_of_it_is_known_to_what_cancels_echoes() -> None:
    class Kept(Processing):
        pcm = b""

        def rendered(self, pcm: bytes, at: float) -> None:
            self.pcm += pcm

    tones, kept, tape = Tones(), Kept(), Tape(0.5)
    tones.fall()
    tape.played_by({OWN_SOURCE: Playout(make_decoders())}, tones=tones, processing=kept).run(lambda since: None)
    assert loudness(tape.heard) > HEARD
    assert kept.pcm == b"".join(tape.pieces)


def test_files_have_no_tones(tmp_path: Path) -> None:
    studio = Studio()
    studio.open_output(SoundFile(str(tmp_path / "heard.wav")))
    studio.record(str(tmp_path / "kept.wav"))
    for player in (studio.make_player(MAX_DELAY, tones=Tones()), studio.make_recorder(MAX_DELAY)):
        assert isinstance(player, Mixer)
        assert player.tones is None
    studio.close()
