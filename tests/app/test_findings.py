import pytest

from voicemux.app.findings import of_echo, of_loudspeaker, of_microphone, of_missing
from voicemux.audio.echo.verdict import Names
from voicemux.audio.levels import SoundLevels
from voicemux.audio.soundcheck import HeardAlone, HeardItself
from voicemux.errors import DeviceError

NAMELESS = Names(("default",), ("default",))


def heard(speech: float | None, noise: float | None = -61.0, clips: int = 0, is_silent: bool = False) -> HeardAlone:
    return HeardAlone(SoundLevels(-30.0, -10.0, speech, noise, 5 * clips, clips), is_silent, b"")


@pytest.mark.parametrize(
    ("sound", "verdict", "part"),
    [
        (heard(-24.0), "good", "speech at -24 dB, noise at -61 dB: good"),
        (heard(-10.0), "good", "but a little loud"),
        (heard(-47.0), "soft", "too soft, turn it up"),
        (heard(-30.0, noise=-40.0), "noisy", "--noise-suppression"),
        (heard(-20.0, clips=3), "clips", "turn it down"),
        (heard(None, is_silent=True), "silent", "switched off"),
        (heard(None, noise=None), "silent", "switched off"),
        (heard(None), "no speech", "noise at -61 dB, and no speech: turn it up"),
    ],
)
def test_a_microphone_is_judged_by_what_it_heard(sound: HeardAlone, verdict: str, part: str) -> None:
    finding = of_microphone(sound, was_asked=True)
    assert (finding.verdict, finding.is_good) == (verdict, verdict == "good")
    assert part in finding.text


def test_where_nobody_was_asked_to_speak_silence_is_no_fault() -> None:
    assert of_microphone(heard(None), was_asked=False).is_good
    assert not of_microphone(heard(None, is_silent=True), was_asked=False).is_good


@pytest.mark.parametrize(
    ("itself", "verdict", "part"),
    [
        (HeardItself(-14.2, 62.4, True), "cancelled", "-14 dB, 62 ms late: voicemux cancels it"),
        (HeardItself(-14.2, None, True), "cancelled", "-14 dB: voicemux cancels it"),
        (HeardItself(3.0, 62.0, True), "loud", "turn the loudspeaker down"),
        (HeardItself(-14.2, 700.0, True), "late", "is the loudspeaker wireless?"),
        (HeardItself(-44.0, 62.0, True), "none", "does not hear the loudspeaker"),
        (HeardItself(None, None, True), "none", "does not hear the loudspeaker"),
        (HeardItself(None, None, False), "not known", "try again"),
        (HeardItself(None, None, True, is_silent=True), "not known", "the microphone gives no sound"),
    ],
)
def test_an_echo_is_judged_by_how_loud_and_late_it_is(itself: HeardItself, verdict: str, part: str) -> None:
    finding = of_echo(itself, NAMELESS, can_cancel=True)
    assert (finding.verdict, finding.is_good) == (verdict, verdict in ("cancelled", "none"))
    assert part in finding.text


def test_an_echo_is_judged_by_what_can_be_done_about_it() -> None:
    loud = HeardItself(-14.2, 62.4, True)
    assert of_echo(loud, NAMELESS, can_cancel=False).verdict == "not installed"
    assert "your sound server cancels it" in of_echo(loud, Names(("x.echo-cancel",), ("y",)), can_cancel=True).text
    headset = Names(("default",), ("USB Headset",))
    assert "as with a headset" in of_echo(HeardItself(None, None, True), headset, can_cancel=True).text


def test_other_findings_say_what_is_the_matter() -> None:
    assert "telephone mode" in of_loudspeaker(is_telephone=True).text
    assert of_loudspeaker(is_telephone=False).text == "it plays"
    assert of_missing(DeviceError("no microphone"), "plug one in").text == "no microphone; plug one in"
