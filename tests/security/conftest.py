from pathlib import Path

import pytest

from tests.security.people import Person


@pytest.fixture
def alice(tmp_path: Path) -> Person:
    return Person(tmp_path / "alice")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    return Person(tmp_path / "bob")


@pytest.fixture
def mallory(tmp_path: Path) -> Person:
    return Person(tmp_path / "mallory")


@pytest.fixture
def carol(tmp_path: Path) -> Person:
    return Person(tmp_path / "carol")
