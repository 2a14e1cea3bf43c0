"""The two commands, and a line between them that breaks: text and voice go on."""

import json
from pathlib import Path

import soundfile

from tests.audio.speech import DIALLER, RATE, SYLLABLE, Samples, likeness, speech
from tests.breakable import BreakableLine
from tests.running import Program, listening

ALIKE = 0.7  # of what went as Opus, syllable by syllable
OPTIONS = ("--json", "--code", "7-quiet-test")
LATER = 4  # seconds after the beginning, when the line has long been back; the recording has 6.9


def texts_of(program: Program) -> list[str]:
    events = map(json.loads, program.out)
    return [event["text"] for event in events if event["event"] == "text"]


def test_a_call_goes_on_when_its_line_is_cut(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    bob_options = ("--name", "bob", "--input", "none", "--output", str(heard), "--once", *OPTIONS)
    alice_options = ("--name", "alice", "--input", str(DIALLER), "--output", "none", *OPTIONS)
    with listening(*bob_options) as (bob, address):
        with (
            BreakableLine(int(address.split(":")[1])) as line,
            Program("dial", f"127.0.0.1:{line.port}", *alice_options) as alice,
        ):
            alice.event("connected")
            bob.event("connected")
            for number in range(30):
                alice.command(command="say", text=f"alice {number}", id=str(number))
                bob.command(command="say", text=f"bob {number}")
                if number in (10, 20):
                    line.cut()
                    assert alice.event("interrupted")["name"] == "bob"
                    assert alice.event("resumed")["path"] == f"127.0.0.1:{line.port}"
            assert alice.event("audio_stopped", timeout=60)["direction"] == "input"
            alice.command(command="quit")
            assert alice.wait() == 0
        assert bob.wait() == 0
    assert texts_of(bob) == [f"alice {number}" for number in range(30)]
    assert texts_of(alice) == [f"bob {number}" for number in range(30)]
    sound: Samples = soundfile.read(heard, dtype="int16")[0]
    assert likeness(speech()[LATER * RATE :], sound, SYLLABLE) > ALIKE
