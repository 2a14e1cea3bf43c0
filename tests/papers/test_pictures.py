import pytest

from tests.papers.layers import DOCUMENT, drawn, mermaid
from tests.papers.plots import PICTURES, PLOTS


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_what_the_program_does_today(name: str) -> None:
    assert PLOTS[name]() == (PICTURES / name).read_text(encoding="utf-8"), (
        "python -m tests.papers.plots draws it anew"
    )


def test_the_picture_of_the_layers_is_current() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert "main --> " in mermaid()
    assert drawn(text) == text, "python -m tests.papers.layers draws it anew"
