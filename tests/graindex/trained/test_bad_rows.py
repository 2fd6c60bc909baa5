"""Rows that teach nothing, through the store: refused in one line, or learned with a warning."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from graindex.errors import GraindexError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.store import Store, open_store
from graindex.trained.poor_rows import poor_row_warnings
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.trained.conftest import FINISH, GRAIN, PLATES, fit, model


@pytest.fixture(scope="module")
def store(plates_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The plates with further columns, each wrong in its way."""
    home = tmp_path_factory.mktemp("bad rows") / "home"
    shutil.copytree(plates_home, home)
    store = open_store(home)
    samples = store.read("samples").to_pylist()
    for number, row in enumerate(samples):
        row["alike"] = "same"
        row["lonely"] = "other" if number == 0 else row["finish"]
        row["same_um"] = 5.0
        row["infinite_um"] = math.inf if number == 3 else float(row["grain_um"])
        row["missing_um"] = None if number < 4 else float(row["grain_um"])
        row["negative_um"] = -1.0 if number == 3 else float(row["grain_um"])
    rows = from_records(TABLES["samples"], samples)
    store.lake.replace({"samples": rows}, PLATES, author="test", message="wrong columns")
    same = ["samples.same_um"]
    for name, columns in (("constant", same), ("half", [*same, "image_quality.brightness_mean"])):
        features = [{"columns": columns}]
        definition = {"name": name, "entity": "micrograph", "features": features}
        register_feature_set(store, make_feature_set(definition), author="test")
    return store


def label(name: str, **more) -> dict[str, object]:
    return {"name": name, **more}


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (model(FINISH, label="alike"), "all rows are of one class"),
        (model(GRAIN, label=label("same_um")), "every row has the label 5"),
        (model(GRAIN, label=label("infinite_um")), "is not finite for 3 entities"),
        (model(GRAIN, label=label("negative_um", transform="log10")), "above zero for 3 entities"),
        (model(GRAIN, feature_set="constant"), "'same_um' is 5 in every row that trains"),
        (model(GRAIN, where="pixel_size_um > 7"), "no entity fits"),
        (model(FINISH, where="sample = 'plate00'", split="none"), "one class"),
        (model(GRAIN, where="sample < 'plate02'", split="kfold"), "2 groups"),
    ],
)
def test_rows_that_teach_nothing_are_refused_in_one_line(store, definition, told):
    with pytest.raises(GraindexError, match=told) as refused:
        fit(store, definition)
    assert "\n" not in str(refused.value)


def test_rows_without_a_label_are_left_out_and_counted(store):
    found = fit(store, model(GRAIN, label=label("missing_um")))
    assert len(found.learning.training_set) == 8 * 3
    assert len(found.learning.target) == 24
    assert np.isfinite(found.learning.target).all()


def test_a_class_of_a_single_specimen_is_warned_of(store):
    learning = fit(store, model(FINISH, label="lonely")).learning
    (warning,) = poor_row_warnings(learning)
    assert "class 'other' is of a single specimen" in warning


def test_a_feature_that_never_differs_is_warned_of(store):
    (warning,) = poor_row_warnings(fit(store, model(GRAIN, feature_set="half")).learning)
    assert "'same_um' is 5 in every row that trains: it tells nothing" in warning
