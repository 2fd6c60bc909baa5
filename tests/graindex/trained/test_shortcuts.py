"""Shortcuts: what brightness and contrast alone tell, and metrics by columns of the catalogue."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from graindex.errors import ModelError
from graindex.trained.kept import kept_model, stored_page
from graindex.trained.shortcuts import ALONE, shortcut_warnings
from graindex.trained.train import train_model
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.trained.conftest import FINISH, GRAIN, PLATES, fit, model


def of_part(metrics, part):
    return {metric.metric: metric.value for metric in metrics if metric.part == part}


@pytest.fixture
def drawn(plates):
    """The plates, with a number and a class that nothing goes with; two magnifications."""
    rng = np.random.default_rng(5)
    samples = plates.read("samples").to_pylist()
    for place, row in enumerate(samples):
        row["drawn_um"] = float(rng.uniform(1, 10))
        row["lot"] = "ab"[int(rng.permutation(len(samples))[place] % 2)]
    images = plates.read("micrographs").to_pylist()
    for place, row in enumerate(images):
        row["magnification"] = 500.0 if place % 3 else 1000.0
    tables = {
        "samples": from_records(TABLES["samples"], samples),
        "micrographs": from_records(TABLES["micrographs"], images),
    }
    plates.lake.replace(tables, PLATES, author="test", message="drawn")
    return plates


def test_brightness_that_gives_a_number_away_is_told(read_only):
    metrics = kept_model(read_only, "grain").card.metrics
    assert of_part(metrics, ALONE)["r2"] > 0.9
    (warning,) = shortcut_warnings(metrics, "r2")
    assert "how images were lit may be what it learned" in warning
    assert warning in kept_model(read_only, "grain").card.warnings


def test_contrast_that_gives_a_class_away_is_told(read_only):
    metrics = kept_model(read_only, "finish").card.metrics
    assert of_part(metrics, ALONE)["accuracy"] > 0.9
    page = stored_page(read_only, "finish").decode()
    assert "Brightness and contrast of the classes" in page
    assert ALONE in page


def test_what_brightness_does_not_tell_raises_no_alarm(drawn):
    for fields, headline, most in (
        (model(GRAIN, label="drawn_um"), "r2", 0.3),
        (model(FINISH, label="lot"), "accuracy", 0.8),
    ):
        metrics = fit(drawn, fields).metrics
        assert of_part(metrics, ALONE)[headline] < most
    assert list(shortcut_warnings(fit(drawn, model(GRAIN, label="drawn_um")).metrics, "r2")) == []


def test_metrics_by_a_column_are_those_of_its_rows(drawn):
    found = fit(drawn, model(GRAIN, explain={"by": "magnification"}))
    images = {
        row["micrograph_id"]: row["magnification"] for row in drawn.read("micrographs").to_pylist()
    }
    for value in (500.0, 1000.0):
        own = [
            row
            for row in found.predictions
            if row["evaluation"] == "cross-validation" and images[row["entity_id"]] == value
        ]
        measured, predicted = (
            [row[name] for row in own] for name in ("label_number", "predicted_number")
        )
        told = [m for m in found.metrics if m.part == f"magnification {value:g}"]
        assert {metric.rows for metric in told} == {len(own)}
        assert of_part(told, told[0].part)["r2"] == pytest.approx(r2_score(measured, predicted))


def test_the_table_of_classes_is_of_the_images(read_only):
    found = fit(read_only, model(FINISH))
    (section,) = found.sections
    rows = {row["micrograph_id"]: row for row in read_only.read("image_quality").to_pylist()}
    labels = {
        row["entity_id"]: row["label_text"]
        for row in found.predictions
        if row["evaluation"] == "cross-validation"
    }
    for told in section.table:
        own = [
            rows[key]["brightness_mean"] for key, name in labels.items() if name == told["class"]
        ]
        assert told["images"] == len(own)
        assert told["brightness"] == f"{np.mean(own):.1f} ± {np.std(own):.1f}"


@pytest.mark.parametrize(
    ("by", "told"),
    [("magnifcation", "no column of micrograph_catalog"), ("micrograph_id", "has 36 values")],
)
def test_columns_that_tell_no_parts_are_refused(read_only, by, told):
    with pytest.raises(ModelError, match=told):
        fit(read_only, model(GRAIN, explain={"by": by}))


def test_a_model_is_kept_with_them(drawn):
    train_model(drawn, model(GRAIN, name="by_zoom", explain={"by": "magnification"}), author="test")
    rows = drawn.read("metrics").to_pylist()
    parts = {row["part"] for row in rows if row["model"] == "by_zoom"}
    assert {ALONE, "magnification 500", "magnification 1000"} <= parts
    assert "Parts, and shortcuts" in stored_page(drawn, "by_zoom").decode()
