"""Shared fixtures: the real data where they are, and homes that hold them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.real_collections import RealCollections, catalogue

REPOSITORY = Path(__file__).parent.parent

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SLURM_CPUS_ON_NODE")
"""What NumPy, torch and DuckDB read when they start; DuckDB knows only that of SLURM."""


def pytest_configure(config: pytest.Config) -> None:
    """Several test processes fill the machine: threads within each would double the time."""
    if getattr(config.option, "numprocesses", None):
        os.environ.update({name: "1" for name in ONE_THREAD if name not in os.environ})


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


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without rows, to be copied: making one takes a second."""
    from graindex.store import init_store

    home = tmp_path_factory.mktemp("empty") / "home"
    init_store(home)
    return home


@pytest.fixture(scope="session")
def converted_encoder(shared_folder: Path) -> Path:
    """The encoder as a home keeps it once converted; converting takes ten seconds."""
    from graindex.encoders import make_encoder
    from graindex.location import Location
    from graindex.settings import EncoderSettings

    folder = shared_folder / "encoder"
    with FileLock(shared_folder / "encoder.lock"):
        make_encoder(EncoderSettings(), Location.parse(folder)).encoder_id  # noqa: B018
    return folder / "cache"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run share, or all runs: `GRAINDEX_TEST_CACHE`."""
    if "GRAINDEX_TEST_CACHE" in os.environ:
        kept = Path(os.environ["GRAINDEX_TEST_CACHE"])
        kept.mkdir(parents=True, exist_ok=True)
        return kept
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    (shared / "shared").mkdir(exist_ok=True)
    return shared / "shared"


@pytest.fixture(scope="session")
def real_collections(
    real_data: Path, shared_folder: Path, converted_encoder: Path
) -> RealCollections:
    """A home with images of the three real collections, made once in a run; not to be changed."""
    with FileLock(shared_folder / "some.lock", timeout=900):
        folder = shared_folder / "some"
        return catalogue(real_data, folder, converted_encoder, every_image=False)


@pytest.fixture(scope="session")
def all_real_collections(
    real_data: Path, shared_folder: Path, converted_encoder: Path
) -> RealCollections:
    """A home with every image of the three real collections, for slow tests; not to be changed."""
    with FileLock(shared_folder / "real.lock", timeout=900):
        return catalogue(real_data, shared_folder / "real", converted_encoder, every_image=True)


@pytest.fixture
def real_home(real_collections: RealCollections, tmp_path: Path) -> Callable[[], Path]:
    """Makes copies of the home that holds the real collections, to be changed at will."""
    return _copies(real_collections, tmp_path)


@pytest.fixture
def all_real_home(all_real_collections: RealCollections, tmp_path: Path) -> Callable[[], Path]:
    """The same of every image, for slow tests."""
    return _copies(all_real_collections, tmp_path)


def _copies(collections: RealCollections, folder: Path) -> Callable[[], Path]:
    def copy() -> Path:
        target = folder / f"home{len(list(folder.iterdir()))}"
        shutil.copytree(collections.home, target)
        return target

    return copy
