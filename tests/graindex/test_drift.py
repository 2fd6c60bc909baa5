"""Sessions, halves, collections and sides of training sets that differ, and those that do not."""

from datetime import datetime, timedelta

import numpy as np
import pytest

import graindex
from graindex.drift import compared_in, inputs_of_drift, refresh_drift, strongest
from graindex.drift_parts import parts_of
from graindex.generated_checks import dictionary_problems
from graindex.label_checks import parts_drift
from graindex.originals import load_content
from graindex.recipes import make_recipe, save_recipe
from models.measure.distribution_shift import MIN_ROWS
from models.measure.image_quality import image_quality
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.planted import collection, replace
from tests.graindex.rows import SHA, key

NCM = "ncm622_cycled_sem"


def refresh(store, dataset):
    return refresh_drift(store, store.recipe(dataset), author="test")


def alarms(store, dataset):
    rows = store.read("drift", dataset).to_pylist()
    return {(row["compared"], row["variable"]) for row in rows if row["alarm"]}


def brightened(store, amounts):
    """Measure real images again as if some were brighter by so many grey levels, by image."""
    images = {row["micrograph_id"]: row for row in store.read("micrographs", NCM).to_pylist()}
    rows = store.read("image_quality", NCM).to_pylist()
    for row in rows:
        amount = amounts.get(row["micrograph_id"], 0)
        if amount:
            pixels = load_content(images[row["micrograph_id"]], store.limits).astype(np.float32)
            again = image_quality(np.clip(pixels + amount, 0, 255).round().astype(np.uint8))
            row |= {"brightness_mean": again.brightness_mean, "contrast_std": again.contrast_std}
    replace(store, NCM, "image_quality", rows)


def in_order(store):
    rows = store.read("micrographs", NCM).to_pylist()
    return sorted(rows, key=lambda row: row["acquired_at"])


@pytest.mark.real_data
def test_a_session_that_grows_brighter_is_told(real_home):
    store = graindex.open(real_home())
    refresh(store, NCM)
    assert "brightness_mean" not in {variable for _, variable in alarms(store, NCM)}
    ids = [row["micrograph_id"] for row in in_order(store)]
    brightened(store, dict(zip(ids, np.linspace(0, 40, len(ids)), strict=True)))
    refresh(store, NCM)
    assert (f"later half of session {NCM}#1", "brightness_mean") in alarms(store, NCM)
    (row,) = (
        row for row in store.read("drift", NCM).to_pylist() if row["variable"] == "brightness_mean"
    )
    assert row["trend"] > 0.5
    assert row["trend_p_value"] < row["ks_p_value"]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("fixture", "grey_levels"),
    [("real_home", 60), pytest.param("all_real_home", 30, marks=pytest.mark.slow)],
)
def test_a_brighter_session_among_others_is_told_with_figures(request, fixture, grey_levels):
    store = graindex.open(request.getfixturevalue(fixture)())
    rows = in_order(store)
    moved = rows[::2]  # every second image, so that what is seen is alike in both sessions
    for row in moved:
        row["acquired_at"] += timedelta(days=1)
    replace(store, NCM, "micrographs", rows)
    refresh(store, NCM)
    session = f"session {NCM}#2"
    assert (session, "brightness_mean") not in alarms(store, NCM)
    brightened(store, {row["micrograph_id"]: grey_levels for row in moved})
    outcome = refresh(store, NCM)
    assert (session, "brightness_mean") in alarms(store, NCM)
    assert (session, "sharpness_tenengrad") not in alarms(store, NCM)
    assert not dictionary_problems("drift", store, NCM)
    (problem,) = parts_drift(store, NCM)
    assert any(session in part and "brightness_mean" in found for part, found in problem.rows)
    compared, shift = strongest(store, NCM, 1)[0]
    assert compared.variable == "brightness_mean"
    assert shift.ks_statistic > 0.5
    again = refresh(store, NCM)
    assert (again.computed, again.kept) == (0, outcome.rows)
    assert inputs_of_drift(store, store.recipe(NCM)).keys() == {
        one.parts.compared for one in compared_in(store, NCM)
    }


def made(store, name, brightness, *, materials="LLZTO", moments=None, vectors=None, pixel=0.1):
    """A collection of images of a brightness each."""
    count = len(brightness)
    save_recipe(store.location, make_recipe(dataset=name, location_uri="/x"))
    drawn = np.random.default_rng(len(name)).normal(size=(count, 4)) if vectors is None else vectors
    specimens = [f"{name} {i}" for i in range(count)]
    ids = collection(
        store,
        name,
        drawn,
        specimens=specimens,
        own={specimen: {"material": materials} for specimen in specimens},
        acquired_at=moments or [None] * count,
        instrument=["one"] * count,
        pixel_size_um=np.broadcast_to(pixel, count).astype(float).tolist(),
    )
    quality = [
        quality_row(name, one, float(grey)) for one, grey in zip(ids, brightness, strict=True)
    ]
    replace(store, name, "image_quality", quality)
    return ids


def quality_row(dataset, micrograph_id, grey):
    numbers = ("sharpness_laplacian", "noise_std", "entropy_bits")
    return {
        "dataset": dataset,
        "micrograph_id": micrograph_id,
        "brightness_mean": grey,
        "contrast_std": 20.0,
        "sharpness_tenengrad": 5.0,
        **dict.fromkeys(numbers, 1.0),
        "saturation_fraction_low": 0.0,
        "saturation_fraction_high": 0.0,
        "input_hash": SHA,
        "code_version": "1",
    }


def grey(count, middle, seed=0):
    return np.random.default_rng(seed).normal(middle, 5, count).clip(0, 255)


def test_collections_of_one_material_are_compared_and_those_of_others_are_not(store):
    random = np.random.default_rng(0)
    directions = np.eye(6) * 9
    drawn = [random.normal(size=(40, 6)) + directions[i] for i in (0, 0, 1)]
    made(store, "a", grey(40, 100), vectors=drawn[0], pixel=0.1 + random.uniform(0, 1e-4, 40))
    made(store, "b", grey(40, 130, 1), vectors=drawn[1], pixel=0.1002)
    made(store, "c", grey(40, 100, 2), vectors=drawn[2], pixel=0.2)
    made(store, "d", grey(40, 200, 3), vectors=drawn[0], materials="LLTO")
    for name in "abcd":
        refresh(store, name)
    assert store.read("drift", "a").num_rows == store.read("drift", "d").num_rows == 0
    assert alarms(store, "b") == {("collection b", "brightness_mean")}
    rows = store.read("drift", "c").to_pylist()
    told = {(row["reference"], row["variable"]) for row in rows if row["alarm"]}
    content = "principal component 1 of vectors"
    assert {("collection a", "pixel_size_um"), ("collection a", content)} <= told
    assert {("collection b", "brightness_mean"), ("collection b", content)} <= told
    assert ("collection a", "brightness_mean") not in told
    variables = {one.variable for one in compared_in(store, "b")}
    assert "pixel_size_um" not in variables  # they differ by a per mille
    assert "contrast_std" not in variables  # all the same


def test_the_sides_of_training_sets_are_compared(store):
    ids = made(store, "a", np.concatenate((grey(30, 100), grey(20, 130, 1))))
    others = made(store, "b", grey(30, 200, 1), materials="LLTO")
    train_here(store, ids, ["train"] * 30 + ["test"] * 20)
    train_here(store, [*ids, *others], ["train"] * 50 + ["test"] * 30, name="both")
    refresh(store, "a")
    name = f"test side of {key('set')}"
    assert alarms(store, "a") == {(name, "brightness_mean")}
    folds = [i % 2 for i in range(50)]
    train_here(store, ids, ["cross-validation"] * 50, folds, "folded")
    for dataset in "ab":
        assert refresh(store, dataset).computed
    compared = {row["compared"] for row in store.read("drift", "a").to_pylist()}
    assert compared == {name, *(f"fold {i} of {key('folded')}" for i in (0, 1))}
    assert alarms(store, "a") == {(name, "brightness_mean")}
    assert alarms(store, "b") == {(f"test side of {key('both')}", "brightness_mean")}


def train_here(store, ids, sides, folds=None, name="set"):
    """Register a training set of images."""
    images = {row["micrograph_id"]: row["dataset"] for row in store.read("micrographs").to_pylist()}
    rows = [
        {
            "training_set_id": key(name),
            "entity_id": one,
            "entity_kind": "micrograph",
            "dataset": images[one],
            "fold": folds[i] if folds else None,
            "side": sides[i],
            "row_hash": SHA,
        }
        for i, one in enumerate(ids)
    ]
    table = from_records(TABLES["training_rows"], rows)
    store.lake.put({"training_rows": table}, author="test", message="set")


def test_small_sessions_are_not_compared(store):
    save_recipe(store.location, make_recipe(dataset="a", location_uri="/x"))
    assert refresh(store, "a").rows == 0
    start = datetime(2026, 3, 2, 9)
    moments = [start + timedelta(days=i // 12, minutes=i) for i in range(36)]
    made(store, "a", grey(36, 100), moments=moments)
    told = {parts.compared for parts in parts_of(store, "a", MIN_ROWS)}
    assert told == {f"session a#{i}" for i in (1, 2, 3)}  # halves have six images each
    assert parts_of(store, "a", 100) == []
