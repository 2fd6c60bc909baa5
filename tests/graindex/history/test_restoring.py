import shutil
from datetime import timedelta

import pytest

from graindex.errors import QueryError
from graindex.history.difference import differences
from graindex.history.garbage import collect_garbage
from graindex.history.pins import Retention
from graindex.history.restoring import restore
from graindex.history.tags import set_tag
from graindex.store import open_store
from graindex.vector_history import vectors_as_of
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrographs, samples
from tests.graindex.vector_rows import TABLE, as_dict, encode, expected, vector

DATASETS = ("a", "b", "c")
NOTHING = Retention(timedelta(0), 1, timedelta(0))


def fill(store, dataset, names, **own):
    """Images with thumbnails that lie in the store, and a specimen for each."""
    thumbnail = store.files.put(f"thumbnail {dataset} {own}".encode())
    tables = {
        "samples": samples(dataset, names, own),
        "micrographs": micrographs(dataset, names, thumbnail=thumbnail),
    }
    return store.lake.replace(tables, dataset, author="t", message=f"images of {dataset}")


OLD = {name: vector(name) for name in range(20)}
NEW = {name: vector(name, 1) for name in range(5, 30)}


@pytest.fixture(scope="module")
def past(empty_home, tmp_path_factory):
    """A home of three collections, a snapshot of it, and what became of it since."""
    home = tmp_path_factory.mktemp("past") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    for dataset in DATASETS:
        fill(store, dataset, range(20), cycles=1.0)
    encode(store, "a", OLD)
    then = store.snapshot()
    for dataset in DATASETS[:2]:
        fill(store, dataset, range(5, 30), cycles=2.0)
    store.vectors.delete(TABLE, [key(name) for name in range(5)])
    encode(store, "a", NEW)
    fill(store, "d", range(3), note="new")
    return home, then


@pytest.fixture
def history(past, tmp_path):
    home, then = past
    shutil.copytree(home, tmp_path / "home")
    return open_store(tmp_path / "home"), then


def test_what_was_restored_differs_in_nothing(history):
    store, then = history
    before = store.snapshot()
    assert differences(store, then, before, DATASETS) != []
    made = restore(store, then, author="me")
    assert made == before + 1  # one snapshot for all tables of all collections
    assert differences(store, then, made) == []
    assert as_dict(vectors_as_of(store, "a")) == expected(OLD)
    now = as_dict(store.vectors.read(TABLE, "a", ("micrograph_id", "vector", "vector_norm")))
    assert now == expected(OLD)
    assert store.read("samples", "d").num_rows == 0
    assert restore(store, then, author="me") == made
    # and back again
    again = restore(store, before, author="me")
    assert differences(store, before, again) == []


def test_one_collection_is_restored_and_the_others_stay(history):
    store, then = history
    before = store.snapshot()
    made = restore(store, then, ["b"], author="me")
    assert differences(store, then, made, ["b"]) == []
    assert differences(store, before, made, ["a", "c", "d"]) == []
    assert as_dict(vectors_as_of(store, "a")) == expected(NEW)


def test_what_people_said_and_made_stays(history):
    store, then = history
    tag = {"tag": "x", "lake_snapshot": then, "author": "me", "recorded_at": 0}
    store.lake.put({"tags": from_records(TABLES["tags"], [tag])}, author="t", message="m")
    restore(store, then, author="me")
    assert store.read("tags")["tag"].to_pylist() == ["x"]


def test_a_restored_state_survives_the_next_encoding_and_a_gc(history):
    store, then = history
    restored = restore(store, then, author="me")
    set_tag(store, "restored", restored, author="me")
    fill(store, "a", range(5, 30), cycles=3.0)
    encode(store, "a", {name: vector(name, 2) for name in range(5, 30)})
    collect_garbage(store, NOTHING, dry_run=False)
    assert as_dict(vectors_as_of(store, "a", restored)) == expected(OLD)


def test_files_that_are_gone_stop_everything(history):
    store, then = history
    before = store.snapshot()
    gone = store.read("micrographs", "b", as_of=then)["thumbnail"][0].as_py()
    (entry,) = (each for each in store.files.entries() if each.key == gone)
    store.files.remove(entry, entry.modified_at + timedelta(seconds=1))
    with pytest.raises(QueryError, match=f"1 of its thumbnails.*are gone.*{gone}") as caught:
        restore(store, then, author="me")
    assert "\n" not in str(caught.value)
    assert store.snapshot() == before
    assert as_dict(vectors_as_of(store, "a")) == expected(NEW)
    restore(store, then, ["c"], author="me")


def test_vectors_that_are_gone_stop_everything(history):
    store, then = history
    before = store.snapshot()
    store.vectors.prune(TABLE, timedelta(0))
    with pytest.raises(QueryError, match=f"vectors of 'a' as of {then} are gone"):
        restore(store, then, author="me")
    assert store.snapshot() == before


def test_vectors_older_than_their_index_stay(store):
    fill(store, "a", range(3))
    number = store.snapshot()
    vectors = {name: vector(name) for name in range(3)}
    encode(store, "a", vectors)
    restore(store, number, author="me")
    now = as_dict(store.vectors.read(TABLE, "a", ("micrograph_id", "vector", "vector_norm")))
    assert now == expected(vectors)


def test_unknown_collections_and_snapshots_are_one_line(history):
    store, then = history
    for arguments in ((then, ["nothing"]), (10_000, [])):
        with pytest.raises(QueryError, match="there is no") as caught:
            restore(store, *arguments, author="me")
        assert "\n" not in str(caught.value)
