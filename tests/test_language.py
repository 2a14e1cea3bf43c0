"""Plain English: the phrases that readers stumbled over stay out of the documents, and become fewer in the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "protocol.md", "relay.md")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / place / "README.md" for place in ("bench", "examples", "fuzz", "tests/vectors", "voicemux/speech")),
]
# A role has a name (dialler, listener, peer, caller, user, kernel), a number a noun, a time an end. What TCP sends
# again is a retransmission. A number that is not exact is "about" that.
PHRASES = {
    "whoever": r"\bwhoever\b",
    "nobody": r"\bnobody\b",
    "somebody": r"\bsomebody\b",
    "of late": r"\bof late\b",
    "so many": r"\bso many\b",
    "Who does it. (a noun)": r"(?:^|(?<=[.:;] ))(?-i:Who) (?!is it)[^?.]*\.",
    "is no": r"(?<!there )\b(?:is|are) no\b(?! (?:longer|larger|more|later)\b)",
    "the own": r"\bthe own\b",
    "but that": r"the same, but that\b",
    "repetition": r"\brepetitions?\b",
    "some 20": r"\bsome \d",
}
# Occurrences in voicemux/*.py. A number may only become smaller.
LEFT_IN_CODE = {
    "whoever": 0,
    "nobody": 8,
    "somebody": 4,
    "of late": 0,
    "so many": 0,
    "Who does it. (a noun)": 0,
    "is no": 0,
    "the own": 0,
    "but that": 0,
    "repetition": 0,
    "some 20": 0,
}


def phrases(text: str, phrase: str) -> list[str]:
    """The lines with that phrase, but for what is quoted from the program."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {4,}.*$|`[^`\n]*`|\"[^\"\n]*\"", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<!\n)\n(?![\n|#-])", " ", text)
    return [line for line in text.splitlines() if re.search(PHRASES[phrase], line, re.IGNORECASE)]


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_document_has_a_phrase_that_is_read_twice(document: Path, phrase: str) -> None:
    assert phrases(document.read_text(encoding="utf-8"), phrase) == []


@pytest.mark.parametrize("phrase", PHRASES)
def test_the_code_has_fewer_of_them_with_every_change(phrase: str) -> None:
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "voicemux").rglob("*.py")]
    found = sum(len(re.findall(PHRASES[phrase], text, re.IGNORECASE)) for text in code)
    assert found <= LEFT_IN_CODE[phrase], "say it plainly, or lower the number if there are fewer now"
