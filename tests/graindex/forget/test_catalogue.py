"""A withdrawn file is refused from then on, in its collection, and copies of it go."""

import hashlib
import shutil

import numpy as np
import pytest
import tifffile

from graindex.catalogue import refresh_dataset, refresh_micrographs, refresh_samples
from graindex.checks import unaccounted_files
from graindex.forget.lake_files import LakeFiles
from graindex.forget.target import targets_of
from graindex.forget.touched import touched
from graindex.forget.withdraw import withdraw
from graindex.recipes import make_recipe, save_recipe
from graindex.registration import register_collection
from graindex.volumes import refresh_volumes
from tests.graindex.forget.traces import holding, traces


def write(path, seed, pages=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(0, 255, (pages, 40, 48)).astype(np.uint8)
    tifffile.imwrite(path, grey, photometric="minisblack")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refresh(store, dataset):
    recipe = store.recipe(dataset)
    refresh_dataset(store, recipe, author="test")
    refresh_samples(store, recipe, author="test")
    refresh = refresh_volumes if recipe.kind == "volumes" else refresh_micrographs
    return refresh(store, recipe, author="test")


def forget(store, name):
    with LakeFiles(store.location) as files:
        targets = targets_of(store, files, [name])
        notes = [note for each in targets for note in touched(store, files, each).notes]
    withdraw(store, targets, "shows a face", author="test")
    return targets, notes


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sem"


def test_the_next_run_does_not_bring_it_back_nor_lose_it(store, folder):
    contents = [write(folder / f"{name}.tif", name, pages=1 + (name == 1)) for name in range(3)]
    shutil.copy(folder / "1.tif", folder / "copy of 1.tif")
    for dataset in ("a", "b"):
        register_collection(store, str(folder), dataset=dataset, kind="micrographs")
        refresh(store, dataset)
    both = {row["micrograph_id"] for row in store.read("micrographs", "a").to_pylist()
            if row["content_hash"] == contents[1]}  # fmt: skip
    assert len(both) == 2
    (target,), notes = forget(store, "a:1.tif")
    assert set(target.ids) == both
    assert any("withdrawn together" in note for note in notes)
    assert any("of 'b', which stays" in note for note in notes)
    assert any("1.tif is not the store's: it stays" in note for note in notes)
    for _ in range(2):
        assert {row["path"] for row in store.read("micrographs", "a").to_pylist()} == {
            "0.tif",
            "2.tif",
        }
        refused = {row["path"]: row["reason"] for row in store.read("quarantine", "a").to_pylist()}
        assert set(refused) == {"1.tif", "copy of 1.tif"}
        assert all(reason.endswith(": shows a face") for reason in refused.values())
        assert unaccounted_files(store, "a") == []
        outcome = refresh(store, "a")
        assert (outcome.rows, outcome.computed, outcome.dropped) == (2, 0, 0)
    assert traces(store.location.folder, *both) == []
    assert store.read("micrographs", "b").num_rows == 4
    assert (folder / "1.tif").exists()
    write(folder / "1.tif", 9)  # another picture under the same name is welcome
    assert refresh(store, "a").computed == 1


def test_of_a_copied_collection_nothing_is_left(store, folder):
    content = write(folder / "0.tif", 0)
    write(folder / "1.tif", 1)
    register_collection(store, str(folder), copy=True, dataset="a", kind="micrographs")
    refresh(store, "a")
    data = (folder / "0.tif").read_bytes()
    (target,), notes = forget(store, "a:0.tif")
    assert notes == []
    home = store.location.folder
    assert holding(home, data[200:1500]) == []
    assert traces(home, *target.ids, content) == []
    assert [p.name for p in (home / "originals" / "a").iterdir()] == ["1.tif"]
    assert refresh(store, "a").rows == 1
    assert store.read("quarantine", "a").num_rows == 0
    shutil.copy(folder / "0.tif", home / "originals" / "a" / "again.tif")
    assert refresh(store, "a").refused["again.tif"].endswith("shows a face")


@pytest.mark.slow
def test_one_that_only_older_snapshots_hold(store, folder):
    contents = [write(folder / f"{name}.tif", name) for name in range(2)]
    register_collection(store, str(folder), dataset="a", kind="micrographs")
    first = refresh(store, "a").snapshot
    (folder / "0.tif").unlink()
    refresh(store, "a")
    forget(store, "a:0.tif")
    assert store.read("micrographs", as_of=first)["path"].to_pylist() == ["1.tif"]
    assert traces(store.location.folder, contents[0]) == []


def test_a_volume(store, folder):
    for name in range(2):
        write(folder / f"v{name}.tif", name, pages=6)
    recipe = make_recipe(
        dataset="a", location_uri=str(folder), kind="volumes", declared_voxel_size_um=(1, 1, 1)
    )
    save_recipe(store.location, recipe)
    refresh(store, "a")
    row = next(r for r in store.read("volumes").to_pylist() if r["path"] == "v0.tif")
    (target,), _ = forget(store, row["volume_id"])
    assert target.ids == (row["volume_id"],)
    home = store.location.folder
    for _ in range(2):
        assert store.read("volumes")["path"].to_pylist() == ["v1.tif"]
        assert store.read("volume_findings").num_rows == 0
        (refused,) = store.read("quarantine").to_pylist()
        assert refused["reason"].endswith(": shows a face")
        assert traces(home, row["volume_id"], row["grey_hash"], row["thumbnail"]) == []
        assert not store.volume_store.has("grey", row["grey_hash"])
        refresh(store, "a")
    assert len(list(store.volume_store.entries())) == 1
