import hashlib
import json
import struct
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from graindex.derive import refresh_vectors, write_vector_index
from graindex.errors import QueryError
from graindex.history.compaction import compact
from graindex.history.garbage import collect_garbage
from graindex.history.pins import Retention
from graindex.history.tags import set_tag
from graindex.store import open_store
from graindex.vector_history import as_column, as_matrix, vector_hash, vectors_as_of
from tests.conftest import REPOSITORY
from tests.graindex.rows import key
from tests.graindex.vector_rows import (
    TABLE,
    as_dict,
    catalogue,
    digest,
    encode,
    expected,
    vector,
    vector_rows,
)
from tests.real_collections import FEW, NCM

NOTHING = Retention(timedelta(0), 1, timedelta(0))
NAMES = range(6)

READ = """
import json, sys
from graindex.store import open_store
from tests.graindex.vector_rows import digest

store = open_store(sys.argv[1])
print(json.dumps([digest(store, "a", int(number)) for number in sys.argv[2:]]))
"""


def read_in_a_new_process(store, numbers):
    words = [sys.executable, "-c", READ, store.location.home, *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return json.loads(done.stdout)


def test_the_hash_of_a_vector_is_that_of_its_little_endian_float32_numbers():
    numbers = (0.5, -1.0, 3e-8)
    known = hashlib.sha256(struct.pack("<3f", *numbers)).hexdigest()
    assert vector_hash(np.array(numbers, np.float32)) == known
    assert vector_hash(np.array(numbers, ">f4")) == known
    assert vector_hash(np.array([*numbers, 9], np.float32)[:3]) == known


def test_columns_and_matrices_are_the_same_vectors():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = pa.chunked_array([as_column(matrix[:1]), as_column(matrix[1:])])
    assert np.array_equal(as_matrix(column), matrix)
    assert as_column(matrix[:0]).type == pa.list_(pa.float32(), 3)


def test_vectors_are_the_same_bytes_after_twenty_encodings_a_compaction_and_a_gc(store):
    catalogue(store, "a", NAMES)
    snapshots, wanted = [], {}
    for turn in range(21):
        # some images keep their pixels, some change, and the encoder changes half way
        encoder = "first" if turn < 10 else "second"
        vectors = {name: vector(name, turn if name % 2 else turn // 10) for name in NAMES}
        snapshots.append(encode(store, "a", vectors, encoder))
        wanted[snapshots[-1]] = expected(vectors)
    kept = [snapshots[0], snapshots[13]]
    for number in kept:
        set_tag(store, f"t{number}", number, author="test")
    before = [digest(store, "a", number) for number in kept]
    for number in snapshots[::4]:
        assert as_dict(vectors_as_of(store, "a", number)) == wanted[number]
    compact(store, author="test")
    assert [digest(store, "a", number) for number in kept] == before
    done = collect_garbage(store, NOTHING, dry_run=False)
    assert len(store.vectors.versions(TABLE)) == 1
    assert set(snapshots) - {*kept, snapshots[-1]} <= set(done.snapshots)
    compact(store, author="test")
    assert read_in_a_new_process(store, kept) == before
    assert as_dict(vectors_as_of(store, "a")) == wanted[snapshots[-1]]


def test_features_keep_their_length_where_only_that_changes(store):
    catalogue(store, "a", [1])
    unit, _ = vector(1)
    first = encode(store, "a", {1: (unit, 2.0)})
    second = encode(store, "a", {1: (unit, 4.0)})
    assert vectors_as_of(store, "a", first)["vector_norm"].to_pylist() == [2.0]
    assert vectors_as_of(store, "a", second)["vector_norm"].to_pylist() == [4.0]


def test_images_that_are_gone_have_the_vector_they_had(store):
    catalogue(store, "a", NAMES)
    vectors = {name: vector(name) for name in NAMES}
    first = encode(store, "a", vectors)
    catalogue(store, "a", [1, 2])
    store.vectors.delete(TABLE, [key(name) for name in NAMES if name not in (1, 2)])
    write_vector_index(store, "a", TABLE, author="test")
    assert set(as_dict(vectors_as_of(store, "a"))) == {key(1), key(2)}
    assert as_dict(vectors_as_of(store, "a", first)) == expected(vectors)


def test_vectors_of_a_run_that_was_cut_short_do_not_count_yet(store):
    catalogue(store, "a", NAMES)
    old = {name: vector(name) for name in NAMES}
    new = {name: vector(name, 1) for name in NAMES}
    encode(store, "a", old)
    store.vectors.upsert(TABLE, vector_rows("a", {3: new[3]}), len(new[3][0]))
    assert as_dict(vectors_as_of(store, "a")) == expected(old)
    encode(store, "a", new)
    assert as_dict(vectors_as_of(store, "a")) == expected(new)


def test_a_vector_that_came_back_is_found_wherever_it_was(store):
    catalogue(store, "a", [1])
    turns = [vector(1, 0), vector(1, 1), vector(1, 0), vector(1, 2)]
    numbers = [encode(store, "a", {1: each}) for each in turns]
    for number, each in zip(numbers, turns, strict=True):
        assert as_dict(vectors_as_of(store, "a", number)) == expected({1: each})


def test_vectors_that_are_gone_are_named_in_one_line(store):
    catalogue(store, "a", NAMES)
    first = encode(store, "a", {name: vector(name) for name in NAMES})
    encode(store, "a", {name: vector(name, name != 2) for name in NAMES})
    store.vectors.prune(TABLE, timedelta(0))
    with pytest.raises(QueryError, match=f"5 of 6 vectors of 'a' as of {first} are gone") as caught:
        vectors_as_of(store, "a", first)
    assert "\n" not in str(caught.value)
    assert key(2) not in str(caught.value)


def test_a_collection_without_vectors_has_no_rows(store):
    number = catalogue(store, "a", NAMES)
    for as_of in (None, number):
        rows = vectors_as_of(store, "a", as_of)
        assert rows.num_rows == 0
        assert {"micrograph_id", "encoder_id", "vector", "vector_norm"} <= set(rows.column_names)


def test_vectors_from_before_the_index_are_refused_until_it_is_written(store):
    number = catalogue(store, "a", NAMES)
    vectors = {name: vector(name) for name in NAMES}
    store.vectors.upsert(TABLE, vector_rows("a", vectors), len(vectors[0][0]))
    for as_of in (None, number):
        with pytest.raises(QueryError, match="graindex materialize --dataset a"):
            vectors_as_of(store, "a", as_of)
    write_vector_index(store, "a", TABLE, author="test")
    assert as_dict(vectors_as_of(store, "a")) == expected(vectors)
    assert vectors_as_of(store, "a", number).num_rows == 0


def test_other_collections_and_tables_keep_their_rows(store):
    for dataset, names in (("a", [1, 2]), ("b", [3])):
        catalogue(store, dataset, names)
        encode(store, dataset, {name: vector(name) for name in names})
    other = {1: vector(1, 7), 2: vector(2, 7)}
    encode(store, "a", other, "vit", table="micrographs_vit")
    assert as_dict(vectors_as_of(store, "a")) == expected({1: vector(1), 2: vector(2)})
    assert as_dict(vectors_as_of(store, "a", None, "micrographs_vit")) == expected(other)
    assert set(as_dict(vectors_as_of(store, "b"))) == {key(3)}
    catalogue(store, "a", [2])
    store.vectors.delete(TABLE, [key(1)])
    write_vector_index(store, "a", TABLE, author="test")
    index = store.read("vector_index", "a")
    assert set(index["micrograph_id"].to_pylist()) == {key(2)}
    assert sorted(index["vector_table"].to_pylist()) == [TABLE, "micrographs_vit"]


def test_the_same_vectors_make_no_snapshot(store):
    catalogue(store, "a", NAMES)
    vectors = {name: vector(name) for name in NAMES}
    first = encode(store, "a", vectors)
    assert encode(store, "a", vectors) == first


@pytest.mark.real_data
def test_a_home_without_an_index_gets_one_and_encodes_nothing_again(real_home):
    store = open_store(real_home())
    dataset = NCM
    store.lake.replace(
        {"vector_index": store.read("vector_index", dataset).slice(0, 0)},
        dataset,
        author="test",
        message="as before there was one",
    )
    with pytest.raises(QueryError, match="before their history was kept"):
        vectors_as_of(store, dataset)
    outcome = refresh_vectors(store, dataset, author="test")
    assert (outcome.rows, outcome.computed, outcome.kept) == (FEW[NCM], 0, FEW[NCM])
    rows = vectors_as_of(store, dataset)
    columns = ("micrograph_id", "vector", "vector_norm")
    direct = store.vectors.read(TABLE, dataset, columns).sort_by("micrograph_id")
    assert rows["micrograph_id"].to_pylist() == direct["micrograph_id"].to_pylist()
    assert np.array_equal(as_matrix(rows["vector"]), as_matrix(direct["vector"]))
    assert rows["vector_norm"].to_pylist() == direct["vector_norm"].to_pylist()
