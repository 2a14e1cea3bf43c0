"""Echo and double talk in real calls: side a speaks, side b has a loudspeaker in a room, and speaks later.

What side a hears counts: of its own voice while only it speaks, and of side b's words while both do.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.capture import Capture, Playing, Track
from bench.heard import heard, stoi
from bench.linphone import start_linphone
from bench.mumble import start_mumble
from bench.places import Loopback
from bench.programs import PROGRAMS, Pair, Program, VoicemuxPair, needs
from bench.scene import Scene
from tests.audio.echo.room import RATE, Sound, samples, voice
from tests.soundcards import SoundCards

ROOM = {55: -6.0, 62: -13.0, 71: -15.0, 89: -18.0, 121: -24.0, 160: -30.0}  # milliseconds: dB
SOFTER = {"loud loudspeaker": 0.0, "laptop": -9.0}  # dB that the room is softer than that
SETTLE = 3.0  # seconds for the sound cards of a call to be opened
FAR, BOTH, NEAR = 20, 10, 10  # seconds: side a alone, both, side b alone
PIECE = RATE  # samples of side b's words that are found at a time in what side a hears
LONGEST = RATE * 3 // 2  # samples from side b's mouth to side a's ear
NEARBY = RATE // 20  # samples (50 ms) that the way may change meanwhile


def _mumble(cancels: bool) -> Callable[[Scene], Pair]:
    def start(scene: Scene) -> Pair:
        start_mumble(scene, cancels)
        return Pair()

    return start


def _linphone(cancels: bool) -> Callable[[Scene], Pair]:
    def start(scene: Scene) -> Pair:
        start_linphone(scene, cancels)
        return Pair()

    return start


CALLED = (
    Program("voicemux", "voicemux", lambda scene: VoicemuxPair(scene, ())),
    Program("voicemux-off", "voicemux `--echo off`", lambda scene: VoicemuxPair(scene, ("--echo", "off"))),
    Program("mumble", "Mumble, as it comes", _mumble(False), PROGRAMS["mumble"].missing),
    Program("mumble-on", "Mumble, echo cancellation on", _mumble(True), PROGRAMS["mumble"].missing),
    Program("linphone", "linphone, as it comes", _linphone(True), needs("linphonec")),
    Program("linphone-off", "linphone, echo cancellation off", _linphone(False), needs("linphonec")),
)


def in_calls() -> list[dict[str, Any]]:
    """A row for each loudness of the echo and each program."""
    rows = []
    for echo, softer in SOFTER.items():
        room = {delay: db + softer for delay, db in ROOM.items()}
        for called in CALLED:
            if reason := called.missing():
                print(f"bench: {called.label} is left out: {reason}", file=sys.stderr)
                continue
            try:
                rows.append({"echo": echo, "program": called.label, **_held(called, room)})
            except RuntimeError as error:  # of whatever program: the others are still worth measuring
                print(f"bench: {called.label} failed: {error}", file=sys.stderr)
                continue
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _held(called: Program, room: dict[int, float]) -> dict[str, Any]:
    with SoundCards() as cards, tempfile.TemporaryDirectory(prefix="voicemux-bench-") as folder, Loopback() as place:
        Path(folder).chmod(0o755)
        cards.put_in_a_room("b", room)
        scene = Scene(cards, place, Path(folder))
        try:
            called.start(scene)
            time.sleep(SETTLE)  # Mumble opens its loudspeaker only when there is something to play
            return _measured(cards, Path(folder))
        finally:
            scene.stop()


def _measured(cards: SoundCards, folder: Path) -> dict[str, Any]:
    said = np.concatenate((voice("far", FAR + BOTH), np.zeros(NEAR * RATE)))
    answered = np.concatenate((np.zeros(FAR * RATE), voice("near", BOTH + NEAR)))
    capture = Capture(["a_mic", "a_spk", "b_mic"], cards.env("a"))
    playing = [
        Playing(f"{side}_mic", sound, cards.env(side), folder) for side, sound in (("a", said), ("b", answered))
    ]
    for each in playing:
        each.wait()
    time.sleep(SETTLE)
    tracks = capture.stop()
    mouth = tracks["a_mic"].samples
    moment = tracks["a_mic"].time(int(np.argmax(np.abs(mouth) > 0.01)))

    def alone(name: str) -> NDArray[np.int16]:
        at = tracks[name].index(moment)
        return samples(tracks[name].samples[at : at + (FAR - 1) * RATE])

    back, microphone = (heard(alone(name), alone("a_mic"), FAR - 2) for name in ("a_spk", "b_mic"))
    return {
        "microphone": microphone.whole,
        "returned": back.whole,
        "worst": back.worst,
        "until": back.until_quiet,
        **_double_talk(answered, moment, tracks["b_mic"], tracks["a_spk"]),
    }


def _double_talk(answered: Sound, began_at: float, microphone: Track, ear: Track) -> dict[str, float | None]:
    """STOI of side b's words: while both speak, at its microphone and at side a's ear; and alone, at that ear.

    `began_at` is about when the first sample of `answered` was played.
    """
    began, ended = FAR * RATE, (FAR + BOTH) * RATE
    alone, both = slice(ended + RATE, ended + (NEAR - 1) * RATE), slice(began + RATE, ended)
    first = microphone.index(began_at)
    late = _lag(answered[alone], microphone, first + alone.start, -LONGEST, LONGEST)[0]
    moment = microphone.time(first + late)

    def parts(which: slice, track: Track) -> tuple[Sound, Sound]:
        origin = track.index(moment)

        def one(at: int, least: int, most: int) -> tuple[int, Sound]:
            return _lag(answered[at : at + PIECE], track, origin + at, least, most)

        usual = int(median(one(at, -NEARBY, LONGEST)[0] for at in _pieces(alone)))
        found = [one(at, usual - NEARBY, usual + NEARBY)[1] for at in _pieces(which)]
        return answered[which.start : which.start + len(found) * PIECE], np.concatenate(found)

    return {
        "stoi_both": _rounded(stoi(*parts(both, ear))),
        "stoi_both_microphone": _rounded(stoi(*parts(both, microphone))),
        "stoi_alone": _rounded(stoi(*parts(alone, ear))),
    }


def _pieces(which: slice) -> range:
    return range(which.start, which.stop - PIECE + 1, PIECE)


def _lag(said: Sound, track: Track, place: int, least: int, most: int) -> tuple[int, Sound]:
    """How much later than at `place` it is heard, within these; and what is heard then."""
    first = max(0, place + least)
    part = track.samples[first : place + most + len(said)]
    part = np.concatenate((part, np.zeros(max(0, len(said) - len(part)))))
    size = len(part) + len(said)
    product = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(said, size)), size)
    found = int(np.argmax(product[: len(part) - len(said) + 1]))
    return first + found - place, part[found : found + len(said)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
