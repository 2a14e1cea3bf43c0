"""Which tests are run again: pytest is run on tests that fail."""

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests.second_chances import SecondChances

def pytest_configure(config):
    config.pluginmanager.register(SecondChances())
"""
# To stop the process that does nothing but sleep is what a machine that stands still does to it.
TESTS = """
import os, signal, time
from pathlib import Path

RUNS = Path(__file__).parent / "runs"

def stand_still(seconds):
    (sleeper,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    os.kill(int(sleeper), signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(int(sleeper), signal.SIGCONT)
    time.sleep(0.1)

def test_that_fails_once():
    with RUNS.open("a") as runs:
        runs.write("x")
    time.sleep(0.1)
    if STALLS:
        stand_still(0.3)
    assert RUNS.stat().st_size > 1

def test_that_passes():
    pass
"""


def outcome(folder: Path, stalls: bool) -> str:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS.replace("if STALLS", f"if {stalls}"))
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder))
    root = Path(__file__).parent.parent
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60).stdout


def test_a_test_that_fails_while_the_machine_stands_still_is_run_again_and_named(tmp_path: Path) -> None:
    out = outcome(tmp_path, stalls=True)
    assert "2 passed, 1 rerun" in out
    assert "run again: test_it.py::test_that_fails_once: the machine stood still for 0." in out


def test_a_test_that_fails_on_a_machine_that_keeps_time_has_failed(tmp_path: Path) -> None:
    out = outcome(tmp_path, stalls=False)
    assert "1 failed, 1 passed" in out or "the machine stood still for" in out
