"""Who speaks when codec settings are measured: people and synthesizers from Debian's packages, one clip of each.

A setting that is chosen on one voice is right for that voice. The packages are those of Debian 12 and 13, and
`scripts/setup test` installs them. A clip is 9 s at 48 kHz and -26 dBov: words, letters or sentences, one behind the
other as they are in the package, with short pauses.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicemux.audio.endpoints import RATE
from voicemux.audio.files import load
from voicemux.audio.resample import Resampler, Samples

SECONDS = 9
LEVEL = -26.0  # dB of full scale, while somebody speaks: what ITU-T P.862 wants
ACTIVE = 1 / 1000  # of the loudest 20 ms: less is no speech
LOOK = RATE // 50  # samples whose power is taken together
PAUSE = RATE // 5  # samples between two pieces
EDGE = RATE // 200  # samples over which a piece begins and ends, without a click
LEAST = 20  # speakers; with fewer the worst says little

LETTERS = Path("/usr/share/klettres")  # letters and syllables, each language by one person
FISH = Path("/usr/share/games/fillets-ng/sound")  # the dialogues of two actors for each language
READERS = Path("/usr/share/pocketsphinx/test/data")
TUBERLING = Path("/usr/share/ktuberling/sounds")  # the parts of a face, of a house: each language by one person
PROMPTS = Path("/usr/share/asterisk/sounds")  # of a telephone exchange, each language by one person; 8 kHz
SPEAKER_TEST = Path("/usr/share/sounds/alsa")
LANGUAGES = (
    *("ar", "cs", "da", "de", "en", "en_GB", "es", "fr", "he", "hu"),
    *("it", "lt", "ml", "nb", "nds", "nl", "pt_BR", "ru", "tn", "uk"),
)
# Nothing is chosen by these: they show whether what was chosen by the others holds.
ASIDE = frozenset({"letters-ar", "letters-en_GB", "letters-fr", "letters-hu", "letters-lt", "letters-uk"})
# Who says words alone: kept aside from all that was chosen, the second criterion of `voicemux.audio.activity` too.
TUBERLING_LANGUAGES = (
    *("ca", "da", "de", "el", "en", "es", "fi", "fr", "ga", "gl", "it", "lt", "nds"),
    *("nl", "nn", "pt", "ro", "ru", "sl", "sr", "sv", "uk", "wa"),
)
PROMPT_VOICES = ("es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
SAID = (
    "The beauty of the view stunned the young boy. Two blue fish swam in the tank. "
    "Her purse was full of useless trash. The colt reared and threw the tall rider. "
    "It snowed, rained, and hailed the same morning. Read verse out loud for pleasure."
)  # of the Harvard sentences (IEEE 1969)

Floats = NDArray[np.float64]


class SpeakersMissing(RuntimeError):
    """There are too few of them here to measure anything by."""


@dataclass(frozen=True)
class Speaker:
    """`source` is the package that has the voice."""

    name: str
    source: str
    is_human: bool
    samples: Samples

    @property
    def is_aside(self) -> bool:
        return self.name in ASIDE


class Voice(NamedTuple):
    """Where a speaker comes from."""

    name: str
    source: str
    is_human: bool
    pieces: Callable[[], Iterable[Samples]]


@cache
def speakers() -> tuple[Speaker, ...]:
    """All of them, always in the same order. Raises SpeakersMissing if there are fewer than `LEAST`."""
    found = {voice.name: _speaker(voice) for voice in VOICES}
    here = [each for each in found.values() if each]
    if len(here) < LEAST:
        packages = ", ".join(sorted({voice.source for voice in VOICES if not found[voice.name]}))
        raise SpeakersMissing(
            f"{len(here)} speakers are here, and {LEAST} are needed: scripts/setup test installs {packages}"
        )
    return tuple(here)


def speaker(name: str) -> Speaker:
    """One of them. Raises SpeakersMissing."""
    voice = next(voice for voice in VOICES if voice.name == name)
    if not (found := _speaker(voice)):
        raise SpeakersMissing(f"{name} is not here: scripts/setup test installs {voice.source}")
    return found


def tuned() -> list[Speaker]:
    """Those by which settings are chosen."""
    return [each for each in speakers() if not each.is_aside]


def aside() -> list[Speaker]:
    """Those by which none is."""
    return [each for each in speakers() if each.is_aside]


def _files(folder: Path, pattern: str) -> Iterator[Samples]:
    for path in sorted(folder.glob(pattern)):
        yield _loaded(path)


def _synthetic(*command: str) -> Iterator[Samples]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        try:
            subprocess.run([*command, str(path)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return
        yield _loaded(path)


def _all_voices() -> Iterator[Voice]:
    yield Voice("alsa", "alsa-utils", True, partial(_files, SPEAKER_TEST, "[FRS]*.wav"))
    yield Voice("austen", "pocketsphinx-testdata", True, partial(_files, READERS / "librivox", "*.wav"))
    yield Voice("cards", "pocketsphinx-testdata", True, partial(_files, READERS / "cards", "*.wav"))
    for language in ("cs", "nl"):
        for fish, letter in (("small", "m"), ("large", "v")):
            pieces = partial(_files, FISH, f"*/{language}/*-{letter}-*.ogg")
            yield Voice(f"fish-{language}-{fish}", f"fillets-ng-data-{language}", True, pieces)
    for language in LANGUAGES:
        yield Voice(f"letters-{language}", "klettres-data", True, partial(_files, LETTERS / language, "*/*.ogg"))
    for name in ("awb", "kal16", "rms", "slt"):
        yield Voice(f"flite-{name}", "flite", False, partial(_synthetic, "flite", "-voice", name, "-t", SAID, "-o"))
    for name in ("en-us+m3", "en-gb+f2", "de+m1"):
        yield Voice(f"espeak-{name}", "espeak-ng", False, partial(_synthetic, "espeak-ng", "-v", name, SAID, "-w"))


def _word_voices() -> Iterator[Voice]:
    for language in TUBERLING_LANGUAGES:
        yield Voice(f"words-{language}", "ktuberling-data", True, partial(_files, TUBERLING / language, "*.*"))
    for name in PROMPT_VOICES:
        source = f"asterisk-core-sounds-{name[:2]}-wav"
        yield Voice(f"prompts-{name[:2]}", source, True, partial(_files, PROMPTS / name / "digits", "*.wav"))


VOICES = tuple(_all_voices())
WORD_VOICES = tuple(_word_voices())


def _speaker(voice: Voice) -> Speaker | None:
    clip = _clip(voice.pieces())
    return None if clip is None else Speaker(voice.name, voice.source, voice.is_human, clip)


def _loaded(path: Path) -> Samples:
    samples, rate = load(str(path))
    return Resampler(rate, RATE).process(samples, last=True)


def _clip(pieces: Iterable[Samples]) -> Samples | None:
    """The clip, if there is enough for one."""
    wanted, gathered = SECONDS * RATE, np.zeros(0)
    for piece in pieces:
        gathered = np.concatenate((gathered, _spoken(piece.astype(np.float64)), np.zeros(PAUSE)))
        if len(gathered) >= wanted:
            break
    if len(gathered) < wanted:
        return None
    power = _powers(gathered[:wanted])
    gain = np.sqrt(10 ** (LEVEL / 10) * 32768**2 / power[power > power.max() * ACTIVE].mean())
    clip: Samples = np.clip(np.rint(gathered[:wanted] * gain), -32768, 32767).astype(np.int16)
    return clip


def _spoken(piece: Floats) -> Floats:
    """Without the silence around it."""
    power = _powers(piece)
    if not len(power) or not power.max():
        return piece[:0]
    loud = np.flatnonzero(power > power.max() * ACTIVE)
    spoken = piece[max(0, loud[0] - 1) * LOOK : (loud[-1] + 2) * LOOK].copy()
    rise = np.linspace(0, 1, EDGE)
    spoken[:EDGE] *= rise
    spoken[-EDGE:] *= rise[::-1]
    return spoken


def _powers(samples: Floats) -> Floats:
    """The mean square of each 20 ms."""
    return np.asarray((samples[: len(samples) // LOOK * LOOK].reshape(-1, LOOK) ** 2).mean(axis=1))
