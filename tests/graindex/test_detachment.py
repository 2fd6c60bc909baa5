"""Detachment through the store: known groups, what is refused, and nothing computed twice."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from graindex.detachment import (
    COMPARISONS,
    CORRELATIONS,
    GROUPS,
    inputs_of_detachment,
    refresh_detachment,
)
from graindex.detachment_figures import DENSITY_FIGURE, GROUP_FIGURE, detachment_figures
from graindex.recipes import make_recipe
from graindex.validation import validate
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import label_volume, particles_3d, volume, write
from tests.graindex.rows import SHA, key

DATASET = "rates"
SHAPE, SPACING = (10, 20, 30), (0.5, 0.4, 0.4)
RATES = {"slow a": 0.1, "slow b": 0.1, "fast a": 1.0, "fast b": 1.0}
COUNT = 60


def recipe(**detachment):
    return make_recipe(dataset=DATASET, location_uri="/x", kind="volumes", detachment=detachment)


def columns(name, count=COUNT, **more):
    """Particles that are barer at a higher rate and where they are large; the last is cut."""
    rng = np.random.default_rng(sum(map(ord, name)))
    diameter = rng.uniform(4, 12, count)
    bare = 0.1 + 0.02 * diameter + 0.2 * (RATES.get(name, 0.1) > 0.5) + rng.normal(0, 0.02, count)
    return {
        "label": np.arange(1, count + 1),
        "voxels": np.full(count, 100),
        **dict.fromkeys(("x_um", "y_um", "z_um", "volume_um3", "body_volume_um3"), np.ones(count)),
        **dict.fromkeys(("crack_volume_um3", "damage"), np.zeros(count)),
        "equivalent_diameter_um": diameter,
        "detachment": bare,
        "electron_density_mean_body": 1000 - 400 * bare + rng.normal(0, 10, count),
        "depth_fraction": np.full(count, 0.5),
        "neighbours": np.zeros(count, np.int64),
        "touches_border": np.arange(count) == count - 1,
    } | more


def a_volume(name, particles=None, made=SHA, **more):
    particles = columns(name) if particles is None else particles
    hashed = {"phases_hash": "cd" * 32, "sample_id": key(name), **more}
    records = {
        "volumes": [volume(DATASET, name, SHAPE, SPACING, **hashed)],
        "particle_labels_3d": [label_volume(DATASET, name, len(particles["label"]))],
    }
    rows = {table: from_records(TABLES[table], found) for table, found in records.items()}
    return rows | {
        "particles_3d": particles_3d(DATASET, name, particles, calibration_um=0.5, input_hash=made)
    }


def specimens(values, column="c_rate"):
    records = [
        {"dataset": DATASET, "sample_id": key(name), "sample": name, "code_version": "1"}
        for name in values
    ]
    rows = from_records(TABLES["samples"], records)
    told = pa.array(list(values.values()), pa.float64())
    return {"samples": rows.append_column(column, told)}


@pytest.fixture
def rated(store):
    """Two volumes of each of two rates."""
    write(store, DATASET, specimens(RATES), *(a_volume(name) for name in RATES))
    return store


def refresh(store, **settings):
    return refresh_detachment(store, recipe(**settings), author="test")


def rows_of(store, table, **wanted):
    found = store.read(table, DATASET).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def one(store, table, **wanted):
    (row,) = rows_of(store, table, **wanted)
    return row


def test_groups_are_the_values_of_the_rate(rated):
    outcome = refresh(rated)
    assert outcome.refused == {}
    assert {row["group_by"] for row in rows_of(rated, GROUPS)} == {"c_rate"}
    assert {row["group_name"] for row in rows_of(rated, GROUPS)} == {"0.1", "1", "all"}
    for name in (GROUPS, COMPARISONS, CORRELATIONS):
        assert validate(TABLES[name], rated.read(name, DATASET)) == []


def test_numbers_of_a_group_are_those_of_its_whole_particles(rated):
    refresh(rated)
    told = one(rated, GROUPS, group_name="1", size_class=0)
    bare = np.concatenate([columns(name)["detachment"][:-1] for name in ("fast a", "fast b")])
    assert (told["whole_particle_count"], told["volume_count"]) == (2 * (COUNT - 1), 2)
    assert told["detachment_mean"] == pytest.approx(bare.mean())
    assert told["detachment_std"] == pytest.approx(bare.std(ddof=1))
    assert told["detachment_standard_error"] == pytest.approx(bare.std(ddof=1) / len(bare) ** 0.5)
    means = bare.reshape(2, -1).mean(axis=1)
    assert told["detachment_standard_error_volumes"] == pytest.approx(np.ptp(means) / 2)
    assert told["detachment_median"] == pytest.approx(np.median(bare))


def test_size_classes_are_of_all_particles_and_hold_as_many_each(rated):
    refresh(rated, size_classes=4)
    classes = [one(rated, GROUPS, group_name="all", size_class=number) for number in range(5)]
    assert sum(row["whole_particle_count"] for row in classes[1:]) == 4 * (COUNT - 1)
    assert {row["whole_particle_count"] for row in classes[1:]} == {COUNT - 1}
    for before, after in pairwise(classes[1:]):
        assert before["diameter_upper_um"] == after["diameter_lower_um"]
    assert classes[0]["diameter_upper_um"] == classes[4]["diameter_upper_um"]
    means = [row["detachment_mean"] for row in classes[1:]]
    assert means == sorted(means)


def test_rates_and_sizes_are_told_apart_with_numbers_of_volumes(rated):
    refresh(rated)
    wanted = {"compared_by": "group", "within": "all"}
    particles = one(rated, COMPARISONS, **wanted, level="particles")
    assert (particles["first_name"], particles["second_name"]) == ("0.1", "1")
    assert particles["effect_size"] > 0.8 and particles["p_holm"] < 1e-6
    assert (particles["first_volume_count"], particles["second_volume_count"]) == (2, 2)
    volumes = one(rated, COMPARISONS, **wanted, level="volumes")
    assert (volumes["first_count"], volumes["effect_size"]) == (2, 1)
    assert volumes["p_value"] == pytest.approx(1 / 3)  # two of two volumes say no more
    sizes = rows_of(rated, COMPARISONS, compared_by="size_class", within="0.1")
    assert {row["level"] for row in sizes} == {"particles"}
    assert all(row["effect_size"] > 0 for row in sizes)
    whole = [row for row in sizes if row["test"] == "kruskal-wallis"]
    assert len(whole) == 1 and whole[0]["p_holm"] is None
    tests = [r for r in rows_of(rated, COMPARISONS, level="particles") if r["p_holm"] is not None]
    least = min(tests, key=lambda row: row["p_value"])
    assert least["p_holm"] == pytest.approx(len(tests) * least["p_value"])


def test_density_follows_detachment_by_the_planted_slope(rated):
    refresh(rated)
    wanted = {"x_attribute": "detachment", "y_attribute": "electron_density_mean_body"}
    found = rows_of(rated, CORRELATIONS, **wanted)
    assert sorted((r["correlated_of"], r["group_name"]) for r in found) == sorted(
        [("all", "all"), ("group", "0.1"), ("group", "1")]
        + [("volume", key(name)) for name in RATES]
    )
    for row in found:
        assert row["slope_lower"] < -400 < row["slope_upper"]
        assert row["pearson_upper"] < -0.7
    size = one(rated, CORRELATIONS, correlated_of="group", group_name="1", y_attribute="detachment")
    assert size["slope_lower"] < 0.02 < size["slope_upper"]


def test_a_second_run_computes_nothing_and_makes_no_snapshot(rated):
    first = refresh(rated)
    second = refresh(rated)
    assert (first.kept, second.computed) == (0, 0)
    assert second.kept == first.computed
    assert second.snapshot == first.snapshot
    (carried,) = {row["input_hash"] for row in rows_of(rated, GROUPS)}
    assert inputs_of_detachment(rated, recipe()) == {DATASET: carried}


def test_particles_groups_and_settings_compute_again(rated):
    refresh(rated)
    assert refresh(rated, size_classes=2).computed > 0
    assert refresh(rated, size_classes=2, group_by="volume").computed > 0
    changed = a_volume("slow a", columns("fast a"), made="ef" * 32)
    write(rated, DATASET, changed, *(a_volume(name) for name in list(RATES)[1:]))
    assert refresh(rated, size_classes=2, group_by="volume").computed > 0
    write(rated, DATASET, specimens(RATES | {"slow a": 1.0}))
    refresh(rated)
    assert one(rated, GROUPS, group_name="1", size_class=0)["volume_count"] == 3


def test_without_a_rate_each_volume_stands_by_itself(store):
    write(store, DATASET, specimens(dict.fromkeys(RATES, 0.5)), *map(a_volume, RATES))
    refresh(store)
    assert {row["group_by"] for row in rows_of(store, GROUPS)} == {"volume"}
    assert {row["group_name"] for row in rows_of(store, GROUPS)} == {
        "all", *map(key, RATES)
    }  # fmt: skip
    assert {row["level"] for row in rows_of(store, COMPARISONS)} == {"particles"}
    keys = [(r["correlated_of"], r["group_name"]) for r in rows_of(store, CORRELATIONS)]
    assert len(keys) == 2 * (1 + len(RATES))


def test_cycles_group_where_there_is_no_rate_and_a_named_column_goes_first(store):
    write(store, DATASET, specimens(dict(zip(RATES, (10, 10, 50, 50), strict=True)), "cycles"))
    write(store, DATASET, *map(a_volume, RATES))
    refresh(store)
    assert {row["group_name"] for row in rows_of(store, GROUPS)} == {"10", "50", "all"}
    outcome = refresh(store, group_by="sample")
    assert {row["group_name"] for row in rows_of(store, GROUPS)} == {"all", *RATES}
    assert outcome.refused == {}


def test_volumes_that_cannot_be_used_are_named_and_the_others_go_on(store):
    lost = a_volume("lost")
    lost["particles_3d"] = lost["particles_3d"].slice(1)
    write(
        store,
        DATASET,
        specimens({"slow a": 0.1, "fast a": 1.0, "unknown": None}),
        *map(a_volume, ("slow a", "fast a")),
        a_volume("bare", phases_hash=None),
        lost,
        a_volume("unknown"),
    )
    outcome = refresh(store, group_by="c_rate")
    assert outcome.refused == {
        "bare.tif": "no phases, by which detachment is told: put a file named like NAME_phases "
        "beside it",
        "lost.tif": f"{COUNT - 1} of its {COUNT} particles are measured; materialise particles_3d "
        "again",
        "unknown.tif": "its specimen has no c_rate, which groups are by: name another with "
        "--group-by",
    }
    assert {row["group_name"] for row in rows_of(store, GROUPS)} == {"0.1", "1", "all"}
    assert refresh(store, group_by="no_such_column").rows == 0


def test_a_collection_without_any_phases_lacks_nothing(store):
    volumes = [a_volume(name, phases_hash=None) for name in ("slow a", "fast a")]
    write(store, DATASET, specimens({"slow a": 0.1, "fast a": 1.0}), *volumes)
    outcome = refresh(store)
    assert (outcome.rows, outcome.refused) == (0, {})


def test_nothing_to_compare_is_said_in_words(store):
    outcome = refresh(store)
    assert (outcome.rows, outcome.computed) == (0, 0)
    assert inputs_of_detachment(store, recipe()) == {}
    unknown = columns("slow a", detachment=np.full(COUNT, np.nan))
    write(store, DATASET, a_volume("slow a", unknown))
    refresh(store)
    assert one(store, GROUPS, group_name="all", size_class=0)["whole_particle_count"] == 0
    assert rows_of(store, COMPARISONS) == []
    figures = detachment_figures(store, recipe())
    assert all(picture.startswith(b"\x89PNG") for picture in figures.values())


def test_figures_are_drawn_with_and_without_grey_values(rated):
    refresh(rated)
    figures = detachment_figures(rated, recipe())
    assert list(figures) == [GROUP_FIGURE, DENSITY_FIGURE]
    assert all(len(picture) > 10_000 for picture in figures.values())
    unknown = np.full(COUNT, np.nan)
    greyless = [
        a_volume(name, columns(name, electron_density_mean_body=unknown), made="ef" * 32)
        for name in RATES
    ]
    write(rated, DATASET, *greyless)
    refresh(rated)
    assert len(detachment_figures(rated, recipe())[DENSITY_FIGURE]) < 5_000  # words
    found = rows_of(rated, CORRELATIONS, x_attribute="detachment")
    assert {row["pearson"] for row in found} == {None}
    assert {row["whole_particle_count"] for row in found} == {0}


def test_what_was_withdrawn_drops_out(rated):
    refresh(rated)
    nothing = {name: TABLES[name] for name in ("volumes", "particle_labels_3d", "particles_3d")}
    write(rated, DATASET, {name: from_records(table, []) for name, table in nothing.items()})
    outcome = refresh(rated)
    assert outcome.rows == 0 and outcome.dropped > 0
