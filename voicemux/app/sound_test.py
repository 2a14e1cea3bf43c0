"""Runs `voicemux test`: tries the microphone, the loudspeaker and the echo, and says how each will do in a call."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voicemux.app.findings import SoundFinding, of_echo, of_loudspeaker, of_microphone, of_missing
from voicemux.audio.echo.canceller import check_canceller
from voicemux.audio.echo.verdict import Names
from voicemux.audio.endpoints import RATE
from voicemux.audio.files import load
from voicemux.audio.resample import Resampler
from voicemux.audio.soundcheck import SoundCheck
from voicemux.audio.telephone import is_telephone
from voicemux.console.remedies import hint
from voicemux.errors import DeviceError, LibraryMissing

SPEECH = Path(__file__).parent.parent / "speech" / "dialler.wav"
PLAYED = 6  # seconds of speech that are played for the echo: the first estimate takes two, each other takes one

PARTS = {"input": "microphone", "output": "loudspeaker"}  # of the report

Tell = Callable[[str], None]


def try_sound(source: str, sink: str, seconds: float, tell: Tell, *, asks: bool) -> dict[str, Any]:
    """Try the sound, and return the report that `voicemux test --json` prints. `source` and `sink` are names; "" is
    the default.

    `tell` gets lines on the way. If it `asks`, the user is asked to speak for `seconds`, and hears that again. Raises
    LibraryMissing without a sound library.
    """
    check = SoundCheck(source, sink)
    try:
        return _report(check, seconds, tell, asks=asks)
    finally:
        check.close()


def describe_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    lines = [
        f"{part:<12}{': '.join(filter(None, (found['device'], found['text'])))}"
        for part in ("microphone", "loudspeaker", "echo")
        if (found := report[part])
    ]
    return "\n".join([*lines, f"{'verdict':<12}{'all is well' if report['ok'] else 'not all is well: see above'}"])


def _report(check: SoundCheck, seconds: float, tell: Tell, *, asks: bool) -> dict[str, Any]:
    report: dict[str, Any] = {"ok": True, "microphone": None, "loudspeaker": None, "echo": None}

    def add(part: str, finding: SoundFinding, **figures: Any) -> None:
        report[part] = {**asdict(finding), **figures}
        report["ok"] = report["ok"] and finding.is_good

    try:
        pcm = _try_microphone(check, seconds, tell, add, asks=asks)
        _try_loudspeaker(check, pcm if asks else b"", tell, add)
    except DeviceError:  # a device has failed in the middle
        for kind, error in check.failed.items():
            add(PARTS[kind], of_missing(error, hint(error)), device="")
    return report


def _try_microphone(check: SoundCheck, seconds: float, tell: Tell, add: Callable[..., None], *, asks: bool) -> bytes:
    """Test the microphone, and return what it heard, as PCM."""
    if not check.microphone:
        error = check.missing["input"]
        add("microphone", of_missing(error, hint(error)), device="")
        return b""
    tell(f"say something for {seconds:g} seconds ..." if asks else f"listening for {seconds:g} seconds ...")
    try:
        heard = check.listen(seconds)
    except DeviceError as error:
        add("microphone", of_missing(error, hint(error)), device="")
        check.lose_microphone()
        return b""
    levels = heard.levels
    figures = {"level_db": levels.speech_db, "noise_db": levels.noise_db, "clipped": levels.clipped}
    add("microphone", of_microphone(heard, was_asked=asks), device=check.microphone.label, **_rounded(figures))
    return heard.pcm


def _try_loudspeaker(check: SoundCheck, said: bytes, tell: Tell, add: Callable[..., None]) -> None:
    if not check.loudspeaker:
        error = check.missing["output"]
        add("loudspeaker", of_missing(error, hint(error)), device="")
        return
    device = check.loudspeaker.device

    def has_played() -> None:
        finding = of_loudspeaker(is_telephone=is_telephone(names.sink, device.rate))
        add("loudspeaker", finding, device=device.name)

    if said:
        tell("this is what you said ...")
        check.play(said)
    names = Names(check.names("input"), check.names("output"))
    if not check.microphone:
        check.play(_speech())
        has_played()
        return
    tell("a voice is played, please say nothing ...")
    try:
        itself = check.play_and_listen(_speech())
    except DeviceError:
        if "output" not in check.failed:
            has_played()
        raise
    has_played()
    figures = {"level_db": itself.echo_db, "delay_ms": itself.delay_ms}
    add("echo", of_echo(itself, names, can_cancel=_can_cancel()), device="", **_rounded(figures))


def _speech() -> bytes:
    samples, rate = load(str(SPEECH))
    return (Resampler(rate, RATE).process(samples, last=True)[: PLAYED * RATE]).tobytes()


def _can_cancel() -> bool:
    try:
        check_canceller()
    except LibraryMissing:
        return False
    return True


def _rounded(figures: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if figure is None else round(figure, 1) for name, figure in figures.items()}
