"""Shared fixtures: the real data where they are, and a home of its own for each test."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real micrographs; under CI its absence is a failure, not a skip."""
    folder = Path(os.environ.get("GRAINDEX_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "ncm622_cycled_sem").is_dir():
        message = f"no real micrographs at {folder}; set GRAINDEX_REAL_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
