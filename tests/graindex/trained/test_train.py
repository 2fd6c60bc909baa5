"""Training: what is kept is what was computed, and nothing is computed twice."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, r2_score

from graindex.errors import GraindexError, ModelError
from graindex.trained.kept import (
    headline,
    kept_model,
    list_models,
    newest_run,
    run_of,
    stored_page,
)
from graindex.trained.learning import warnings_of
from graindex.trained.train import train_model
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.trained.conftest import FIELDS, FINISH, GRAIN, PLATES, SPECIMENS, fit, model


def rows(store, table, **where):
    found = store.read(table).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in where.items())]


def test_the_number_is_learned_and_its_metrics_follow_from_its_predictions(read_only):
    left_out = rows(read_only, "predictions", model="grain", evaluation="cross-validation")
    assert len(left_out) == SPECIMENS * FIELDS
    measured, predicted = (
        np.array([row[name] for row in left_out]) for name in ("label_number", "predicted_number")
    )
    told = headline(kept_model(read_only, "grain").card)
    assert told.value == pytest.approx(r2_score(measured, predicted))
    assert told.value > 0.95
    assert told.lower < told.value < told.upper
    found = rows(read_only, "metrics", model="grain", metric="rmse", part="all")
    assert {row["unit"] for row in found} == {"log10(µm)"}
    assert {row["evaluation"] for row in found} == {"cross-validation", "train"}


def test_the_class_is_learned_and_its_metrics_follow_from_its_predictions(read_only):
    left_out = rows(read_only, "predictions", model="finish", evaluation="cross-validation")
    measured, predicted = (
        [row[name] for row in left_out] for name in ("label_text", "predicted_text")
    )
    told = headline(kept_model(read_only, "finish").card)
    assert told.value == pytest.approx(f1_score(measured, predicted, average="macro"))
    assert told.value > 0.9
    shares = [json.loads(row["probabilities"]) for row in left_out]
    assert all(set(share) == {"rough", "smooth"} for share in shares)
    np.testing.assert_allclose([sum(share.values()) for share in shares], 1)


def test_folds_keep_specimens_together(read_only):
    sample = {row["entity_id"]: row["sample_id"] for row in rows(read_only, "training_rows")}
    for name, folds in (("grain", SPECIMENS), ("finish", 4)):
        left_out = rows(read_only, "predictions", model=name, evaluation="cross-validation")
        pairs = {(sample[row["entity_id"]], row["fold"]) for row in left_out}
        assert len(pairs) == SPECIMENS
        assert len({fold for _, fold in pairs}) == folds


def test_a_run_names_everything_that_decided_it(read_only):
    run = run_of(read_only, "grain@1")
    card = kept_model(read_only, "grain").card
    training_set = rows(read_only, "training_sets", training_set_id=run["training_set_id"])[0]
    assert card.training_set.fingerprint == training_set["fingerprint"]
    assert run["lake_snapshot"] == training_set["lake_snapshot"]
    assert run["artefact"] == card.weights_sha256
    assert (card.pixel_size.least_um, card.pixel_size.greatest_um) == (0.5, 0.5)
    assert card.encoder is None
    assert set(json.loads(run["parameters"])["chosen"]) == {"penalty", "power", "spread"}
    assert card.features.reference == "quality@1"
    assert any("no licence" in warning for warning in card.warnings)
    curve = rows(read_only, "curves", model="grain")
    assert {row["curve"] for row in curve} == {
        f"inner validation rmse, power {power}, spread {spread}"
        for power, spread in (("1", "none"), ("0.5", "none"), ("1", "standard"))
    }


def test_the_page_needs_no_other_file(read_only):
    for name in ("grain", "finish"):
        page = stored_page(read_only, name).decode()
        assert "data:image/png;base64," in page
        assert "http" not in page.replace('<html lang="en">', "")
        assert "states no licence" in page
        assert "<script" not in page


def test_what_stands_is_not_trained_again(trained):
    before = trained.snapshot()
    again = train_model(trained, model(GRAIN, description="new words"), author="test")
    assert not again.is_new
    assert again.card.version == 1
    assert trained.snapshot() == before


def test_a_change_is_a_new_version_and_the_old_one_still_answers(trained):
    first = kept_model(trained, "grain")
    samples = trained.read("samples").to_pylist()
    samples[0]["grain_um"] = 5.0
    table = from_records(TABLES["samples"], samples)
    trained.lake.replace({"samples": table}, PLATES, author="test", message="measured anew")
    second = train_model(trained, model(GRAIN), author="test")
    assert (second.is_new, second.card.version) == (True, 2)
    assert second.card.training_set.fingerprint != first.card.training_set.fingerprint
    assert kept_model(trained, "grain@1") == first
    assert newest_run(trained, "grain")["model_version"] == 2
    states = {
        (one.run["model"], one.run["model_version"]): one.status for one in list_models(trained)
    }
    assert states == {
        ("grain", 1): "superseded",
        ("grain", 2): "trained",
        ("finish", 1): "trained",
    }


def test_a_withdrawn_image_shows_on_the_models_that_saw_it(trained):
    image = rows(trained, "training_rows")[0]
    record = {
        "dataset": PLATES,
        "entity_kind": "micrograph",
        "entity_id": image["entity_id"],
        "content_hash": image["content_hash"],
        "withdrawn_at": newest_run(trained, "grain")["recorded_at"],
        "author": "test",
        "reason": "consent",
    }
    table = from_records(TABLES["withdrawals"], [record])
    trained.lake.put({"withdrawals": table}, author="test", message="withdrawn")
    for one in list_models(trained):
        assert (one.status, one.withdrawn) == ("affected by withdrawal", 1)


def test_held_out_rows_do_not_train_the_artefact(read_only):
    found = fit(read_only, model(GRAIN, split={"kind": "holdout", "test_fraction": 0.25}))
    sides = {
        side: {row["entity_id"] for row in found.predictions if row["evaluation"] == side}
        for side in ("test", "train")
    }
    assert len(sides["test"]) == 9
    assert not sides["test"] & sides["train"]
    assert sides["test"] | sides["train"] == set(
        found.learning.training_set.rows["entity_id"].to_pylist()
    )


def test_without_a_split_nothing_is_claimed(read_only):
    found = fit(read_only, model(GRAIN, split="none"))
    assert {row["evaluation"] for row in found.predictions} == {"train"}
    assert any("no row was left out" in warning for warning in warnings_of(found.learning))


def test_leakage_that_was_allowed_is_said(read_only):
    split = {"kind": "kfold", "by": "micrograph", "allow_leakage": True}
    warnings = warnings_of(fit(read_only, model(GRAIN, split=split)).learning)
    assert any("leakage is allowed" in warning for warning in warnings)
    assert any("images of their session" in warning for warning in warnings)


def test_few_numbers_can_be_learned_as_classes(plates):
    samples = plates.read("samples").to_pylist()
    for row in samples:
        row["grit"] = 80.0 if row["finish"] == "rough" else 4000.0
    table = from_records(TABLES["samples"], samples)
    plates.lake.replace({"samples": table}, PLATES, author="test", message="grit")
    found = fit(plates, model(FINISH, label="grit"))
    assert found.learning.classes == ("80", "4000")
    (score,) = (
        metric.value
        for metric in found.metrics
        if (metric.metric, metric.evaluation) == ("macro_f1", "cross-validation")
        and metric.part == "all"
    )
    assert score > 0.9


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (model(GRAIN, label="finish"), "'finish' is a class, and ridge learns numbers"),
        (
            model(FINISH, label="grain_um", split="leave-one-out"),
            "number of 12 values, and logistic learns classes: choose ridge",
        ),
        (model(GRAIN, feature_set="qualty"), "did you mean quality"),
        (model(GRAIN, label="grain_nm"), "grain_nm"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_line(read_only, definition, told):
    with pytest.raises(GraindexError, match=told) as caught:
        fit(read_only, definition)
    assert "\n" not in str(caught.value)


def test_models_that_are_not_there(read_only):
    with pytest.raises(
        ModelError, match=r"no model 'grains' is trained \(there are finish, grain\)"
    ):
        kept_model(read_only, "grains")
    with pytest.raises(ModelError, match="'grain' has no version 7; it has 1"):
        kept_model(read_only, "grain@7")
