"""Our own listener and dialler pass every case of `voicemux conform`, plain and encrypted."""

import itertools
import shlex
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import voicemux
from tests import warm_start
from tests.conform.examining import Cases, examine
from tests.running import listening
from voicemux.conform.runner import Selection

pytestmark = pytest.mark.timeout(500)  # seconds: the first test waits for all suites

SPEECH = Path(voicemux.__file__).parent / "speech"
SUITE_PATIENCE = 200.0  # seconds
MUCH = "what two terminals have to say to each other " * 2000 + "\n"  # more than a window of text
SUITES = [(role, mode) for role in ("listener", "dialler") for mode in ("plain", "encrypted")]
WHOLE: dict[str, tuple[int, ...]] = {"whole": ()}
MEMORY = 12  # the section whose cases watch the memory of the program that is started for them
PARTS: dict[str, tuple[int, ...]] = {"first": (3, 4, 5), "second": (6, 7, 8, 9, 10), "third": (MEMORY,)} | {
    "fourth": (17,)
}
# Of a plain dialler, but with --long: what follows is the same code as in encrypted calls.
FIRST: dict[str, tuple[int, ...]] = {"first": (3,)}
OF_WRITERS = ("text-numbers", "text-window")  # for somebody who writes much
WRITERS = ("dialler", "writes much")
Parts = dict[tuple[str, str], dict[str, tuple[int, ...]]]


def voice(folder: Path, speech: str) -> tuple[str, ...]:
    return "--input", str(SPEECH / speech), "--output", str(folder / "heard.wav")


def security(mode: str) -> tuple[str, ...]:
    return ("--unencrypted",) if mode == "plain" else ()


def examined(role: str, mode: str, folder: Path, sections: Iterable[int] = ()) -> Cases:
    folder.mkdir()
    chosen = tuple(part for section in sections for part in ("--section", str(section)))
    if role == "listener":
        with listening(*voice(folder, "listener.wav"), *security(mode)) as (listener, address):
            pid = ("--pid", str(listener.process.pid))
            return examine("listener", address, *security(mode), *pid, patience=SUITE_PATIENCE)
    start = [sys.executable, "-m", "voicemux"] if MEMORY in sections else warm_start.command()
    dial = [*start, "dial", *security(mode), *voice(folder, "dialler.wav")]
    code = "" if mode == "plain" else " {code}"
    run = f"{shlex.join(dial)} 127.0.0.1:{{port}}{code}"
    return examine("dialler", "--port", "0", *security(mode), *chosen, "--run", run, patience=SUITE_PATIENCE)


def writers(folder: Path) -> Cases:
    """The same of a dialler that writes much."""
    folder.mkdir()
    text = folder / "text"
    text.write_text(MUCH)
    dial = shlex.join([*warm_start.command(), "dial", "--unencrypted", "--no-audio"])
    run = f"sh -c {shlex.quote(f'(cat {shlex.quote(str(text))}; sleep 60) | {dial} 127.0.0.1:{{port}}')}"
    names = (part for name in OF_WRITERS for part in ("--case", name))
    return examine("dialler", "--port", "0", "--unencrypted", *names, "--run", run, patience=SUITE_PATIENCE)


@pytest.fixture(scope="module")
def parts(request: pytest.FixtureRequest) -> Parts:
    """The sections of each suite, as they run beside each other; () is all of them."""
    first = PARTS if request.config.getoption("--long") else FIRST
    return {
        **{("listener", mode): WHOLE for mode in ("plain", "encrypted")},
        ("dialler", "plain"): first,
        ("dialler", "encrypted"): PARTS,
    }


@pytest.fixture(scope="module")
def cases_of(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> dict[tuple[str, str], Cases]:
    """What became of the cases of each role and mode, and of WRITERS. All run at once: they mostly wait.

    A dialler starts anew for each case, so it has several suites that share them.
    """
    folder = tmp_path_factory.mktemp("conform")
    numbers = itertools.count()

    def begin(pool: ThreadPoolExecutor, who: tuple[str, str]) -> list[Future[Cases]]:
        if who == WRITERS:
            return [pool.submit(writers, folder / f"writers {next(numbers)}")]
        return [
            pool.submit(examined, *who, folder / f"suite {next(numbers)}", sections)
            for sections in parts[who].values()
        ]

    with ThreadPoolExecutor(16) as pool:
        running = {who: begin(pool, who) for who in (*parts, WRITERS)}
        return {
            who: dict(item for suite in suites for item in suite.result().items()) for who, suites in running.items()
        }


@pytest.mark.parametrize(("role", "mode"), SUITES)
def test_our_own_programs_pass_every_case(role, mode, cases_of, parts):
    cases = cases_of[role, mode]
    sections = [section for chosen in parts[role, mode].values() for section in chosen]
    names = {case.name for case in Selection(sections=tuple(sections)).cases(role, encrypted=mode == "encrypted")}
    assert set(cases) == names
    assert {name: case["detail"] for name, case in cases.items() if case["verdict"] == "fail"} == {}
    assert {name for name, case in cases.items() if case["verdict"] == "skip"} == set(OF_WRITERS) & names


def test_who_writes_much_passes_what_the_others_skip(cases_of):
    assert {name: case["verdict"] for name, case in cases_of[WRITERS].items()} == dict.fromkeys(OF_WRITERS, "pass")
