"""Habits of tests that make them break for no reason, or take long: counted, and a count may only become smaller."""

import ast
import functools
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# A test that reads what is private fails when nothing has changed for anybody else; one that sleeps is slow where the
# machine is quick, and fails where it is slow: pass a clock, or wait for what is to happen.
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}  # public, but for their names
LEFT = {
    "private state of others": 0,
    "time.sleep": 39,
}


@functools.cache
def habits(path: Path) -> Counter[str]:
    found = Counter[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            is_private = (
                node.attr.startswith("_") and not node.attr.endswith("__") and node.attr not in OF_NAMED_TUPLES
            )
            if is_private and owner not in ("self", "cls", "super()"):
                found["private state of others"] += 1
            found["time.sleep"] += (owner, node.attr) == ("time", "sleep")
    return found


@pytest.mark.parametrize("habit", LEFT)
def test_a_bad_habit_becomes_rarer_with_every_change(habit: str) -> None:
    found = {path.relative_to(TESTS): habits(path)[habit] for path in TESTS.rglob("*.py")}
    most = sorted(found.items(), key=lambda item: -item[1])[:5]
    assert sum(found.values()) <= LEFT[habit], f"do without it, or lower the number if it is smaller now: {most}"
