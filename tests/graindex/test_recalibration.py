"""A new voxel size: lengths, areas and volumes follow, and nothing is measured again."""

import shutil

import numpy as np
import pytest
import tifffile

from graindex import volume_labels, volume_particles
from graindex.freshness import UNCALIBRATED, out_of_date, stale_rows
from graindex.registration import register_collection
from graindex.statistics import refresh_statistics
from graindex.store import open_store
from graindex.volume_labels import refresh_labels_3d
from graindex.volume_particles import refresh_particles_3d
from graindex.volumes import refresh_volumes
from schemas.tables import TABLES
from tests.graindex.recalibrated import TWICE, assert_follows

SHAPE = (22, 34, 38)
FIRST, SECOND = (0.3, 0.1, 0.1), (0.6, 0.2, 0.2)  # equal ratios, though not as floats
BY_SIZE = {"packing_density", "packing_clipped_fraction"}
DERIVED = ("particle_labels_3d", "particles_3d", "contacts", "electrode_statistics")


class Volumes:
    """A home and the folder of its only collection, of volumes."""

    def __init__(self, home, folder):
        self.store, self.folder = open_store(home), folder

    @property
    def recipe(self):
        return self.store.recipe("cells")

    def register(self, size_um, **measurement):
        register_collection(
            self.store,
            str(self.folder),
            dataset="cells",
            kind="volumes",
            declared_voxel_size_um=size_um,
            segmentation={
                "phase_values": (1,),
                "min_diameter_px": 5.0,
                "closing_px": 2.0,
                "neck": 0.9,
            },
            measurement={"packing_cube_um": 3.0, **measurement},
        )

    def refresh(self, *, statistics=False, without_voxels=False):
        """Outcomes by table; particles without grey values and phases, where that is wanted."""
        outcomes = {"volumes": refresh_volumes(self.store, self.recipe, author="test")}
        outcomes["labels"] = refresh_labels_3d(self.store, self.recipe, author="test")
        if without_voxels:
            for row in self.rows("volumes").to_pylist():
                for kind in ("grey", "phases"):
                    self.store.volume_store.remove(kind, row[f"{kind}_hash"])
        outcomes |= refresh_particles_3d(self.store, self.recipe, author="test")
        if statistics:
            outcomes["statistics"] = refresh_statistics(self.store, self.recipe, author="test")
        assert not any(one.refused for one in outcomes.values())
        return outcomes

    def rows(self, table, as_of=None):
        return self.store.read(table, "cells", as_of=as_of)

    def all_rows(self):
        return {table: self.rows(table) for table in ("volumes", *DERIVED)}

    def stale(self, asset):
        return out_of_date(self.store, asset, self.recipe)


def electrode():
    """Two balls in binder that touch, one with a hole, and a third apart from them."""
    at = np.indices(SHAPE).transpose(1, 2, 3, 0) * (3.0, 1.0, 1.0)
    balls = [((32, 11, 10), 9), ((32, 11, 26.5), 8), ((30, 26, 18), 6.5)]
    phases = np.zeros(SHAPE, np.uint8)
    for centre, radius in balls[:2]:
        phases[np.linalg.norm(at - centre, axis=-1) <= radius + 2] = 2
    for centre, radius in balls:
        phases[np.linalg.norm(at - centre, axis=-1) <= radius] = 1
    phases[np.linalg.norm(at - (32, 13, 8), axis=-1) <= 2] = 0
    grey = phases * 1000.0 + np.random.default_rng(0).integers(0, 99, SHAPE)
    return phases, grey.astype(np.uint16)


@pytest.fixture(scope="module")
def measured_cells(empty_home, tmp_path_factory):
    """A volume, segmented and measured at the first voxel size; not to be changed."""
    place = tmp_path_factory.mktemp("cells")
    shutil.copytree(empty_home, place / "home")
    (place / "volumes").mkdir()
    phases, grey = electrode()
    tifffile.imwrite(place / "volumes" / "cell_phases.tif", phases, photometric="minisblack")
    tifffile.imwrite(place / "volumes" / "cell_grey.tif", grey, photometric="minisblack")
    made = Volumes(place / "home", place / "volumes")
    made.register(FIRST)
    made.refresh(statistics=True)
    return made


@pytest.fixture
def cells(measured_cells, tmp_path):
    shutil.copytree(measured_cells.store.location.folder, tmp_path / "home")
    return Volumes(tmp_path / "home", measured_cells.folder)


@pytest.fixture
def unmeasurable(monkeypatch):
    """Fail where anything is segmented or measured."""
    monkeypatch.setattr(volume_labels, "segment_any", pytest.fail)
    monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)


class TestRecalibration:
    def test_columns_follow_and_nothing_else_does(self, cells, unmeasurable):
        before, snapshot = cells.all_rows(), cells.store.snapshot()
        assert set(before["particles_3d"]["touches_border"].to_pylist()) == {False}
        assert max(before["particles_3d"]["damage"].to_pylist()) > 0
        assert min(before["particles_3d"]["conduction_path_max_um"].drop_null().to_pylist()) > 0
        assert before["contacts"].num_rows == 1
        cells.register(SECOND)
        outcomes = cells.refresh(statistics=True, without_voxels=True)
        after = cells.all_rows()
        assert_follows(
            "particles_3d", before["particles_3d"], after["particles_3d"], TWICE, BY_SIZE
        )
        assert_follows("contacts", before["contacts"], after["contacts"], TWICE)
        (old,), (new,) = (rows["volumes"].to_pylist() for rows in (before, after))
        sizes = {f"voxel_size_{axis}_um" for axis in "zyx"}
        # The picture has a scale bar.
        assert {name for name in old if old[name] != new[name]} == {
            *sizes,
            "input_hash",
            "thumbnail",
        }
        (old,), (new,) = (rows["particle_labels_3d"].to_pylist() for rows in (before, after))
        assert {name for name in old if old[name] != new[name]} == {"input_hash", "overlay"}
        for name, count in (("volumes", 1), ("particles_3d", 3), ("contacts", 1)):
            rows = f"{count} row{'s' * (count > 1)}"
            assert str(outcomes[name].recalibration) == f"recalibrated {rows} by factor 2"
            assert (outcomes[name].computed, outcomes[name].kept) == (count, 0)
        assert str(outcomes["labels"].recalibration) == "recalibrated 1 row"
        old, new = (
            {row["statistic"]: row["value"] for row in rows["electrode_statistics"].to_pylist()}
            for rows in (before, after)
        )
        assert new["diameter_mean"] == pytest.approx(2 * old["diameter_mean"])
        for name in ("porosity", "damage_mean", "particle_count", "particle_volume_fraction"):
            assert new[name] == pytest.approx(old[name], rel=1e-12)
        for name, rows in before.items():
            assert cells.rows(name, as_of=snapshot).equals(rows)

    def test_packing_is_that_of_a_measurement_at_the_new_size(self, cells, measured_cells):
        cells.register(SECOND)
        cells.refresh()
        particles, contacts = cells.rows("particles_3d"), cells.rows("contacts")
        before = measured_cells.rows("particles_3d")
        for name in BY_SIZE:
            assert not particles[name].equals(before[name])
        for name in ("particles_3d", "contacts"):
            none = cells.rows(name)[:0]
            cells.store.lake.replace({name: none}, "cells", author="test", message="none")
        assert cells.refresh()["particles_3d"].recalibration is None
        assert cells.rows("particles_3d").sort_by("label").equals(particles.sort_by("label"))
        assert cells.rows("contacts").equals(contacts)

    def test_there_and_back_is_where_it_was(self, cells, unmeasurable):
        before = cells.all_rows()
        for size in ((0.0777, 0.0259, 0.0259), (2.1, 0.7, 0.7), FIRST):
            cells.register(size)
            assert cells.refresh()["particles_3d"].recalibration.rows == 3
        after = cells.all_rows()
        for name, rows in before.items():
            assert (
                after[name].sort_by(TABLES[name].key[-1]).equals(rows.sort_by(TABLES[name].key[-1]))
            ), name
        snapshot = cells.store.snapshot()
        outcomes = cells.refresh()
        assert cells.store.snapshot() == snapshot
        assert [one.recalibration for one in outcomes.values()] == [None] * 4

    def test_other_ratios_are_measured_again(self, cells):
        before = cells.rows("particles_3d")
        cells.register((0.33, 0.1, 0.1))
        outcomes = cells.refresh()
        assert outcomes["particles_3d"].computed > 0
        assert outcomes["particles_3d"].recalibration is outcomes["labels"].recalibration is None
        labels = set(cells.rows("particles_3d")["particle_id"].to_pylist())
        assert not labels & set(before["particle_id"].to_pylist())

    def test_radii_in_micrometres_count_in_voxels(self, cells, monkeypatch):
        def radii(um):
            return {"closing_radius_um": um, "contact_ring_um": um}

        cells.register(FIRST, **radii(0.25))
        cells.refresh()
        cells.register(SECOND, **radii(0.25))
        outcomes = cells.refresh()
        assert (outcomes["labels"].recalibration.rows, outcomes["particles_3d"].computed) == (1, 3)
        assert outcomes["particles_3d"].recalibration is None
        before = cells.rows("particles_3d")
        cells.register(FIRST, **radii(0.125))  # as many voxels as at the second size
        monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)
        assert cells.refresh()["particles_3d"].recalibration.factors == (0.5, 0.5)
        after = cells.rows("particles_3d")
        assert_follows("particles_3d", before, after, {1: 1 / 2, 2: 1 / 4, 3: 1 / 8}, BY_SIZE)

    def test_depth_in_an_electrode_of_given_extent(self, cells, monkeypatch):
        extent = (1.0, 8.0)
        rows = cells.rows("particles_3d").to_pylist()
        assert all(0 < row["depth_fraction"] < 1 for row in rows)
        expected = {row["particle_id"]: (2 * row["z_um"] - 1) / 7 for row in rows}
        cells.register(FIRST, electrode_extent_um=extent)
        cells.refresh()
        monkeypatch.setattr(volume_particles, "measure_particles_3d", pytest.fail)
        cells.register(SECOND, electrode_extent_um=extent)
        assert cells.refresh()["particles_3d"].recalibration.rows == 3
        for row in cells.rows("particles_3d").to_pylist():
            assert row["depth_fraction"] == pytest.approx(expected[row["particle_id"]])

    def test_status_tells_it_from_other_changes(self, cells):
        (key,) = cells.rows("volumes")["volume_id"].to_pylist()
        assert cells.stale("particles_3d") == {}
        cells.register(SECOND)
        refresh_volumes(cells.store, cells.recipe, author="test")
        for asset in DERIVED[:3]:
            assert cells.stale(asset) == {key: UNCALIBRATED}
            (problem,) = stale_rows(asset, cells.store, "cells")
            assert problem.rule == "of the pixel or voxel size of now"
        # Statistics of particles in µm of another voxel size would be a mixture.
        outcome = refresh_statistics(cells.store, cells.recipe, author="test")
        assert "another voxel size" in outcome.refused[key]
        cells.refresh(statistics=True)
        assert [cells.stale(asset) for asset in DERIVED] == [{}] * 4

    def test_damaged_labels_are_refused(self, cells):
        (row,) = cells.rows("particle_labels_3d").to_pylist()
        cells.register(SECOND)
        refresh_volumes(cells.store, cells.recipe, author="test")
        cells.store.volume_store.remove("labels", row["label_volume"])
        outcome = refresh_particles_3d(cells.store, cells.recipe, author="test")["particles_3d"]
        assert list(outcome.refused.values()) == [
            "its labels are not in the store: materialise particle_labels_3d again"
        ]
