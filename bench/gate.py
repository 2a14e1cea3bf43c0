"""How well `--mic-mode voice` tells speech from typing: what the gate sends of both.

The threshold of the detector was chosen with `speakers.tuned()` and every second key; the other speakers and keys are
kept aside. The keys are those of a mechanical keyboard, from Debian's package bucklespring-data.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.speakers import ASIDE, LEVEL, VOICES, Voice, speaker
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
LOST = RATE // 20  # samples (50 ms) of a beginning that may be lost

Floats = NDArray[np.float64]


def measure(folder: Path = KEYS) -> list[dict[str, Any]]:
    """A row for those that settings were chosen with, and one for those kept aside."""
    keys = [_loaded(path) for path in sorted(folder.glob("*.wav"))]
    rows = []
    for name, is_aside in (("chosen with", False), ("aside", True)):
        typing = {
            f"{typed:.0f} dB, room {room:.0f} dB": _open_while_typing(keys[is_aside::2], typed, room)
            for typed, room in itertools.product(TYPED, ROOMS)
            if keys
        }
        lost = {voice.name: _lost_beginnings(voice) for voice in VOICES if (voice.name in ASIDE) is is_aside}
        lost = {who: found for who, found in lost.items() if found}
        speech = {who: _quality(who) for who in lost}
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


def _lost_beginnings(voice: Voice) -> list[float]:
    """Of each word or letter, how many milliseconds of its beginning are not sent."""
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
    for begin, following in zip(begins, [*begins[1:], len(sound)], strict=True):
        found = next((each for each in opened if begin - PAUSE <= each < following - PAUSE), None)
        lost.append((following - begin if found is None else max(0, found - begin)) * 1000 / RATE)
    return lost


def _spaced(pieces: list[Floats]) -> tuple[Floats, list[int]]:
    """All of them at the level of speech, with pauses; and where each begins."""
    power = np.concatenate([_powers(each) for each in pieces])
    gain = 32768 * 10 ** (LEVEL / 20) / np.sqrt(power[power > power.max() / 1000].mean())
    parts, begins, length = [np.zeros(RATE)], [], RATE
    for piece in pieces:
        powers = _powers(piece * gain)
        least = max((32768 * 10 ** ((LEVEL + SOFT) / 20)) ** 2, np.percentile(powers, 10) * 10 ** (ABOVE / 10))
        if not (powers > least).any():
            continue
        begins.append(length + int(np.argmax(powers > least)) * LOOK)
        parts += [piece * gain, np.zeros(PAUSE)]
        length += len(piece) + PAUSE
    return np.concatenate(parts), begins


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
        lost = [each for found in row["lost"].values() for each in found]
        bad = {who: sum(each > LOST * 1000 / RATE for each in found) for who, found in row["lost"].items()}
        count = sum(bad.values())
        losses = [before - after for after, before in row["pesq"].values()]
        lines += [
            f"## {row['which']}",
            "",
            *(f"- open while typing, {what}: {share:.1%}" for what, share in row["typing"].items()),
            f"- beginnings of which over 50 ms are lost: {count} of {len(lost)}, {count / max(1, len(lost)):.1%} "
            f"({', '.join(f'{who} {number}' for who, number in bad.items() if number)})",
            f"- PESQ that the gate costs: {np.median(losses):.2f} in the median, {max(losses):.2f} at most",
            "",
        ]
    return "\n".join(lines)
