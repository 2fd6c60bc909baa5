from hypothesis import given
from hypothesis import strategies as st

from graindex.history.compaction import compact
from graindex.lineage.recorded import upstream_assets
from schemas.tables import COMPANIONS, LAKE_ASSETS, TABLES
from tests.graindex.lineage.conftest import RUN, SIZES, A, images_of, model_rows
from tests.graindex.rows import key, samples

AUTHOR = f"micrographs run {RUN}"


def recorded(store):
    return store.table("SELECT *, snapshot_id FROM lineage ORDER BY ALL").to_pylist()


def test_a_write_of_an_asset_records_what_was_read_in_the_snapshot_it_makes(store):
    tables = images_of(A, ["a1"], "s1")
    base = store.lake.replace(
        {"samples": tables["samples"]}, A, author=f"samples run {RUN}", message="m"
    )
    made = store.lake.replace({"micrographs": tables["micrographs"]}, A, author=AUTHOR, message="m")
    found = [row for row in recorded(store) if row["asset"] == "micrographs"]
    assert {row["upstream_asset"] for row in found} == {"datasets", "samples"}
    for row in found:
        assert row["snapshot_id"] == made
        assert row["upstream_snapshot"] == base
        assert (row["part_of"], row["upstream_part"], row["run_id"]) == (A, A, RUN)
        assert row["code_version"] == "1"


def test_writing_what_stands_and_writing_by_hand_record_nothing(store):
    tables = {"micrographs": images_of(A, ["a1"], "s1")["micrographs"]}
    store.lake.replace(tables, A, author=AUTHOR, message="m")
    before = recorded(store)
    store.lake.replace(tables, A, author=AUTHOR.replace("f", "e"), message="m")
    store.lake.replace({"samples": samples(A, "x")}, A, author="someone", message="m")
    assert recorded(store) == before


def test_snapshots_outlast_compaction(store):
    tables = {"micrographs": images_of(A, ["a1"], "s1")["micrographs"]}
    first = store.lake.replace(tables, A, author=AUTHOR, message="m")
    tables = {"micrographs": images_of(A, ["a2"], "s1")["micrographs"]}
    second = store.lake.replace(tables, A, author=f"micrographs run {'0' * 36}", message="m")
    compact(store, author="t")
    assert {row["snapshot_id"] for row in recorded(store)} == {first, second}


def test_training_sets_record_the_collections_and_assets_they_read(store):
    tables = model_rows(*SIZES[:4], [("x", "a1", "s1"), ("y", "b1", "s2")], "grain_um")
    of_set = ("feature_sets", "feature_set_columns")
    store.lake.put({name: tables[name] for name in of_set}, author="t", message="m")
    of_training = {name: tables[name] for name in ("training_sets", "training_rows")}
    store.lake.put(of_training, author=f"training_sets run {RUN}", message="m")
    store.lake.put(
        {"model_runs": tables["model_runs"]}, author=f"trained_models run {RUN}", message="m"
    )
    told = {
        (row["asset"], row["part_of"], row["upstream_asset"], row["upstream_part"])
        for row in recorded(store)
    }
    assert told == {
        ("training_sets", key("sizes"), asset, part)
        for asset in ("particles_2d", "samples")
        for part in "xy"
    } | {("trained_models", "sizes@1", "training_sets", key("sizes"))}


@given(st.sampled_from(sorted(TABLES)))
def test_upstream_is_only_ever_an_asset(name):
    found = upstream_assets(name)
    companions = {one for several in COMPANIONS.values() for one in several}
    assert found <= {*LAKE_ASSETS, "micrograph_vectors"}
    assert not found & companions
