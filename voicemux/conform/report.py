"""Writes results for people, as JSON, and as JUnit XML."""

import json
from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from voicemux.conform.rules import rules
from voicemux.conform.verdict import FAIL, PASS, SKIP, Case, Result
from voicemux.console.printable import printable
from voicemux.console.rows import Mark, Screen, rows

INDENTED = Mark("", first="", others=" " * 6, quotes=True)
SHOWN = {PASS: "pass", FAIL: "FAIL", SKIP: "skip"}


def line(result: Result) -> str:
    return f"{SHOWN[result.verdict]}  {result.section:2}  {result.name}  {result.detail}".rstrip()


def details(result: Result) -> str:
    """Return details of a failed case: what the protocol says, and what was sent and received; "" for other cases."""
    if result.verdict != FAIL:
        return ""
    found = rules(result.name, result.document)
    said = [f'{result.document}, section {result.section}: "{rule}"' for rule in found]
    for number, talk in enumerate(result.said, 1):
        said.append(f"connection {number} (seconds, --> from the tester, <-- from the program)")
        if talk.forgotten:
            said.append(f"... {talk.forgotten} frames before these")
        said += map(str, talk.lines)
    return "\n".join(f"      {each}" for each in said)


def shown(each: str, screen: Screen | None) -> str:
    """Return a line as it is printed: on a terminal in rows, none of which begins with a peer's words."""
    return "\n".join(rows(INDENTED, each, screen)) if screen else printable(each)


def summary(results: Sequence[Result]) -> str:
    counts = Counter(result.verdict for result in results)
    seconds = sum(result.seconds for result in results)
    return f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[SKIP]} skipped, in {seconds:.0f} s"


def table(cases: Sequence[Case]) -> str:
    return "\n".join(f"{case.section:2}  {case.name:26}  {case.about}" for case in cases)


def as_json(results: Sequence[Result], *, verbose: bool = False) -> str:
    """Return the results as JSON; with `verbose`, also the details of failed cases, as data."""
    counts = Counter(result.verdict for result in results)
    counted = {"passed": counts[PASS], "failed": counts[FAIL], "skipped": counts[SKIP]}
    cases = [_as_data(result, verbose=verbose) for result in results]
    return json.dumps({"ok": not counts[FAIL], **counted, "cases": cases})


def _as_data(result: Result, *, verbose: bool) -> dict[str, object]:
    data: dict[str, object] = {
        name: value for name, value in vars(result).items() if name not in ("said", "document")
    }
    if verbose and result.verdict == FAIL:
        data["rules"] = rules(result.name, result.document)
        data["connections"] = [talk.as_data() for talk in result.said]
    return data


def as_junit(results: Sequence[Result]) -> bytes:
    counts = Counter(result.verdict for result in results)
    suite = ElementTree.Element(
        "testsuite", name="voicemux conform", tests=str(len(results)), failures=str(counts[FAIL]),
        skipped=str(counts[SKIP]), time=f"{sum(result.seconds for result in results):.3f}",
    )  # fmt: skip
    for result in results:
        section = f"{result.document} section {result.section}"
        case = ElementTree.SubElement(
            suite, "testcase", classname=section, name=result.name, time=f"{result.seconds:.3f}"
        )
        if result.verdict != PASS:
            kind = "failure" if result.verdict == FAIL else "skipped"
            ElementTree.SubElement(case, kind, message=result.detail).text = details(result) or None
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
