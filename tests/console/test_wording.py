from dataclasses import replace

import pytest
from hypothesis import example, given

from tests.console.strategies import KINDS, ONE_OF_EACH, any_event, make_stats, tricky_texts
from tests.console.test_printable import is_harmless
from voicemux.console.printable import printable_name
from voicemux.console.rows import Screen
from voicemux.console.wording import PREFIX, notice_lines, written
from voicemux.events import (
    Answered,
    AudioStarted,
    AudioStopped,
    Calling,
    CallRinging,
    Connected,
    Delivered,
    Direct,
    Ended,
    Interrupted,
    Invitation,
    Late,
    Listening,
    Missed,
    MissedCalls,
    NewCode,
    Notice,
    PeerSwitched,
    ProgramFailed,
    Quiet,
    Rejected,
    Resumed,
    Switched,
    TextReceived,
    TurnedAway,
    Undelivered,
    Voice,
    Waiting,
)
from voicemux.security.likeness import alike

WORDLESS = {
    AudioStarted,  # for programs: people have been told who hears whom
    Delivered,  # for programs, too
    TextReceived,  # it is no notice
}
CONNECTED = Connected("bob", "192.168.1.5", "voicemux/1", "opus", "opus")


def text_lines(event, own_name="") -> list[str]:
    """As they are written to what is no terminal."""
    return "".join(written(event, None, own_name)).split("\n")[:-1]


def said(event) -> str:
    """A notice of one line, without our prefix."""
    (line,) = notice_lines(event)
    assert line.startswith(PREFIX)
    return line[len(PREFIX) :]


# --- notices


def test_every_event_has_words_or_deliberately_none():
    assert {type(event) for event in ONE_OF_EACH if not notice_lines(event)} == WORDLESS
    assert set(KINDS) > WORDLESS


@given(any_event)
def test_every_notice_is_a_harmless_line_with_our_prefix(event):
    for line in notice_lines(event):
        assert line.startswith(PREFIX)
        assert is_harmless(line)
        assert len(line.splitlines()) == 1


def test_a_listener_is_told_what_the_other_side_types():
    listening = Listening(8689, ["192.168.1.5", "fd00::5"], ["voicemux dial 192.168.1.5", "voicemux dial fd00::5"])
    assert notice_lines(listening) == [
        "voicemux: listening on port 8689 (192.168.1.5, fd00::5)",
        "voicemux: tell the other side to type:  voicemux dial 192.168.1.5",
    ]
    assert notice_lines(replace(listening, addresses=[]))[0] == "voicemux: listening on port 8689"


def test_calling_and_ringing_are_told_at_both_sides():
    assert said(Calling("kitchen")) == "calling kitchen ..."
    assert said(CallRinging("", "kitchen")) == "it rings ..."
    assert said(CallRinging("bob", "192.168.1.5", security="known")) == "bob (192.168.1.5) is calling"
    assert said(CallRinging("", "192.168.1.5", security="known")) == "192.168.1.5 is calling"


BOTH = Voice(sends=True, plays=True)
DEAFENED = replace(BOTH, deafened=True)


@pytest.mark.parametrize(
    ("sends", "hears", "own", "peer", "voice"),
    [
        ("opus", "pcm", BOTH, BOTH, "you hear each other (opus)"),
        ("opus", "pcm", BOTH, None, "you hear each other (opus)"),
        ("opus", "pcm", BOTH, replace(BOTH, records=True), "you hear each other (opus); they record what you say"),
        ("opus", "", BOTH, None, "they hear you, whether they send voice is not known"),
        ("", "", replace(BOTH, sends=False), None, "they do not hear you, whether they send voice is not known"),
        ("opus", "", BOTH, replace(BOTH, sends=False), "they hear you, you do not hear them (they send no voice)"),
        ("opus", "", replace(BOTH, plays=False), BOTH, "they hear you, you do not hear them"),
        ("opus", "pcm", BOTH, replace(BOTH, muted=True), "they hear you, you do not hear them (they have muted)"),
        (
            "opus",
            "pcm",
            replace(BOTH, deafened=True),
            BOTH,
            "they hear you, you do not hear them (you have deafened)",
        ),
        (
            "opus",
            "pcm",
            BOTH,
            replace(BOTH, deafened=True),
            "you hear them, they do not hear you (they have deafened)",
        ),
        ("opus", "pcm", replace(BOTH, muted=True), BOTH, "you hear them, they do not hear you (you are muted)"),
        ("", "opus", replace(BOTH, sends=False), BOTH, "you hear them, they do not hear you"),
        ("", "", Voice(), Voice(), "text only"),
        ("", "", Voice(), None, "text only"),
        ("", "", replace(BOTH, sends=False), Voice(plays=True), "text only"),
    ],
)
def test_a_connection_says_with_whom_and_who_hears_whom(sends, hears, own, peer, voice):
    assert said(replace(CONNECTED, sends=sends, hears=hears, own=own, peer=peer)) == (
        f"connected to bob (192.168.1.5), not encrypted; {voice}"
    )


def test_what_the_other_side_does_with_voice_is_told_by_its_name():
    assert said(PeerSwitched("bob", "muted", True)) == "bob has muted: you do not hear them"
    assert said(PeerSwitched("bob", "sends", False)) == "bob sends no voice"
    assert said(PeerSwitched("bob", "records", True)) == "bob records what you say"


def test_silence_is_told_with_what_is_silent_and_when_it_is_over():
    assert said(Quiet("line", True, "bob", 3.0)) == "nothing has come from bob for 3 s: what you say may not arrive"
    assert said(Quiet("line", False, "bob", 3.0)) == "bob is back"
    assert said(Late(True, "bob", 1.24)) == "the line is busy with something else: you hear bob 1.2 s late"
    assert said(Late(False, "bob", 0.1)) == "the line is free again"
    assert said(Quiet("voice", True, "bob", 3.0)) == "no voice has come from bob for 3 s"
    assert said(Quiet("voice", False, "bob", 3.0)) == "voice comes from bob again"
    assert (
        said(Quiet("microphone", True, "bob", 5.0)) == "your microphone has been silent for 5 s: is it switched off?"
    )


def test_a_lost_line_is_told_with_what_is_done_about_it_and_with_how_long_it_took():
    assert said(Interrupted("bob", 4.1)) == "the line is silent; trying to reach bob again"
    assert said(Interrupted("bob", 0.2)) == "the line broke; trying to reach bob again"
    assert said(Interrupted("alice", 4.1, dials=False)) == "the line is silent; waiting for alice"
    assert said(Resumed("bob", 7.2, "192.168.1.5")) == "bob is back after 7 s; nothing is lost"
    assert said(Resumed("bob", 0.44, "192.168.1.5")) == "bob is back after 0.4 s; nothing is lost"
    through = Resumed("bob", 7.2, "192.0.2.1", "relay.example.org")
    assert said(through) == "bob is back through relay.example.org after 7 s; nothing is lost"
    assert said(Direct("bob", "198.51.100.2:41394")) == "now directly to bob at 198.51.100.2:41394, without the relay"


@pytest.mark.parametrize(
    ("security", "words"),
    [
        ("known", "whose key you know"),
        ("code", "who knows the code"),
        ("open", "who may be anybody"),
    ],
)
def test_a_connection_says_what_speaks_for_the_other_side(security, words):
    assert said(replace(CONNECTED, security=security)).startswith(f"connected to bob (192.168.1.5), {words}; ")


def test_only_who_is_remembered_is_said_to_be():
    told = replace(CONNECTED, security="code", is_known=True)
    assert "who knows the code, and is remembered; " in said(told)
    assert "remembered" not in said(replace(told, is_known=False))


def test_what_a_contact_calls_itself_stands_beside_its_name():
    assert (
        said(CallRinging("fred", "192.168.1.5", claims="alice", security="known"))
        == "fred (192.168.1.5, calls itself alice) is calling"
    )
    told = said(replace(CONNECTED, name="fred", claims="ali>ce"))
    assert told.startswith("connected to fred (192.168.1.5, calls itself ali_ce), not encrypted")


def test_words_to_compare_are_shown_with_what_to_do_about_them():
    _, compare = notice_lines(replace(CONNECTED, security="open", words=["beeswax", "caravan"]))
    assert compare == "voicemux: are these words the same on both sides? beeswax caravan (say them; if so: /verify)"
    _, compare = notice_lines(replace(CONNECTED, security="open", words=["beeswax", "caravan"]), is_typed=False)
    assert compare.endswith("(say them; to be known from then on, call from a terminal, where /verify says so)")


def test_a_code_that_is_over_is_told_with_the_next():
    told = NewCode("42-beeswax-caravan", "it has been used", ["voicemux dial kitchen 42-beeswax-caravan"])
    assert notice_lines(told) == ["voicemux: the next new caller types:  voicemux dial kitchen 42-beeswax-caravan"]


def test_the_command_to_copy_stays_in_one_piece_however_narrow_the_window_is():
    command = "voicemux dial kitchen 42-beeswax-caravan"
    for event in (Invitation([command]), NewCode("42-beeswax-caravan", "", [command])):
        assert any(row.endswith(f"{command}\n") for row in written(event, Screen(lambda: 30, clips=False)))
    assert notice_lines(Invitation([])) == ["voicemux: only a listener has a code"]


def test_that_no_code_follows_is_told():
    told = NewCode("42-beeswax-caravan", "it has been used", ["voicemux dial kitchen 42-beeswax-caravan"])
    assert (
        said(replace(told, code="", why="it was guessed at 3 times")) == "the code is over: it was guessed at 3 times"
    )


@pytest.mark.parametrize(
    ("security", "who"),
    [
        ("plain", "not encrypted"),
        ("known", "whose key you know"),
        ("code", "who knows the code"),
        ("open", "an unknown caller, whatever the name says"),
    ],
)
def test_a_call_that_asks_says_who_that_is(security, who):
    assert notice_lines(CallRinging("bob", "192.168.1.5", asks=True, security=security)) == [
        f"voicemux: bob (192.168.1.5) is calling, {who}",
        "voicemux: /accept or /decline",
    ]


def test_an_answer_is_confirmed():
    assert said(Answered("bob", "192.168.1.5", accepted=True)) == "taking bob's call"
    assert said(Answered("", "192.168.1.5", accepted=False)) == "declined 192.168.1.5's call"


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("gave_up", "bob rang and gave up (missed call, 20:14)"),
        ("unanswered", "missed call from bob at 20:14"),
        ("busy", "bob (192.168.1.5) called meanwhile and was told that you are in a call (20:14)"),
    ],
)
def test_a_missed_call_says_who_it_was_and_when(why, words):
    missed = Missed("bob", "192.168.1.5", "2026-11-29T20:14:05+01:00", why)
    assert said(missed) == words
    assert notice_lines(MissedCalls([missed])) == [
        "voicemux: missed calls:",
        "voicemux: 2026-11-29 20:14  bob (192.168.1.5)",
    ]


def test_no_missed_calls_are_good_news():
    assert said(MissedCalls([])) == "no missed calls"


@pytest.mark.parametrize("name", ["", "192.168.1.5"], ids=["none", "the address"])
def test_somebody_without_a_name_goes_by_the_address(name):
    assert said(replace(CONNECTED, name=name)).startswith("connected to 192.168.1.5, not encrypted")


def test_a_name_in_a_notice_cannot_end_it():
    assert said(replace(CONNECTED, name="bob\nvoicemux: bye")).startswith(r'connected to "bob\nvoicemux_ bye" (192')


def test_sound_that_breaks_is_told_and_a_file_that_ends_is_not():
    assert said(AudioStopped("input", "the microphone has gone")) == "the microphone has gone; text goes on"
    assert said(AudioStopped("output", "broken pipe", ends_call=True)) == "broken pipe; the call ends"
    assert notice_lines(AudioStopped("input", "")) == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Waiting("bob", 1), "waiting for bob to confirm what you wrote; Ctrl-C leaves at once"),
        (Waiting("bob", 0), "waiting for bob to hang up, too; Ctrl-C leaves at once"),
        (Switched("muted", True), "muted: they do not hear you"),
        (Switched("muted", False), "they hear you again"),
        (Switched("deafened", True), "deafened: you do not hear them"),
        (Switched("deafened", False), "you hear them again"),
    ],
)
def test_a_switch_says_what_it_does(event, words):
    assert said(event) == words


SOCKET, STDIO = "unix:/run/calls", "stdio"


@pytest.mark.parametrize(
    ("address", "relay", "where"),
    [
        (SOCKET, "", "through the socket /run/calls"),
        (STDIO, "", "through standard input"),
        ("192.0.2.1", "relay.example.org", "through relay.example.org"),
    ],
)
def test_a_caller_without_an_address_of_its_own_is_told_by_what_it_comes_through(address, relay, where):
    assert said(CallRinging("bob", address, security="known", relay=relay)) == f"bob ({where}) is calling"
    assert said(replace(CONNECTED, address=address, relay=relay)).startswith(f"connected to bob ({where}), ")
    assert said(TurnedAway(address, "busy", name="bob", relay=relay)).startswith(f"bob ({where}) called meanwhile")
    assert said(TurnedAway(address, "no key", relay=relay)) == f"turned away a caller {where}: no key"
    missed = Missed("bob", address, "2026-11-29T20:14:05+01:00", "busy", relay)
    assert said(missed).startswith(f"bob ({where}) called")
    assert notice_lines(MissedCalls([missed]))[-1].endswith(f"bob ({where})")


@pytest.mark.parametrize("address", [SOCKET, STDIO, "fd00::5"])
def test_a_caller_without_a_name_is_called_by_its_address_once(address):
    assert said(CallRinging(address, address, security="known")) == f"{address} is calling"


def test_a_notice_of_several_lines_has_our_prefix_on_each():
    assert notice_lines(Notice("one\n  two")) == ["voicemux: one", "voicemux:   two"]


def test_whoever_was_turned_away_is_named_with_the_reason():
    assert said(TurnedAway("192.168.1.7", "busy")) == "turned away a caller from 192.168.1.7: busy"


def test_a_failure_is_its_own_sentence():
    assert said(ProgramFailed("nobody listens there", 3)) == "nobody listens there"


def test_a_failure_has_the_words_of_the_other_side_in_quotes_and_then_what_can_be_done():
    failed = ProgramFailed("busy", 1, said='back "soon"\x1b[2J', hint="call later")
    assert said(failed) == r"""busy (the other side says: "back 'soon'\x1b[2J"); call later"""


def test_what_the_other_side_gives_as_its_reason_is_marked_as_its_words():
    ended = Ended("them", "flood", False, make_stats(), said="you talk too much", hint="talk less")
    first, hint = notice_lines(ended)
    assert first.startswith("voicemux: the other side hung up (flood) after 0:00 ")
    assert first.endswith(' (the other side says: "you talk too much")')
    assert hint == "voicemux: talk less"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bob the Builder", '"Bob the Builder"'),
        ("bob, whose key you know;", '"bob, whose key you know;"'),
        ("Bob the Builder (not the contact)", '"Bob the Builder" (not the contact)'),
        ("jean-luc", "jean-luc"),
        ("bob (not the contact)", "bob (not the contact)"),
        ('"', '"\'"'),
        ("\u05d0\u05d1", "\u05d0\u05d1\u200e"),
    ],
    ids=ascii,
)
def test_a_name_in_a_notice_that_is_no_plain_word_is_in_quotes(name, shown):
    assert said(replace(CONNECTED, name=name)).startswith(f"connected to {shown} (192.168.1.5), ")


@pytest.mark.parametrize(
    ("by", "reason", "words"),
    [
        ("us", "", "you hung up"),
        ("them", "", "the other side hung up"),
        ("error", "nothing came for 15 s", "the call broke off (nothing came for 15 s)"),
    ],
)
def test_the_end_says_who_ended_it_why_and_after_what(by, reason, words):
    stats = make_stats(seconds=252, texts_sent=2, mouth_to_ear_ms=None)
    assert said(Ended(by, reason, False, stats)) == f"{words} after 4:12"
    assert (
        said(Ended(by, reason, False, replace(stats, mouth_to_ear_ms=48.2)))
        == f"{words} after 4:12 · mouth to ear 48 ms"
    )


def test_the_end_says_which_text_may_be_lost():
    one = Ended("them", "", 1, make_stats(), undelivered_texts=[Undelivered("dear bob,\nthe door code is 1234")])
    assert notice_lines(one)[1:] == [
        "voicemux: 1 text may not have arrived:",
        "voicemux:   dear bob,",
        "voicemux:   the door code is 1234",
    ]
    many = replace(one, undelivered=1002, undelivered_texts=[Undelivered("a"), Undelivered("")])
    assert notice_lines(many)[1:] == [
        "voicemux: 1002 texts may not have arrived:",
        "voicemux:   a",
        "voicemux:   ",
        "voicemux:   and 1000 more",
    ]


def test_of_text_that_may_be_lost_no_more_is_shown_than_fits_a_screen():
    long = Ended("them", "", 1, make_stats(), undelivered_texts=[Undelivered("\n" * 200)])
    assert len(notice_lines(long)) < 50


def test_what_was_not_obeyed_is_told_with_the_reason():
    assert said(Rejected("nobody is connected: that was not sent", "7")) == "nobody is connected: that was not sent"


# --- figures


# --- what a peer says


def test_a_line_is_marked_with_who_said_it():
    assert text_lines(TextReceived("bob", "hi")) == ["bob> hi"]


def test_every_line_of_a_text_is_marked():
    assert text_lines(TextReceived("bob", "one\nvoicemux: two\n\nfour")) == [
        "bob> one",
        "bob| voicemux: two",
        "bob| ",
        "bob| four",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "(them)"),
        (" \u200d", "(them)"),
        ("n" * 60 + " (not the contact)", "n" * 31 + "… (not the contact)"),
        ("\u2800", "(them)"),
        ("voicemux", "voicemux (them)"),
        ("VOICEMUX", "VOICEMUX (them)"),
        ("voicemux\ufe0f", "voicemux\ufe0f (them)"),
        ("voicemux:", "voicemux_"),
        ("alice", "alice (them)"),
        ("Alice", "Alice (them)"),
        ("alice\u200c", "alice\u200c (them)"),
        ("alice> hi", "alice_ hi"),
        ("bob", "bob"),
    ],
    ids=ascii,
)
def test_nobody_can_pass_for_a_notice_or_for_the_user(name, shown):
    assert text_lines(TextReceived(name, "hi"), own_name="alice") == [f"{shown}> hi"]


@given(tricky_texts, tricky_texts, tricky_texts)
@example("voicemux", "x", "voicemux (them)")
@example("", "x", "(them)")
def test_no_line_of_a_peer_looks_like_a_notice_or_like_the_user(name, text, own_name):
    own_name = printable_name(own_name)
    lines = text_lines(TextReceived(name, text), own_name)
    assert lines
    for line in lines:
        assert is_harmless(line)
        assert len(line.splitlines()) == 1
        assert not line.casefold().startswith(PREFIX.strip())
        assert not line.startswith(("> ", "| ", f"{own_name}> ", f"{own_name}| "))
        shown = line.replace("|", ">").split(">")[0]
        assert not any(alike(shown, taken) for taken in ("", "voicemux", own_name))


def test_two_who_bear_the_same_long_name_are_told_apart():
    name = "n" * 50
    assert text_lines(TextReceived(name, "hi"), printable_name(name)) == [f"{printable_name(name)} (them)> hi"]
