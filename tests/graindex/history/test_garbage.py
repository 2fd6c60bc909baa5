import multiprocessing
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graindex.checkpoint import Checkpoint
from graindex.ducklake import attach
from graindex.errors import QueryError
from graindex.history.compaction import compact
from graindex.history.garbage import collect_garbage
from graindex.history.pins import Retention
from graindex.history.stored_files import NO_ADDRESSES, address_columns
from graindex.history.tags import delete_tag, set_tag
from graindex.lake import LAKE_TABLES
from graindex.store import open_store
from graindex.vector_history import vectors_as_of
from schemas.arrow import from_records
from schemas.field import HEX_SHA256
from schemas.fields import FIELDS
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph, micrographs, samples
from tests.graindex.vector_rows import TABLE, as_dict, encode, expected, vector, vector_rows

SPAWN = multiprocessing.get_context("spawn")
NOTHING = Retention(timedelta(0), 1, timedelta(0))


def collect(store, retention=NOTHING):
    return collect_garbage(store, retention, dry_run=False)


def replace(store, dataset, names, **own):
    rows = {"samples": samples(dataset, names, own)}
    return store.lake.replace(rows, dataset, author="t", message="m")


def model_run(store, snapshot, version=1):
    record = {
        "model": "m",
        "model_version": version,
        "method": "ridge",
        "training_set_id": key(version),
        "label_name": "x",
        "parameters": "{}",
        "seed": 0,
        "lake_snapshot": snapshot,
        "artefact": store.files.put(f"weights {version}".encode()),
        "card": store.files.put(f"card {version}".encode()),
        "recorded_at": datetime.now(UTC),
        "input_hash": SHA,
        "code_version": "1",
    }
    rows = from_records(TABLES["model_runs"], [record])
    store.lake.put({"model_runs": rows}, author="t", message="m")
    return record


def age(store, seconds=30 * 3600):
    """Make all files of the store look old."""
    when = time.time() - seconds
    for part in ("files", "volumes", "lake"):
        for path in Path(store.location.under(part)).rglob("*"):
            os.utime(path, (when, when))


def size(store, part):
    return sum(p.stat().st_size for p in Path(store.location.under(part)).rglob("*") if p.is_file())


def test_every_column_that_names_a_file_is_known():
    for field in FIELDS.values():
        named = field.pattern == HEX_SHA256 and field.name not in NO_ADDRESSES
        if field.description.startswith(("Content address", "Key of the label volume")):
            assert named, field.name
    of_volumes = {"grey_hash", "phases_hash", "labels_hash", "label_volume"}
    found = {name for table in LAKE_TABLES for name in address_columns(table)}
    assert of_volumes <= found
    assert {"thumbnail", "mask", "overlay", "artefact", "card", "report", "content"} <= found
    assert not found & {"content_hash", "input_hash", "row_hash"}


def test_a_dry_run_tells_what_would_go_and_removes_nothing(store):
    for turn in range(3):
        replace(store, "a", range(20), cycles=float(turn))
        encode(store, "a", {name: vector(name, turn) for name in range(4)})
    store.files.put(b"nobody needs this")
    before = store.snapshot(), size(store, "lake"), size(store, "vectors"), size(store, "files")
    told = collect_garbage(store, NOTHING)
    assert before[:3] == (store.snapshot(), size(store, "lake"), size(store, "vectors"))
    assert size(store, "files") == before[3]
    assert store.read("samples", as_of=told.snapshots[-1]).num_rows == 20
    assert told.removed["lake file"][0] == 2
    done = collect(store)
    for what in ("snapshot", "lake file", "abandoned lake file", "kept vector", "file"):
        assert done.removed[what] == told.removed[what], what
    assert done.removed["file"] == (1, len(b"nobody needs this"))
    assert before[1] - size(store, "lake") == done.removed["lake file"][1]
    assert before[2] - size(store, "vectors") == done.removed["old version of vectors"][1]
    assert done.kept == {store.snapshot(): ["newest"]}
    assert collect_garbage(store, NOTHING).removed["snapshot"] == (0, 0)


def test_what_a_model_a_training_set_or_a_tag_needs_stays(store):
    numbers = [replace(store, "a", range(turn + 10)) for turn in range(5)]
    set_tag(store, "x", numbers[1], author="me")
    model_run(store, numbers[3])
    done = collect(store)
    assert done.kept[numbers[1]] == ["tag x"]
    assert done.kept[numbers[3]] == ["model m@1"]
    for turn in (1, 3):
        assert store.read("samples", as_of=numbers[turn]).num_rows == turn + 10
    for turn in (0, 2, 4):
        with pytest.raises(QueryError, match="graindex snapshots"):
            store.read("samples", as_of=numbers[turn])
    delete_tag(store, "x", author="me")
    assert numbers[1] in collect(store).snapshots


def test_rows_in_the_metadata_go_as_well(store):
    replace(store, "a", ["secret"])  # few rows are kept in the metadata
    replace(store, "a", ["other"])
    query = "SELECT sample FROM lake.samples"
    connection = attach(store.location, read_only=False)
    meta = "__ducklake_metadata_lake"
    tables = connection.execute(
        f"SELECT i.table_name FROM {meta}.ducklake_inlined_data_tables i "
        f"JOIN {meta}.ducklake_table t USING (table_id) WHERE t.table_name = 'samples'"
    ).fetchall()

    def lying():
        return {
            sample
            for (table,) in tables
            for (sample,) in connection.execute(f"SELECT sample FROM {meta}.{table}").fetchall()
        }

    assert lying() == {"secret", "other"}
    collect(store)
    assert lying() == {"other"}
    assert store.lake.query(query)["sample"].to_pylist() == ["other"]
    connection.close()


def test_files_that_any_kept_snapshot_names_stay(store):
    images = [store.files.put(f"image {n}".encode()) for n in range(4)]
    for thumbnail in images[:3]:
        rows = {"micrographs": micrographs("a", [1], thumbnail=thumbnail)}
        number = store.lake.replace(rows, "a", author="t", message="m")
        if thumbnail == images[0]:
            set_tag(store, "x", number, author="me")
    run = model_run(store, number)
    half = Path(store.files.address(images[0]) + ".0.part")
    half.write_bytes(b"half")
    collect(store, Retention(timedelta(0), 1, timedelta(hours=1)))
    assert all(store.files.has(digest) for digest in images)  # all of them young
    age(store)
    done = collect(store)
    assert [store.files.has(digest) for digest in images] == [True, False, True, False]
    assert not half.exists()
    assert done.removed["file"][0] == 3
    assert store.files.has(run["artefact"])
    assert store.files.has(run["card"])


def test_content_that_is_wanted_again_is_young_again(store):
    digest = store.files.put(b"picture")
    age(store)
    assert store.files.put(b"picture") == digest
    collect(store, Retention(timedelta(0), 1, timedelta(hours=1)))
    assert store.files.has(digest)


def test_files_of_rows_that_a_killed_run_left_stay(store):
    digest = store.files.put(b"thumbnail of an image that was examined")
    work = Checkpoint(store.location, "micrographs", "a")
    work.save({"micrographs": [micrograph("a", 1, thumbnail=digest)]})
    age(store)
    collect(store)
    assert store.files.has(digest)
    work.clear()
    collect(store)
    assert not store.files.has(digest)


def test_volumes_that_no_row_names_go_after_a_day(store):
    keys = {name: f"{name:02d}" * 32 for name in range(3)}
    for name, kind in ((0, "grey"), (1, "labels"), (2, "labels")):
        store.volume_store.put(
            kind,
            keys[name],
            [np.full((2, 3, 4), name, np.uint8)],
            shape=(2, 3, 4),
            dtype=np.uint8,
            voxel_size_um=None,
            attributes={},
        )
    row = {
        "dataset": "a",
        "volume_id": key(1),
        "label_volume": keys[1],
        "segmentation_method": "given",
        "segmentation_source": "labels",
        "segmentation_settings": "{}",
        "particle_count": 1,
        "particle_fraction": 1.0,
        "overlay": SHA,
        "input_hash": SHA,
        "code_version": "1",
    }
    rows = {"particle_labels_3d": from_records(TABLES["particle_labels_3d"], [row])}
    store.lake.replace(rows, "a", author="t", message="m")
    an_hour = Retention(timedelta(0), 1, timedelta(hours=1))
    age(store, 20 * 3600)
    assert "volume" not in collect(store, an_hour).removed
    age(store)
    told = collect_garbage(store, an_hour).removed["volume"]
    assert store.volume_store.has("grey", keys[0])
    assert collect(store, an_hour).removed["volume"] == told
    assert told[0] == 2
    assert [store.volume_store.has("labels", keys[n]) for n in (1, 2)] == [True, False]
    assert not store.volume_store.has("grey", keys[0])
    assert store.volume_store.open("labels", keys[1])[0, 0, 0] == 1


def test_files_that_killed_writers_left_in_the_lake_go_once_they_are_old(store):
    replace(store, "a", range(20))
    folder = Path(store.location.under("lake", "main", "samples", "dataset=a"))
    (live,) = folder.glob("*.parquet")
    left = folder / "ducklake-left.parquet"
    left.write_bytes(live.read_bytes())
    an_hour = Retention(timedelta(0), 1, timedelta(hours=1))
    assert collect(store, an_hour).removed["abandoned lake file"][0] == 0
    assert left.exists()
    age(store)
    assert collect(store, an_hour).removed["abandoned lake file"] == (1, live.stat().st_size)
    assert not left.exists()
    assert store.read("samples").num_rows == 20


def test_a_home_that_was_moved_loses_nothing(store, tmp_path):
    for turn in range(3):
        replace(store, "a", range(20), cycles=float(turn))
    shutil.move(store.location.home, tmp_path / "moved")
    moved = open_store(tmp_path / "moved")
    age(moved)
    done = collect(moved)
    assert done.removed["lake file"][0] == 2
    assert done.removed["abandoned lake file"][0] == 0
    assert moved.read("samples")["cycles"].to_pylist() == [2.0] * 20


def test_files_that_a_compaction_replaced_wait_for_readers(store):
    for turn in range(4):
        record = {"model": "m", "model_version": 1, "curve": "c", "curve_y": 1.0}
        rows = [record | {"curve_x": float(20 * turn + n)} for n in range(20)]
        table = from_records(TABLES["curves"], rows)
        store.lake.put({"curves": table}, author="t", message="m")
    (merged,) = compact(store, author="t")
    assert (merged.table, merged.files_before, merged.files_after) == ("curves", 4, 1)
    files = len(list(Path(store.location.under("lake")).rglob("*.parquet")))
    collect(store, Retention(timedelta(0), 1, timedelta(hours=1)))
    assert len(list(Path(store.location.under("lake")).rglob("*.parquet"))) == files
    collect(store)
    assert len(list(Path(store.location.under("lake")).rglob("*.parquet"))) == files - 4
    assert store.read("curves").num_rows == 80


def test_kept_vectors_go_with_the_snapshot_that_needed_them(store):
    vectors = [{name: vector(name, turn) for name in range(5)} for turn in range(3)]
    numbers = [encode(store, "a", each) for each in vectors]
    set_tag(store, "x", numbers[0], author="me")
    collect(store)
    assert len(store.vectors.kept(TABLE)) == 5
    assert collect_garbage(store, NOTHING).removed["kept vector"] == (0, 0)
    delete_tag(store, "x", author="me")
    assert collect(store).removed["kept vector"][0] == 5
    assert store.vectors.kept(TABLE) == set()
    assert as_dict(vectors_as_of(store, "a")) == expected(vectors[2])


def test_vectors_of_a_run_in_progress_lose_nothing(store):
    old = {name: vector(name) for name in range(5)}
    number = encode(store, "a", old)
    new = {name: vector(name, 1) for name in range(5)}
    store.vectors.upsert(TABLE, vector_rows("a", {1: new[1]}), len(new[1][0]))
    collect(store)
    assert as_dict(vectors_as_of(store, "a", number)) == expected(old)
    set_tag(store, "x", number, author="me")
    encode(store, "a", new)
    collect(store)
    assert as_dict(vectors_as_of(store, "a", number)) == expected(old)
    assert as_dict(vectors_as_of(store, "a")) == expected(new)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("samples"), st.sampled_from("ab"), st.integers(0, 25)),
        st.tuples(st.just("curves"), st.integers(0, 3), st.integers(1, 15)),
        st.tuples(st.just("vectors"), st.sampled_from("ab"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["tag", "untag", "model", "gc", "compact"])),
    ),
    min_size=3,
    max_size=8,
)


class History:
    """A store and what was read at each snapshot when it was the newest."""

    def __init__(self, store):
        self.store, self.turn, self.tags = store, 0, []
        self.seen = {}
        self.pinned = set()

    def read(self, number):
        return {
            "samples": self.store.read("samples", as_of=number).to_pylist(),
            "curves": self.store.read("curves", as_of=number).to_pylist(),
            **{name: as_dict(vectors_as_of(self.store, name, number)) for name in "ab"},
        }

    def step(self, kind, *arguments):
        self.turn += 1
        getattr(self, f"do_{kind}")(*arguments)
        newest = self.store.snapshot()
        self.seen.setdefault(newest, self.read(newest))

    def do_samples(self, dataset, count):
        replace(self.store, dataset, range(count), cycles=float(self.turn))

    def do_curves(self, start, count):
        record = {"model": "m", "model_version": 1, "curve": "c", "curve_y": float(self.turn)}
        rows = [record | {"curve_x": float(10 * start + n)} for n in range(count)]
        table = from_records(TABLES["curves"], rows)
        self.store.lake.put({"curves": table}, author="t", message="m")

    def do_vectors(self, dataset, start):
        names = range(start, start + 4) if dataset == "a" else range(10 + start, 14 + start)
        encode(self.store, dataset, {name: vector(name, self.turn) for name in names})

    def do_tag(self):
        number = self.store.snapshot()
        set_tag(self.store, f"t{self.turn}", number, author="me")
        self.tags.append((f"t{self.turn}", number))

    def do_untag(self):
        if self.tags:
            delete_tag(self.store, self.tags.pop(0)[0], author="me")

    def do_model(self):
        number = self.store.snapshot()
        model_run(self.store, number, self.turn)
        self.pinned.add(number)

    def do_compact(self):
        compact(self.store, author="me")

    def do_gc(self):
        newest = self.store.snapshot()
        kept = {number for _, number in self.tags} | self.pinned | {newest}
        done = collect(self.store)
        assert set(done.kept) == kept
        assert done.lost == 0
        self.seen = {number: rows for number, rows in self.seen.items() if number in kept}

    def check(self):
        for number, rows in self.seen.items():
            assert self.read(number) == rows, number


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=steps)
def test_whatever_happened_every_kept_snapshot_reads_as_it_did(
    history, empty_home, tmp_path_factory
):
    run_history(history, empty_home, tmp_path_factory)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=steps)
def test_many_histories(history, empty_home, tmp_path_factory):
    run_history(history, empty_home, tmp_path_factory)


def run_history(history, empty_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("history") / "home"
    shutil.copytree(empty_home, home)
    past = History(open_store(home))
    for step in [("vectors", "a", 0), ("tag",), *history, ("gc",)]:
        past.step(*step)
    past.check()
    shutil.rmtree(home)


def images_of(who):
    return range(5 * ord(who), 5 * ord(who) + 5)


def write_for_a_while(home, who, start, turns):
    store = open_store(home)
    store.snapshot()
    start.wait()
    for turn in range(turns):
        replace(store, who, range(20), cycles=float(turn))
        encode(store, who, {name: vector(name, turn) for name in images_of(who)})
        if turn % 2 == 1:
            set_tag(store, f"{who}.{turn}", store.snapshot(), author=who)


def test_writers_and_a_collector_at_once_lose_nothing(store):
    start, turns = SPAWN.Barrier(3), 2
    home = store.location.home
    writers = [
        SPAWN.Process(target=write_for_a_while, args=(home, who, start, turns)) for who in "ab"
    ]
    for writer in writers:
        writer.start()
    start.wait()
    rules, removed = Retention(timedelta(0), 1, timedelta(seconds=3)), 0
    while any(writer.is_alive() for writer in writers):
        removed += len(collect(store, rules).snapshots)
        time.sleep(1)  # whoever waits for the lock tries again every 50 ms
    assert [writer.exitcode for writer in writers] == [0, 0]
    time.sleep(3)
    removed += len(collect(store, rules).snapshots)
    assert removed > 0
    assert store.read("tags").num_rows == 2
    for row in store.read("tags").to_pylist():
        who, turn = row["tag"].split(".")
        number = row["lake_snapshot"]
        wanted = expected({name: vector(name, int(turn)) for name in images_of(who)})
        assert as_dict(vectors_as_of(store, who, number)) == wanted
        cycles = store.lake.read("samples", who, as_of=number)["cycles"].to_pylist()
        assert cycles == [float(turn)] * 20
    for who in "ab":
        assert store.read("samples", who)["cycles"].to_pylist() == [float(turns - 1)] * 20
