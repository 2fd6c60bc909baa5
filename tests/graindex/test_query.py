"""Users' SQL: what it may ask, and that it can neither write nor look outside the home."""

import os
import subprocess
import sys
from pathlib import Path

import lancedb
import pytest

from graindex.errors import QueryError
from graindex.query import QueryConnection
from graindex.store import init_store, open_store
from tests.graindex.rows import DIMENSION, key, micrographs, samples, vectors

PROBE = "[1, 0, 0, 0]::FLOAT[4]"
ODD = 'o\'clock "한글" 100 %'


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.sqlite-")
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home with some rows, and beside it things that no query may reach."""
    place = tmp_path_factory.mktemp("place")
    store = init_store(place / "home")
    names = [ODD, *range(20)]
    store.lake.replace(
        {"samples": samples("a", names, {"cycles": 100.0}), "micrographs": micrographs("a", names)},
        "a",
        author="t",
        message="m",
    )
    store.vectors.upsert("micrographs", vectors("a", names), DIMENSION)
    outside = place / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("word\nopensesame\n")
    secret = lancedb.connect(outside)
    for name in ("secret", "vectors.main.secret"):
        secret.create_table(name, vectors("b", ["opensesame"]))
    (place / "home" / "secret.csv").write_text("word\nopensesame\n")
    return place


@pytest.fixture(scope="module")
def store(place):
    return open_store(place / "home")


@pytest.fixture
def in_outside(place, monkeypatch):
    monkeypatch.chdir(place / "outside")


WRITES = [
    "INSERT INTO samples SELECT * FROM samples",
    "DELETE FROM samples",
    "DELETE FROM vectors.main.micrographs",
    "UPDATE samples SET sample = 'x'",
    "MERGE INTO samples USING samples s ON false WHEN NOT MATCHED THEN INSERT",
    "TRUNCATE samples",
    "CREATE TABLE t (a INT)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE TEMP VIEW samples AS SELECT 1",
    "CREATE MACRO range(x) AS TABLE SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "DROP TABLE samples",
    "DROP VIEW micrograph_catalog",
    "ALTER TABLE samples ADD COLUMN x INT",
    "COMMENT ON TABLE samples IS 'x'",
    "COPY samples TO 'out.csv'",
    "COPY (SELECT 1) TO 'out.csv'",
    "COPY samples FROM 'secret.csv'",
    "ATTACH 'out.db'",
    "DETACH lake",
    "USE memory",
    "SET threads = 1",
    "SET enable_external_access = true",
    "SET VARIABLE x = 1",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_profiling = 'json'",
    "INSTALL json",
    "LOAD json",
    "FORCE INSTALL httpfs",
    "EXPORT DATABASE 'out'",
    "IMPORT DATABASE 'out'",
    "CALL lake.snapshots()",
    "CALL ducklake_expire_snapshots('lake', versions => [1])",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS DELETE FROM samples",
    "EXECUTE p",
    "EXPLAIN ANALYZE DELETE FROM samples",
    "WITH gone AS (DELETE FROM samples RETURNING *) SELECT * FROM gone",
    "WITH more AS (INSERT INTO samples SELECT * FROM samples RETURNING *) SELECT * FROM more",
    "FROM ducklake_expire_snapshots('lake', versions => [1])",
    "FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "FROM ducklake_add_data_files('lake', 'samples', 'secret.csv')",
    "FROM ducklake_merge_adjacent_files('lake')",
    "FROM lake.set_option('x', 'y')",
    "FROM lake.set_commit_message('a', 'b')",
    "FROM enable_logging(storage => 'file')",
]

FILES = [
    "SELECT * FROM read_csv('{out}/secret.csv')",
    "SELECT * FROM read_csv_auto('{out}/secret.csv')",
    "SELECT * FROM READ_CSV('{out}/secret.csv')",
    "SELECT * FROM main.read_csv('{out}/secret.csv')",
    "SELECT * FROM system.main.read_text('{out}/secret.csv')",
    "SELECT * FROM sniff_csv('{out}/secret.csv')",
    "SELECT * FROM read_blob('{out}/secret.csv')",
    "SELECT * FROM read_json('{out}/secret.csv')",
    "SELECT * FROM read_parquet('{home}/lake/**/*.parquet')",
    "SELECT * FROM parquet_metadata('{home}/lake/**/*.parquet')",
    "SELECT * FROM parquet_scan('{home}/lake/**/*.parquet')",
    "SELECT * FROM glob('{out}/*')",
    "SELECT * FROM sqlite_scan('{home}/catalog.sqlite', 'ducklake_table')",
    "SELECT * FROM sqlite_query('lake', 'SELECT 1')",
    "SELECT * FROM postgres_query('lake', 'SELECT 1')",
    "SELECT * FROM lance_scan('{out}/secret.lance')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('samples')",
    "SELECT * FROM query_table(['{out}/secret.csv'])",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM histogram('{out}/secret.csv', word)",
    "SELECT * FROM summary((FROM '{out}/secret.lance'))",
    "SELECT * FROM 'secret.csv'",
    "SELECT * FROM secret.csv",
    "SELECT * FROM '{out}/secret.csv'",
    "SELECT * FROM \"{out}/secret.csv\"",
    "SELECT * FROM 'file://{out}/secret.csv'",
    "SELECT * FROM '{home}/secret.csv'",
    "SELECT * FROM '{out}/secret.lance'",
    "SELECT * FROM \"{out}/secret.lance\"",
    "SELECT * FROM vectors.main.\"../../outside/secret\"",
    "SELECT * FROM vectors.main.\"..%2F..%2Foutside%2Fsecret\"",
    "SELECT * FROM vectors.main.\"{out}/secret\"",
    "TABLE '{out}/secret.lance'",
    "DESCRIBE '{out}/secret.lance'",
    "SUMMARIZE '{out}/secret.lance'",
    "SUMMARIZE \"{out}/secret.lance\"",
    "SUMMARIZE FROM '{out}/secret.lance'",
    "SHOW '{out}/secret.lance'",
    "PIVOT '{out}/secret.lance' ON dataset IN ('b') USING count(*)",
    "PIVOT '{out}/secret.lance' ON dataset",
    "UNPIVOT '{out}/secret.lance' ON dataset",
    "FROM (PIVOT '{out}/secret.lance' ON dataset IN ('b') USING count(*))",
    "SELECT (FROM '{out}/secret.lance' SELECT dataset LIMIT 1)",
    "SELECT 1 WHERE EXISTS (FROM '{out}/secret.lance')",
    "SELECT [x FOR x IN (SELECT list(dataset) FROM '{out}/secret.lance')]",
    "WITH s AS (FROM '{out}/secret.lance') FROM s",
    "WITH RECURSIVE s AS (SELECT 1 UNION ALL SELECT 1 FROM '{out}/secret.lance') FROM s",
    "FROM samples POSITIONAL JOIN '{out}/secret.lance'",
    "FROM samples, LATERAL (FROM '{out}/secret.lance')",
    "SELECT 1 UNION ALL SELECT 1 FROM '{out}/secret.lance'",
    "VALUES ((SELECT count(*) FROM '{out}/secret.lance'))",
    "SELECT 1 ORDER BY (SELECT count(*) FROM '{out}/secret.lance')",
    "SELECT 1 LIMIT (SELECT count(*) FROM '{out}/secret.lance')",
    "SELECT count(*) FILTER (WHERE EXISTS (FROM '{out}/secret.lance')) OVER () FROM samples",
    "FROM samples AT (VERSION => (SELECT count(*) FROM '{out}/secret.lance'))",
    "FROM lance_vector_search('{out}/secret.lance', 'vector', {probe})",
    "FROM LANCE_VECTOR_SEARCH('{out}/secret.lance', 'vector', {probe})",
    "FROM lance_vector_search('secret.lance', 'vector', {probe})",
    "FROM lance_vector_search('vectors.main.secret', 'vector', {probe})",
    "FROM lance_vector_search('{home}/vectors/../../outside/secret.lance', 'vector', {probe})",
    "FROM lance_vector_search('{home}/vectors/%2e%2e/%2e%2e/outside/secret.lance', 'v', {probe})",
    "FROM lance_vector_search('file://{out}/secret.lance', 'vector', {probe})",
    "FROM lance_vector_search('vectors.main../secret', 'vector', {probe})",
    "FROM lance_vector_search('{home}/vectors/../..' || '/outside/secret.lance', 'v', {probe})",
    "FROM lance_vector_search((SELECT '{out}/secret.lance'), 'vector', {probe})",
    "FROM lance_vector_search(12345678901234567890123456789, 'vector', {probe})",
    "FROM lance_vector_search(NULL, 'vector', {probe})",
    "FROM lance_vector_search()",
    "FROM lance_fts('{out}/secret.lance', 'dataset', 'b')",
    "FROM lance_hybrid_search('{out}/secret.lance', 'vector', {probe}, 'dataset', 'b')",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM duckdb_databases()",
    "FROM pragma_database_list()",
    "FROM which_secret('s3://x', 's3')",
]  # fmt: skip


def refused(store, query):
    with pytest.raises(QueryError) as caught:
        store.sql(query)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("query", WRITES)
@pytest.mark.usefixtures("in_outside")
def test_nothing_is_written(store, place, query):
    before = fingerprint(place)
    refused(store, query)
    assert fingerprint(place) == before


@pytest.mark.parametrize("query", FILES)
@pytest.mark.usefixtures("in_outside")
def test_nothing_outside_is_read(store, place, query):
    values = {"out": place / "outside", "home": place / "home", "probe": PROBE}
    message = refused(store, query.format(**values))
    assert "opensesame" not in message


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1; SELECT 2", "one query at a time, not 2"),
        ("SELECT 1; DROP TABLE samples", "read-only"),
        ("", "one query at a time, not 0"),
        (" ; ", "one query at a time, not 0"),
        ("-- nothing", "one query at a time, not 0"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT 'open", "unterminated quoted string"),
        ("SELECT (\n1", "syntax error"),
        ("SELECT nope FROM samples", "nope"),
        ("SELECT * FROM nope", "Table with name nope does not exist"),
        ("SELECT nope(1)", "nope"),
        ("FROM samples AT (VERSION => 99999)", "99999"),
    ],
)
def test_mistakes_are_told_in_one_line(store, query, says):
    assert says in refused(store, query)


def test_mistakes_that_only_the_values_show_are_told_in_one_line(store):
    with pytest.raises(QueryError, match="Could not convert string 'x'") as caught:
        store._queries.table("SELECT sample::INT FROM (SELECT 'x' AS sample)")
    assert "\n" not in str(caught.value)


def test_python_variables_are_no_tables(store):
    samples_of_mine = micrographs("z", [1])
    assert samples_of_mine.num_rows == 1
    refused(store, "SELECT * FROM samples_of_mine")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELECT count(*) FROM samples", [(21,)]),
        ("SELECT count(*) FROM samples;", [(21,)]),
        ("FROM samples SELECT count(*) -- with a comment", [(21,)]),
        ("SELECT count(*) FROM lake.main.samples", [(21,)]),
        ("WITH s AS (FROM samples) SELECT max(cycles) FROM s", [(100.0,)]),
        (
            "SELECT rank() OVER (ORDER BY path) AS r FROM micrographs QUALIFY r = 21",
            [(21,)],
        ),
        (
            "SELECT count(*) FROM micrographs m JOIN samples s USING (dataset)",
            [(441,)],
        ),
        ("SELECT count(*) FROM micrograph_catalog", [(21,)]),
        ("SELECT count(*) FROM vectors.main.micrographs", [(21,)]),
        ("SELECT count(*) FROM samples AT (VERSION => 1)", [(0,)]),
        ("SELECT count(*) FROM (DESCRIBE samples) WHERE column_name = 'cycles'", [(1,)]),
        ("SELECT count(*) FROM (SUMMARIZE samples) WHERE column_name = 'cycles'", [(1,)]),
        ("SELECT count(*) FROM (SHOW TABLES) WHERE name = 'samples'", [(1,)]),
        ("SELECT sum(range) FROM range(4)", [(6,)]),
        ("SELECT unnest([1, 2])", [(1,), (2,)]),
        ("VALUES (1)", [(1,)]),
        ("PIVOT samples ON dataset IN ('a') USING count(*) GROUP BY cycles", [(100.0, 21)]),
        ("SELECT current_setting('TimeZone')", [("UTC",)]),
        ("SELECT 'it''s', 1 AS \"a.b\"", [("it's", 1)]),
    ],
)
def test_what_may_be_asked(store, query, answer):
    assert store.sql(query).fetchall() == answer


def test_texts_with_quotes_and_korean(store):
    text = ODD.replace("'", "''")
    assert store.sql(f"SELECT sample FROM samples WHERE sample = '{text}'").fetchall() == [(ODD,)]
    answer = store._queries.table("SELECT sample FROM samples WHERE sample = ?", [ODD])
    assert answer["sample"].to_pylist() == [ODD]


@pytest.mark.parametrize("target", ["vectors.main.micrographs", "{home}/vectors/micrographs.lance"])
def test_nearest_vectors_join_with_the_lake(store, place, target):
    target = target.format(home=place / "home")
    probe = vectors("a", [7])["vector"].to_pylist()[0]
    rows = store.sql(
        "SELECT m.path, v._distance "
        f"FROM lance_vector_search('{target}', 'vector', {probe}::FLOAT[{DIMENSION}], k = 3) v "
        "JOIN micrographs m USING (dataset, micrograph_id) ORDER BY 2"
    ).fetchall()
    assert len(rows) == 3
    assert rows[0] == ("7.tif", pytest.approx(0, abs=1e-6))


def test_a_relation_turns_into_every_kind_of_table(store):
    query = "SELECT sample, cycles FROM samples ORDER BY sample"
    frames = store.sql(query).df(), store.sql(query).pl(), store.sql(query).to_arrow_table()
    counts = [len(frame) for frame in frames]
    assert counts == [21, 21, 21]
    assert frames[0]["cycles"].tolist() == frames[1]["cycles"].to_list()
    assert store.sql(query).arrow().read_all().equals(frames[2])


def test_check_refuses_without_running(store):
    connection = QueryConnection(store.location)
    connection.check("SELECT * FROM samples")
    with pytest.raises(QueryError):
        connection.check("DROP TABLE samples")


REPLACE_ELSEWHERE = """
import sys
from graindex.store import open_store
from tests.graindex.rows import DIMENSION, samples, vectors
store = open_store(sys.argv[1])
store.lake.replace({"samples": samples("new", [1, 2])}, "new", author="t", message="m")
store.vectors.upsert("micrographs", vectors("new", ["p", "q"]), DIMENSION)
"""


def test_rows_of_another_process_are_seen_at_once_by_an_open_connection(tmp_path):
    store = init_store(tmp_path / "home")
    store.vectors.upsert("micrographs", vectors("a", [1]), DIMENSION)
    count = "SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM vectors.main.micrographs)"
    assert store.sql(count).fetchall() == [(0, 1)]
    subprocess.run(
        [sys.executable, "-c", REPLACE_ELSEWHERE, store.location.home],
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert store.sql(count).fetchall() == [(2, 3)]
    near = (
        "SELECT micrograph_id FROM lance_vector_search('vectors.main.micrographs', 'vector', "
        f"{vectors('new', ['q'])['vector'].to_pylist()[0]}::FLOAT[{DIMENSION}], k = 1)"
    )
    assert store.sql(near).fetchall() == [(key("q"),)]


def test_a_table_of_vectors_made_later_is_seen(tmp_path):
    store = init_store(tmp_path / "home")
    assert store.sql("SELECT count(*) FROM samples").fetchall() == [(0,)]
    store.vectors.upsert("micrographs", vectors("a", [1]), DIMENSION)
    assert store.sql("SELECT count(*) FROM vectors.main.micrographs").fetchall() == [(1,)]
    probe = f"lance_vector_search('vectors.main.micrographs', 'vector', {PROBE}, k = 1)"
    assert len(store.sql(f"FROM {probe}").fetchall()) == 1


def test_a_clock_of_another_country_changes_no_answer(place):
    script = (
        "import sys; from graindex.store import open_store;"
        "s = open_store(sys.argv[1]);"
        "print(s.sql('SELECT file_modified_at::VARCHAR FROM micrographs LIMIT 1').fetchone()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(place / "home")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "Asia/Seoul", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.strip() == "2026-11-21 10:00:00+00"
