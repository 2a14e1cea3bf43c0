"""What protocol.md says that a case is about, word by word. Its section 18 knows which case proves which MUST."""

import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "protocol.md", PACKAGE.parent / "protocol.md")  # installed, and in a checkout
TABLE = "## 18. What proves it"
BREAKS = ("\n\n", "\n- ", "\n| ")  # of paragraphs, items and rows of tables
SENTENCE_END = re.compile(r"(?<=[.!?)])\s+(?=[A-Z`*(])")


def rules(case: str) -> list[str]:
    """The sentences with a MUST that this case is there for; none if it is about a SHOULD."""
    text = _document()
    rows = [row.split("|") for row in text.partition(TABLE)[2].splitlines() if row.startswith("| ")]
    numbers = [cells[1].strip() for cells in rows if f"`{case}`" in cells[4]]
    return [sentence for number in numbers if (sentence := _sentence(text, number))]


def _sentence(text: str, number: str) -> str:
    mark = re.search(rf"MUST\s+(NOT\s+)?\[{number}\]", text)
    if not mark:
        return ""
    start = max(text.rfind(each, 0, mark.start()) for each in BREAKS)
    ends = [end for end in (text.find(each, mark.end()) for each in BREAKS) if end >= 0]
    paragraph = " ".join(text[start : min(ends, default=len(text))].removeprefix("\n- ").split())
    found = [each for each in SENTENCE_END.split(paragraph) if re.search(rf"MUST (NOT )?\[{number}\]", each)]
    return found[0] if found else paragraph


@cache
def _document() -> str:
    """Nothing where the package was built without it."""
    for place in PLACES:
        if place.is_file():
            return place.read_text(encoding="utf-8")
    return ""
