"""What status says of a collection with a new voxel size, before and after it is materialised."""

import shutil

import dagster as dg
import numpy as np
import pytest

from assets.table_metadata import outcome_metadata
from graindex.outcome import Outcome, Recalibration
from graindex.recipes import make_recipe, save_recipe
from graindex.store import init_store
from graindex.volume_labels import refresh_labels_3d
from graindex.volume_particles import refresh_particles_3d
from orchestration.instance import open_instance
from orchestration.status import collection_status
from tests.graindex.volume_rows import put_volume, write_volumes


@pytest.fixture
def cells(tmp_path):
    """A home with one volume of two particles, measured; and a way to give it a voxel size."""
    store = init_store(tmp_path / "home")
    (tmp_path / "volumes").mkdir()
    recipe = make_recipe(dataset="a", location_uri=str(tmp_path / "volumes"), kind="volumes")
    save_recipe(store.location, recipe)
    labels = np.zeros((9, 9, 20), np.uint8)
    labels[2:7, 2:7, 2:7], labels[2:7, 2:7, 10:17] = 1, 2
    row = put_volume(store, "a", "cell", (0.5, 0.5, 0.5), labels=labels)

    def sized(um):
        sizes = {f"voxel_size_{axis}_um": um for axis in "zyx"}
        write_volumes(store, "a", [row | sizes])

    sized(0.5)
    refresh_labels_3d(store, recipe, author="test")
    refresh_particles_3d(store, recipe, author="test")
    yield store, recipe, sized
    shutil.rmtree(tmp_path / "home")


def state(store, asset):
    (row,) = (row for row in collection_status(store, ["a"]) if row["asset"] == asset)
    return row["stale"], row["why"]


def test_a_new_voxel_size_is_told_from_other_changes(cells):
    store, recipe, sized = cells
    assert state(store, "particles_3d") == (0, "")
    sized(0.75)
    assert state(store, "particles_3d") == (1, "pixel or voxel size changed")
    refresh_labels_3d(store, recipe, author="test")
    outcome = refresh_particles_3d(store, recipe, author="test")["particles_3d"]
    metadata = outcome_metadata("particles_3d", outcome)
    done = dg.AssetMaterialization("particles_3d", metadata=metadata, partition="a")
    with open_instance(store.location) as instance:
        instance.report_runless_asset_event(done)
    assert state(store, "particles_3d") == (0, "recalibrated 2 rows by factor 1.5")


def test_what_a_recalibration_says():
    told = {
        "recalibrated 1 row by factor 2": Recalibration.of(1, [2.0]),
        "recalibrated 3 rows by factors 0.5 to 1.25": Recalibration.of(3, [1, 0.5, 1.25]),
        "recalibrated 3 rows": Recalibration.of(3, []),
        "recalibrated 9 rows by factor 0.1": Recalibration.of(9, [0.1, 0.1 * (1 + 1e-15)]),
    }
    for line, one in told.items():
        assert str(one) == line
    assert Recalibration.of(0, []) is None
    assert "recalibration" not in outcome_metadata("volumes", Outcome(1, 0, 1, 0, {}, None))
