import re
from pathlib import Path

import pytest

import voicemux

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "docs", "bench", "examples", "fuzz")
DOCUMENTS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchors(document: Path) -> set[str]:
    """What its headings are called in links, as GitHub has it."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_something(document: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_readme_can_be_read_in_ten_minutes() -> None:
    assert len(README.splitlines()) <= 160
    assert len(README.split()) < 1500


def test_the_figures_in_readme_are_those_of_the_whole_table() -> None:
    table = (ROOT / "docs" / "latency.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in README.splitlines() if re.search(r"\d ms|never", row) and row.startswith("| ")]
    assert len(rows) == 5
    assert set(rows) <= set(table)


def test_the_first_python_in_readme_can_be_compiled_and_names_what_there_is() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    compile(code, "README.md", "exec")
    assert all(hasattr(voicemux, name) for name in re.findall(r"voicemux\.(\w+)", code))


def test_the_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    release = voicemux.__version__.partition(".dev")[0]
    assert "\n## Unreleased\n" in text if release != voicemux.__version__ else f"\n## {release} (" in text


def test_the_changelog_is_by_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {"Added", "Changed", "Fixed", "Security"}
