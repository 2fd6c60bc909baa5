import multiprocessing
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from graindex.location import Location
from graindex.settings import DEFAULT_BACKBONE, EncoderSettings
from graindex.vectors import VectorStore, VersionGoneError
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


WRITERS, TURNS = 3, 3


def upsert_often(home, who, start):
    store = VectorStore(Location.parse(home))
    start.wait()
    for turn in range(TURNS):
        store.upsert(NAME, vectors("a", range(30), f"{who}.{turn}"), DIMENSION)


def test_writers_into_a_table_that_was_not_there_leave_each_row_once(location):
    start = SPAWN.Barrier(WRITERS)
    writers = [
        SPAWN.Process(target=upsert_often, args=(location.data, n, start)) for n in range(WRITERS)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * WRITERS
    store = VectorStore(location)
    assert store.count(NAME, "a") == 30
    assert set(rows(store)) == {key(n) for n in range(30)}
    last = {f"{n}.{TURNS - 1}" for n in range(WRITERS)}
    assert {row["code_version"] for row in rows(store).values()} <= last


def test_each_backbone_has_a_table_with_a_name_for_sql():
    assert EncoderSettings(backbone=DEFAULT_BACKBONE).vector_table == "micrographs"
    other = EncoderSettings(backbone="vit_base_patch16.dinov2")
    assert other.vector_table == "micrographs_vit_base_patch16_dinov2"
    assert EncoderSettings(backbone="hf-hub:timm/x").vector_table.isidentifier()
    assert EncoderSettings(pooling="depths", mirrored=True).vector_table == "micrographs_depths"


def lying_on_disk(location, numbers):
    """Whether the bytes of a vector stand in any file of the vectors."""
    wanted = np.asarray(numbers, np.float32).tobytes()
    files = [path for path in Path(location.under("vectors")).rglob("*") if path.is_file()]
    return any(wanted in path.read_bytes() for path in files)


def test_what_is_erased_stands_in_no_file_once_old_versions_are_gone(store, location):
    rows_of_many = vectors("a", range(300))
    secret = rows_of_many["vector"][7].as_py()
    store.upsert(NAME, rows_of_many, DIMENSION)
    hashes = [f"{n:064x}" for n in range(300)]
    kept = pa.table({"vector_hash": hashes, "vector": rows_of_many["vector"]})
    store.keep(NAME, kept)
    store.delete(NAME, [key(7)])
    store.drop_kept(NAME, hashes[7:8])
    with store.alone():
        store.prune(NAME, timedelta(0))
    assert lying_on_disk(location, secret)  # deletion marks the row, and no more
    store.erase(NAME, [key(7)])
    store.erase_kept(NAME, hashes[7:8])
    with store.alone():
        store.prune(NAME, timedelta(0))
    assert not lying_on_disk(location, secret)
    assert lying_on_disk(location, rows_of_many["vector"][8].as_py())
    assert set(rows(store)) == {key(n) for n in range(300) if n != 7}
    assert store.kept(NAME) == {one for n, one in enumerate(hashes) if n != 7}
    # and the key is still one: a vector that is written again takes the place of the old one
    store.upsert(NAME, vectors("a", [8, 9], code_version="2"), DIMENSION)
    assert store.count(NAME, "a") == 299
    store.keep(NAME, kept.slice(7, 2))
    assert store.kept(NAME) == set(hashes)


def test_a_version_that_was_removed_is_told(store):
    store.upsert(NAME, vectors("a", [1]), DIMENSION)
    store.upsert(NAME, vectors("a", [2]), DIMENSION)
    first = store.versions(NAME)[1]
    assert store.read(NAME, "a", version=first).num_rows == 1
    store.prune(NAME, timedelta(0))
    with pytest.raises(VersionGoneError, match=f"version {first} of the vectors 'micrographs'"):
        store.read(NAME, "a", version=first)
    assert store.versions(NAME) == [store.version(NAME)]


def test_kept_vectors_are_no_table_of_images(store):
    store.upsert(NAME, vectors("a", [1]), DIMENSION)
    assert store.kept(NAME) == set()
    assert store.read_kept(NAME, ["0" * 64]).num_rows == 0
    store.keep(NAME, pa.table({"vector_hash": ["0" * 64], "vector": vectors("a", [1])["vector"]}))
    assert store.names() == [NAME]
    assert store.read_kept(NAME, ["0" * 64, "1" * 64])["vector_hash"].to_pylist() == ["0" * 64]
