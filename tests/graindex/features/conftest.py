"""One filled home for the tests that only read it."""

import shutil
from pathlib import Path

import pytest

from graindex.store import Store, open_store
from tests.graindex.features import texture


@pytest.fixture(scope="session")
def texture_home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds the collection `d`, with vectors; not to be changed."""
    home = tmp_path_factory.mktemp("texture") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    texture.fill(store)
    texture.write_vectors(store, texture.vector_rows("d", ("a1", "a2", "b1")))
    return home


@pytest.fixture(scope="session")
def read_only(texture_home: Path) -> Store:
    """The filled home, to be read."""
    return open_store(texture_home)


@pytest.fixture
def filled(texture_home: Path, tmp_path: Path) -> Store:
    """A filled home to be changed."""
    shutil.copytree(texture_home, tmp_path / "filled")
    return open_store(tmp_path / "filled")
