"""How well `--mic-mode voice` tells speech from typing: what the gate sends of both.

The thresholds of the detector were chosen with `speakers.tuned()` and every second key; the other speakers and keys
are kept aside. The keys are those of a mechanical keyboard, from Debian's package bucklespring-data.

Recordings of single letters begin with the noise of their microphone, and a click where it was cut. So a beginning is
counted in two ways: from the first sound of the recording on, and from the first that is speech.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.speakers import ASIDE, LEVEL, VOICES, WORD_VOICES, Voice, speaker
from tests.audio.speech import quality
from voicemux.audio.capture.gate import Gate
from voicemux.audio.choices import MicMode
from voicemux.audio.endpoints import RATE
from voicemux.audio.files import load
from voicemux.audio.resample import Resampler, Samples

KEYS = Path("/usr/share/buckle/wav")
TYPED = (-26.0, -32.0, -38.0)  # dB of full scale, of the loudest 2 % of typing
ROOMS = (-62.0, -50.0)  # dB of full scale: the noise of a quiet room, and that of a loud one
TYPING_SECONDS = 60
KEYS_A_SECOND = 6
BATCH = 960  # samples: what a microphone gives at a time
LOOK = RATE // 100  # samples
PIECES = 14  # words or letters of each speaker
LONGEST, SHORTEST = 3 * RATE, RATE // 5  # samples of a piece
PAUSE = RATE * 9 // 10  # samples between two: the gate is shut then
SOFT = -22.0  # dB against speech: what is softer is no beginning
ABOVE = 8.0  # dB above the noise of the recording, likewise
NO_PAUSE = 15  # times `LOOK` (150 ms): the stops within a word are shorter
FAINT = -20.0  # dB against the loudest of the word: what is softer, and has a pause behind it, is a click or a breath
LOST = RATE // 20  # samples (50 ms) of a beginning that may be lost

Floats = NDArray[np.float64]


def measure(folder: Path = KEYS) -> list[dict[str, Any]]:
    """A row for those that settings were chosen with, and one for those kept aside."""
    keys = [_loaded(path) for path in sorted(folder.glob("*.wav"))]
    tuned = [voice for voice in VOICES if voice.name not in ASIDE]
    letters = [voice for voice in VOICES if voice.name in ASIDE]
    rows = []
    for name, voices, typed_with, fluent in (
        ("chosen with", tuned, keys[::2], True),
        ("letters kept aside", letters, keys[1::2], True),
        ("words kept aside", WORD_VOICES, [], False),
    ):
        typing = {
            f"{typed:.0f} dB, room {room:.0f} dB": _open_while_typing(typed_with, typed, room)
            for typed, room in itertools.product(TYPED, ROOMS)
            if typed_with
        }
        lost = {voice.name: found for voice in voices if (found := _lost_beginnings(voice))}
        speech = {who: _quality(who) for who in lost} if fluent else {}
        rows.append({"which": name, "typing": typing, "lost": lost, "pesq": speech})
    return rows


def _open_while_typing(keys: list[Floats], db: float, room: float) -> float:
    """The share of the time in which something is sent."""
    sound = _typing(keys, db) + _noise(TYPING_SECONDS * RATE, room)
    return float(np.mean(_through(sound).reshape(-1, LOOK).any(axis=1)))


def _typing(keys: list[Floats], db: float) -> Floats:
    dice, sound = np.random.default_rng(3), np.zeros((TYPING_SECONDS + 1) * RATE)
    at = 0.0
    while at < TYPING_SECONDS:
        at += dice.exponential(0.5 / KEYS_A_SECOND) + 0.5 / KEYS_A_SECOND
        key, start = keys[dice.integers(len(keys))], int(at * RATE)
        end = min(len(sound), start + len(key))
        sound[start:end] += key[: end - start]
    sound = sound[: TYPING_SECONDS * RATE]
    loud = np.sqrt(np.percentile((sound.reshape(-1, LOOK) ** 2).mean(axis=1), 98))
    return sound * 32768 * 10 ** (db / 20) / loud


def _lost_beginnings(voice: Voice) -> list[tuple[float, float]]:
    """Of each word or letter, how many milliseconds are not sent: of the recording's first sound, and of speech."""
    pieces = [each.astype(float)[:LONGEST] for each in itertools.islice(voice.pieces(), 3 * PIECES)]
    pieces = [each for each in pieces if len(each) >= SHORTEST][:PIECES]
    if not pieces:
        return []
    sound, begins = _spaced(pieces)
    gate, lost = _gate(), []
    captured = _int16(sound + _noise(len(sound), ROOMS[0]))
    was_open, opened = False, []
    for at in range(0, len(captured) - BATCH + 1, BATCH):
        gate.take(captured[at : at + BATCH].tobytes())
        if gate.speaks and not was_open:
            opened.append(gate.opened_at)
        was_open = bool(gate.speaks)
    ends = [*(first for first, _ in begins[1:]), len(sound)]
    for (first, speech), end in zip(begins, ends, strict=True):
        found = next((each for each in opened if first - PAUSE <= each < end - PAUSE), end)
        lost.append((max(0, found - first) * 1000 / RATE, max(0, found - speech) * 1000 / RATE))
    return lost


def _spaced(pieces: list[Floats]) -> tuple[Floats, list[tuple[int, int]]]:
    """All of them at the level of speech, with pauses; and where each begins, in two ways."""
    power = np.concatenate([_powers(each) for each in pieces])
    gain = 32768 * 10 ** (LEVEL / 20) / np.sqrt(power[power > power.max() / 1000].mean())
    parts, begins, length = [np.zeros(RATE)], [], RATE
    for piece in pieces:
        powers = _powers(piece * gain)
        least = max((32768 * 10 ** ((LEVEL + SOFT) / 20)) ** 2, np.percentile(powers, 10) * 10 ** (ABOVE / 10))
        if not (powers > least).any():
            continue
        first, speech = _beginnings(powers, least)
        begins.append((length + first * LOOK, length + speech * LOOK))
        parts += [piece * gain, np.zeros(PAUSE)]
        length += len(piece) + PAUSE
    return np.concatenate(parts), begins


def _beginnings(powers: Floats, least: float) -> tuple[int, int]:
    """The first that is more than the least; and the first of a group of those that is not faint."""
    loud = np.flatnonzero(powers > least)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > NO_PAUSE) + 1)
    clear = powers.max() * 10 ** (FAINT / 10)
    return int(loud[0]), next(int(group[0]) for group in groups if powers[group].max() >= clear)


def _quality(name: str) -> tuple[float, float]:
    """PESQ of fluent speech through the gate, and of what the microphone heard."""
    said = speaker(name).samples
    heard = _int16(np.concatenate((np.zeros(RATE), said)) + _noise(RATE + len(said), ROOMS[0]))
    return quality(said, _through(heard)), quality(said, heard)


def _through(sound: Floats | Samples) -> Samples:
    gate, captured = _gate(), _int16(sound)
    whole = range(0, len(captured) - BATCH + 1, BATCH)
    return np.concatenate([np.frombuffer(gate.take(captured[at : at + BATCH].tobytes()), np.int16) for at in whole])


def _gate() -> Gate:
    gate = Gate()
    gate.choose(MicMode.VOICE)
    return gate


def _noise(count: int, db: float) -> Floats:
    return np.random.default_rng(5).standard_normal(count) * 32768 * 10 ** (db / 20)


def _powers(sound: Floats) -> Floats:
    whole: Floats = (sound[: len(sound) // LOOK * LOOK].reshape(-1, LOOK) ** 2).mean(axis=1)
    return whole


def _int16(sound: Floats | Samples) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def _loaded(path: Path) -> Floats:
    samples, rate = load(str(path))
    return Resampler(rate, RATE).process(samples, last=True).astype(float)


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = []
    for row in rows:
        lines += [f"## {row['which']}", ""]
        lines += [f"- open while typing, {what}: {share:.1%}" for what, share in row["typing"].items()]
        for number, since in enumerate(("of the recording", "of speech")):
            bad = {
                who: sum(each[number] > LOST * 1000 / RATE for each in found) for who, found in row["lost"].items()
            }
            count, whole = sum(bad.values()), max(1, sum(map(len, row["lost"].values())))
            lines.append(
                f"- beginnings {since} of which over 50 ms are lost: {count} of {whole}, {count / whole:.1%} "
                f"({', '.join(f'{who} {lost}' for who, lost in bad.items() if lost)})"
            )
        if losses := [before - after for after, before in row["pesq"].values()]:
            lines.append(
                f"- PESQ that the gate costs: {np.median(losses):.2f} in the median, {max(losses):.2f} at most"
            )
        lines.append("")
    return "\n".join(lines)
