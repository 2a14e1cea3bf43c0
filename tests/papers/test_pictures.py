import pytest

from tests.papers.layers import DOCUMENT, drawn, is_package, mermaid
from tests.papers.plots import PICTURES, PLOTS
from tests.test_layers import RANK

CASES = ("opening", "texts", "sounds", "states", "endings", "strangers")  # the tour has them as one


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_what_the_program_does_today(name: str) -> None:
    assert PLOTS[name]() == (PICTURES / name).read_text(encoding="utf-8"), (
        "python -m tests.papers.plots draws it anew"
    )


def test_the_picture_of_the_layers_is_current() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert "main --> " in mermaid()
    assert drawn(text) == text, "python -m tests.papers.layers draws it anew"


def test_the_tour_names_every_module() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    modules = [module for module in RANK if module and not is_package(module)]
    names = {module: module.rpartition(".")[2] for module in modules}
    untold = {module for module, name in names.items() if f"`{name}.py`" not in text and f"# {name}/" not in text}
    assert untold <= {"__main__", *(f"conform.{each}" for each in CASES)}
