"""The picture of the layers in docs/source-tour.md: who imports whom, from the very tables that the layer test holds.

python -m tests.papers.layers draws it anew.
"""

from pathlib import Path

from tests.test_layers import RANK, own_imports

DOCUMENT = Path(__file__).parents[2] / "docs" / "source-tour.md"
BEGIN, END = "```mermaid\n", "```\n"  # the block is there, empty or not


def wing(module: str) -> str:
    return module.partition(".")[0]


def is_package(name: str) -> bool:
    return any(module.startswith(f"{name}.") for module in RANK)


def mermaid() -> str:
    """Wings and single modules; an arrow is an import. What follows from other arrows is left out."""
    names = sorted({wing(module) for module in RANK if module}, key=lambda name: (-_top(name), name))
    known = {
        name: {wing(each) for module in RANK if wing(module) == name for each in own_imports(module)}
        for name in names
    }
    for name in names:
        known[name] -= {name, ""}

    def reach(name: str) -> set[str]:
        return known[name] | {far for near in known[name] for far in reach(near)}

    lines = ["flowchart TD"]
    lines += [f'    {_id(name)}["{name}/"]' for name in names if is_package(name)]
    for name in names:
        shown = [each for each in sorted(known[name]) if not any(each in reach(other) for other in known[name])]
        lines += [f"    {_id(name)} --> {_id(each)}" for each in shown]
    return "\n".join([*lines, ""])


def _top(name: str) -> int:
    return max(RANK[module] for module in RANK if wing(module) == name)


def _id(name: str) -> str:
    return name.strip("_") or name


def drawn(text: str) -> str:
    """The document with today's picture in it."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + mermaid() + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
