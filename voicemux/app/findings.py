"""The findings of `voicemux test` on a microphone, a loudspeaker and the echo, and what the user can do. Pure."""

from dataclasses import dataclass

from voicemux.audio.echo.verdict import AUDIBLE, Names, is_cleaned, is_headset
from voicemux.audio.soundcheck import HeardAlone, HeardItself
from voicemux.audio.telephone import DULL
from voicemux.errors import VoicemuxError
from voicemux.events import loudness

LEAST_OVER_NOISE = 15.0  # dB by which speech must be louder than the room's noise
CLIPS = 3  # blocks with clipped samples: fewer may be a knock at the microphone
LATE = 500.0  # milliseconds: the canceller finds a later echo slowly, or not at all
TOO_LOUD = 0.0  # dB relative to what was played: when a louder echo is cancelled, words of the user are lost with it


@dataclass(frozen=True)
class SoundFinding:
    """One finding: `verdict` is a word for programs, `text` a sentence for people, `is_good` whether it will do for a
    call."""

    verdict: str
    is_good: bool
    text: str


def of_microphone(heard: HeardAlone, *, was_asked: bool) -> SoundFinding:
    """Return the finding on a microphone. `was_asked`: the user was asked to speak."""
    levels = heard.levels
    speech, noise = levels.speech_db, levels.noise_db
    if heard.is_silent or noise is None:
        return SoundFinding(
            "silent", False, "it gives no sound at all: is it switched off, or is access to it denied?"
        )
    if levels.clips >= CLIPS:
        return SoundFinding("clips", False, "it clips: turn it down in the system's settings, or move away from it")
    if speech is None:
        text = f"noise at {noise:.0f} dB, and no speech"
        return SoundFinding("no speech", not was_asked, f"{text}: turn it up, or move closer" if was_asked else text)
    both = f"speech at {speech:.0f} dB, noise at {noise:.0f} dB"
    if loudness(speech) == "soft":
        return SoundFinding("soft", False, f"{both}: too soft, turn it up, or move closer")
    if speech - noise < LEAST_OVER_NOISE:
        return SoundFinding("noisy", False, f"{both}: move closer to it, or try --noise-suppression low")
    return SoundFinding("good", True, f"{both}: good{', but a little loud' if loudness(speech) == 'loud' else ''}")


def of_echo(heard: HeardItself, names: Names, *, can_cancel: bool) -> SoundFinding:
    """Return the finding on the echo. `can_cancel`: the library for echo cancellation is installed."""
    level, delay = heard.echo_db, heard.delay_ms
    if not heard.was_played:
        return SoundFinding("not known", False, "nothing of what was played could be measured: try again")
    if heard.is_silent:
        return SoundFinding("not known", False, "it is not known: the microphone gives no sound")
    if level is None or level <= AUDIBLE:
        why = "as with a headset" if is_headset(names) else "this is a headset, or the loudspeaker is off"
        return SoundFinding("none", True, f"the microphone does not hear the loudspeaker ({why}): nothing to cancel")
    found = f"{level:.0f} dB" + (f", {delay:.0f} ms late" if delay is not None else "")
    if not can_cancel:
        return SoundFinding(
            "not installed", False, f"{found}, and echo cancellation is not installed: use headphones"
        )
    if level > TOO_LOUD:
        return SoundFinding("loud", False, f"{found}: turn the loudspeaker down, or move the microphone away from it")
    if delay is not None and delay > LATE:
        return SoundFinding("late", False, f"{found}: too late to be cancelled at once; is the loudspeaker wireless?")
    by = "your sound server" if is_cleaned(names) else "voicemux"
    return SoundFinding("cancelled", True, f"{found}: {by} cancels it")


def of_loudspeaker(*, is_telephone: bool) -> SoundFinding:
    """Return the finding on a loudspeaker that was opened and has played."""
    return (
        SoundFinding("telephone", True, f"it plays, {DULL}")
        if is_telephone
        else SoundFinding("plays", True, "it plays")
    )


def of_missing(error: VoicemuxError, advice: str) -> SoundFinding:
    """Return the finding on a device that cannot be used."""
    return SoundFinding("missing", False, f"{error}{'; ' if advice else ''}{advice}")
