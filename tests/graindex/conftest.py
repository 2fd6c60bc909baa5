"""A home of its own for each test of the store."""

import shutil
from pathlib import Path

import pytest

from graindex.location import Location
from graindex.store import Store, open_store


@pytest.fixture
def store(empty_home: Path, tmp_path: Path) -> Store:
    """A fresh home."""
    shutil.copytree(empty_home, tmp_path / "home")
    return open_store(tmp_path / "home")


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """A place where no home is yet."""
    (tmp_path / "bare").mkdir()
    return Location.parse(tmp_path / "bare")
