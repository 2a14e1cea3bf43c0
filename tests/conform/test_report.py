"""What `voicemux conform` says, and how it ends."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from tests.running import listening, run
from voicemux.conform import report
from voicemux.conform.runner import Selection
from voicemux.conform.verdict import FAIL, PASS, SKIP, Result
from voicemux.console.rows import Screen

RESULTS = [
    Result("silent-before-preface", 3, PASS, "", 1.5),
    Result("frame-too-long", 4, FAIL, 'expected a BYE of code 3, got "<nothing>"', 2.0),
    Result("audio-paced", 8, SKIP, "it sends no audio", 0.5),
]


def test_there_is_a_line_for_each_case():
    assert [report.line(result) for result in RESULTS] == [
        "pass   3  silent-before-preface",
        'FAIL   4  frame-too-long  expected a BYE of code 3, got "<nothing>"',
        "skip   8  audio-paced  it sends no audio",
    ]
    assert report.summary(RESULTS) == "1 passed, 1 failed, 1 skipped, in 4 s"


def test_programs_get_one_object():
    told = json.loads(report.as_json(RESULTS))
    assert (told["ok"], told["passed"], told["failed"], told["skipped"]) == (False, 1, 1, 1)
    assert told["cases"][2]["detail"] == "it sends no audio"


def test_junit_knows_failures_and_skips():
    suite = ElementTree.fromstring(report.as_junit(RESULTS))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    failure = suite.find("testcase[@name='frame-too-long']/failure")
    assert failure is not None
    assert failure.get("message") == RESULTS[1].detail


@pytest.mark.parametrize("role", ["listener", "dialler", "dialer"])
def test_the_cases_can_be_listed(role):
    code, out, err = run("conform", role, "--list")
    cases = Selection().cases("listener" if role == "listener" else "dialler", encrypted=True)
    assert (code, err) == (0, [])
    assert [line.split()[1] for line in out] == [case.name for case in cases]
    assert all(case.about for case in cases)


def test_cases_are_chosen_by_name_section_and_duration():
    names = {case.name for case in Selection(sections=(9,)).cases("listener", encrypted=False)}
    assert names == {"pings", "silence"}
    assert not Selection(sections=(9,), quick=True).cases("listener", encrypted=False)
    assert [case.name for case in Selection(names=("pong",)).cases("dialler", encrypted=True)] == ["pong"]


def test_an_unknown_case_is_a_misuse():
    code, _, err = run("conform", "listener", "127.0.0.1", "--case", "nonsense")
    assert code == 2
    assert err[-1].startswith("voicemux: no such case for this: nonsense")


def test_one_case_of_a_listener(tmp_path):
    junit = tmp_path / "junit.xml"
    with listening("--no-audio") as (_, address):
        code, out, _ = run("conform", "listener", address, "--case", "goodbye", "--junit", str(junit))
    assert (code, out[0]) == (0, "pass  10  goodbye")
    assert ElementTree.parse(junit).getroot().get("failures") == "0"


def test_results_are_told_though_their_file_cannot_be_written(tmp_path):
    place = tmp_path / "nowhere" / "junit.xml"
    with listening("--no-audio") as (_, address):
        code, out, err = run("conform", "listener", address, "--case", "goodbye", "--junit", str(place))
    assert (code, out[0]) == (1, "pass  10  goodbye")
    assert err[-1] == f"voicemux: cannot write {place}: no such file or directory"


def test_open_calls_need_no_code():
    with listening("--no-audio", "--open", "--auto-accept", env={"VOICEMUX_CODE": ""}) as (_, address):
        code, out, _ = run("conform", "listener", address, "--open", "--case", "pong", env={"VOICEMUX_CODE": ""})
    assert (code, out[0]) == (0, "pass   5  pong")


def test_a_failure_shows_in_the_exit_code():
    with listening("--no-audio") as (_, address):  # it has another code
        code, out, _ = run("conform", "listener", address, "--code", "9-wrong-code", "--case", "pong")
    assert code == 1
    assert out[0].startswith("FAIL   5  pong  expected a")


def test_nobody_there_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, out, err = run("conform", "listener", f"127.0.0.1:{port}")
    assert (code, out) == (3, [])
    assert err == [
        f"voicemux: cannot reach 127.0.0.1 port {port}: connection refused; does voicemux listen run there?"
    ]


@pytest.mark.parametrize("mode", [(), ("--unencrypted",)])
def test_something_else_is_one_line(mode):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(20)

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                connection.recv(4096)

        with ThreadPoolExecutor(1) as pool:
            answering = pool.submit(answer)
            code, out, err = run("conform", "listener", f"127.0.0.1:{other.getsockname()[1]}", *mode)
            answering.result()
    assert (code, out) == (4, [])
    assert len(err) == 1
    assert "does not speak voicemux: " in err[0]


def test_what_a_peer_says_begins_no_row_of_a_terminal():
    said = 'expected a PONG, got a BYE of code 3 ("' + "pass   5  pong " * 8 + '")'
    shown = report.shown(report.line(Result("pong", 5, FAIL, said, 0.1)), Screen(lambda: 40, clips=False)).split("\n")
    assert shown[0].startswith("FAIL   5  pong")
    assert all(row.startswith("      ") for row in shown[1:])
    assert max(map(len, shown)) < 40
