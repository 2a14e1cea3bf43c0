"""A second chance for a test that failed while the machine stood still, counted in the report.

Tests run real programs on real sound cards. A machine that stands still for long enough is heard as a gap, though
nothing is wrong: on shared machines it happens several times an hour, each time in another test. So a process that
does nothing but sleep says when it was woken too late. A test that fails with no such stall has failed. One that
fails during a stall is run again, at most twice, and the report names it and says how long the stall was.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator

import pytest

RUNS_MORE = 2  # a machine that has stalled once often stalls again
STALL = 0.03  # seconds: more than the playout delay of a call on a good line, so what stalls for as long is heard
SAID = 0.05  # seconds after which a stall that has just ended has been told of
STALLED = "seconds that the machine stood still"

# It ends with the process that it was started by, also if this is killed.
SLEEPER = """
import os, sys, time
STEP = 0.01  # seconds
parent, least = os.getppid(), float(sys.argv[1])
before = time.monotonic()
while os.getppid() == parent:
    time.sleep(STEP)
    now = time.monotonic()
    if now - before - STEP >= least:
        os.write(1, f"{now} {now - before - STEP}\\n".encode())
    before = now
"""


class Stalls:
    """When the machine stood still. The clock is `time.monotonic`, which on Linux is the same for every process."""

    def __init__(self) -> None:
        self._sleeper = subprocess.Popen((sys.executable, "-ISc", SLEEPER, str(STALL)), stdout=subprocess.PIPE)
        self._found: list[tuple[float, float]] = []  # when each ended, and how many seconds it took
        self._rest = b""

    def longest(self, since: float) -> float:
        """Seconds of the longest stall that ended after `since`; 0 if there was none. Does not wait."""
        assert self._sleeper.stdout
        os.set_blocking(self._sleeper.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self._sleeper.stdout.fileno(), 1 << 16):
                *lines, self._rest = (self._rest + said).split(b"\n")
                self._found += [(float(ended), float(took)) for ended, took in map(bytes.split, lines)]
        return max((took for ended, took in self._found if ended >= since), default=0.0)

    def close(self) -> None:
        with self._sleeper:
            self._sleeper.kill()


class SecondChances:
    """A plugin. With pytest-xdist the workers watch the machine, and the process that reports counts."""

    def __init__(self) -> None:
        self._stalls: Stalls | None = None  # in the process that runs tests
        self._began = 0.0  # when the test that runs did, `time.monotonic`
        self._stood = 0.0  # seconds that the machine stood still when it failed
        self._used: dict[str, list[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if item.get_closest_marker("flaky"):
                raise pytest.UsageError(f"{item.nodeid}: a test is run again only if the machine stood still")
            item.add_marker(pytest.mark.flaky(reruns=RUNS_MORE, condition=lambda: self._stood >= STALL))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._stalls = self._stalls or Stalls()
        self._began, self._stood = time.monotonic(), 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception) and self._stalls:
            time.sleep(SAID)
            self._stood = self._stalls.longest(self._began)
            item.user_properties.append((STALLED, f"{self._stood:.2f}"))  # goes along with the report
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if str(report.outcome) == "rerun":
            self._used.setdefault(report.nodeid, []).append(str(dict(report.user_properties)[STALLED]))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("second chances")
        for test, stalls in sorted(self._used.items()):
            terminalreporter.line(f"run again: {test}: the machine stood still for {' s and '.join(stalls)} s")
        terminalreporter.line(f"{len(self._used)} tests were run again")

    def pytest_unconfigure(self) -> None:
        if self._stalls:
            self._stalls.close()
