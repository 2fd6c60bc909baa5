import multiprocessing

import lancedb
import pyarrow as pa
import pytest

from graindex.location import Location
from graindex.vectors import DEFAULT_BACKBONE, VectorStore, lance_table
from tests.graindex.rows import DIMENSION, key, vectors

SPAWN = multiprocessing.get_context("spawn")
NAME = "micrographs"


@pytest.fixture
def store(location):
    return VectorStore(location)


def rows(store, dataset="a"):
    table = store.read(NAME, dataset, ("micrograph_id", "vector", "code_version"))
    return {row["micrograph_id"]: row for row in table.to_pylist()}


def test_a_store_without_a_table_has_no_rows(store):
    assert not store.has(NAME)
    assert store.read(NAME, "a").num_rows == 0
    assert store.count(NAME, "a") == 0
    assert store.version(NAME) is None
    store.compact(NAME)
    store.delete(NAME, [])


def test_upsert_inserts_replaces_and_keeps_the_rest(store):
    store.upsert(NAME, vectors("a", range(50)), DIMENSION)
    first = store.version(NAME)
    store.upsert(NAME, vectors("a", range(40, 60), code_version="2"), DIMENSION)
    found = rows(store)
    assert set(found) == {key(n) for n in range(60)}
    assert {found[key(n)]["code_version"] for n in range(40)} == {"1"}
    assert {found[key(n)]["code_version"] for n in range(40, 60)} == {"2"}
    assert store.version(NAME) > first


def test_vectors_come_back_as_they_went(store):
    wanted = vectors("a", range(5))
    store.upsert(NAME, wanted, DIMENSION)
    found = rows(store)
    for row in wanted.to_pylist():
        assert found[row["micrograph_id"]]["vector"] == row["vector"]


def test_more_rows_than_any_default_limit_are_read(store):
    store.upsert(NAME, vectors("a", range(1500)), DIMENSION)
    assert len(rows(store)) == 1500 == store.count(NAME, "a")


def test_collections_are_apart(store):
    store.upsert(NAME, vectors("a", range(5)), DIMENSION)
    store.upsert(NAME, vectors("b", range(100, 107)), DIMENSION)
    assert (store.count(NAME, "a"), store.count(NAME, "b"), store.count(NAME, "c")) == (5, 7, 0)
    assert len(rows(store, "b")) == 7


def test_delete_drops_by_key(store):
    store.upsert(NAME, vectors("a", range(10)), DIMENSION)
    store.delete(NAME, [key(3), key(4), key("unknown")])
    assert set(rows(store)) == {key(n) for n in range(10)} - {key(3), key(4)}
    store.delete(NAME, [])
    assert store.count(NAME, "a") == 8


def test_compaction_keeps_rows_and_history(store, location):
    for n in range(8):
        store.upsert(NAME, vectors("a", range(10 * n, 10 * n + 10)), DIMENSION)
    before, version = rows(store), store.version(NAME)
    store.compact(NAME)
    assert rows(store) == before
    table = lancedb.connect(location.under("vectors")).open_table(NAME)
    assert {entry["version"] for entry in table.list_versions()} >= set(range(1, version + 1))


def test_another_store_sees_new_rows_at_once(store, location):
    other = VectorStore(location)
    store.upsert(NAME, vectors("a", [1]), DIMENSION)
    assert other.count(NAME, "a") == 1
    store.upsert(NAME, vectors("a", [2]), DIMENSION)
    assert other.count(NAME, "a") == 2
    assert other.version(NAME) == store.version(NAME)


def test_a_vector_of_another_length_is_refused(store):
    store.upsert(NAME, vectors("a", [1]), DIMENSION)
    with pytest.raises((ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError)):
        store.upsert(NAME, vectors("a", [2]), DIMENSION + 1)
    assert store.count(NAME, "a") == 1


def upsert_often(home, who, start):
    store = VectorStore(Location.parse(home))
    start.wait()
    for turn in range(4):
        store.upsert(NAME, vectors("a", range(30), f"{who}.{turn}"), DIMENSION)


def test_writers_into_a_table_that_was_not_there_leave_each_row_once(location):
    start = SPAWN.Barrier(4)
    writers = [SPAWN.Process(target=upsert_often, args=(location.data, n, start)) for n in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * 4
    store = VectorStore(location)
    assert store.count(NAME, "a") == 30
    assert set(rows(store)) == {key(n) for n in range(30)}
    assert {row["code_version"] for row in rows(store).values()} <= {f"{n}.3" for n in range(4)}


def test_each_backbone_has_a_table_with_a_name_for_sql():
    assert lance_table(DEFAULT_BACKBONE) == "micrographs"
    assert lance_table("vit_base_patch16.dinov2") == "micrographs_vit_base_patch16_dinov2"
    assert lance_table("hf-hub:timm/x").isidentifier()
