"""How voices sound through Opus: each setting on every speaker, without a line or a sound card.

`SHIPPED` are the rungs as voicemux takes them, through its own encoder. `OTHERS` are what they were chosen over.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pesq import pesq

from bench.speakers import SECONDS, Speaker, speakers
from voicemux.audio.capture.ladder import LOWER_RUNGS, Rung
from voicemux.audio.capture.wish import BRISK, BRISKEST
from voicemux.audio.codec import OpusDecoder, OpusEncoder
from voicemux.audio.endpoints import RATE, SAMPLE_BYTES
from voicemux.audio.resample import Resampler, Samples

PESQ_RATE = 16_000  # Hz: wideband
WINDOW = RATE // 50  # samples whose spectra are compared
HERTZ = (100.0, 16_000.0)  # where
FLOOR = 100.0  # added to each power (of 16-bit samples, windowed): what is softer nobody hears

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """`application` is "low-delay" or "voip"; empty: whatever voicemux takes for that rung."""

    rung: Rung
    application: str = ""
    complexity: int = 8
    band: str = "full"  # the most, "full" or "wide"

    @property
    def label(self) -> str:
        what = f"{self.rung.bitrate / 1000:g} kbit/s, {self.rung.frame_ms:g} ms"
        if not self.application:
            return what
        return f"{what}, {self.application}, complexity {self.complexity}{', wide band' * (self.band == 'wide')}"


SHIPPED = [Setting(rung) for rung in sorted({BRISKEST, BRISK, *LOWER_RUNGS}, key=lambda rung: -rung.line_rate)]
OTHERS = [
    Setting(Rung(5, 64_000), "low-delay"),
    Setting(Rung(20, 64_000), "voip"),
    Setting(Rung(20, 48_000), "voip"),
    Setting(Rung(20, 48_000), "low-delay"),
    Setting(Rung(20, 32_000), "low-delay"),  # what voicemux sent until November 2026
    Setting(Rung(20, 32_000), "voip"),  # without being told that it is speech
    Setting(Rung(20, 24_000), "voip", 5),
    Setting(Rung(20, 24_000), "voip", 8, "wide"),
    Setting(Rung(20, 20_000), "voip", 5, "wide"),  # and how it began
    Setting(Rung(20, 20_000), "voip", 8, "wide"),
    Setting(Rung(20, 16_000), "voip"),
    Setting(Rung(40, 20_000), "voip", 8, "wide"),
]


def measure(setting: Setting, voices: Sequence[Speaker]) -> Row:
    """PESQ-WB and log-spectral distance of each speaker, and milliseconds of processor time for a second of sound."""
    scores, distances, took = {}, {}, 0.0
    for speaker in voices:
        encoder, decoder = _encoder(setting), OpusDecoder()
        begin = time.process_time()
        packets = _packets(encoder, speaker.samples, round(setting.rung.frame_ms * RATE / 1000))
        took += time.process_time() - begin
        heard = np.frombuffer(b"".join(map(decoder.decode, packets)), np.int16)
        said, heard = _aligned(speaker.samples, heard)
        scores[speaker.name] = round(_pesq(said, heard), 2)
        distances[speaker.name] = round(distance(said, heard), 2)
    seconds = sum(len(each.samples) for each in voices) / RATE
    return {
        "setting": setting.label,
        "line_kbit": round(setting.rung.line_rate / 1000),
        "pesq": scores,
        "distance_db": distances,
        "encoding_ms_per_s": round(took * 1000 / seconds, 1),
    }


def distance(said: Samples, heard: Samples) -> float:
    """Mean log-spectral distance in dB, from 100 Hz to 16 kHz, of 20 ms each: PESQ hears nothing above 8 kHz."""
    spectra = [_spectra(each) for each in (said, heard)]
    difference = 10 * np.log10(spectra[0] / spectra[1])
    return float(np.mean(np.sqrt(np.mean(difference**2, axis=1))))


def measure_all(*, others: bool, tell: Callable[[Row], None] = lambda _: None) -> dict[str, Any]:
    """Every setting on every speaker, ready for JSON. Raises SpeakersMissing."""
    voices = speakers()
    rows = []
    for setting in [*SHIPPED, *(OTHERS if others else [])]:
        rows.append(measure(setting, voices))
        tell(rows[-1])
    about = {
        each.name: {"source": each.source, "human": each.is_human, "aside": each.is_aside, "seconds": SECONDS}
        for each in voices
    }
    return {"libopus": _version(), "speakers": about, "rows": rows}


def report(figures: dict[str, Any]) -> str:
    """A table of the settings, and of who has spoken."""
    about = figures["speakers"]
    groups = {is_aside: {name for name, each in about.items() if each["aside"] == is_aside} for is_aside in (0, 1)}
    chosen_by, kept_aside = groups[0], groups[1]
    columns = {f"{len(chosen_by)} speakers": chosen_by, f"{len(kept_aside)} kept aside": kept_aside}
    who = [
        _line(["speaker", "package", "human", "kept aside"]),
        _line(["---"] * 4),
        *(
            _line([name, each["source"], "yes" if each["human"] else "", "yes" if each["aside"] else ""])
            for name, each in about.items()
        ),
    ]
    return "\n\n".join(
        [
            f"Median, then the worst speaker, of {SECONDS} s each; {figures['libopus']}.",
            _table(figures["rows"], columns),
            "\n".join(who),
        ]
    )


def _table(rows: Sequence[Row], columns: dict[str, set[str]]) -> str:
    head = ["Opus", "kbit/s on the line", *(f"PESQ-WB, {name}" for name in columns)]
    head += [*(f"dB off, {name}" for name in columns), "encoding, ms/s"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        cells = [row["setting"], str(row["line_kbit"])]
        cells += [_summary(row["pesq"], names, min) for names in columns.values()]
        cells += [_summary(row["distance_db"], names, max) for names in columns.values()]
        lines.append(_line([*cells, str(row["encoding_ms_per_s"])]))
    return "\n".join(lines)


def _version() -> str:
    import opuslib_next

    return str(opuslib_next.api.info.get_version_string().decode())


def _summary(values: dict[str, float], names: set[str], worst: Callable[..., str]) -> str:
    own = {name: value for name, value in values.items() if name in names}
    if not own:
        return ""
    name = worst(own, key=lambda each: own[each])
    return f"{median(own.values()):.2f}; {own[name]:.2f} {name}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _encoder(setting: Setting) -> Any:
    """Ours, or one of libopus's with just these settings."""
    if not setting.application:
        return OpusEncoder(*setting.rung)
    import opuslib_next

    encoder = opuslib_next.Encoder(RATE, 1, "voip" if setting.application == "voip" else "restricted_lowdelay")
    encoder.complexity, encoder.vbr, encoder.bitrate = setting.complexity, 0, setting.rung.bitrate
    bands = opuslib_next.constants
    encoder.max_bandwidth = bands.BANDWIDTH_FULLBAND if setting.band == "full" else bands.BANDWIDTH_WIDEBAND
    return encoder


def _packets(encoder: Any, samples: Samples, length: int) -> list[bytes]:
    pcm, size = samples.tobytes(), length * SAMPLE_BYTES
    pieces = [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]
    if isinstance(encoder, OpusEncoder):
        return [encoder.encode(piece) for piece in pieces]
    return [encoder.encode(piece, length) for piece in pieces]


def _aligned(said: Samples, heard: Samples) -> tuple[Samples, Samples]:
    """By what the codec has looked ahead."""
    parts = [each[: 2 * RATE].astype(np.float64) for each in (said, heard)]
    size = 4 * RATE
    likeness = np.fft.irfft(np.fft.rfft(parts[1], size) * np.conj(np.fft.rfft(parts[0], size)))
    late = int(np.argmax(likeness[: RATE // 50]))
    length = min(len(said), len(heard) - late)
    return said[:length], heard[late : late + length]


def _pesq(said: Samples, heard: Samples) -> float:
    narrow = [Resampler(RATE, PESQ_RATE).process(each, last=True) for each in (said, heard)]
    return float(pesq(PESQ_RATE, narrow[0], narrow[1], "wb"))


def _spectra(samples: Samples) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[:: WINDOW // 2]
    low, high = (round(hertz * WINDOW / RATE) for hertz in HERTZ)
    powers: NDArray[np.float64] = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)[:, low:high]) ** 2
    return powers / WINDOW + FLOOR
