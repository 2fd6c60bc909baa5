"""Homes whose encoder is converted already.

Out of scope: commands and collections (`tests.end_to_end.commands`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def new_home(
    tmp_path_factory: pytest.TempPathFactory, empty_home: Path, converted_encoder: Path
) -> Callable[[], Path]:
    """Makes homes of which the encoder is converted already."""

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        shutil.copytree(empty_home, home, dirs_exist_ok=True)
        shutil.copytree(converted_encoder, home / "cache")
        return home

    return make
