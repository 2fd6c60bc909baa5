"""Rows of older inputs, settings or code are named, and so are collections that are too old."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from graindex.catalogue import DATASETS_CODE_VERSION, SAMPLES_CODE_VERSION, dataset_input_hash
from graindex.examine import CODE_VERSION
from graindex.freshness import (
    DERIVED,
    LISTED,
    MISSING,
    OLDER,
    ORPHANED,
    out_of_date,
    row_count,
    stale_rows,
)
from graindex.recipes import CheckLimits, load_recipe, make_recipe, save_recipe
from graindex.scan import list_collection
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrograph, samples

DATASET = "a"
QUALITY = {
    name: 0.0
    for name in TABLES["image_quality"].required
    if name not in {"input_hash", "code_version"}
}


def register(store, folder, **options):
    recipe = make_recipe(dataset=DATASET, location_uri=str(folder), **options)
    save_recipe(store.location, recipe)
    return store.recipe(DATASET)


def replace(store, **tables):
    store.lake.replace(tables, DATASET, author="test", message="test")


def quality(store, recipe, **changed):
    """Quality figures of the images there are as they would be computed now, but for changes."""
    wanted = DERIVED["image_quality"].inputs(store, recipe)
    version = DERIVED["image_quality"].code_version
    return [
        {
            "dataset": DATASET,
            "micrograph_id": one,
            **QUALITY,
            "input_hash": wanted[one],
            "code_version": version,
            **changed.get(one, {}),
        }
        for one in wanted
    ]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for n in range(3):
        (tmp_path / "images" / f"{n}.tif").write_bytes(b"x")
    return tmp_path / "images"


@pytest.fixture
def recipe(store, folder):
    """A catalogued collection of three images with quality figures, all up to date."""
    recipe = register(store, folder)
    row = {
        "dataset": DATASET,
        "kind": "micrographs",
        "location_uri": str(folder),
        "file_count": 3,
        "registered_at": recipe.registered_at,
        "input_hash": dataset_input_hash(recipe, list_collection(str(folder))),
        "code_version": DATASETS_CODE_VERSION,
    }
    images = [micrograph(DATASET, n, code_version=CODE_VERSION) for n in range(3)]
    replace(
        store,
        datasets=from_records(TABLES["datasets"], [row]),
        micrographs=from_records(TABLES["micrographs"], images),
    )
    replace(store, image_quality=from_records(TABLES["image_quality"], quality(store, recipe)))
    return recipe


def stale(store, asset):
    return {one.rule: one.rows for one in stale_rows(asset, store, DATASET)}


def test_what_was_just_computed_is_up_to_date(store, recipe):
    assert out_of_date(store, "image_quality", recipe) == {}
    for asset in ("datasets", "samples", "micrographs", "image_quality"):
        assert stale(store, asset) == {}
    assert row_count(store, "image_quality", DATASET) == 3


def test_every_reason_is_told_apart(store, recipe):
    changed = {key(0): {"input_hash": "cd" * 32}, key(1): {"code_version": "0"}}
    rows = quality(store, recipe, **changed)
    rows[2]["micrograph_id"] = key("gone")
    replace(store, image_quality=from_records(TABLES["image_quality"], rows))
    found = out_of_date(store, "image_quality", recipe)
    assert found == {key(0): OLDER, key(1): OLDER, key(2): MISSING, key("gone"): ORPHANED}
    # What is missing is the business of the checks for completeness.
    assert {one for rows in stale(store, "image_quality").values() for one, _ in rows} == {
        key(0),
        key(1),
        key("gone"),
    }


def test_a_changed_image_makes_what_was_computed_of_it_stale(store, recipe):
    images = [micrograph(DATASET, n, code_version=CODE_VERSION) for n in range(3)]
    images[1]["content_y1_px"] = 30
    replace(store, micrographs=from_records(TABLES["micrographs"], images))
    assert out_of_date(store, "image_quality", recipe) == {key(1): OLDER}


def test_rows_of_older_code_are_named(store, recipe):
    images = [micrograph(DATASET, n, code_version=str(n)) for n in range(2)]
    replace(store, micrographs=from_records(TABLES["micrographs"], images))
    (lines,) = stale(store, "micrographs").values()
    assert sorted(lines) == sorted((key(n), f"code version {n}") for n in range(2))
    replace(store, samples=samples(DATASET, "s"))
    assert (stale(store, "samples") == {}) == (SAMPLES_CODE_VERSION == "1")


def test_files_that_changed_since_are_noticed(store, recipe, folder):
    (folder / "3.tif").write_bytes(b"y")
    (lines,) = stale(store, "datasets").values()
    assert lines == ((DATASET, "files or registration changed"),)
    folder.rename(folder.with_name("moved"))
    (lines,) = stale(store, "datasets").values()
    assert lines == ((DATASET, f"{folder} is not there"),)


def test_limits_of_checks_make_nothing_stale(store, recipe, folder):
    limits = CheckLimits(max_age_days=1e4, max_drop_fraction=0.5)
    changed = recipe.model_copy(update={"checks": limits})
    save_recipe(store.location, changed)
    assert load_recipe(store.location, DATASET).checks == limits
    assert stale(store, "datasets") == {}


def test_a_collection_that_is_too_old_is_told(store, recipe, folder):
    now = datetime.now(UTC)
    for n, days in enumerate((30, 3, 9)):
        when = (now - timedelta(days=days)).timestamp()
        os.utime(folder / f"{n}.tif", (when, when))
    for days, old in ((2, True), (4, False)):
        limits = CheckLimits(max_age_days=days)
        save_recipe(store.location, recipe.model_copy(update={"checks": limits}))
        told = stale(store, "datasets").get(f"newest file at most {days} days old")
        newest = now - timedelta(days=3)
        assert told == ((("1.tif", f"of {newest:%Y-%m-%d}"),) if old else None)


def test_an_empty_folder_is_too_old(store, recipe, folder):
    for file in folder.iterdir():
        file.unlink()
    save_recipe(store.location, recipe.model_copy(update={"checks": CheckLimits(max_age_days=1)}))
    assert stale(store, "datasets")["newest file at most 1 days old"] == (("", "no file"),)


def test_every_asset_is_listed_or_derived():
    assert not LISTED.keys() & DERIVED.keys()
    for asset, derived in DERIVED.items():
        table = TABLES[derived.table or asset]
        assert {derived.entity, "input_hash", "code_version"} <= set(table.columns)
