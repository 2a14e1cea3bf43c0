"""`voicemux listen --announce` and `voicemux find`, as users run them."""

import json
import secrets

import pytest

from tests.running import listening, run


def find(*options: str) -> tuple[int, list[str], list[str]]:
    return run("find", "--seconds", "1", *options)


def test_who_listens_with_announce_is_found_under_the_name_that_was_given():
    name = f"bob {secrets.token_hex(4)}"
    with listening("--announce", "--name", name, "--no-audio", "--json", host="*") as (listener, address):
        assert listener.event("notice")["text"] == f"announced on the local network as {name}"
        for _ in range(5):
            code, out, _ = find()
            if line := next((each for each in out if each.startswith(f"{name}: ")), ""):
                break
        assert code == 0
        assert line.endswith(f":{address.split(':')[-1]}")
        assert line.startswith(f"{name}: voicemux dial ")
        code, out, _ = find("--json")
        assert code == 0
        assert name in [each["name"] for each in json.loads(out[0])]


def test_a_listener_that_only_this_machine_reaches_is_not_announced():
    with listening("--announce", "--no-audio", "--json", host="127.0.0.1") as (listener, _):
        assert listener.event("notice")["text"] == "it is not announced: only this machine can reach 127.0.0.1"


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x", "1000"])
def test_a_wait_that_makes_no_sense_is_refused(seconds: str):
    code, out, complaints = run("find", "--seconds", seconds)
    assert (code, out, len(complaints)) == (2, [], 1)
