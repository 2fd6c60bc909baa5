"""Homes whose encoder is converted already.

Out of scope: commands and collections (`tests.end_to_end.commands`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graindex.store import init_store


@pytest.fixture(scope="session")
def new_home(
    tmp_path_factory: pytest.TempPathFactory, converted_encoder: Path
) -> Callable[[], Path]:
    """Makes homes of which the encoder is converted already."""

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        init_store(home)
        shutil.copytree(converted_encoder, home / "cache")
        return home

    return make
