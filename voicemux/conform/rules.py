"""Finds the sentences of protocol.md or relay.md that a case proves. The last sections of these documents list which
case proves which MUST."""

import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE, PACKAGE.parent)  # where the documents are: in an installed package, and in a checkout
TABLES = {"protocol.md": "## 18. What proves it", "relay.md": "## 11. What proves it"}
BREAKS = ("\n\n", "\n- ", "\n| ")  # ends of paragraphs, list items and table rows
SENTENCE_END = re.compile(r"(?<=[.!?)])\s+(?=[A-Z`*(])")


def rules(case: str, document: str = "protocol.md") -> list[str]:
    """Return the sentences with a MUST that this case proves; none if it is about a SHOULD."""
    text = _text_of(document)
    rows = [row.split("|") for row in text.partition(TABLES[document])[2].splitlines() if row.startswith("| ")]
    numbers = [cells[1].strip() for cells in rows if f"`{case}`" in cells[-2]]
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
def _text_of(document: str) -> str:
    """Return the text of a document; "" if the package was built without it."""
    for folder in FOLDERS:
        if (place := folder / document).is_file():
            return place.read_text(encoding="utf-8")
    return ""
