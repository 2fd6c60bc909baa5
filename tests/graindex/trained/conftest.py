"""A home whose images tell their specimens' labels by figures of quality alone: no encoder."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.store import Store, open_store
from graindex.trained.definition import ModelDefinition
from graindex.trained.fit import Fit
from graindex.trained.learning import learning_of
from graindex.trained.train import fit_model, train_model
from graindex.training.training_set import build_training_set
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph

PLATES, SPECIMENS, FIELDS = "plates", 12, 3
PIXEL_SIZE_UM = 0.5
FEATURES = ("brightness_mean", "contrast_std", "noise_std", "entropy_bits")
GRAIN = {
    "name": "grain",
    "method": "ridge",
    "feature_set": "quality",
    "label": {"name": "grain_um", "transform": "log10"},
    "split": {"kind": "leave-one-out"},
    "parameters": {"penalties": [0.01, 0.1, 1], "inner_folds": 5},
}
FINISH = {
    "name": "finish",
    "method": "logistic",
    "feature_set": "quality",
    "label": "finish",
    "split": {"kind": "kfold", "folds": 4, "balanced": True},
    "parameters": {"penalties": [0.01, 0.1], "scalings": [[1, "standard"]], "inner_folds": 3},
}


def image_name(specimen, field):
    return f"plate{specimen:02d} field{field}"


def fill(store: Store) -> None:
    """Brightness grows with the logarithm of the grain, contrast is of the finish."""
    rng = np.random.default_rng(0)
    samples, images, quality = [], [], []
    for specimen in range(SPECIMENS):
        log_grain = rng.uniform(0, 1)
        rough = specimen % 2
        samples.append(
            {
                "dataset": PLATES,
                "sample_id": key(specimen),
                "sample": f"plate{specimen:02d}",
                "grain_um": float(10**log_grain),
                "finish": "rough" if rough else "smooth",
                "code_version": "1",
            }
        )
        for field in range(FIELDS):
            name = image_name(specimen, field)
            images.append(
                micrograph(
                    PLATES,
                    name,
                    sample_id=key(specimen),
                    pixel_size_um=PIXEL_SIZE_UM,
                    acquired_at=datetime(2026, 3, 1) + timedelta(days=specimen, minutes=field),
                    instrument="SEM",
                )
            )
            quality.append(
                {
                    "dataset": PLATES,
                    "micrograph_id": key(name),
                    "brightness_mean": 100 + 40 * log_grain + rng.normal(),
                    "contrast_std": 20 + 10 * rough + rng.normal(),
                    "sharpness_laplacian": 1.0,
                    "sharpness_tenengrad": 1.0,
                    "noise_std": 1 + rng.uniform(),
                    "saturation_fraction_low": 0.0,
                    "saturation_fraction_high": 0.0,
                    "entropy_bits": 6 + rng.uniform(),
                    "input_hash": SHA,
                    "code_version": "1",
                }
            )
    tables = {
        "samples": from_records(TABLES["samples"], samples),
        "micrographs": from_records(TABLES["micrographs"], images),
        "image_quality": from_records(TABLES["image_quality"], quality),
    }
    store.lake.replace(tables, PLATES, author="test", message="plates")
    columns = [f"image_quality.{name}" for name in FEATURES]
    definition = {"name": "quality", "entity": "micrograph", "features": [{"columns": columns}]}
    register_feature_set(store, make_feature_set(definition), author="test")


def model(fields, **more) -> ModelDefinition:
    return ModelDefinition.model_validate({**fields, **more})


def fit(store: Store, definition: ModelDefinition) -> Fit:
    """Evaluate and fit a model without keeping anything."""
    training_set = build_training_set(store, definition.request())
    return fit_model(store, definition, learning_of(store, definition, training_set))


@pytest.fixture(scope="session")
def plates_home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds the plates, not trained on; not to be changed."""
    home = tmp_path_factory.mktemp("plates") / "home"
    shutil.copytree(empty_home, home)
    fill(open_store(home))
    return home


@pytest.fixture(scope="session")
def trained_home(plates_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a model of each kind; not to be changed."""
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(plates_home, home)
    store = open_store(home)
    for fields in (GRAIN, FINISH):
        train_model(store, model(fields), author="test")
    return home


@pytest.fixture(scope="session")
def read_only(trained_home: Path) -> Store:
    """The trained models, to be read."""
    return open_store(trained_home)


@pytest.fixture
def trained(trained_home: Path, tmp_path: Path) -> Store:
    """The trained models, to be changed."""
    shutil.copytree(trained_home, tmp_path / "trained")
    return open_store(tmp_path / "trained")


@pytest.fixture
def plates(plates_home: Path, tmp_path: Path) -> Store:
    """The plates, to be changed and trained on."""
    shutil.copytree(plates_home, tmp_path / "plates")
    return open_store(tmp_path / "plates")
