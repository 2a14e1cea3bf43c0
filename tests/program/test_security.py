"""Who may call whom: the shipped program, with keys, codes and contacts in folders of its own."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.running import Program, await_connection, listening, run
from voicemux.security.contacts import Contacts

TEXT_ONLY = "--no-audio"
NO_CODE = {"VOICEMUX_CODE": ""}


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, dict[str, str]]:
    """For each person the environment of their programs."""
    return {name: {**NO_CODE, "VOICEMUX_HOME": str(tmp_path / name)} for name in ("alice", "bob", "mallory")}


def contacts(env: dict[str, str]) -> dict[str, dict[str, Any]]:
    _, out, _ = run("contacts", "--json", env=env)
    return {each["name"]: each for each in json.loads("\n".join(out))}


def say(text: str, *arguments: str, env: dict[str, str]) -> tuple[int, list[str]]:
    """Dial, say a line, hang up: the exit code, and what was told."""
    code, _, err = run("dial", *arguments, TEXT_ONLY, stdin=f"{text}\n", env=env)
    return code, err


def test_the_first_call_needs_the_code_that_is_shown_and_the_next_just_a_name(homes):
    with Program("listen", "--host", "127.0.0.1", "--port", "0", TEXT_ONLY, "--name", "bob", env=homes["bob"]) as bob:
        typed = bob.notice_with("tell the other side to type").split("voicemux dial ")[1].split()
        code, told = say("by code", *typed, "--name", "alice", env=homes["alice"])
        assert code == 0
        assert "connected to bob (127.0.0.1), who knows the code, and is remembered; text only" in told[-2]
        assert bob.read() == "alice> by code"
        code, told = say("by name", "bob", env=homes["alice"])
        assert code == 0
        assert "whose key you know" in told[-2]
        assert bob.read() == "alice> by name"
    assert contacts(homes["alice"])["bob"]["addresses"] == [typed[0]]
    assert contacts(homes["bob"])["alice"]["how"] == "code"


def test_the_code_that_was_used_is_replaced_and_the_next_is_shown(homes):
    with Program("listen", "--port", "0", TEXT_ONLY, "--json", "--host", "127.0.0.1", env=homes["bob"]) as bob:
        first = bob.event("listening")
        say("hi", *first["dial"][0].split()[2:], env=homes["alice"])
        after = bob.event("new_code")
        assert after["why"] == "it has been used"
        assert after["dial"][0].endswith(after["code"])
        assert after["code"] not in ("", first["code"])


@pytest.mark.parametrize("way", ["variable", "file", "standard input"])
def test_a_code_need_not_be_typed_where_others_see_it(homes, tmp_path, way):
    with listening(TEXT_ONLY, "--code", "7-quiet-test", env=homes["bob"]) as (bob, address):
        if way == "variable":
            code, _ = say("hi", address, env={**homes["alice"], "VOICEMUX_CODE": "7 Quiet Test"})
        elif way == "file":
            (tmp_path / "code").write_text("7-quiet-test\n")
            code, _ = say("hi", address, "--code-file", str(tmp_path / "code"), env=homes["alice"])
        else:
            code, _, _ = run(
                "dial", address, "--code-file", "-", TEXT_ONLY, stdin="7-quiet-test\nhi\n", env=homes["alice"]
            )
        assert code == 0
        bob.notice_with("connected to")


def test_a_wrong_code_is_told_to_both(homes):
    with listening(TEXT_ONLY, "--code", "7-quiet-test", env=homes["bob"]) as (bob, address):
        code, told = say("hi", address, "8-quiet-test", env=homes["mallory"])
        assert code == 6
        assert told[-1].startswith("voicemux: the code is wrong, or no longer valid; most likely it is mistyped")
        assert bob.notice_with("turned away").endswith("a wrong code")


def test_wrong_codes_end_no_code_and_somebody_who_tries_many_is_told_of(homes):
    with listening(TEXT_ONLY, "--json", env=homes["bob"]) as (bob, address):
        right = json.loads(bob.out[0])["code"]
        for _ in range(10):
            assert say("hi", address, "8-quiet-test", env=homes["mallory"])[0] == 6
        assert bob.event("notice")["text"].startswith("callers guess codes: 10 wrong ones so far")
        assert say("hi", address, right, env=homes["alice"])[0] == 0
        assert bob.event("new_code")["code"].count("-") == 4  # words, not three as before
        assert right.count("-") == 3


def test_the_right_code_while_the_line_is_busy_makes_a_contact_and_the_owner_reads_who_called(homes):
    with (
        listening(TEXT_ONLY, "--json", "--code", "7-quiet-test", env=homes["bob"]) as (bob, address),
        Program("dial", address, "7-quiet-test", "--name", "carol", TEXT_ONLY, env=homes["mallory"]) as carol,
    ):
        await_connection(carol)
        code, told = say("hi", address, "7-quiet-test", "--name", "alice", env=homes["alice"])
        assert code == 1
        assert "busy" in told[-1]
        missed = bob.event("missed")
        assert (missed["why"], missed["name"]) == ("busy", "alice")
    assert contacts(homes["bob"])["alice"]["how"] == "code"


def test_a_right_code_that_found_the_line_busy_is_used_up_and_needed_no_more(homes):
    with listening(TEXT_ONLY, "--json", "--name", "bob", env=homes["bob"] | {"VOICEMUX_CODE": ""}) as (bob, address):
        first = json.loads(bob.out[-1])["code"]
        with Program("dial", address, first, "--name", "carol", TEXT_ONLY, env=homes["mallory"]) as carol:
            await_connection(carol)
            second = bob.event("new_code")["code"]
            assert say("hi", address, second, "--name", "alice", env=homes["alice"])[0] == 1
            bob.event("new_code")
            (bob_there,) = contacts(homes["alice"])
            assert bob_there == "127-0-0-1"  # it has not said its name yet
            carol.interrupt()
            bob.event("ended")
        for again in ((bob_there,), (address, second), ("bob",)):
            assert say("hi again", *again, env=homes["alice"])[0] == 0
            assert bob.event("text")["text"] == "hi again"
        assert list(contacts(homes["alice"])) == ["bob"]


@pytest.mark.parametrize("way", ["by a code", "open"])
def test_a_call_to_oneself_is_said_to_be_one_and_makes_no_contact(way, homes):
    how = ("--open", "--auto-accept") if way == "open" else ("--code", "7-quiet-test")
    with listening(TEXT_ONLY, "--json", "--name", "alice", *how, env=homes["alice"]) as (listener, address):
        code, told = say("hello me", address, "--open" if way == "open" else "7-quiet-test", env=homes["alice"])
        assert code == 0
        assert [line for line in told if "that is yourself" in line]
        assert "remembered" not in "\n".join(told)
        listener.event("connected")
        assert listener.event("text")["text"] == "hello me"
    assert contacts(homes["alice"]) == {}


def test_entries_of_the_contacts_that_cannot_be_used_are_told_by_every_command(homes):
    folder = Path(homes["alice"]["VOICEMUX_HOME"])
    folder.mkdir(mode=0o700)
    entry = {"name": "10.0.0.7", "fingerprint": "b0" * 32, "addresses": [], "how": "code", "since": "2026-01-31"}
    (folder / "contacts.json").write_text(json.dumps([entry, {**entry, "name": "eve"}]))
    (folder / "contacts.json").chmod(0o600)
    expected = "contact 1 ('10.0.0.7'): '10.0.0.7' cannot be a name: it would be taken for an address"
    for command in (["contacts"], ["dial", "127.0.0.1:1", "--open", TEXT_ONLY]):
        _, _, err = run(*command, env=homes["alice"])
        assert err[0].endswith(f"contacts.json has entries that are passed over: {expected}")
    assert run("contacts", "forget", "10.0.0.7", env=homes["alice"])[0] == 0
    assert list(contacts(homes["alice"])) == ["eve"]


def test_who_calls_again_takes_the_place_of_its_own_call_at_once(homes):
    """Its network has died, and the listener has not noticed."""
    with listening(TEXT_ONLY, "--json", "--code", "7-quiet-test", env=homes["bob"]) as (bob, address):
        assert say("hi", address, "7-quiet-test", "--name", "alice", env=homes["alice"])[0] == 0
        bob.event("ended")
        with Program("dial", address, TEXT_ONLY, env=homes["alice"]) as first:
            await_connection(first)
            bob.event("connected")
            os.kill(first.process.pid, signal.SIGSTOP)
            began = time.monotonic()
            try:
                assert say("me again", address, env=homes["alice"])[0] == 0
                assert time.monotonic() - began < 12  # not the 15 of a line that is dead
                ended = bob.event("ended")
                assert (ended["by"], ended["reason"]) == ("them", "called again")
                assert bob.event("text")["text"] == "me again"
            finally:
                os.kill(first.process.pid, signal.SIGCONT)
            assert first.wait() == 1
            assert "the same key has called again" in first.err[-1]


def test_whoever_is_unknown_is_told_what_it_takes(homes):
    with listening(TEXT_ONLY, env=homes["bob"]) as (_, address):
        code, told = say("hi", address, "--open", env=homes["mallory"])
    assert code == 6
    assert told[-1] == "voicemux: you are not known there; the other side is shown a code: voicemux dial HOST CODE"


def test_what_an_open_listener_says_that_callers_type_is_all_that_it_takes(homes):
    bare = {**homes["bob"], "VOICEMUX_CODE": ""}
    with Program("listen", "--host", "127.0.0.1", "--port", "0", "--open", TEXT_ONLY, env=bare) as bob:
        typed = bob.notice_with("tell the other side to type").split("voicemux dial ")[1].split()
        with Program("dial", *typed, TEXT_ONLY, env={**homes["alice"], "VOICEMUX_CODE": ""}) as alice:
            alice.notice_with("it rings")
            bob.write("/accept\n")
            alice.notice_with("who may be anybody")


def test_an_open_listener_asks_and_both_compare_the_same_words(homes):
    with listening(TEXT_ONLY, "--json", "--open", env=homes["bob"]) as (bob, address):
        with Program("dial", address, "--open", TEXT_ONLY, "--json", "--name", "alice", env=homes["alice"]) as alice:
            ringing = bob.event("ringing")
            assert (ringing["name"], ringing["asks"]) == ("alice", True)
            bob.command(command="accept")
            connected = [side.event("connected") for side in (alice, bob)]
            assert [each["security"] for each in connected] == ["open", "open"]
            assert connected[0]["words"] == connected[1]["words"]
            assert len(connected[0]["words"]) == 4
            for side in (alice, bob):
                side.command(command="verify")
                assert "remembered as" in side.event("notice")["text"]
            alice.command(command="quit")
            assert alice.wait() == 0
        bob.event("ended")
        with Program("dial", address, TEXT_ONLY, "--json", env=homes["alice"]) as again:
            assert again.event("connected")["security"] == "known"
            assert bob.event("connected")["name"] == "alice"


def test_an_open_call_may_be_declined(homes):
    with listening(TEXT_ONLY, "--json", "--open", env=homes["bob"]) as (bob, address):
        with Program("dial", address, "--open", TEXT_ONLY, env=homes["mallory"]) as mallory:
            bob.event("ringing")
            bob.command(command="decline")
            assert mallory.wait() == 1
            assert mallory.err[-1] == "voicemux: the other side declined the call"
        say("hi", address, "--unencrypted", env=homes["mallory"])
        assert bob.event("turned_away")["why"] == "a plain call, and only encrypted ones are taken"


def test_nobody_is_asked_where_all_are_accepted(homes):
    with (
        listening(TEXT_ONLY, "--open", "--auto-accept", env=homes["bob"]) as (bob, address),
        Program("dial", address, "--open", TEXT_ONLY, env=homes["alice"]) as alice,
    ):
        for side in (alice, bob):
            await_connection(side)
            compare = side.notice()
            assert "are these words the same on both sides?" in compare
            assert "from a terminal, where /verify" in compare  # in a pipe it cannot be typed


def test_a_call_that_is_to_be_open_is_so_whatever_code_the_environment_has(homes):
    with (
        listening(TEXT_ONLY, "--open", "--auto-accept", "--json", env=homes["bob"]) as (bob, address),
        Program("dial", address, "--open", TEXT_ONLY, env=homes["alice"] | {"VOICEMUX_CODE": "7-another-call"}),
    ):
        assert bob.event("connected")["security"] == "open"


def spoil(home: Path, how: str) -> None:
    if how == "damaged":
        (home / "contacts.json").write_text("[")
    else:  # a file that is only to be read is no obstacle to root: a folder in place of the lock is one to all
        (home / "contacts.json.lock").unlink(missing_ok=True)
        (home / "contacts.json.lock").mkdir()


@pytest.mark.parametrize(("how", "words"), [("damaged", "is damaged"), ("not to be written", "cannot change")])
def test_a_call_goes_on_when_its_contacts_are_spoiled_and_a_notice_says_so(homes, how, words):
    with listening(TEXT_ONLY, "--json", "--open", "--auto-accept", env=homes["bob"]) as (bob, address):
        with Program("dial", address, "--open", TEXT_ONLY, "--json", "--name", "alice", env=homes["alice"]) as alice:
            for side in (alice, bob):
                side.event("connected")
            for side, name in ((alice, "alice"), (bob, "bob")):
                spoil(Path(homes[name]["VOICEMUX_HOME"]), how)
                side.command(command="verify")
                while not (notice := side.event("notice")["text"]).endswith("but is not remembered"):
                    pass
                assert words in notice
            for side, other in ((alice, bob), (bob, alice)):
                side.command(command="say", text="still here")
                assert other.event("text")["text"] == "still here"
            alice.command(command="quit")
            assert alice.wait() == 0
        assert bob.event("ended")["by"] == "them"


def test_a_command_that_cannot_change_the_contacts_says_why_in_one_line(homes):
    home = Path(homes["alice"]["VOICEMUX_HOME"])
    Contacts(home).remember("bob", "b0" * 32, "", "code")
    spoil(home, "not to be written")
    code, out, err = run("contacts", "forget", "bob", env=homes["alice"])
    assert (code, out, len(err)) == (6, [], 1)
    assert "contacts.json.lock is a folder, and not a file: remove it" in err[0]
    assert list(contacts(homes["alice"])) == ["bob"]


def test_a_first_call_is_held_though_it_cannot_be_written_down(homes):
    for name in ("alice", "bob"):
        run("contacts", "show", env=homes[name])
        spoil(Path(homes[name]["VOICEMUX_HOME"]), "not to be written")
    with listening(TEXT_ONLY, "--code", "7-quiet-test", env=homes["bob"]) as (bob, address):
        code, told = say("hi", address, "7-quiet-test", "--name", "alice", env=homes["alice"])
        assert code == 0
        assert [each for each in told if each.endswith("the call goes on, but is not remembered")]
        assert bob.read() == "alice> hi"
    assert contacts(homes["alice"]) == contacts(homes["bob"]) == {}


def test_a_name_of_a_contact_does_not_make_somebody_unknown_that_contact(homes):
    with listening(TEXT_ONLY, "--code", "7-quiet-test", "--once", env=homes["bob"]) as (_, address):
        assert say("hi", address, "7-quiet-test", "--name", "alice", env=homes["alice"])[0] == 0
    with listening(TEXT_ONLY, "--open", "--auto-accept", env=homes["bob"]) as (bob, address):
        say("I am alice", address, "--open", "--name", "alice", env=homes["mallory"])
        assert bob.read() == "alice (not the contact)> I am alice"


def test_only_those_who_are_allowed_may_call(homes):
    with listening(TEXT_ONLY, "--code", "7-quiet-test", env=homes["bob"]) as (_, address):
        for name in ("alice", "mallory"):
            assert say("hi", address, "7-quiet-test", "--name", name, env=homes[name])[0] == 0
    with listening(TEXT_ONLY, "--allow", "Alice", env=homes["bob"]) as (bob, address):
        assert say("hi", address, env=homes["alice"])[0] == 0
        assert say("hi", address, env=homes["mallory"])[0] == 6
        assert bob.notice_with("turned away").endswith("mallory is not allowed")
    code, _, err = run("listen", "--port", "0", "--allow", "nobody", env=homes["bob"])
    assert code == 6
    assert err == ["voicemux: nobody is not a contact, so it cannot be allowed"]


def test_a_key_that_has_changed_is_refused_with_what_may_have_happened(homes):
    with Program("listen", "--host", "127.0.0.1", "--port", "0", TEXT_ONLY, "--name", "bob", env=homes["bob"]) as bob:
        typed = bob.notice_with("tell the other side to type").split("voicemux dial ")[1].split()
        assert say("hi", *typed, env=homes["alice"])[0] == 0
    os.unlink(Path(homes["bob"]["VOICEMUX_HOME"]) / "identity.pem")
    port = typed[0].split(":")[1]
    with Program(
        "listen", "--host", "127.0.0.1", "--port", port, TEXT_ONLY, "--name", "bob", env=homes["bob"]
    ) as bob:
        bob.notice_with("tell the other side")
        code, told = say("secret", "bob", env=homes["alice"])
        assert code == 6
        assert told[-1].startswith("voicemux: the key of bob at 127.0.0.1:")
        assert "somebody may be in the middle" in told[-1]
        assert told[-1].endswith("voicemux contacts forget bob, and call with a new code")
    assert "alice> secret" not in bob.out


def test_contacts_are_listed_renamed_shown_and_forgotten(homes):
    with listening(TEXT_ONLY, "--code", "7-quiet-test", "--name", "bob", env=homes["bob"]) as (_, address):
        say("hi", address, "7-quiet-test", env=homes["alice"])
    env = homes["alice"]
    assert run("contacts", env=env)[1][0].startswith(f"bob  {address}  (by code, ")
    assert run("contacts", "rename", "bob", "robert", env=env)[0] == 0
    shown = run("contacts", "show", "robert", env=env)[1]
    assert shown == run("contacts", "show", env=homes["bob"])[1]
    as_json = [json.loads(run("contacts", "--json", *what, env=env)[1][0]) for what in (["show", "robert"], ["show"])]
    assert [as_json[0]["name"], as_json[0]["fingerprint"]] == ["robert", *shown]
    assert as_json[1] == {"fingerprint": run("contacts", "show", env=env)[1][0]}
    assert json.loads(run("contacts", "--json", "address", "robert", env=env)[1][0]) == [address]
    assert run("contacts", "forget", "robert", env=env)[0] == 0
    assert run("contacts", env=env)[2] == ["voicemux: no contacts yet; the first call with a code makes one"]
    for arguments in (("forget", "robert"), ("rename", "robert", "bob"), ("show", "robert")):
        code, _, err = run("contacts", *arguments, env=env)
        assert code == 6
        assert len(err) == 1
        assert "robert" in err[0]


def test_plain_calls_are_what_both_sides_must_want(homes):
    with listening(TEXT_ONLY, "--unencrypted", env=homes["bob"]) as (bob, address):
        code, told = say("hi", address, "--unencrypted", env=homes["alice"])
        assert code == 0
        assert "not encrypted" in told[-2]
        code, told = say("hi", address, env=homes["alice"])
        assert code == 6
        assert told[-1].startswith(
            "voicemux: plain calls are taken there, not encrypted ones; it runs with --unencrypted"
        )
        assert bob.notice_with("turned away").endswith("an encrypted call, and only plain ones are taken")
    with listening(TEXT_ONLY, env=homes["bob"]) as (bob, address):
        code, told = say("hi", address, "--unencrypted", env=homes["alice"])
        assert code == 6
        assert told[-1] == "voicemux: an encrypted call is wanted there; call without --unencrypted"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_key_that_others_can_read_is_not_used(homes):
    run("contacts", "show", env=homes["bob"])
    key = Path(homes["bob"]["VOICEMUX_HOME"]) / "identity.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    key.chmod(0o644)
    code, _, err = run("listen", "--port", "0", env=homes["bob"])
    assert code == 6
    assert err == [f"voicemux: {key} can be read by others (mode 0644): chmod 600 it, if nobody else has seen it"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("listen", "--auto-accept", "--ask"), "--auto-accept and --ask contradict each other"),
        (("listen", "--unencrypted", "--open"), "--unencrypted goes with none of"),
        (("listen", "--unencrypted", "--code", "7-quiet-test"), "--unencrypted goes with none of"),
        (("dial", "localhost", "7-quiet-test", "--unencrypted"), "--unencrypted goes with none of"),
        (("listen", "--code-words", "1"), "invalid value for '--code-words'"),
        (("dial", "localhost", "--code-file", "/nowhere"), "invalid value for '--code-file'"),
    ],
)
def test_options_that_do_not_go_together_are_misuse(arguments, words, homes):
    code, _, err = run(*arguments, env=homes["alice"])
    assert code == 2
    assert len(err) == 1
    assert words in err[0]
