"""Rows erased from all snapshots: they are nowhere, and every other row stays what it was."""

import shutil
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graindex.errors import HomeError
from graindex.forget.erasing import erase, remove_unnamed
from graindex.forget.lake_files import LakeFiles
from graindex.forget.marks import SPARED, Marks
from graindex.forget.rewriting import shifted
from graindex.history.garbage import collect_garbage
from graindex.history.pins import Retention
from graindex.history.snapshots import snapshots
from graindex.lake import LAKE_TABLES
from graindex.location import Location
from graindex.store import open_store
from schemas.arrow import from_records
from schemas.field import HEX_ID
from schemas.tables import TABLES
from tests.graindex.forget.traces import traces
from tests.graindex.rows import key, micrographs

NAMED = ("micrographs", "labels")
NAMES = st.integers(0, 29)
SOME = st.sets(NAMES, min_size=1, max_size=25)
OPERATIONS = st.one_of(
    st.tuples(st.just("replace"), st.sampled_from("ab"), SOME),
    st.tuples(st.just("append"), st.sampled_from("ab"), st.integers(0, 3)),
    st.tuples(st.just("label"), SOME),
    st.tuples(st.just("unlabel"), SOME),
    st.tuples(st.just("compact")),
)


def labels(names):
    records = [
        {
            "dataset": "a",
            "label_id": key(("label", name)),
            "entity_kind": "micrograph",
            "entity_id": key(("a", name)),
            "label_name": "x",
            "label_number": float(name),
            "labeller": "me",
            "recorded_at": datetime(2026, 11, 26, tzinfo=UTC),
            "note": f"see {key(('a', name + 1))}",
        }
        for name in names
    ]
    return from_records(TABLES["labels"], records)


def do(store, operation, *arguments):
    """One step of a history."""

    def insert(cursor):
        cursor.register("more", rows)
        cursor.execute("INSERT INTO lake.micrographs BY NAME FROM more")
        cursor.unregister("more")

    def merge(cursor):
        cursor.execute("CALL ducklake_merge_adjacent_files('lake')")

    def delete(cursor):
        listed = ", ".join(f"'{key(('label', name))}'" for name in arguments[0])
        cursor.execute(f"DELETE FROM lake.labels WHERE label_id IN ({listed})")

    if operation == "replace":
        dataset, names = arguments
        rows = micrographs(dataset, [(dataset, name) for name in sorted(names)])
        store.lake.replace({"micrographs": rows}, dataset, author="t", message="images")
    elif operation == "append":  # files that a compaction merges
        dataset, turn = arguments
        rows = micrographs(dataset, [(dataset, 100 * turn + n) for n in range(12)])
        store.lake.commit(insert, author="t", message=f"with {key((dataset, 3))}")
    elif operation == "label":
        store.lake.put({"labels": labels(sorted(arguments[0]))}, author="t", message="labels")
    elif operation == "unlabel":
        store.lake.commit(delete, author="t", message="fewer")
    else:
        store.lake.commit(merge, author="t", message="compaction")


def history(store, numbers):
    """All rows of the tables at some snapshots."""
    found = {(number, table): [] for number in numbers for table in NAMED}
    for table in NAMED:
        union = " UNION ALL ".join(
            f"SELECT {number} AS at, * FROM lake.{table} AT (VERSION => {number})"
            for number in numbers
        )
        for row in store.lake.query(union).to_pylist():
            found[row.pop("at"), table].append(row)
    return found


def without(rows, gone):
    """Rows that are not of some images, and do not mention them."""
    kept = []
    for row in rows:
        if gone.isdisjoint(row.values()):
            note = row.get("note")
            for one in gone:
                note = note and note.replace(one, "withdrawn")
            kept.append({**row, "note": note} if "note" in row else row)
    return sorted(kept, key=str)


def rows_stay(empty_home, folder, operations, gone):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(empty_home, folder)
    store = open_store(folder)
    first = store.snapshot()
    for operation in operations:
        do(store, *operation)
    numbers = [one.number for one in snapshots(store.lake) if one.number >= first]
    before = history(store, numbers)
    marks = Marks("a", frozenset(gone), replacements=dict.fromkeys(gone, "withdrawn"))
    with LakeFiles(store.location) as files:
        erase(files, marks, author="t", message="withdrawn")
        remove_unnamed(files, marks)
        assert erase(files, marks, author="t", message="withdrawn") is None
    assert traces(folder, *gone) == []
    wanted = {state: without(rows, gone) for state, rows in before.items()}
    again = open_store(folder)
    assert normal(history(again, numbers)) == wanted
    assert normal(history(store, numbers[-2:])) == {
        state: rows for state, rows in wanted.items() if state[0] in numbers[-2:]
    }
    counts = " UNION ALL ".join(
        f"SELECT count(*) AS n FROM lake.{table} AT (VERSION => {number})"
        for number, table in wanted
    )
    assert again.lake.query(counts)["n"].to_pylist() == [len(rows) for rows in wanted.values()]
    do(again, "label", set(range(5, 20)))
    do(again, "compact")
    assert normal(history(again, numbers)) == wanted
    return again


def normal(states):
    return {state: sorted(rows, key=str) for state, rows in states.items()}


RICH = [
    ("replace", "a", {1, 2, 3}),  # inlined
    ("replace", "a", set(range(25))),
    ("append", "b", 0),
    ("append", "b", 1),
    ("append", "b", 2),
    ("compact",),  # merged
    ("label", set(range(25))),
    ("label", {0, 4}),  # deletions in the metadata
    ("label", set(range(6, 20))),  # a file of deletions
    ("append", "a", 5),
    ("unlabel", {1, 19}),
    ("replace", "a", {5}),
]


def test_a_history_with_everything_in_it(empty_home, tmp_path):
    gone = {("a", 3), ("a", 7), ("a", 19), ("b", 105), ("b", 200)}
    of_one_file = {("a", 500 + name) for name in range(12)}
    of_all_places = {("a", 6), ("a", 8)}
    keys = {key(each) for each in gone | of_one_file | of_all_places}
    store = rows_stay(empty_home, tmp_path / "home", RICH, keys)
    collect_garbage(store, Retention(timedelta(0), 1, timedelta(0)), dry_run=False)
    assert [row["micrograph_id"] for row in store.read("micrographs", "a").to_pylist()] == [
        key(("a", 5))
    ]


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    operations=st.lists(OPERATIONS, min_size=2, max_size=9),
    gone=st.sets(st.tuples(st.sampled_from("ab"), NAMES), min_size=1, max_size=6),
)
def test_any_history(empty_home, tmp_path, operations, gone):
    rows_stay(empty_home, tmp_path / "home", operations, {key(each) for each in gone})


def test_a_writer_that_began_before_tries_again(store):
    do(store, "replace", "a", set(range(20)))
    marks, turns = Marks("a", frozenset({key(("a", 3))})), []

    def delete(cursor):
        turns.append(1)
        cursor.execute("DELETE FROM lake.micrographs WHERE path LIKE '%15%'")
        if len(turns) == 1:
            with LakeFiles(store.location) as files:
                erase(files, marks, author="t", message="withdrawn")

    open_store(store.location.home).lake.commit(delete, author="t", message="one fewer")
    assert len(turns) > 1
    left = store.read("micrographs")["micrograph_id"].to_pylist()
    assert len(left) == 18
    assert not {key(("a", 3)), key(("a", 15))} & set(left)


def test_writers_meanwhile_are_not_lost(store):
    do(store, "replace", "a", set(range(20)))
    marks = Marks("a", frozenset({key(("a", 3))}))
    other, turns = open_store(store.location.home), []

    def meanwhile():
        if not turns:
            turns.append(1)
            do(other, "replace", "a", set(range(15)))

    with LakeFiles(store.location) as files:
        erase(files, marks, author="t", message="withdrawn", before_commit=meanwhile)
    assert store.read("micrographs").num_rows == 14
    assert traces(store.location.folder, key(("a", 3))) == []


def test_every_column_that_may_name_an_image_is_looked_at():
    connection = duckdb.connect()
    marks = Marks("a", frozenset({key(1)}))
    marks.register(connection)
    looked_at = 0
    for table in LAKE_TABLES:
        for field in table.fields:
            if not (field.pattern == HEX_ID or field.name.endswith("_id")):
                continue
            values = [key(1), key(2)]
            if field.name == "failing_id":
                values += [f"{key(1)}, Pixel size", f"{key(2)}, Pixel size"]
            connection.register("asked", pa.table({field.name: values}))
            doomed = marks.doomed(table.name, {field.name: "VARCHAR"})
            found = connection.execute(f"SELECT * FROM asked WHERE {doomed}").fetchall()
            wanted = [] if table.name in SPARED else [v for v in values if key(1) in v]
            assert [value for (value,) in found] == wanted, (table.name, field.name)
            looked_at += 1
    assert looked_at > 40


def test_places_once_others_are_gone():
    places = np.array([0, 2, 5, 9])
    assert shifted(places, np.array([1, 3, 4])).tolist() == [0, 1, 2, 6]
    assert shifted(places, np.array([], int)).tolist() == places.tolist()


def test_a_home_on_servers_is_refused():
    with pytest.raises(HomeError, match="on servers"):
        LakeFiles(Location.parse("postgresql://me@host/db?data=s3://bucket/x"))
