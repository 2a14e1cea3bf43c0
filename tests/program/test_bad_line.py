"""Calls of the shipped program over lines that get bad, through real TCP in network namespaces of their own.

Nothing is judged by milliseconds: only that what was spoken is heard again soon, and never much later than spoken.
"""

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.call import measure
from bench.lines import LINES
from bench.places import Namespaces
from bench.programs import PROGRAMS
from tests.soundcards import SoundCards
from tests.tries import TRIES

NEVER_LATER = 800.0  # ms: the longest playout delay, packets of 60 ms, and a busy machine
SOON = 5.0  # seconds after the line is well again, within which the delay is what it was before

needs_namespaces = pytest.mark.skipif(
    bool(Namespaces.missing()) and not os.environ.get("CI"), reason=f"no bad line here: {Namespaces.missing()}"
)


def call_on(name: str, cards: SoundCards, **changes: Any) -> dict[str, Any]:
    return measure(PROGRAMS["voicemux"], replace(LINES[name], **changes), cards, Namespaces(), seed=1)


@needs_namespaces
@pytest.mark.timeout(300)  # seconds: five tries of one that mostly needs one
@pytest.mark.parametrize(
    ("line", "chirps"), [pytest.param("blackout-drop", 34, marks=pytest.mark.long), ("squeeze", 56)]
)
def test_when_the_line_is_well_again_so_is_the_voice(line: str, chirps: int, sound_cards: SoundCards) -> None:
    for _ in range(TRIES):
        call = call_on(line, sound_cards, chirps=chirps)
        heard = [[delay for _, delay in each["series"] if delay is not None] for each in call["directions"].values()]
        back = [each["back_to_normal_s"] for each in call["directions"].values()]
        late = max(np.quantile(each, 0.9) if each else np.inf for each in heard)
        if late < NEVER_LATER and all(seconds is not None and seconds < SOON for seconds in back):
            break
    assert min(map(len, heard)) > chirps / 3
    assert late < NEVER_LATER
    assert all(seconds is not None and seconds < SOON for seconds in back), (back, call["directions"])
