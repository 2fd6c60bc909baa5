import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from graindex.ducklake import attach, transaction
from graindex.location import Location
from schemas import ddl, dictionary
from schemas.arrow import (
    arrow_schema,
    arrow_type,
    describe,
    empty,
    from_columns,
    from_records,
)
from schemas.expectations import suite
from schemas.fields import FIELDS, Kind
from schemas.measured import MEASURED
from schemas.tables import LAKE_ASSETS, TABLES

REPOSITORY = Path(__file__).parents[2]
LAKE = [table for table in TABLES.values() if not table.in_lance]
NUMERIC = {Kind.NUMBER, Kind.INTEGER}
UNIT_SUFFIXES = {
    "µm": "_um", "px": "_px", "mm": "_mm", "kV": "_kv", "B": "_bytes", "bit": "_bits"
}  # fmt: skip

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
each_measured = pytest.mark.parametrize("table", MEASURED.values(), ids=lambda table: table.name)
each_lake_table = pytest.mark.parametrize("table", LAKE, ids=lambda table: table.name)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A real lake with every table, made from the DDL alone."""
    connection = attach(Location.parse(tmp_path_factory.mktemp("home")), read_only=False)
    with transaction(connection):
        for table in LAKE:
            for statement in ddl.create_statements(table, "lake"):
                connection.execute(statement)
    return connection


def test_the_written_data_dictionary_is_the_rendered_one():
    text = (REPOSITORY / dictionary.TARGET).read_text(encoding="utf-8")
    assert text == dictionary.render(), "stale: run make dictionary"


def test_every_row_of_the_dictionary_has_as_many_cells_as_its_head():
    for line in dictionary.render().splitlines():
        if line.startswith("|"):
            assert len(re.split(r"(?<!\\)\|", line)) == 9, line


def test_each_field_stands_under_its_own_name_and_is_used():
    assert all(name == field.name for name, field in FIELDS.items())
    tables = (*TABLES.values(), *MEASURED.values())
    used = {name for table in tables for name in table.columns}
    assert used == set(FIELDS)


def test_no_field_was_defined_twice():
    files = sorted((REPOSITORY / "schemas").glob("*fields*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    names = re.findall(r"""    (?:text|number|count|Field)\(\s*"([a-z0-9_]+)",""", text)
    assert sorted(names) == sorted(set(names))
    assert set(names) == set(FIELDS)


def test_units_are_told_by_the_name_and_numbers_tell_a_unit():
    for field in FIELDS.values():
        told_elsewhere = {
            "value_number", "uncertainty", "bin_lower", "bin_upper", "value", "std", "label_number",
            "metric_value", "metric_lower", "metric_upper", "curve_x", "curve_y",
            "predicted_number", "predicted_std", "feature_value", "shap_value", "importance",
        }  # fmt: skip
        if field.kind in NUMERIC and field.name not in told_elsewhere:
            assert field.unit is not None, field.name
        if field.unit in {"µm", "kV", "mm"}:
            assert UNIT_SUFFIXES[field.unit] in field.name
        if field.unit in {"µm", "kV", "mm", "B", "px"} and field.kind in NUMERIC:
            assert field.name.endswith(UNIT_SUFFIXES[field.unit]) or field.unit == "px"
        if field.kind not in {*NUMERIC, Kind.VECTOR}:
            assert field.unit is None, field.name


def test_bounds_leave_room_and_patterns_compile():
    for field in FIELDS.values():
        if field.lower is not None and field.upper is not None:
            assert field.lower < field.upper, field.name
        if field.pattern is not None:
            re.compile(field.pattern)
        assert field.description.endswith("."), field.name


@each_table
def test_columns_keys_and_requirements_are_fields_of_the_table(table):
    assert set(table.columns) <= set(FIELDS)
    assert len(set(table.columns)) == len(table.columns)
    assert set(table.key) <= set(table.columns)
    assert set(table.required) <= set(table.columns)
    assert not set(table.key) & set(table.required)
    assert "dataset" in table.columns or table.of_store


@each_measured
def test_measured_tables_hold_fields_and_their_keys(table):
    assert set(table.columns) <= set(FIELDS)
    assert len(set(table.columns)) == len(table.columns)
    assert {*table.key, *table.required} <= set(table.columns)


@each_measured
def test_numpy_columns_become_typed_rows_and_not_a_number_null(table):
    rows = from_columns(table, {})
    assert rows.schema == arrow_schema(table) and rows.num_rows == 0
    numbers = [field.name for field in table.fields if field.kind is Kind.NUMBER]
    columns = {name: np.array([1.5, np.nan]) for name in numbers}
    keys = [name for name in table.key if FIELDS[name].kind is Kind.INTEGER]
    columns |= {name: np.array([1, 2]) for name in keys}
    rows = from_columns(table, columns | {"undeclared": np.array([0, 0])})
    assert rows.schema == arrow_schema(table)
    assert all(rows[name].to_pylist() == [1.5, None] for name in numbers)
    assert all(rows[name].to_pylist() == [1, 2] for name in keys)


@each_table
def test_lineage_names_columns_that_exist(table):
    assert set(table.lineage) <= set(table.columns)
    for sources in table.lineage.values():
        for source in sources:
            upstream, column = source.split(".")
            assert column in TABLES[upstream].columns


def test_assets_are_tables_of_the_lake():
    assert set(LAKE_ASSETS) <= {table.name for table in LAKE}


@each_table
def test_arrow_says_type_nullness_meaning_and_unit(table):
    schema = arrow_schema(table, dimension=3)
    assert schema.names == list(table.columns)
    for field in table.fields:
        column = schema.field(field.name)
        assert column.nullable == (field.name not in table.never_null)
        assert column.metadata[b"description"].decode() == field.description
        assert column.metadata.get(b"unit", b"").decode() == (field.unit or "")


def test_only_the_single_key_of_a_lance_table_is_marked_for_merging():
    mark = b"lance-schema:unenforced-primary-key"
    marked = {
        (table.name, column.name)
        for table in TABLES.values()
        for column in arrow_schema(table, 3)
        if mark in column.metadata
    }
    assert marked == {("micrograph_vectors", "micrograph_id")}


def test_a_vector_needs_its_dimension():
    assert arrow_type(FIELDS["vector"], 7) == pa.list_(pa.float32(), 7)
    with pytest.raises(ValueError, match="state its dimension"):
        arrow_type(FIELDS["vector"])


@each_lake_table
def test_ddl_and_arrow_agree_on_every_type(lake, table):
    rows = lake.execute(f"SELECT * FROM lake.{ddl.quote(table.name)}").to_arrow_table()
    assert rows.num_rows == 0
    assert rows.schema.names == list(table.columns)
    declared = {field.name: field.type for field in arrow_schema(table)}
    for column in rows.schema:
        want = declared[column.name]
        if pa.types.is_timestamp(want):
            assert (column.type.unit, column.type.tz is None) == (want.unit, want.tz is None)
        else:
            assert column.type == want


@each_lake_table
def test_an_empty_arrow_table_fits_into_the_table_made_from_the_ddl(lake, table):
    lake.register("incoming", empty(table))
    lake.execute(f"INSERT INTO lake.{ddl.quote(table.name)} BY NAME SELECT * FROM incoming")


@each_lake_table
def test_the_catalog_tells_meaning_and_unit_of_every_column(lake, table):
    rows = lake.execute(
        "SELECT column_name, comment, is_nullable FROM duckdb_columns() "
        "WHERE database_name = 'lake' AND table_name = ?",
        [table.name],
    ).fetchall()
    assert {name: comment for name, comment, _ in rows} == {
        name: describe(name) for name in table.columns
    }
    assert {name for name, _, nullable in rows if not nullable} == table.never_null
    comment = lake.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = ?",
        [table.name],
    ).fetchone()
    assert comment == (f"One row per {table.row}.",)


def test_the_unit_stands_in_the_comment():
    assert describe("pixel_size_um").endswith("[µm]")
    assert describe("dataset") == "Name of the collection."
    assert describe("no_such_column") == ""


def test_identifiers_and_texts_with_quotes_survive_sql():
    for text in ("plain", "o'clock", 'say "so"', "'; DROP TABLE x; --", "한글 % \\ \n"):
        connection = duckdb.connect()
        connection.execute(f"CREATE TABLE t ({ddl.quote(text)} VARCHAR)")
        connection.execute(f"INSERT INTO t VALUES ({ddl.literal(text)})")
        assert connection.execute(f"SELECT {ddl.quote(text)} FROM t").fetchall() == [(text,)]


@pytest.mark.parametrize("table", LAKE, ids=lambda table: table.name)
def test_no_records_give_no_rows_in_the_declared_types(table):
    assert from_records(table, []).schema.equals(arrow_schema(table))
    assert from_records(table, []).num_rows == 0
    assert empty(table).schema.equals(arrow_schema(table))


def test_absent_columns_are_null_and_own_columns_take_the_type_of_their_values():
    rows = from_records(
        TABLES["samples"],
        [
            {"dataset": "a", "sample_id": "1", "cycles": 100, "note": "x", "none": None},
            {"dataset": "a", "sample_id": "2", "cycles": None, "note": None},
        ],
    )
    assert rows.schema.field("cycles").type == pa.float64()
    assert rows.schema.field("note").type == pa.string()
    # without a value there is no type to pin for other collections
    assert "none" not in rows.column_names
    assert rows["cycles"].to_pylist() == [100.0, None]
    assert rows["material"].to_pylist() == [None, None]


def test_closed_tables_refuse_a_column_that_they_do_not_declare():
    with pytest.raises(ValueError, match="'quarantine' has no column 'colour'"):
        from_records(TABLES["quarantine"], [{"dataset": "a", "colour": "red"}])


@each_table
def test_the_suite_looks_at_every_rule_of_the_dictionary(table):
    rules = {(rule.type, rule.columns) for rule in suite(table)}
    not_null = {rule.columns[0] for rule in suite(table) if rule.type.endswith("to_not_be_null")}
    assert not_null == table.never_null
    assert ({"expect_column_values_to_be_unique"} if len(table.key) == 1 else set()) <= {
        kind for kind, columns in rules if columns == table.key
    }
    for field in table.fields:
        kinds = {kind for kind, columns in rules if columns == (field.name,)}
        if field.values:
            assert "expect_column_values_to_be_in_set" in kinds
        if field.pattern:
            assert "expect_column_values_to_match_regex" in kinds
        if field.kind in NUMERIC and not (field.lower is None and field.upper is None):
            assert "expect_column_values_to_be_between" in kinds
