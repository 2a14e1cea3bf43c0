"""What a thing weighs in memory: a bound is kept by what it weighs, whatever it keeps inside."""

import gc
import sys
import types
from collections.abc import Callable
from typing import Any

# What a thing refers to, and does not own.
SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType)


def weight(thing: Any) -> int:
    """Bytes of it and of all that it holds, each counted once."""
    seen: set[int] = set()
    waiting, total = [thing], 0
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, SHARED):
            seen.add(id(each))
            total += sys.getsizeof(each)
            waiting += gc.get_referents(each)
    return total


def outgrows(thing: Any, feed: Callable[[int], object], most: int) -> float:
    """How many times as much it weighs when it was fed 8 times `most` things, as when it was fed `most`: 8 if it
    keeps them all, and at most 1.5 if it keeps `most` (a table may have been made larger meanwhile)."""
    for number in range(most):
        feed(number)
    full = weight(thing)
    for number in range(most, 8 * most):
        feed(number)
    return weight(thing) / full
