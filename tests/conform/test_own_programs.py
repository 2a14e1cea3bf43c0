"""Our own listener and dialler pass every case of `voicemux conform`, plain and encrypted."""

import json
import shlex
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import voicemux
from tests.running import Program, listening
from voicemux.conform.runner import Selection

pytestmark = pytest.mark.timeout(240)  # seconds: the first test waits for all suites

SPEECH = Path(voicemux.__file__).parent / "speech"
SUITE_PATIENCE = 200.0  # seconds
MUCH = "what two terminals have to say to each other " * 2000 + "\n"  # more than a window of text
SUITES = [(role, mode) for role in ("listener", "dialler") for mode in ("plain", "encrypted")]
WHOLE: dict[str, tuple[int, ...]] = {"whole": ()}
HALVES = {"first": (3, 4, 5), "second": (6, 7, 8, 9, 10, 12)}
FIRST = {
    "first": HALVES["first"]
}  # of a plain dialler, but with --long: what follows is the same code as in encrypted calls
OF_WRITERS = ("text-numbers", "text-window")  # for somebody who writes much
Cases = dict[str, dict[str, object]]
Parts = dict[tuple[str, str], dict[str, tuple[int, ...]]]


def voice(folder: Path, speech: str) -> tuple[str, ...]:
    return "--input", str(SPEECH / speech), "--output", str(folder / "heard.wav")


def security(mode: str) -> tuple[str, ...]:
    return ("--unencrypted",) if mode == "plain" else ()


def finished(*arguments: str) -> Cases:
    with Program("conform", *arguments, "--json") as conform:
        conform.wait(SUITE_PATIENCE)
        return {case["name"]: case for case in json.loads(conform.out[0])["cases"]}


def examined(role: str, mode: str, folder: Path, sections: Iterable[int] = ()) -> Cases:
    folder.mkdir()
    chosen = tuple(part for section in sections for part in ("--section", str(section)))
    if role == "listener":
        with listening(*voice(folder, "listener.wav"), *security(mode)) as (listener, address):
            return finished("listener", address, *security(mode), "--pid", str(listener.process.pid))
    dial = [sys.executable, "-m", "voicemux", "dial", *security(mode), *voice(folder, "dialler.wav")]
    code = "" if mode == "plain" else " {code}"
    run = f"{shlex.join(dial)} 127.0.0.1:{{port}}{code}"
    return finished("dialler", "--port", "0", *security(mode), *chosen, "--run", run)


def writers(folder: Path) -> Cases:
    """The same of a dialler that writes much."""
    text = folder / "text"
    text.write_text(MUCH)
    dial = shlex.join([sys.executable, "-m", "voicemux", "dial", "--unencrypted", "--no-audio"])
    run = f"(cat {shlex.quote(str(text))}; sleep 60) | {dial} 127.0.0.1:{{port}}"
    names = (part for name in OF_WRITERS for part in ("--case", name))
    return finished("dialler", "--port", "0", "--unencrypted", *names, "--run", f"sh -c {shlex.quote(run)}")


@pytest.fixture(scope="module")
def parts(request: pytest.FixtureRequest) -> Parts:
    """The sections of each suite, as they run beside each other; () is all of them."""
    first = HALVES if request.config.getoption("--long") else FIRST
    return {
        **{("listener", mode): WHOLE for mode in ("plain", "encrypted")},
        ("dialler", "plain"): first,
        ("dialler", "encrypted"): HALVES,
    }


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> dict[str, Cases]:
    """All at the same time: they mostly wait. A dialler starts anew for each case, so it has two that share them."""
    folder = tmp_path_factory.mktemp("conform")
    with ThreadPoolExecutor() as pool:
        running = {
            (role, mode, half): pool.submit(examined, role, mode, folder / f"{role}-{mode}-{half}", sections)
            for (role, mode), chosen in parts.items()
            for half, sections in chosen.items()
        }
        wrote = pool.submit(writers, folder)
        found: dict[str, Cases] = {"writers": wrote.result()}
        for (role, mode, _), suite in running.items():
            found.setdefault(f"{role} {mode}", {}).update(suite.result())
        return found


@pytest.mark.parametrize(("role", "mode"), SUITES)
def test_our_own_programs_pass_every_case(role, mode, suites, parts):
    cases = suites[f"{role} {mode}"]
    sections = [section for chosen in parts[role, mode].values() for section in chosen]
    names = {case.name for case in Selection(sections=tuple(sections)).cases(role, encrypted=mode == "encrypted")}
    assert set(cases) == names
    assert {name: case["detail"] for name, case in cases.items() if case["verdict"] == "fail"} == {}
    assert {name for name, case in cases.items() if case["verdict"] == "skip"} == set(OF_WRITERS) & names


def test_who_writes_much_passes_what_the_others_skip(suites):
    assert {name: case["verdict"] for name, case in suites["writers"].items()} == dict.fromkeys(OF_WRITERS, "pass")
