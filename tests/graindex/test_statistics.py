"""Statistics through the store: known truths, and nothing is computed twice."""

import dataclasses
import shutil

import numpy as np
import pyarrow.compute as pc
import pytest

from graindex.recipes import make_recipe
from graindex.statistics import inputs_of_statistics, refresh_statistics
from graindex.store import Store, open_store
from graindex.validation import validate
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import (
    label_volume,
    measured_image,
    particles_3d,
    phases,
    volume,
    write,
)
from tests.graindex.rows import key, samples

DATASET = "electrode"
SHAPE, SPACING = (10, 20, 30), (0.5, 0.4, 0.4)
VOXEL_UM3 = 0.08
PHASES = {0: 2700, 1: 2000, 2: 900, 3: 400}  # pores, particles, binder, particles as well
TABLE = "electrode_statistics"


def recipe(**more):
    told = {"segmentation": {"phase_values": (1, 3)}, **more}
    return make_recipe(dataset=DATASET, location_uri="/x", **told)


def five_particles(voxels=(100, 200, 300, 400, 500), damage=0.1, **more):
    """Columns of particles, the last one at the border."""
    voxels = np.array(voxels)
    body = voxels * VOXEL_UM3
    count = len(voxels)
    full = body / (1 - damage)
    columns = {
        "label": np.arange(1, count + 1),
        "voxels": voxels,
        **dict.fromkeys(("x_um", "y_um", "z_um"), np.ones(count)),
        "volume_um3": full,
        "body_volume_um3": body,
        "crack_volume_um3": full - body,
        "damage": np.full(count, damage),
        "equivalent_diameter_um": np.cbrt(6 / np.pi * full),
        "sphericity": np.full(count, 0.8),
        "depth_fraction": (np.arange(count) + 0.5) / count,
        "neighbours": np.zeros(count, np.int64),
        "touches_border": np.arange(count) == count - 1,
    }
    return columns | more


def a_volume(name, columns=None, phase_voxels=None, **more):
    columns = five_particles() if columns is None else columns
    hashed = {"phases_hash": "cd" * 32} if phase_voxels else {}
    records = {
        "volumes": [volume(DATASET, name, SHAPE, SPACING, **hashed)],
        "volume_phases": phases(DATASET, name, phase_voxels or {}),
        "particle_labels_3d": [label_volume(DATASET, name, len(columns["label"]))],
    }
    rows = {table: from_records(TABLES[table], found) for table, found in records.items()}
    more = {"calibration_um": SPACING[0]} | more
    return rows | {"particles_3d": particles_3d(DATASET, name, columns, **more)}


def refresh(store: Store, told=None):
    return refresh_statistics(store, told or recipe(), author="test")


def value(store: Store, entity: str, statistic: str, column: str = "value"):
    rows = store.read(TABLE, DATASET)
    chosen = pc.and_(pc.equal(rows["entity_id"], entity), pc.equal(rows["statistic"], statistic))
    (found,) = rows.filter(chosen)[column].to_pylist()
    return found


def names(store: Store, entity: str) -> set[str]:
    rows = store.read(TABLE, DATASET)
    return set(rows.filter(pc.equal(rows["entity_id"], entity))["statistic"].to_pylist())


@pytest.fixture(scope="module")
def known(empty_home, tmp_path_factory):
    """Two volumes, one with phases, to be read."""
    home = tmp_path_factory.mktemp("known") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    write(store, DATASET, a_volume("v", phase_voxels=PHASES), a_volume("w"))
    refresh(store)
    return store


@pytest.fixture
def filled(known, tmp_path):
    """The same, to be changed."""
    shutil.copytree(known.location.home, tmp_path / "home")
    return open_store(tmp_path / "home")


def test_truths_of_a_volume_with_phases(known):
    v = key("v")
    assert value(known, v, "porosity") == pytest.approx(0.45)
    fractions = {n: value(known, v, n) for n in names(known, v) if n.startswith("phase_")}
    assert fractions == pytest.approx(
        {
            "phase_fraction_pore": 0.45,
            "phase_fraction_particles": 0.4,
            "phase_fraction_carbon_binder": 0.15,
        }
    )
    assert value(known, v, "particle_count") == 5
    assert value(known, v, "particle_count_whole") == 4
    assert value(known, v, "border_volume_share") == pytest.approx(1 / 3)
    assert value(known, v, "particle_volume_fraction") == pytest.approx(1500 / 6000 / 0.9)
    assert value(known, v, "damage_mean_volume") == pytest.approx(0.1)
    diameter = np.cbrt(6 / np.pi * np.array([200, 300]) * VOXEL_UM3 / 0.9)
    assert value(known, v, "diameter_d50_number") == pytest.approx(diameter.mean())
    assert value(known, v, "diameter_d50_number", "unit") == "µm"
    assert value(known, v, "sphericity_mean", "std") == pytest.approx(0, abs=1e-9)
    assert value(known, v, "detachment_mean") is None
    assert value(known, v, "diameter_d50_number", "entity") == "volume"


def test_truths_of_a_volume_without_phases(known):
    w = key("w")
    assert value(known, w, "porosity") is None
    assert value(known, w, "phase_fraction_particles") == pytest.approx(0.25)
    assert value(known, w, "phase_fraction_background") == pytest.approx(0.75)


def test_classes_are_numbered_from_one_and_all_is_zero(known):
    rows = known.read(TABLE, DATASET)
    assert validate(TABLES[TABLE], rows) == []
    rows = rows.filter(pc.equal(rows["entity_id"], key("v"))).to_pylist()
    assert {row["bin"] for row in rows if row["bin_lower"] is None} == {0}
    depth = [row for row in rows if row["statistic"] == "damage_against_depth"]
    assert [row["bin"] for row in depth] == list(range(1, 11))
    assert [row["bin_lower"] for row in depth] == pytest.approx(np.linspace(0, 0.9, 10))


def test_names_follow_what_the_user_calls_particle(store):
    write(store, DATASET, a_volume("v", phase_voxels={0: 3000, 1: 2000, 2: 1000}))
    refresh(store, recipe(segmentation={"phase_values": (2,)}))
    assert value(store, key("v"), "phase_fraction_particles") == pytest.approx(1 / 6)
    assert value(store, key("v"), "phase_fraction_1") == pytest.approx(1 / 3)
    told = recipe(segmentation={"phase_values": (0,)}, measurement={"phase_binder": 1})
    refresh(store, told)
    assert value(store, key("v"), "phase_fraction_particles") == pytest.approx(1 / 2)
    assert value(store, key("v"), "phase_fraction_carbon_binder") == pytest.approx(1 / 3)
    assert value(store, key("v"), "porosity") is None


def test_a_second_run_computes_nothing_and_makes_no_snapshot(filled):
    before, snapshot = filled.read(TABLE, DATASET), filled.snapshot()
    outcome = refresh(filled)
    assert (outcome.computed, outcome.kept, outcome.dropped) == (0, before.num_rows, 0)
    assert outcome.snapshot == snapshot == filled.snapshot()


def test_what_changed_is_computed_and_the_rest_is_kept(filled):
    of_v = len(filled.read(TABLE, DATASET).filter(pc.field("entity_id") == key("v")))
    total = filled.read(TABLE, DATASET).num_rows
    changed = a_volume("w", five_particles(damage=0.2), input_hash="ef" * 32)
    write(filled, DATASET, a_volume("v", phase_voxels=PHASES), changed)
    outcome = refresh(filled)
    assert (outcome.kept, outcome.computed, outcome.dropped) == (of_v, total - of_v, 0)
    assert value(filled, key("w"), "damage_mean") == pytest.approx(0.2)
    write(filled, DATASET, a_volume("v", phase_voxels=PHASES))
    outcome = refresh(filled)
    assert (outcome.rows, outcome.computed, outcome.dropped) == (of_v, 0, total - of_v)


def test_a_new_name_of_a_phase_computes_again(filled):
    outcome = refresh(filled, recipe(measurement={"phase_binder": 7}))
    assert outcome.computed > 0
    assert "phase_fraction_2" in names(filled, key("v"))


def test_inputs_are_what_the_rows_carry(known):
    rows = known.read(TABLE, DATASET).to_pylist()
    assert {row["entity_id"]: row["input_hash"] for row in rows} == inputs_of_statistics(
        known, recipe()
    )


def test_a_volume_without_particles_has_statistics(store):
    nothing = {name: column[:0] for name, column in five_particles().items()}
    write(store, DATASET, a_volume("v", nothing, PHASES))
    outcome = refresh(store)
    assert outcome.refused == {}
    assert value(store, key("v"), "particle_count") == 0
    assert value(store, key("v"), "porosity") == pytest.approx(0.45)
    assert refresh(store).computed == 0


def test_particles_that_are_not_measured_are_not_taken_for_none(filled):
    lost = a_volume("v", phase_voxels=PHASES)
    lost["particles_3d"] = lost["particles_3d"].slice(1)
    write(filled, DATASET, lost, a_volume("w"))
    outcome = refresh(filled)
    assert outcome.refused == {
        key("v"): "4 of its 5 particles are measured; materialise particles_3d again"
    }
    assert names(filled, key("v")) == set()
    assert value(filled, key("w"), "particle_count") == 5
    assert set(inputs_of_statistics(filled, recipe())) == {key("w")}


# --- images ---


PIXEL_UM = 0.25
WINDOW = 480


def plane(rng: np.random.Generator, radius_um: float, density: float) -> np.ndarray:
    """Label image of a random plane through balls that do not overlap in it."""
    side = WINDOW * PIXEL_UM + 2 * radius_um
    count = rng.poisson(density * side**2 * 2 * radius_um)
    height = rng.uniform(-radius_um, radius_um, count)
    section = np.sqrt(radius_um**2 - height**2) / PIXEL_UM
    centre = rng.uniform(0, side, (count, 2)) / PIXEL_UM - radius_um / PIXEL_UM
    labels = np.zeros((WINDOW, WINDOW), np.int32)
    y, x = np.mgrid[:WINDOW, :WINDOW]
    number = 0
    for (cy, cx), r in zip(centre, section, strict=True):
        inside = (y - cy) ** 2 + (x - cx) ** 2 <= r**2
        if inside.any() and not labels[inside].any():
            number += 1
            labels[inside] = number
    return labels


@pytest.fixture(scope="module")
def planes() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [plane(rng, 5.0, 1e-4) for _ in range(12)]


def images(planes, pixel_size_um=PIXEL_UM, **more):
    return [measured_image(DATASET, n, p, pixel_size_um, **more) for n, p in enumerate(planes)]


def test_balls_are_unfolded_from_the_images_of_a_specimen(store, planes):
    specimen = {"samples": samples(DATASET, ["s"])}
    write(store, DATASET, *images(planes, sample_id=key("s")), specimen)
    outcome = refresh(store)
    s = key("s")
    assert value(store, s, "section_count", "entity") == "specimen"
    assert value(store, s, "image_count") == 12
    assert value(store, s, "section_count") == store.read("particles_2d", DATASET).num_rows
    assert value(store, s, "ball_diameter_d50_volume") == pytest.approx(10, rel=0.03)
    assert value(store, s, "ball_diameter_d50_number") == pytest.approx(10, rel=0.04)
    assert value(store, s, "ball_diameter_mean", "unit") == "µm"
    # Delesse: the share of the planes that balls cover, those that the edge cuts included
    drawn = np.mean([(p > 0).mean() for p in planes])
    assert value(store, s, "section_area_fraction") == pytest.approx(drawn)
    assert outcome.rows == store.read(TABLE, DATASET).num_rows
    assert refresh(store).computed == 0


def test_images_without_a_specimen_are_pooled_as_the_collection(store, planes):
    parts = images(planes[:3])
    parts += [measured_image(DATASET, 3, planes[3], None, sample_id=key("s"))]
    write(store, DATASET, *parts)
    refresh(store)
    assert value(store, DATASET, "image_count", "entity") == "collection"
    assert value(store, DATASET, "image_count") == 3
    assert value(store, key("s"), "image_count") == 1
    assert value(store, key("s"), "image_count_used") == 0
    assert value(store, key("s"), "section_count") == planes[3].max()
    assert value(store, key("s"), "section_diameter_mean") is None


def test_a_new_pixel_size_computes_its_specimen_again(store, planes):
    parts = [measured_image(DATASET, n, planes[n], PIXEL_UM, sample_id=key(n)) for n in (0, 1)]
    write(store, DATASET, *parts)
    refresh(store)
    before = value(store, key(0), "section_diameter_mean")
    write(store, DATASET, measured_image(DATASET, 0, planes[0], 0.5, sample_id=key(0)), parts[1])
    outcome = refresh(store)
    assert outcome.kept > 0
    assert outcome.computed > 0
    assert value(store, key(0), "section_diameter_mean") == pytest.approx(2 * before)


def test_an_image_that_is_not_measured_is_left_out_and_named(store, planes):
    parts = images(planes[:3])
    parts[1]["particles_2d"] = parts[1]["particles_2d"].slice(0, 2)
    write(store, DATASET, *parts)
    outcome = refresh(store)
    assert list(outcome.refused) == [key(1)]
    assert "materialise particles_2d again" in outcome.refused[key(1)]
    assert value(store, DATASET, "image_count") == 2


def test_images_without_particles_count(store):
    blank = measured_image(DATASET, 0, np.zeros((40, 50), np.uint8), PIXEL_UM)
    write(store, DATASET, blank)
    refresh(store)
    assert value(store, DATASET, "image_count_used") == 1
    assert value(store, DATASET, "section_area_fraction") == 0


def test_a_collection_of_nothing_has_no_rows(store):
    outcome = refresh(store)
    assert dataclasses.astuple(outcome)[:4] == (0, 0, 0, 0)
    assert inputs_of_statistics(store, recipe()) == {}
    assert store.read(TABLE, DATASET).num_rows == 0
