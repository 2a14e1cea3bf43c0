from tests.console.picture import PICTURE, svg


def test_the_picture_in_readme_is_what_the_console_draws_today():
    assert svg() == PICTURE.read_text(encoding="utf-8"), "python -m tests.console.picture draws it anew"
