import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graindex.ducklake import attach
from graindex.errors import QueryError
from graindex.history.difference import Difference, differences
from graindex.store import open_store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrographs, samples


def write(store, dataset, rows):
    """Specimens by name, with a number and a text of their own."""
    records = [
        {
            "dataset": dataset,
            "sample_id": key(name),
            "sample": name,
            "material": material,
            "code_version": "1",
            "cycles": cycles,
        }
        for name, (material, cycles) in rows.items()
    ]
    tables = {"samples": from_records(TABLES["samples"], records)}
    return store.lake.replace(tables, dataset, author="t", message="m")


def test_rows_are_told_apart_by_key_and_columns_counted(store):
    first = write(store, "a", {"x": ("NCM", 1.0), "y": ("NCM", 2.0), "z": (None, 3.0)})
    write(store, "b", {"x": ("LCO", 1.0)})
    second = write(store, "a", {"y": ("LCO", 5.0), "z": ("NCM", 3.0), "w": ("NCM", 1.0)})
    found = differences(store, first, second)
    assert found == [
        Difference("samples", "a", 1, 1, 2, {"material": 2, "cycles": 1}),
        Difference("samples", "b", 1, 0, 0),
    ]
    assert differences(store, first, second, ["a"]) == found[:1]
    (back, _) = differences(store, second, first)
    assert (back.added, back.removed, back.changed) == (1, 1, 2)
    assert differences(store, second, second) == []


def test_new_columns_are_told(store):
    first = store.lake.replace({"samples": samples("a", "xy")}, "a", author="t", message="m")
    own = {"cycles": 5.0}
    second = store.lake.replace({"samples": samples("a", "xy", own)}, "a", author="t", message="m")
    assert differences(store, first, second) == [
        Difference("samples", "a", 0, 0, 2, {"cycles": 2}, ("cycles",))
    ]
    (back,) = differences(store, second, first)
    assert (back.columns, back.new_columns) == ({"cycles": 2}, ())


def test_tables_of_the_store_differ_as_a_whole(store):
    record = {"tag": "x", "lake_snapshot": 1, "author": "me", "recorded_at": None}
    first = store.snapshot()
    rows = from_records(TABLES["tags"], [record | {"recorded_at": 0}])
    second = store.lake.put({"tags": rows}, author="t", message="m")
    assert differences(store, first, second) == [Difference("tags", None, 1, 0, 0)]
    assert differences(store, first, second, ["a"]) == []


def test_a_snapshot_older_than_a_table_had_none_of_its_rows(store):
    second = store.lake.replace({"samples": samples("a", "xy")}, "a", author="t", message="m")
    assert differences(store, 0, second) == [Difference("samples", "a", 2, 0, 0)]


def test_all_tables_are_compared_where_snapshots_between_were_removed(store):
    first = store.snapshot()
    images = {"micrographs": micrographs("a", range(12))}
    gone = store.lake.replace(images, "a", author="t", message="m")
    second = store.lake.replace({"samples": samples("a", "xy")}, "a", author="t", message="m")
    connection = attach(store.location, read_only=False)
    connection.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{gone}])")
    connection.close()
    found = {each.table: each.added for each in differences(store, first, second)}
    assert found == {"samples": 2, "micrographs": 12}
    with pytest.raises(QueryError, match="was removed"):
        differences(store, gone, second)


values = st.tuples(st.sampled_from([None, "NCM", "LCO"]), st.sampled_from([None, 1.0, 2.0]))
states = st.dictionaries(st.sampled_from([f"s{n}" for n in range(14)]), values, max_size=14)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(states, min_size=2, max_size=4))
def test_differences_are_those_that_rows_compared_one_by_one_have(
    history, empty_home, tmp_path_factory
):
    home = tmp_path_factory.mktemp("differences") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    numbers = [write(store, "a", rows) for rows in history]
    for before, after, old, new in zip(numbers, numbers[1:], history, history[1:], strict=False):
        common = old.keys() & new.keys()
        changed = [name for name in common if old[name] != new[name]]
        columns = {
            column: sum(old[name][place] != new[name][place] for name in common)
            for place, column in enumerate(("material", "cycles"))
        }
        wanted = (len(new.keys() - common), len(old.keys() - common), len(changed))
        found = differences(store, before, after)
        told = [(each.added, each.removed, each.changed) for each in found]
        assert [each for each in told if any(each)] == ([wanted] if any(wanted) else [])
        for each in found:
            assert dict(each.columns) == {c: n for c, n in columns.items() if n}
