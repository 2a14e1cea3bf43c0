"""The program as other programs drive it: events out and commands in, as docs/json.md has them."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.audio.speech import DIALLER, RATE, speech
from tests.console.strategies import ONE_OF_EACH
from tests.running import CODE, Program, calling, listening, run
from voicemux.events import to_dict

DOCUMENT = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
OPTIONS = ("--json", "--no-audio")
EXPLAINED = re.compile(r"\(.*?\)")  # what the document says of fields beside their names
CORNERS = [
    *("\x1b[31mred\x07", "a\nb\r\nc\u2028d", "\u202eright to left", "\x00", "🎉é", '"\\'),
    *("", "  ", "/mute", "quit"),
]
MALFORMED = [
    *("hello", "{", "[]", "42", "null", '"quit"', "{}", "[" * 100_000),
    *('{"command": 1}', '{"command": "dance"}', '{"command": ["say"]}'),
    *('{"command": "say", "text": "hi", "id": 7}', '{"command": "say", "text": "hi", "id": "' + "7" * 65 + '"}'),
    *('{"command": "say"}', '{"command": "say", "text": 1}', '{"command": "say", "text": "\\ud800"}'),
]


def documented() -> dict[str, set[str]]:
    """The events and their fields, out of the document's table."""
    section = DOCUMENT.partition("## Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", EXPLAINED.sub("", fields))) for name, fields in rows}


def events_of(program: Program) -> list[dict[str, Any]]:
    """All that it has said. Every line is an event as documented."""
    events = [json.loads(line) for line in program.out]
    for event, line in zip(events, program.out, strict=True):
        assert line.isascii()
        assert line.isprintable()
        assert set(event) - {"event"} == documented()[event["event"]]
    return events


def stats_of(program: Program) -> dict[str, Any]:
    program.command(command="stats")
    return program.event("stats")


def test_the_events_of_a_call_are_as_documented() -> None:
    with calling(*OPTIONS, bob=("--once",)) as (alice, bob):
        alice.command(command="say", text="hi")
        assert bob.event("text") == {"event": "text", "name": "alice", "text": "hi"}
        bob.command(command="say", text="hello")
        assert alice.event("text") == {"event": "text", "name": "bob", "text": "hello"}
        stats = stats_of(alice)
        assert (stats["texts_sent"], stats["texts_received"], stats["audio_sent"]) == (1, 1, 0)
        assert stats["bytes_sent"] > 8 < stats["bytes_received"]
        assert (stats["mouth_to_ear_ms"], stats["buffer_ms"]) == (None, None)
        alice.command(command="quit")
        assert (alice.wait(), bob.wait()) == (0, 0)
        assert (alice.err, bob.err) == ([], [])
        names = [event["event"] for event in events_of(alice)]
        assert names == ["calling", "ringing", "connected", "text", "stats", "ended"]
        assert [event["event"] for event in events_of(bob)] == ["listening", "ringing", "connected", "text", "ended"]
        assert events_of(bob)[0]["code"] == CODE
        assert not events_of(bob)[1]["asks"]
        connected, ended = events_of(alice)[2], events_of(alice)[-1]
        assert connected["security"] == events_of(bob)[2]["security"] == "code"
        assert connected["words"] == events_of(bob)[2]["words"] == []
        assert connected["agent"].startswith("voicemux/")
        assert [connected[each] for each in ("name", "address", "sends", "hears")] == ["bob", "127.0.0.1", "", ""]
        assert [ended[each] for each in ("by", "reason", "undelivered")] == ["us", "", 0]
        assert set(ended["stats"]) == documented()["stats"]
        assert events_of(bob)[-1]["by"] == "them"


def test_a_plain_call_says_so() -> None:
    with calling(*OPTIONS, "--unencrypted") as (alice, bob):
        listening_event, _, connected = events_of(bob)
        assert (listening_event["code"], " --unencrypted " in listening_event["dial"][0]) == ("", True)
        for event in (connected, events_of(alice)[-1]):
            assert (event["security"], event["words"]) == ("plain", [])


def test_a_code_that_was_used_is_followed_by_the_next() -> None:
    with listening(*OPTIONS, env={"VOICEMUX_CODE": ""}) as (bob, address):
        code = json.loads(bob.out[0])["code"]
        assert code in json.loads(bob.out[0])["dial"][0].split()
        with Program("dial", address, code, *OPTIONS) as alice:
            new = bob.event("new_code")
            assert alice.event("connected")["security"] == "code"
            assert (new["why"], new["code"] in new["dial"][0].split()) == ("it has been used", True)
            assert new["code"] not in ("", code)
            events_of(bob)


def test_a_call_of_somebody_unknown_is_taken_and_verified() -> None:
    unknown = {"VOICEMUX_CODE": ""}
    with (
        listening(*OPTIONS, "--open", env=unknown) as (bob, address),
        Program("dial", address, "--open", *OPTIONS, "--name", "alice", env=unknown) as alice,
    ):
        ringing = bob.event("ringing")
        assert [ringing[each] for each in ("name", "asks", "security")] == ["alice", True, "open"]
        bob.command(command="verify")
        assert "nobody is connected" in bob.event("rejected")["why"]
        bob.command(command="accept")
        connected = [side.event("connected") for side in (alice, bob)]
        assert [event["security"] for event in connected] == ["open", "open"]
        assert connected[0]["words"] == connected[1]["words"]
        assert len(connected[0]["words"]) == 4
        bob.command(command="accept")
        assert "no call is ringing" in bob.event("rejected")["why"]
        bob.command(command="verify")
        assert "remembered as alice" in bob.event("notice")["text"]
        events_of(alice)
        events_of(bob)


def test_a_call_of_somebody_unknown_is_declined_and_the_next_one_rings() -> None:
    unknown = {"VOICEMUX_CODE": ""}
    with listening(*OPTIONS, "--open", env=unknown) as (bob, address):
        for _ in range(2):
            with Program("dial", address, "--open", *OPTIONS, env=unknown) as alice:
                bob.event("ringing")
                bob.command(command="decline")
                assert alice.event("failed")["error"] == "the other side declined the call"
                assert alice.wait() == 1
        assert "connected" not in [event["event"] for event in events_of(bob)]


def test_words_are_for_calls_that_have_some() -> None:
    with calling(*OPTIONS) as (alice, _):
        alice.command(command="verify")
        assert "no words to compare" in alice.event("rejected")["why"]


def test_a_text_with_an_id_is_told_of_when_it_has_been_delivered() -> None:
    with calling(*OPTIONS) as (alice, bob):
        alice.command(command="say", text="hi", id="a")
        assert alice.event("delivered") == {"event": "delivered", "id": "a"}
        bob.process.send_signal(signal.SIGSTOP)
        for number in ("b", "c"):
            alice.command(command="say", text=f"text {number}", id=number)
        assert alice.event("interrupted", timeout=30)["name"] == "bob"
        alice.command(command="quit")
        assert alice.wait() == 1
        ended = events_of(alice)[-1]
        assert ended["undelivered"] == 2
        assert ended["undelivered_texts"] == [{"text": f"text {number}", "id": number} for number in ("b", "c")]
        bob.process.send_signal(signal.SIGCONT)


def test_a_text_that_cannot_be_sent_is_rejected_by_its_id() -> None:
    with listening(*OPTIONS) as (bob, _):
        bob.command(command="say", text="hi", id="a")
        assert bob.event("rejected")["id"] == "a"


def test_texts_come_as_they_were_said_and_in_order() -> None:
    with calling(*OPTIONS) as (alice, bob):
        for text in CORNERS:
            alice.command(command="say", text=text)
            bob.command(command="say", text=text[::-1])
        assert [bob.event("text")["text"] for _ in CORNERS] == CORNERS
        assert [alice.event("text")["text"] for _ in CORNERS] == [text[::-1] for text in CORNERS]
        events_of(alice)
        events_of(bob)


def test_voice_is_switched_and_measured(tmp_path: Path) -> None:
    sound = ("--output", str(tmp_path / "alice.wav"), "--input", "-")
    silence = tmp_path / "silence.raw"
    silence.write_bytes(bytes(96_000 * 60))
    with (
        listening("--json", "--input", "none", "--output", str(tmp_path / "bob.wav")) as (bob, address),
        Program("dial", address, *sound, redirect=f"< {silence}"),
    ):
        started = bob.event("audio_started")
        assert (started["direction"], started["device"]) == ("output", "bob.wav")
        for on in (True, False):
            bob.command(command="deafen")
            assert bob.event("switched") == {"event": "switched", "what": "deafened", "on": on}
        bob.command(command="mute")
        assert "no voice" in bob.event("rejected")["why"]
        while not stats_of(bob)["audio_received"]:
            pass
        events_of(bob)


def test_a_microphone_is_muted_and_a_file_ends(tmp_path: Path) -> None:
    words = tmp_path / "words.wav"
    soundfile.write(words, speech(seconds=2), RATE)
    with (
        listening("--output", str(tmp_path / "heard.wav"), "--input", "none") as (_, address),
        Program("dial", address, "--json", "--input", str(words), "--output", "none") as alice,
    ):
        connected = alice.event("connected")
        assert (connected["sends"], connected["hears"]) == ("opus", "")
        started = alice.event("audio_started")
        assert (started["direction"], started["device"]) == ("input", "words.wav")
        for on in (True, False):
            alice.command(command="mute")
            assert alice.event("switched") == {"event": "switched", "what": "muted", "on": on}
        stopped = {"event": "audio_stopped", "direction": "input", "error": "", "ends_call": False}
        assert alice.event("audio_stopped") == stopped
        alice.command(command="quit")
        assert alice.wait() == 0
        events_of(alice)


def test_who_is_not_heard_has_nothing_to_mute() -> None:
    with (
        listening("--no-audio") as (_, address),
        Program("dial", address, "--json", "--input", str(DIALLER), "--output", "none") as alice,
    ):
        assert alice.event("connected")["sends"] == ""
        alice.command(command="mute")
        assert "no voice" in alice.event("rejected")["why"]
        alice.command(command="quit")
        assert alice.wait() == 0


def test_help_is_a_notice() -> None:
    with calling(*OPTIONS) as (alice, _):
        alice.command(command="help")
        explained = alice.event("notice")["text"]
        assert '{"command": "say", "text": "hi"}' in explained
        assert "stats" in explained
        assert "deafen" not in explained  # there is no voice
        assert "/" not in explained


def test_a_malformed_command_is_rejected_and_ends_nothing() -> None:
    with calling(*OPTIONS) as (alice, bob):
        for line in MALFORMED:
            alice.write(f"{line}\n\n  \n")
            assert alice.event("rejected")["why"].startswith("expected ")
        alice.command(command="say", text="still here")
        assert bob.event("text")["text"] == "still here"
        alice.command(command="quit")
        assert alice.wait() == 0
        assert [event["event"] for event in events_of(alice)].count("rejected") == len(MALFORMED)


def test_a_listener_takes_commands_before_anybody_calls() -> None:
    with listening(*OPTIONS) as (bob, _):
        bob.command(command="say", text="hi")
        assert "nobody is connected" in bob.event("rejected")["why"]
        bob.command(command="quit")
        assert bob.wait() == 0
        assert (len(events_of(bob)), bob.err) == (2, [])


def test_the_end_of_the_commands_hangs_up_once_everything_has_arrived() -> None:
    with calling(*OPTIONS) as (alice, bob):
        alice.command(command="say", text="bye")
        alice.close_input()
        assert alice.wait() == 0
        assert bob.event("text")["text"] == "bye"
        assert bob.event("ended")["by"] == "them"


def test_an_interrupt_is_a_goodbye() -> None:
    with calling(*OPTIONS) as (alice, bob):
        bob.command(command="say", text="wait")
        alice.event("text")
        alice.interrupt()
        assert alice.wait() == 130
        assert events_of(alice)[-1]["by"] == "us"
        assert bob.event("ended")["by"] == "them"


def test_who_is_turned_away_is_told_of_on_both_sides() -> None:
    with listening(*OPTIONS) as (bob, address), Program("dial", address, *OPTIONS) as alice:
        alice.event("connected")
        with Program("dial", address, *OPTIONS) as carol:
            failed = {"event": "failed", "error": "the other side is busy", "exit_code": 1}
            assert carol.event("failed") == {**failed, "said": "in another call", "kind": "", "hint": ""}
            assert carol.wait() == 1
            assert carol.err == ['voicemux: the other side is busy (the other side says: "in another call")']
            events_of(carol)
        missed = bob.event("missed")
        assert (missed["address"], missed["why"]) == ("127.0.0.1", "busy")
        bob.command(command="missed")
        assert bob.event("missed_calls")["calls"] == [{key: missed[key] for key in missed if key != "event"}]
        events_of(bob)


def test_a_call_that_broke_off_ended_by_error_with_the_reason_on_the_last_line() -> None:
    with calling(*OPTIONS, "--grace", "0") as (alice, bob):
        bob.process.kill()
        assert alice.wait() == 1
        ended = events_of(alice)[-1]
        assert (ended["event"], ended["by"]) == ("ended", "error")
        assert ended["reason"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("dial", "localhost:0"), 2),
        (("listen", "--host", "192.0.2.1"), 3),
        (("dial", "a", "--input", "no.wav"), 5),
        (("listen", "--port", "0", "--code", "x"), 6),
    ],
)
def test_a_failure_is_an_event_and_a_line(arguments: tuple[str, ...], code: int) -> None:
    given, out, err = run(*arguments, "--json")
    failed = json.loads(out[-1])
    assert (given, failed["event"], failed["exit_code"]) == (code, "failed", code)
    assert len(err) == 1
    assert err[0].startswith(f"voicemux: {failed['error']}")


def test_every_event_of_the_program_is_documented() -> None:
    assert set(documented()) == {to_dict(event)["event"] for event in ONE_OF_EACH}
    assert len(documented()["stats"]) == 33
