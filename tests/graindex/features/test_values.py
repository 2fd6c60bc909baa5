import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from graindex.errors import FeatureError, QueryError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.features.values import feature_values
from graindex.store import Store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.features import texture
from tests.graindex.particle_rows import contacts, label_volume, mask, particles_3d, volume
from tests.graindex.rows import DIMENSION, key, micrographs


def values(store: Store, entity: str, *features, as_of=None, datasets=(), where=None, **more):
    definition = make_feature_set({"name": "f", "entity": entity, "features": features, **more})
    as_of = store.snapshot() if as_of is None else as_of
    return feature_values(store, definition, datasets=datasets, where=where, as_of=as_of)


def by_name(found, names=texture.IMAGES):
    """Features of each entity that is called by one of the names."""
    called = {key(name): name for name in names}
    ids = found.entities["entity_id"].to_pylist()
    return {called[i]: row for i, row in zip(ids, found.columns.to_pylist(), strict=True)}


def of(found, feature, names=texture.IMAGES):
    return {name: row[feature] for name, row in by_name(found, names).items()}


def bytes_of(found) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.table.schema) as writer:
        writer.write_table(found.table.combine_chunks())
    return sink.getvalue().to_pybytes()


def particles(**more):
    return {"table": "particles_2d", "columns": ["equivalent_diameter_um"], **more}


def test_columns_of_the_image_and_of_its_specimen(read_only):
    found = values(
        read_only, "micrograph", {"columns": ["image_quality.noise_std", "samples.temperature"]}
    )
    assert of(found, "noise_std") == texture.NOISE
    assert of(found, "temperature") == {
        name: texture.TEMPERATURE.get(sample) for name, sample in texture.IMAGES.items()
    }
    assert found.columns.schema.field("noise_std").metadata[b"unit"] == b"grey"


def test_a_specimen_has_the_mean_of_its_images(read_only):
    found = values(read_only, "sample", {"columns": ["image_quality.noise_std"]})
    assert of(found, "noise_std", "ab") == {"a": 2.0, "b": 5.0}


def test_statistics_of_the_particles_of_an_image(read_only):
    found = values(read_only, "micrograph", particles(statistics=["count", "mean", "sd", "max"]))
    rows = by_name(found)
    assert rows["a1"] == {
        "particles_2d_count": 2,
        "equivalent_diameter_um_mean": 1.5,
        "equivalent_diameter_um_sd": np.sqrt(0.5),
        "equivalent_diameter_um_max": 2,
    }
    # one particle: no spread; a particle whose diameter is not a number still is a particle
    assert list(rows["a2"].values()) == [1, 4, None, 4]
    assert list(rows["b1"].values()) == [2, 5, None, 5]
    # none where they were looked for, unknown where not
    assert list(rows["b2"].values()) == [0, None, None, None]
    assert list(rows["lone"].values()) == [None] * 4


RULES = (
    # what, then how many particles of a1 and a2 count
    ({"border": "include"}, 3, 1),
    ({"min_confidence": 0.5}, 1, 1),
    ({"min_confidence": 0.5, "null_confidence": "drop"}, 1, 0),
    ({"where": "area_px2 > 15 OR label = 7 -- by size"}, 1, 0),
    ({"border": "include", "where": "equivalent_diameter_um >= 4"}, 1, 1),
)


def test_rules_say_which_particles_count(read_only):
    entries = [
        {"table": "particles_2d", "statistics": ["count"], "prefix": f"r{n}_", **rule}
        for n, (rule, _, _) in enumerate(RULES)
    ]
    counts = by_name(values(read_only, "micrograph", *entries))
    assert list(counts["a1"].values()) == [a1 for _, a1, _ in RULES]
    assert list(counts["a2"].values()) == [a2 for _, _, a2 in RULES]


def test_particles_of_a_specimen_are_pooled_unless_told_otherwise(read_only):
    pooled = values(read_only, "sample", particles(statistics=["mean", "count"]))
    rows = by_name(pooled, "ab")
    assert rows["a"] == {"equivalent_diameter_um_mean": 7 / 3, "particles_2d_count": 3}
    assert rows["b"] == {"equivalent_diameter_um_mean": 5, "particles_2d_count": 2}
    each = values(read_only, "sample", particles(statistics=["mean", "count"], pooled=False))
    rows = by_name(each, "ab")
    assert rows["a"] == {"equivalent_diameter_um_mean": (1.5 + 4) / 2, "particles_2d_count": 1.5}
    assert rows["b"] == {"equivalent_diameter_um_mean": 5, "particles_2d_count": 1}


def test_weighted_means(read_only):
    entry = particles(statistics=["mean"], weighted_by="area_px2", prefix="heavy_")
    found = of(values(read_only, "micrograph", entry), "heavy_equivalent_diameter_um_mean")
    assert found["a1"] == pytest.approx((1 * 10 + 2 * 20) / 30)


def test_particles_themselves_with_what_their_image_has(read_only):
    found = values(
        read_only,
        "particle",
        {"columns": ["particles_2d.equivalent_diameter_um", "image_quality.noise_std"]},
        {"one_hot": {"samples.cooling": ["Q", "AR"]}},
        {"vector": "micrographs"},
    )
    ids = {key(f"d {name} {n}"): name for name in texture.PARTICLES for n in (1, 2, 3)}
    rows = found.table.to_pylist()
    assert len(rows) == 6
    for row in rows:
        image = ids[row["entity_id"]]
        assert row["noise_std"] == texture.NOISE[image]
        assert row["cooling_Q"] == (texture.IMAGES[image] == "a")
        assert (row["vector"] is None) == (image == "b2")
    assert sum(row["equivalent_diameter_um"] is None for row in rows) == 1


def test_one_hot_is_missing_where_the_text_is(read_only):
    found = values(read_only, "micrograph", {"one_hot": {"samples.cooling": ["AR", "FC"]}})
    rows = by_name(found)
    assert rows["b1"] == {"cooling_AR": 1, "cooling_FC": 0}
    assert rows["a1"] == {"cooling_AR": 0, "cooling_FC": 0}
    assert rows["lone"] == {"cooling_AR": None, "cooling_FC": None}


def test_vectors_are_raw_or_unit_and_averaged_by_specimen(read_only):
    written = texture.vector_rows("d", ("a1", "a2", "b1")).to_pylist()
    raw = {r["micrograph_id"]: np.float64(r["vector"]) * r["vector_norm"] for r in written}
    found = values(
        read_only, "micrograph", {"vector": "micrographs"},
        {"vector": "micrographs", "unit": True, "prefix": "unit_"},
    )  # fmt: skip
    assert found.columns.schema.field("vector").type == pa.list_(pa.float32(), DIMENSION)
    rows = by_name(found)
    np.testing.assert_array_equal(rows["a1"]["vector"], np.float32(raw[key("a1")]))
    assert np.linalg.norm(rows["a1"]["unit_vector"]) == pytest.approx(1)
    assert rows["lone"]["vector"] is None and rows["b2"]["vector"] is None
    mean = by_name(values(read_only, "sample", {"vector": "micrographs"}), "ab")
    expected = (raw[key("a1")] + raw[key("a2")]) / 2
    np.testing.assert_allclose(mean["a"]["vector"], expected, rtol=1e-6)
    np.testing.assert_array_equal(mean["b"]["vector"], np.float32(raw[key("b1")]))


def test_derived_features_use_each_other_and_are_missing_where_undefined(read_only):
    found = values(
        read_only, "micrograph", {"columns": ["image_quality.noise_std"]},
        derived={"double": "ratio * 2", "ratio": "noise_std / (noise_std - 5)", "ln": "ln(ratio)"},
    )  # fmt: skip
    rows = by_name(found)
    assert list(rows["a1"]) == ["noise_std", "double", "ratio", "ln"]
    assert rows["lone"] == {
        "noise_std": 7, "double": 7, "ratio": 3.5, "ln": pytest.approx(np.log(3.5))
    }  # fmt: skip
    assert rows["b1"]["ratio"] is None and rows["b1"]["double"] is None  # division by zero
    assert rows["a1"]["ratio"] == -0.25 and rows["a1"]["ln"] is None  # of a negative number


def test_included_sets_are_carried_up_and_down(filled):
    image = {"name": "image", "entity": "micrograph", "derived": {"twice": "noise_std * 2"}}
    image |= {"features": [{"columns": ["image_quality.noise_std"]}]}
    register_feature_set(filled, make_feature_set(image), author="t")
    up = values(filled, "sample", include=["image"])
    assert by_name(up, "ab")["a"] == {"noise_std": 2, "twice": 4}
    same = values(filled, "micrograph", {"columns": ["samples.temperature"]}, include=["image"])
    assert by_name(same)["b1"] == {"temperature": 1000, "noise_std": 5, "twice": 10}
    down = values(filled, "particle", include=["image"])
    ids = [key(f"d a1 {n}") for n in (1, 2, 3)]
    table = down.table.to_pylist()
    assert {row["noise_std"] for row in table if row["entity_id"] in ids} == {1.0}


def test_conditions_and_collections_choose_entities_without_changing_their_values(filled):
    texture.fill(filled, "other")
    entry = particles(statistics=["mean"])
    whole = values(filled, "sample", entry, datasets=["d"])
    one = values(filled, "sample", entry, datasets=["d"], where="temperature < 950")
    assert whole.entities.num_rows == 2 and one.entities.num_rows == 1
    assert by_name(one, "ab")["a"] == by_name(whole, "ab")["a"]
    both = values(filled, "sample", entry)
    assert both.entities["dataset"].to_pylist() == ["d", "d", "other", "other"]
    with pytest.raises(QueryError):
        values(filled, "sample", entry, where="nothing > 1")


@pytest.mark.parametrize("entity", ["sample", "particle"])
def test_no_entity_gives_no_rows(read_only, entity):
    entries = [{"columns": ["samples.temperature"]}]
    if entity != "particle":
        entries += [particles(statistics=["count", "mean"])]
    found = values(read_only, entity, *entries, datasets=["d"], where="false", derived={"x": "1"})
    assert found.columns.num_rows == 0
    assert all(pa.types.is_float64(field.type) for field in found.columns.schema)


def test_particles_of_volumes_and_their_contacts(store):
    columns = {"label": np.array([1, 2, 3]), "voxels": np.array([5, 6, 7])}
    columns |= {name: np.ones(3) for name in ("x_um", "y_um", "z_um", "body_volume_um3")}
    columns |= {"volume_um3": np.array([1.0, 2.0, 6.0]), "crack_volume_um3": np.zeros(3)}
    columns |= {"damage": np.zeros(3), "neighbours": np.zeros(3, int)}
    columns |= {"touches_border": np.array([False, False, True])}
    pairs = {"label_a": np.array([1, 2]), "label_b": np.array([2, 3])}
    pairs |= {"contact_area_um2": np.array([0.5, 1.5])}
    one = volume("v", "t", (4, 4, 4), (1, 1, 1), sample_id=key("s"))
    two = volume("v", "u", (4, 4, 4), (1, 1, 1))
    labelled = [label_volume("v", "t", 3)]
    tables = {
        "volumes": from_records(TABLES["volumes"], [one, two]),
        "samples": from_records(
            TABLES["samples"],
            [{"dataset": "v", "sample_id": key("s"), "sample": "s", "code_version": "1"}],
        ),
        "particle_labels_3d": from_records(TABLES["particle_labels_3d"], labelled),
        "particles_3d": particles_3d("v", "t", columns),
        "contacts": contacts("v", "t", pairs),
    }
    texture.write(store, tables, "v")
    entries = (
        {"table": "particles_3d", "columns": ["volume_um3"], "statistics": ["count", "sum"]},
        {"table": "contacts", "columns": ["contact_area_um2"], "statistics": ["count", "mean"]},
    )
    found = by_name(values(store, "volume", *entries), "tu")
    assert list(found["t"].values()) == [2, 3, 2, 1]
    assert list(found["u"].values()) == [None] * 4
    pooled = by_name(values(store, "sample", *entries), "s")
    assert list(pooled["s"].values()) == [2, 3, 2, 1]
    rows = values(
        store, "particle", {"columns": ["particles_3d.damage", "volumes.voxel_size_z_um"]},
        particles="particles_3d",
    ).columns  # fmt: skip
    assert rows.to_pydict() == {"damage": [0, 0, 0], "voxel_size_z_um": [1, 1, 1]}


def test_the_past_stays_as_it_was(filled):
    entries = (
        {"columns": ["image_quality.noise_std", "samples.temperature"]},
        particles(statistics=["mean", "sd", "q90"]),
        {"vector": "micrographs"},
    )
    then = filled.snapshot()
    before = values(filled, "micrograph", *entries, as_of=then)
    texture.write(filled, {"image_quality": texture.quality(noise={"a1": 9.0})})
    texture.write_vectors(filled, texture.vector_rows("d", texture.IMAGES, seed=7))
    texture.write(filled, {"particles_2d": texture.particles(found={"a1": []})})
    after = values(filled, "micrograph", *entries, as_of=then)
    now = values(filled, "micrograph", *entries)
    assert bytes_of(after) == bytes_of(before)
    assert bytes_of(now) != bytes_of(before)


MANY = [f"i{n}" for n in range(6)]


def many_particles(order) -> pa.Table:
    rng = np.random.default_rng(4)
    records = [
        texture.particle("d", name, n, equivalent_diameter_um=float(rng.lognormal(0, 3)))
        for name in MANY
        for n in range(40)
    ]
    return from_records(TABLES["particles_2d"], [records[place] for place in order])


STATISTICS = ["count", "mean", "sd", "sum", "q10", "mad"]
AGAIN = f"""
import sys
from graindex.store import open_store
from tests.graindex.features.test_values import bytes_of, particles, values
store = open_store(sys.argv[1])
found = values(store, sys.argv[2], particles(statistics={STATISTICS!r}), as_of=int(sys.argv[3]))
sys.stdout.buffer.write(bytes_of(found))
"""


def test_bytes_do_not_depend_on_files_compaction_or_process(store):
    rng = np.random.default_rng(0)
    count = len(MANY) * 40
    texture.write(store, {"micrographs": micrographs("d", MANY, sample_id=key("s"))})
    specimen = {"dataset": "d", "sample_id": key("s"), "sample": "s", "code_version": "1"}
    texture.write(store, {"samples": from_records(TABLES["samples"], [specimen])})
    first = texture.write(store, {"particles_2d": many_particles(range(count))})
    entry = particles(statistics=STATISTICS)
    wanted = {e: bytes_of(values(store, e, entry, as_of=first)) for e in ("sample", "micrograph")}
    # The same rows again, in other files and another order: first some, then the others.
    cursor = store.lake._cursor()
    halves = rng.permutation(count).reshape(2, -1)
    cursor.execute("DELETE FROM lake.particles_2d")
    for half in halves:
        cursor.register("part", many_particles(half))
        cursor.execute("INSERT INTO lake.particles_2d BY NAME SELECT * FROM part")
    store.lake._cursor().execute("CALL ducklake_merge_adjacent_files('lake')")
    for entity, found in wanted.items():
        assert bytes_of(values(store, entity, entry)) == found
    arguments = [store.location.home, "sample", str(first)]
    again = subprocess.run(
        [sys.executable, "-c", AGAIN, *arguments], capture_output=True, check=True
    ).stdout
    assert again == wanted["sample"]


@pytest.mark.parametrize("as_of", [-1, 10_000])
def test_a_snapshot_that_never_was(read_only, as_of):
    with pytest.raises(QueryError, match=f"there is no snapshot {as_of}"):
        values(read_only, "sample", {"columns": ["samples.temperature"]}, as_of=as_of)


def test_before_the_tables_were_made(read_only):
    with pytest.raises(QueryError, match="samples") as caught:
        values(read_only, "sample", {"columns": ["samples.temperature"]}, as_of=0)
    assert "\n" not in str(caught.value)


def test_an_image_that_stands_twice_is_refused(filled):
    twice = pa.concat_tables([texture.images(), texture.images(names={"a1": "a"})])
    texture.write(filled, {"micrographs": twice})
    with pytest.raises(FeatureError, match=f"micrograph {key('a1')} of d stands 2 times"):
        values(filled, "micrograph", {"columns": ["image_quality.noise_std"]})


def test_a_row_of_a_table_that_stands_twice_is_refused(filled):
    masks = [mask("d", name, 1) for name in ("a1", "a2", "a2")]
    texture.write(filled, {"particle_masks_2d": from_records(TABLES["particle_masks_2d"], masks)})
    with pytest.raises(FeatureError, match=f"several rows of micrograph {key('a2')} of d"):
        values(filled, "micrograph", {"columns": ["particle_masks_2d.particle_count"]})


def test_encoders_are_not_mixed_and_missing_vectors_are_said(filled):
    with pytest.raises(FeatureError, match="no image of d has a vector in table 'micrographs_x'"):
        values(filled, "micrograph", {"vector": "micrographs_x"})
    texture.fill(filled, "other")
    rows = texture.vector_rows("other", ["o1"], encoder="another")
    texture.write_vectors(filled, rows, "other")
    with pytest.raises(FeatureError, match="different encoders"):
        values(filled, "micrograph", {"vector": "micrographs"})
