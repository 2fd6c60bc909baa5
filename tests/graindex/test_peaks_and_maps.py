"""Peaks of phases and maps of paths through the store: truths, refusals, nothing done twice."""

import io
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from graindex.conduction_maps import TABLE, inputs_of_maps, refresh_maps
from graindex.detachment_figures import peak_figure
from graindex.phase_peaks import inputs_of_peaks, refresh_peaks
from graindex.recipes import make_recipe
from graindex.store import open_store
from graindex.validation import validate
from graindex.volume_labels import refresh_labels_3d
from graindex.volume_particles import refresh_particles_3d
from models.measure.peak_widths import FWHM_PER_STD
from models.phantoms.solids import ball_with_binder
from schemas.tables import TABLES
from tests.graindex.volume_rows import SPACING_UM, put_volume, write_volumes

SHAPE = (36, 44, 40)
LEVELS, SPREAD = np.array([1000.0, 9000.0, 4000.0]), 200.0
SHOWN = ("label", "detachment", "equivalent_diameter_um", "conduction_path_mean_um")
PHASES = {0: "pore", 1: "particles", 2: "carbon_binder"}


def recipe(**more):
    segmentation = {"phase_values": (1,), "min_diameter_px": 8.0, "polarity": "bright"}
    return make_recipe(
        dataset="a", location_uri="/v", kind="volumes", segmentation=segmentation, **more
    )


@pytest.fixture(scope="module")
def home(empty_home, tmp_path_factory):
    """A ball in binder with grey values, one of phases alone, and grey values alone."""
    home = tmp_path_factory.mktemp("peaks") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    _, phases, _ = ball_with_binder(
        SHAPE, radius_um=6, covered=0.4, thickness_um=2.5, spacing_um=SPACING_UM
    )
    rng = np.random.default_rng(0)
    grey = np.rint(rng.normal(LEVELS[phases], SPREAD)).astype(np.uint16)
    turned = np.ascontiguousarray(phases[:, ::-1])
    records = [
        put_volume(store, "a", "both", grey=grey, phases=phases),
        put_volume(store, "a", "phases", phases=turned),
        put_volume(store, "a", "grey", grey=grey[::-1].copy()),
    ]
    write_volumes(store, "a", records)
    refresh_labels_3d(store, recipe(), author="test")
    refresh_particles_3d(store, recipe(), author="test")
    return home


@pytest.fixture
def store(home, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    return open_store(tmp_path / "home")


def peaks(store, told=None):
    return refresh_peaks(store, told or recipe(), author="test")


def maps(store, told=None):
    return refresh_maps(store, told or recipe(), author="test")


def test_peaks_lie_where_the_phases_do_and_are_as_wide(store):
    outcome = peaks(store)
    rows = store.read("phase_peaks", "a").to_pylist()
    assert {row["phase"]: row["phase_name"] for row in rows} == PHASES
    for row in rows:
        error = SPREAD / row["inner_voxels"] ** 0.5
        assert row["grey_mean"] == pytest.approx(LEVELS[row["phase"]], abs=5 * error)
        assert row["peak_grey"] == pytest.approx(LEVELS[row["phase"]], abs=0.5 * SPREAD)
        assert row["fwhm_grey"] == pytest.approx(FWHM_PER_STD * SPREAD, rel=0.2)
    assert outcome.refused == {
        "phases.tif": "no grey values: peaks by phase need a file named like NAME_grey beside it",
        "grey.tif": "no phases: peaks by phase need a file named like NAME_phases beside it",
    }
    assert outcome.computed == 3
    for name in ("phase_peaks", "phase_histograms"):
        assert validate(TABLES[name], store.read(name, "a")) == []


def test_histograms_hold_every_inner_voxel(store):
    peaks(store)
    classes = store.table(
        "SELECT phase, sum(count) AS voxels, count(*) AS classes, min(bin) AS first "
        "FROM phase_histograms GROUP BY phase ORDER BY phase"
    ).to_pylist()
    inner = {r["phase"]: r["inner_voxels"] for r in store.read("phase_peaks", "a").to_pylist()}
    assert {row["phase"]: row["voxels"] for row in classes} == inner
    assert all(row["classes"] <= 128 and row["first"] == 1 for row in classes)


def test_peaks_are_kept_until_voxels_or_names_change(store):
    first, second = peaks(store), peaks(store)
    assert (second.computed, second.kept, second.snapshot) == (0, 3, first.snapshot)
    (row,) = {(r["volume_id"], r["input_hash"]) for r in store.read("phase_peaks").to_pylist()}
    assert inputs_of_peaks(store, recipe()) == dict([row])
    assert peaks(store, recipe(measurement={"phase_binder": 7})).computed == 3
    write_volumes(store, "a", [])
    gone = peaks(store)
    assert (gone.rows, gone.dropped) == (0, 3)
    assert store.read("phase_histograms", "a").num_rows == 0


def test_a_collection_without_any_phases_lacks_nothing(store):
    grey = [r for r in store.read("volumes", "a").to_pylist() if r["path"] == "grey.tif"]
    write_volumes(store, "a", grey)
    assert (peaks(store).rows, peaks(store).refused) == (0, {})
    assert (maps(store).rows, maps(store).refused) == (0, {})


def test_lost_voxels_are_named(store):
    (volume,) = [r for r in store.read("volumes", "a").to_pylist() if r["path"] == "both.tif"]
    store.volume_store.remove("grey", volume["grey_hash"])
    outcome = peaks(store)
    assert outcome.refused["both.tif"] == (
        "its grey are not in the store: materialise volumes again"
    )
    assert outcome.rows == 0


def test_a_map_is_of_the_whole_particle_with_its_path(store):
    outcome = maps(store)
    rows = store.read(TABLE, "a").to_pylist()
    assert len(rows) == outcome.computed == 2
    assert list(outcome.refused) == ["grey.tif"]
    assert "NAME_phases" in outcome.refused["grey.tif"]
    for row in rows:
        (particle,) = [
            p for p in store.read("particles_3d", "a").to_pylist()
            if p["particle_id"] == row["particle_id"]
        ]  # fmt: skip
        assert not particle["touches_border"]
        assert {
            name: row[name]
            for name in row.keys() & particle.keys() - {"code_version", "input_hash"}
        }.items() <= particle.items()
        picture = Image.open(io.BytesIO(store.files.get(row["overlay"])))
        assert picture.format == "JPEG" and picture.width > 900
        colours = np.unique(np.asarray(picture).reshape(-1, 3), axis=0)
        assert len(colours) > 1000
    assert validate(TABLES[TABLE], store.read(TABLE, "a")) == []


def test_maps_are_kept_and_lost_pictures_drawn_again(store):
    first, second = maps(store), maps(store)
    assert (second.computed, second.kept, second.snapshot) == (0, 2, first.snapshot)
    rows = store.read(TABLE, "a").to_pylist()
    assert {r["volume_id"]: r["input_hash"] for r in rows} == inputs_of_maps(store, recipe())
    (picture,) = [one for one in store.files.entries() if one.key == rows[0]["overlay"]]
    assert store.files.remove(picture, datetime.now(UTC) + timedelta(days=1))
    assert maps(store).computed == 1
    assert store.read(TABLE, "a").to_pylist() == rows
    write_volumes(store, "a", [])
    assert maps(store).dropped == 2


def test_a_volume_without_a_path_to_binder_is_named(store):
    told = recipe(measurement={"phase_binder": 9})
    refresh_particles_3d(store, told, author="test")
    outcome = maps(store, told)
    assert outcome.refused["both.tif"] == "no whole particle of it has a path to the binder"
    assert inputs_of_maps(store, told) == {}


def test_the_figure_of_peaks_says_where_there_are_none(store):
    paths = {r["volume_id"]: r["path"] for r in store.read("volumes", "a").to_pylist()}
    assert len(peak_figure(store, "a", paths)) < 5_000
    peaks(store)
    assert len(peak_figure(store, "a", paths)) > 10_000
