"""A second chance for a test, test by test, each with its reason and counted in the report.

A test that measures real time on real sound cards or in real processes fails when the machine stands still for long
enough, though nothing is wrong. Such a test, and no other, is marked `@pytest.mark.second_chance("why")`: it is run
again, at most twice. The report says how many tests have the mark, and names those that were run again.
"""

import pytest

MARK = "second_chance"
RUNS_MORE = 2  # a machine that has stalled once often stalls again


class SecondChances:
    """A plugin. With pytest-xdist the workers mark the tests, and the process that reports counts them."""

    def __init__(self) -> None:
        self._marked: set[str] = set()
        self._used: dict[str, int] = {}
        self._reasons: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if item.get_closest_marker("flaky"):
                raise pytest.UsageError(f"{item.nodeid}: mark it {MARK}, with a reason, in place of flaky")
            if mark := item.get_closest_marker(MARK):
                if len(mark.args) != 1 or not isinstance(mark.args[0], str) or mark.kwargs:
                    raise pytest.UsageError(f"{item.nodeid}: {MARK} takes one reason")
                item.user_properties.append((MARK, mark.args[0]))  # goes along with each report
                item.add_marker(pytest.mark.flaky(reruns=RUNS_MORE))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if reason := dict(report.user_properties).get(MARK):
            self._marked.add(report.nodeid)
            self._reasons[report.nodeid] = str(reason)
            if str(report.outcome) == "rerun":
                self._used[report.nodeid] = self._used.get(report.nodeid, 0) + 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._marked:
            return
        terminalreporter.section("second chances")
        for test, times in sorted(self._used.items()):
            again = "once more" if times == 1 else f"{times} times more"
            terminalreporter.line(f"run {again}: {test}: {self._reasons[test]}")
        terminalreporter.line(f"{len(self._marked)} of the tests that ran may have one, {len(self._used)} used one")
