"""Each check passes on what was measured, and names the rows that are spoilt, and only those."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial import cKDTree

from graindex import particle_checks as checks
from graindex.checking import SHOWN
from graindex.recipes import make_recipe, save_recipe
from graindex.statistics import refresh_statistics
from graindex.store import open_store
from models.measure.particles_3d import MeasureOptions, measure_particles_3d
from models.phantoms.solids import ball, box, shell
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import measured_image, measured_volume, phases, write
from tests.graindex.rows import key

DATASET = "electrode"
SHAPE, SPACING = (24, 40, 60), (0.4, 0.2, 0.2)
ALL = [getattr(checks, name) for name in checks.__all__]


def labels_3d() -> np.ndarray:
    """A ball, a hollow ball and a box, the first two touching; specks; one at the border."""
    labels = np.zeros(SHAPE, np.uint8)
    told = {"spacing_um": SPACING}
    solids = [
        ball(SHAPE, radius_um=2.0, centre_um=(4.6, 4.0, 3.0), **told)[0],
        shell(SHAPE, radius_um=2.2, cavity_radius_um=0.9, centre_um=(4.6, 4.0, 7.0), **told)[0],
        box(SHAPE, sides_um=(2.4, 2.0, 1.8), centre_um=(4.6, 2.0, 10.6), **told)[0],
        ball(SHAPE, radius_um=1.5, centre_um=(0.0, 6.4, 10.4), **told)[0],
    ]
    for number, solid in enumerate(solids, start=1):
        labels[solid & (labels == 0)] = number
    labels[22, 38, 50], labels[22, 38, 52:54] = 5, 6
    return labels


def labels_2d(radius: float, shape: tuple[int, int] = (60, 90)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.uint8)
    for number, centre in enumerate(((20.3, 20.1), (30, 60), (58, 40)), start=1):
        labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = number
    labels[5, 85] = 4
    return labels


@pytest.fixture(scope="module")
def store(empty_home, tmp_path_factory):
    """A volume and two images with their particles; tests put back what they spoil."""
    home = tmp_path_factory.mktemp("checked") / "home"
    shutil.copytree(empty_home, home)
    opened = open_store(home)
    options = {"conduction": False, "closing_radius_um": 1.0}
    recipe = make_recipe(dataset=DATASET, location_uri="/x", measurement=options)
    save_recipe(opened.location, recipe)
    labels = labels_3d()
    found = measure_particles_3d(labels, spacing_um=SPACING, options=MeasureOptions(**options))
    voxels = {phase: int((labels.clip(0, 1) == phase).sum()) for phase in (0, 1)}
    filled = measured_volume(DATASET, "v", SHAPE, SPACING, found)
    hashed = filled["volumes"].to_pylist()[0] | {"phases_hash": "ab" * 32}
    filled["volumes"] = from_records(TABLES["volumes"], [hashed])
    parts = [
        filled,
        {"volume_phases": from_records(TABLES["volume_phases"], phases(DATASET, "v", voxels))},
        measured_image(DATASET, 1, labels_2d(9.0), 0.05),
        measured_image(DATASET, 2, labels_2d(12.0), None),
    ]
    write(opened, DATASET, *parts)
    refresh_statistics(opened, recipe, author="test")
    return opened


@contextmanager
def spoilt(store, table: str, change) -> Iterator[list[dict]]:
    """The store with rows of a table changed, for a while."""
    before = store.lake.read(table, DATASET)
    records = before.to_pylist()
    changed = change(records)
    rows = from_records(TABLES[table], records if changed is None else changed)
    store.lake.replace({table: rows}, DATASET, author="test", message="spoil")
    try:
        yield before.to_pylist()
    finally:
        store.lake.replace({table: before}, DATASET, author="test", message="put back")


def named(problems) -> dict[str, list[str]]:
    return {problem.rule: [row for row, _ in problem.rows] for problem in problems}


def test_right_data_pass_every_check(store):
    assert store.read("contacts", DATASET).num_rows >= 1
    assert store.read("particles_3d", DATASET).num_rows == 6
    assert store.read("particles_2d", DATASET).num_rows == 8
    for check in ALL:
        assert list(check(store, DATASET)) == [], check.__name__


def test_nothing_at_all_passes_every_check(store):
    save_recipe(store.location, make_recipe(dataset="none", location_uri="/x"))
    assert [list(check(store, "none")) for check in ALL] == [[] for _ in ALL]


@pytest.mark.parametrize(
    ("table", "check", "parent"),
    [
        ("particle_masks_2d", checks.missing_masks, "micrograph_id"),
        ("particle_labels_3d", checks.missing_labels, "volume_id"),
    ],
)
def test_what_is_not_labelled_is_named(store, table, check, parent):
    with spoilt(store, table, lambda records: records[:-1]) as before:
        (problem,) = check(store, DATASET)
    assert problem.rows == ((before[-1][parent], "missing"),)
    source = "micrographs" if parent == "micrograph_id" else "volumes"
    with spoilt(store, source, lambda records: records[:-1]) as before:
        (problem,) = check(store, DATASET)
    assert problem.rows == ((before[-1][parent], "no row"),)


@pytest.mark.parametrize(
    ("table", "check", "parent"),
    [
        ("particles_2d", checks.missing_particles_2d, "micrograph_id"),
        ("particles_3d", checks.missing_particles_3d, "volume_id"),
    ],
)
def test_a_lost_particle_is_told_by_its_parent(store, table, check, parent):
    with spoilt(store, table, lambda records: records[:-1]) as before:
        (problem,) = check(store, DATASET)
    ((row, words),) = problem.rows
    have = sum(record[parent] == before[-1][parent] for record in before)
    assert row == before[-1][parent]
    assert words == f"{have - 1} rows of {have} particles"


def test_spoilt_particles_are_named(store):
    faults = (
        {"body_volume_um3": 7.0},
        {"crack_volume_um3": 7.0},
        {"damage": 0.3},
        {"damage": 1.0},
        {"damage": float("nan")},
        {"packing_density": 1.01, "sphericity": 0.5, "damage": -0.1},
    )

    def spoil(records):
        for record, fault in zip(records, faults, strict=True):
            record.update(fault)

    with spoilt(store, "particles_3d", spoil) as before:
        ids = [row["particle_id"] for row in before]
        assert named(checks.volumes_are_voxels(store, DATASET)) == {
            "body = voxels × voxel volume": ids[:1],
            "volume = body + cracks": ids[:2],
            "damage = cracks / volume": ids[1:],
        }
        assert named(checks.damage_in_range(store, DATASET)) == {"0 <= damage < 1": ids[3:]}
        assert named(checks.packing_at_most_one(store, DATASET)) == {
            "packing_density <= 1": ids[5:]
        }
        found = named(checks.spheres_are_roundest(store, DATASET))
        assert found == {"sphericity = 36 π V² / S³": ids[5:]}


def test_a_volume_of_another_spacing_is_noticed(store):
    with spoilt(store, "volumes", lambda records: records[0].update(voxel_size_z_um=0.41)):
        (problem,) = checks.volumes_are_voxels(store, DATASET)
    assert (problem.rule, problem.count) == ("body = voxels × voxel volume", 6)


def scale_surfaces(records, factor: float = 0.8) -> None:
    """What a wrong estimator of surfaces would have written."""
    for record in records:
        for name in ("surface_outer_um2", "surface_inner_um2"):
            record[name] *= factor
        record["sphericity"] /= factor**3
        record["sphericity_wadell"] /= factor


def test_surfaces_too_small_make_balls_rounder_than_round(store):
    with spoilt(store, "particles_3d", scale_surfaces) as before:
        found = named(checks.spheres_are_roundest(store, DATASET))
    whole = {row["particle_id"] for row in before if row["label"] in (1, 2)}
    assert set(found) == {
        "sphericity <= 1 within its error",
        "sphericity_wadell <= 1 within its error",
    }
    assert whole <= set(found["sphericity_wadell <= 1 within its error"])
    # the hollow ball's inner surface keeps its sphericity low
    assert {r["particle_id"] for r in before if r["label"] == 1} <= set(
        found["sphericity <= 1 within its error"]
    )


def test_spoilt_areas_are_named_with_and_without_a_pixel_size(store):
    rules = {
        "area_px2": "area_px2 = pixels",
        "area_um2": "area_um2 = pixels × pixel size²",
        "equivalent_diameter_px": "diameter = √(4 pixels / π)",
        "equivalent_diameter_um": "diameter_um = diameter × size",
    }

    def spoil(records):
        by_image = sorted(records, key=lambda record: (record["micrograph_id"], record["label"]))
        for record, column in zip(by_image, [*rules, *rules], strict=True):
            record[column] = 3.0

    with spoilt(store, "particles_2d", spoil) as before:
        found = named(checks.image_areas_are_pixels(store, DATASET))
    rows = sorted(before, key=lambda record: (record["micrograph_id"], record["label"]))
    for number, rule in enumerate(rules.values()):
        assert set(found[rule]) == {rows[n]["particle_id"] for n in (number, number + 4)}


def test_micrometres_that_did_not_follow_a_new_pixel_size(store):
    def recalibrate(records):
        next(r for r in records if r["micrograph_id"] == key(1))["pixel_size_um"] = 0.06

    with spoilt(store, "micrographs", recalibrate):
        found = checks.image_areas_are_pixels(store, DATASET)
    assert [problem.count for problem in found] == [4, 4]


def test_perimeters_too_short_make_discs_rounder_than_round(store):
    def shorten(records):
        for record in records:
            record["circularity"] /= 0.8**2

    with spoilt(store, "particles_2d", shorten) as before:
        found = named(checks.circles_are_roundest(store, DATASET))
    discs = {row["particle_id"] for row in before if row["label"] in (1, 2)}
    assert discs <= set(found["circularity <= 1 within its error"])


def pair(row: dict) -> str:
    return f"{row['volume_id']} {row['label_a']} {row['label_b']}"


SPOILT_CONTACTS = [
    ({"label_a": 2, "label_b": 2}, ["label_a < label_b", "particle_a_id is the particle label_a"]),
    ({"particle_b_id": key("none")}, ["particle_b_id is the particle label_b"]),
    ({"label_b": 3}, ["particle_b_id is the particle label_b"]),
    ({"contact_area_um2": 1e3}, ["contact <= surface of a", "contact <= surface of b"]),
]


@pytest.mark.parametrize(("fault", "rules"), SPOILT_CONTACTS)
def test_a_spoilt_contact_is_named(store, fault, rules):
    def spoil(records):
        records[0].update(fault)

    with spoilt(store, "contacts", spoil) as before:
        found = named(checks.contacts_symmetric(store, DATASET))
    assert found == {rule: [pair(before[0] | fault)] for rule in rules}


def test_a_contact_that_stands_twice_or_backwards(store):
    with spoilt(store, "contacts", lambda records: [*records, records[0]]) as before:
        found = named(checks.contacts_symmetric(store, DATASET))
    assert found == {"each pair once": [pair(before[0])]}

    def turn(records):
        ends = records[0]
        for name in ("label_{}", "particle_{}_id"):
            a, b = name.format("a"), name.format("b")
            ends[a], ends[b] = ends[b], ends[a]

    with spoilt(store, "contacts", turn):
        assert list(named(checks.contacts_symmetric(store, DATASET))) == ["label_a < label_b"]


def test_a_particle_with_a_contact_but_no_surface_in_contact(store):
    (contact,) = [c for c in store.read("contacts", DATASET).to_pylist() if c["label_a"] == 1]

    def part(records):
        records[:] = [
            r | ({"contact_fraction": 0.0} if r["particle_id"] == contact["particle_a_id"] else {})
            for r in records
        ]

    with spoilt(store, "particles_3d", part):
        found = named(checks.contacts_symmetric(store, DATASET))
    assert found == {"contact_fraction of a > 0": [pair(contact)]}


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 2, 4)])
def test_a_crowd_with_specks_inside_of_others_passes(store, spacing):
    rng = np.random.default_rng(0)
    seeds = rng.uniform(0, 40, (200, 3)) * spacing
    places = np.stack(np.mgrid[:40, :40, :40], axis=-1)
    labels = cKDTree(seeds).query(places * spacing)[1].astype(np.int32) + 1
    for number, (z, y, x) in enumerate(rng.integers(0, 40, (200, 3)), start=201):
        labels[z, y, x] = number
    options = store.recipe(DATASET).measurement
    found = measure_particles_3d(labels, spacing_um=spacing, options=options)
    save_recipe(store.location, make_recipe(dataset="crowd", location_uri="/x"))
    write(store, "crowd", measured_volume("crowd", "c", labels.shape, spacing, found))
    assert store.read("contacts", "crowd").num_rows > 1000
    for check in (
        checks.contacts_symmetric,
        checks.spheres_are_roundest,
        checks.packing_at_most_one,
    ):
        assert list(check(store, "crowd")) == [], check.__name__


def test_phases_that_do_not_fill_their_volume(store):
    def lose(records):
        records[0]["phase_voxels"] -= 1

    with spoilt(store, "volume_phases", lose):
        (problem,) = checks.phases_sum_to_one(store, DATASET)
    total = np.prod(SHAPE)
    assert problem.rows == ((key("v"), f"{total - 1} of {total} voxels"),)
    with spoilt(store, "volume_phases", lambda records: records[:1]):
        rules = [problem.rule for problem in checks.phases_sum_to_one(store, DATASET)]
    assert rules == ["phase_voxels sum to the voxels of the volume", "phase_fraction sums to 1"]

    def more(records):
        for record in records:
            if record["statistic"].startswith("phase_fraction_"):
                record["value"] *= 1.01

    with spoilt(store, "electrode_statistics", more):
        (problem,) = checks.statistic_phases_sum_to_one(store, DATASET)
    assert problem.rows == ((key("v"), "sum 1.01"),)


@pytest.mark.parametrize("value", [1e-6, None])
def test_percentiles_that_do_not_rise(store, value):
    def sink(records):
        for record in records:
            if record["statistic"] == "diameter_d90_volume":
                record["value"] = value

    with spoilt(store, "electrode_statistics", sink):
        (problem,) = checks.ordered_percentiles(store, DATASET)
    ((row, words),) = problem.rows
    assert row == key("v")
    assert words.startswith("diameter_d50_volume: D10, D50, D90 are")


def test_a_finding_that_files_and_user_disagree(store):
    finding = {"dataset": DATASET, "volume_id": key("v"), "detail": "0.2 µm, 0.3 µm"}
    records = [{**finding, "finding": f} for f in ("voxel_size_disagreement", "something_else")]
    with spoilt(store, "volume_findings", lambda _: records):
        (problem,) = checks.volume_disagreements(store, DATASET)
    assert problem.rule == "voxel_size_disagreement"
    assert problem.rows == ((key("v"), "detail 0.2 µm, 0.3 µm"),)


def test_the_first_rows_are_shown_of_many(store):
    count = 20_000
    before = store.read("particles_3d", DATASET)
    rows = before.take(np.zeros(count, np.int64))
    spoil = {"particle_id": [f"{n:016x}" for n in range(count)], "damage": np.full(count, 1.5)}
    for name, values in spoil.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.array(values))
    store.lake.replace({"particles_3d": rows}, DATASET, author="test", message="many")
    try:
        (problem,) = checks.damage_in_range(store, DATASET)
        assert (problem.count, len(problem.rows)) == (count, SHOWN)
        assert problem.rows[0] == (f"{0:016x}", "damage 1.5")
    finally:
        store.lake.replace({"particles_3d": before}, DATASET, author="test", message="back")
