"""A home of its own for each test of the store."""

import shutil
from pathlib import Path

import pytest

from graindex.location import Location
from graindex.store import Store, open_store
from tests.graindex.annotated_collection import Annotated, catalogued_images, copied_images


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


@pytest.fixture(scope="session")
def catalogued_for_annotation(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images in a catalogue; not to be changed."""
    place = tmp_path_factory.mktemp("annotated")
    catalogued_images(place, empty_home)
    return place


@pytest.fixture
def annotated(catalogued_for_annotation: Path, tmp_path: Path) -> Annotated:
    """A home of its own with three images, and an empty folder for their masks."""
    return copied_images(tmp_path, catalogued_for_annotation)
