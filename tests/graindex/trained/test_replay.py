"""Replay: the same bits from the same snapshot, whatever happened since; checks of models."""

import pytest

from graindex.errors import ModelError
from graindex.trained.checks import MODEL_CHECKS
from graindex.trained.kept import run_of
from graindex.trained.replay import replay
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.trained.conftest import PLATES


def brighten(store, offset):
    rows = store.read("image_quality").to_pylist()
    for row in rows:
        row["brightness_mean"] += offset
    table = from_records(TABLES["image_quality"], rows)
    store.lake.replace({"image_quality": table}, PLATES, author="test", message="brighter")


def put(store, table, rows):
    found = from_records(TABLES[table], rows)
    store.lake.put({table: found}, author="test", message="changed")


def problems(store, model):
    return {check.name: check.body(store, model) for check in MODEL_CHECKS}


def test_a_replay_is_equal_bit_for_bit(read_only):
    found = replay(read_only, "finish")
    assert found.equal, found.lines()
    assert found.rows == 72
    assert found.lines()[-1] == "replay of finish@1: succeeded"


def test_later_changes_do_not_change_a_replay(trained):
    for offset in (1.0, -3.0):
        brighten(trained, offset)
    found = replay(trained, "grain")
    assert found.equal, found.lines()
    assert found.weights_equal


def test_a_prediction_that_was_changed_is_found(trained):
    row = next(row for row in trained.read("predictions").to_pylist() if row["model"] == "grain")
    row["predicted_number"] += 0.5
    put(trained, "predictions", [row])
    found = replay(trained, "grain")
    assert found.weights_equal
    assert not found.predictions_equal
    assert not found.equal
    assert found.greatest_difference == pytest.approx(0.5)
    assert "0.5 apart" in found.lines()[-2]


def test_a_training_row_that_was_changed_is_found(trained):
    key = run_of(trained, "grain")["training_set_id"]
    row = next(r for r in trained.read("training_sets").to_pylist() if r["training_set_id"] == key)
    row["request"] = row["request"].replace('"where": null', '"where": "micrograph_id > \'5\'"')
    put(trained, "training_sets", [row])
    found = replay(trained, "grain")
    assert not found.equal
    assert found.weights_equal is None
    assert "DIFFERENT" in found.lines()[-1]


def test_a_model_that_is_not_there(read_only):
    with pytest.raises(ModelError, match="'other' is trained"):
        replay(read_only, "other")


@pytest.mark.parametrize("name", ["grain", "finish"])
def test_checks_pass_on_a_trained_model(read_only, name):
    assert problems(read_only, name) == {check.name: [] for check in MODEL_CHECKS}


def test_checks_find_what_is_wrong(trained):
    rows = [row for row in trained.read("predictions").to_pylist() if row["model"] == "grain"]
    rows[0]["predicted_number"] = None
    put(trained, "predictions", rows[:1])
    run = run_of(trained, "grain")
    training_rows = [
        row
        for row in trained.read("training_rows").to_pylist()
        if row["training_set_id"] == run["training_set_id"]
    ]
    training_rows[0]["fold"] = 11 - training_rows[0]["fold"]
    put(trained, "training_rows", training_rows[:1])
    trained.files._fs.rm(trained.files.address(run["artefact"]))
    found = problems(trained, "grain")
    assert [p.rows[0][0] for p in found["predictions_finite"]] == [rows[0]["entity_id"]]
    assert [p.rows[0][0] for p in found["no_leakage"]] == [training_rows[0]["sample_id"]]
    assert "gone" in found["artefact_intact"][0].rows[0][1]


def test_another_training_set_under_the_same_key_is_found(trained):
    grain, finish = (run_of(trained, name)["training_set_id"] for name in ("grain", "finish"))
    rows = {row["training_set_id"]: row for row in trained.read("training_sets").to_pylist()}
    put(trained, "training_sets", [rows[grain] | {"content": rows[finish]["content"]}])
    assert problems(trained, "grain")["fingerprint_equal"]
