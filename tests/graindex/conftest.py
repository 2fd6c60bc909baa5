"""A home of its own for each test of the store."""

from pathlib import Path

import pytest

from graindex.location import Location
from graindex.store import Store, init_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A fresh home."""
    return init_store(tmp_path / "home")


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """A place where no home is yet."""
    (tmp_path / "bare").mkdir()
    return Location.parse(tmp_path / "bare")
