import shutil
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graindex.ducklake import attach, retrying
from graindex.errors import HomeError, QueryError, WriteConflictError
from graindex.lake import LAKE_TABLES, Lake, same_rows
from graindex.location import Location
from graindex.store import Store, init_store, open_store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key, micrographs, samples


def names(store: Store, dataset=None, as_of=None):
    rows = store.lake.read("samples", dataset, as_of=as_of)
    return sorted(zip(rows["dataset"].to_pylist(), rows["sample"].to_pylist(), strict=True))


def replace(store: Store, dataset, wanted, **own):
    tables = {"samples": samples(dataset, wanted, own)}
    return store.lake.replace(tables, dataset, author="test", message=f"samples of {dataset}")


def test_replacing_one_collection_leaves_the_others(store):
    replace(store, "a", ["x", "y"])
    replace(store, "b", ["x"])
    replace(store, "a", ["z"])
    assert names(store) == [("a", "z"), ("b", "x")]
    replace(store, "a", [])
    assert names(store) == [("b", "x")]


def test_rows_come_in_the_order_of_their_key(store):
    replace(store, "b", range(50))
    replace(store, "a", range(50))
    rows = store.lake.read("samples")
    keys = list(zip(rows["dataset"].to_pylist(), rows["sample_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    few = store.lake.read("samples", "a", columns=("sample", "dataset"))
    assert few.column_names == ["sample", "dataset"]


def test_equal_rows_in_any_order_make_no_snapshot(store):
    first = replace(store, "a", ["x", "y", "z"], cycles=5.0)
    assert store.snapshot() == first
    assert replace(store, "a", ["z", "x", "y"], cycles=5.0) == first
    assert replace(store, "b", []) == first
    second = replace(store, "a", ["z", "x", "y"], cycles=6.0)
    assert second > first


def test_a_column_that_only_another_collection_has_does_not_make_rows_differ(store):
    first = replace(store, "a", ["x"])
    second = replace(store, "b", ["x"], cycles=3.0, note="n")
    assert second > first
    assert replace(store, "a", ["x"]) == second


def test_every_table_takes_its_rows_back_unchanged(store):
    stamps = {"acquired_at": datetime(2021, 3, 4, 5, 6, 7, 891000), "pixel_size_um": 0.1 + 0.2}
    images = micrographs("a", ["한글 'x' \"y\" \n %"], **stamps)
    store.lake.replace({"micrographs": images}, "a", author="t", message="m")
    back = store.lake.read("micrographs", "a")
    assert same_rows(TABLES["micrographs"], back, images)
    assert back["acquired_at"][0].as_py() == stamps["acquired_at"]
    assert back["pixel_size_um"][0].as_py() == stamps["pixel_size_um"]
    assert back["file_modified_at"][0].as_py() == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ([("a", 1.0)], [("a", 1.0)], True),
        ([("a", 1.0), ("b", 2.0)], [("b", 2.0), ("a", 1.0)], True),
        ([("a", 1.0)], [("a", 2.0)], False),
        ([("a", 1.0)], [("a", None)], False),
        ([("a", None)], [("a", None)], True),
        ([("a", 1.0)], [("b", 1.0)], False),
        ([], [("a", 1.0)], False),
        ([], [], True),
    ],
)
def test_same_rows(left, right, same):
    def table(rows):
        return from_records(
            TABLES["samples"],
            [{"dataset": "d", "sample_id": key(k), "sample": k, "cycles": v} for k, v in rows],
        )

    assert same_rows(TABLES["samples"], table(left), table(right)) is same
    assert same_rows(TABLES["samples"], table(right), table(left)) is same


histories = st.lists(
    st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from("uvwx"), max_size=3)),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories)
def test_every_snapshot_and_time_gives_what_was_there(history, empty_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("history") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    state: dict[str, set[str]] = {}
    expected = {store.snapshot(): set()}
    for dataset, wanted in history:
        state[dataset] = wanted
        snapshot = replace(store, dataset, sorted(wanted))
        expected[snapshot] = {(d, name) for d, all_names in state.items() for name in all_names}
    times = dict(
        store.lake.query("SELECT snapshot_id, snapshot_time FROM lake.snapshots()")
        .to_pandas()
        .itertuples(index=False, name=None)
    )
    for snapshot, rows in expected.items():
        assert set(names(store, as_of=snapshot)) == rows
        moment = times[snapshot].to_pydatetime()
        assert set(names(store, as_of=moment)) == rows
    later = datetime.now(UTC) + timedelta(days=1)
    assert set(names(store, as_of=later)) == expected[store.snapshot()]


def test_a_time_or_a_snapshot_before_the_store_is_one_line(store):
    for as_of in (datetime(2001, 1, 1, tzinfo=UTC), 999_999):
        with pytest.raises(QueryError) as caught:
            store.lake.read("samples", as_of=as_of)
        assert "\n" not in str(caught.value)


def test_all_tables_or_none(store):
    replace(store, "a", ["old"])
    before = store.snapshot()
    broken = micrographs("a", ["x"], bits_used=None)
    tables = {"samples": samples("a", ["new"]), "micrographs": broken}
    with pytest.raises((duckdb.Error, QueryError)):
        store.lake.replace(tables, "a", author="t", message="m")
    assert names(store) == [("a", "old")]
    assert store.lake.read("micrographs").num_rows == 0
    assert store.snapshot() == before
    good = {"samples": samples("a", ["new"]), "micrographs": micrographs("a", ["x"])}
    after = store.lake.replace(good, "a", author="t", message="m")
    assert after == before + 1
    assert names(store) == [("a", "new")]


def test_null_where_the_dictionary_forbids_it_is_refused(store):
    rows = from_records(TABLES["samples"], [{"dataset": "a", "sample_id": key(1)}])
    with pytest.raises(duckdb.ConstraintException, match=r"samples\.sample"):
        store.lake.replace({"samples": rows}, "a", author="t", message="m")
    assert names(store) == []


def test_a_label_that_is_a_number_here_and_text_there_is_told(store):
    replace(store, "a", ["x"], temperature=970.0)
    with pytest.raises(QueryError, match="'temperature' of samples") as caught:
        replace(store, "b", ["x"], temperature="hot")
    assert "give the label another name" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(store) == [("a", "x")]
    # a collection that knows no value of it says nothing about its type
    replace(store, "c", ["x"], temperature=None)
    assert ("c", "x") in names(store)


def test_own_labels_with_odd_names_keep_their_values(store):
    odd = {"조성": "NCM 622", "o'clock": 3.0, 'a "b"': "c"}
    replace(store, "a", ["x"], **odd)
    row = store.lake.read("samples", "a").to_pylist()[0]
    assert {name: row[name] for name in odd} == odd


def test_the_commit_says_who_and_what(store):
    store.lake.replace({"samples": samples("a", ["x"])}, "a", author="o'me", message="it's in")
    row = store.lake.query(
        "SELECT author, commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1"
    ).to_pylist()
    assert row == [{"author": "o'me", "commit_message": "it's in"}]


def test_an_older_home_grows_the_columns_it_lacks_and_keeps_its_rows(tmp_path):
    home = tmp_path / "home"
    replace(init_store(home), "a", ["x"])
    old = attach(Location.parse(home), read_only=False)
    old.execute("ALTER TABLE lake.samples DROP COLUMN material")
    old.execute("DROP TABLE lake.findings")
    old.close()
    store = init_store(home)
    row = store.lake.read("samples").to_pylist()[0]
    assert (row["sample"], row["material"]) == ("x", None)
    assert store.lake.read("findings").num_rows == 0
    comment = store.lake.query(
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'samples' "
        "AND column_name = 'material' AND database_name = 'lake'"
    )
    assert comment["comment"].to_pylist() == ["Material of the specimen."]


def test_columns_that_a_home_is_older_than_are_null_where_they_are_asked_for(tmp_path):
    home = tmp_path / "home"
    replace(init_store(home), "a", ["x"])
    old = attach(Location.parse(home), read_only=False)
    old.execute("ALTER TABLE lake.samples DROP COLUMN material")
    old.close()
    rows = open_store(home).lake.read("samples", "a", columns=("sample", "material"))
    assert rows.to_pylist() == [{"sample": "x", "material": None}]
    assert rows.schema.field("material").type == pa.string()
    with pytest.raises(QueryError, match="colour"):
        open_store(home).lake.read("samples", "a", columns=("sample", "colour"))


def test_a_home_made_twice_is_the_same_home(store):
    replace(store, "a", ["x"])
    before = store.snapshot()
    again = init_store(store.location.home)
    assert again.snapshot() == before
    assert names(again) == [("a", "x")]


def test_tables_lie_as_parquet_below_the_home(store):
    replace(store, "a", range(100))
    files = list(store.location.folder.glob("lake/main/samples/dataset=a/*.parquet"))
    assert files, "100 rows are too many to stay in the metadata"
    count = duckdb.sql(f"SELECT count(*) FROM '{files[0]}'").fetchone()
    assert count == (100,)


def test_one_store_serves_threads(store):
    from concurrent.futures import ThreadPoolExecutor

    def work(number):
        for turn in range(3):
            made = replace(store, f"d{number}", [f"{turn}"])
            assert names(store, f"d{number}") == [(f"d{number}", f"{turn}")]
            message = f"SELECT commit_message FROM lake.snapshots() WHERE snapshot_id = {made}"
            assert store.lake.query(message)[0].to_pylist() == [f"samples of d{number}"]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert names(store) == [(f"d{n}", "2") for n in range(3)]


def test_only_conflicts_are_tried_again():
    def conflict():
        message = "database is locked"
        raise duckdb.TransactionException(message)

    def mistake():
        calls.append(1)
        message = "syntax error"
        raise duckdb.ParserException(message)

    calls: list[int] = []
    with pytest.raises(duckdb.ParserException):
        retrying(mistake)
    assert len(calls) == 1

    def third_time():
        calls.append(1)
        return "done" if len(calls) > 3 else conflict()

    assert retrying(third_time) == "done"


def test_giving_up_is_told(monkeypatch):
    monkeypatch.setattr("graindex.ducklake._ATTEMPTS", 2)

    def conflict():
        message = "Transaction conflict\nwith details"
        raise duckdb.TransactionException(message)

    with pytest.raises(WriteConflictError, match="gave up after 2 tries") as caught:
        retrying(conflict)
    assert "\n" not in str(caught.value)


def test_every_lake_table_is_empty_at_first(store):
    for table in LAKE_TABLES:
        assert store.lake.read(table.name).num_rows == 0
        assert store.lake.read(table.name).column_names == list(table.columns)


def test_an_empty_table_is_read_with_few_questions_to_the_catalog(store):
    """Without statistics DuckLake asks for them once per column: 70 questions, not 7."""
    asked = "SELECT count(*) FROM duckdb_logs WHERE type = 'QueryLog'"
    for name in ("particles_3d", "micrographs"):
        connection = attach(store.location, read_only=True)
        connection.execute("CALL enable_logging('QueryLog')")
        rows = connection.execute(f"SELECT * FROM lake.{name}").fetchall()
        first = connection.execute(asked).fetchall()[0][0]
        assert rows == connection.execute(f"SELECT * FROM lake.{name}").fetchall() == []
        again = connection.execute(asked).fetchall()[0][0] - first
        assert 1 < again < 15 < len(TABLES[name].columns)


def test_a_file_that_is_no_catalog_is_one_line(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(HomeError) as caught:
        open_store(home).snapshot()
    assert "\n" not in str(caught.value)
    assert "cannot be opened" in str(caught.value)


def test_a_home_may_have_blanks_quotes_and_korean_in_its_name(tmp_path):
    home = tmp_path / 'o\'home 한글 "x" %20'
    store = init_store(home)
    replace(store, "a", range(30))
    assert Lake(store.location).read("samples").num_rows == 30
    assert store.sql("SELECT count(*) FROM samples").fetchall() == [(30,)]


def test_an_empty_arrow_table_empties_the_partition(store):
    replace(store, "a", ["x"])
    store.lake.replace(
        {"samples": from_records(TABLES["samples"], [])}, "a", author="t", message="m"
    )
    assert names(store) == []
    assert isinstance(store.lake.read("samples", "a"), pa.Table)
