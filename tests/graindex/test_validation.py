"""Each kind of rule finds the row that was spoilt, and only that one, however rows are screened."""

import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graindex.rows_in_sql import in_memory
from graindex.screening import is_plain, rules_in_doubt
from graindex.validation import judge, run_suite, validate
from schemas.arrow import arrow_schema, from_records
from schemas.expectations import Expectation, suite
from schemas.fields import FIELDS
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph, samples

TABLE = TABLES["micrographs"]
COUNT = 5


def table(records):
    """Records as the lake would give them back had it not refused the nulls."""
    columns = {name: [record.get(name) for record in records] for name in TABLE.columns}
    schema = pa.schema([column.with_nullable(True) for column in arrow_schema(TABLE)])
    return pa.table(columns, schema=schema)


def images(**faults):
    """Good images, but for the fault in the third."""
    records = [micrograph("a", n, pixel_size_um=0.1 * (n + 1)) for n in range(COUNT)]
    records[2] |= faults
    return table(records)


def test_good_rows_break_no_rule():
    assert validate(TABLE, images()) == []
    assert validate(TABLES["samples"], samples("a", range(3), {"cycles": 1.0})) == []


def test_every_table_of_good_rows_passes():
    identity = {"dataset": "a", "micrograph_id": key(1)}
    made = {"input_hash": SHA, "code_version": "1"}
    quality = {name: 0.0 for name in TABLES["image_quality"].required if name not in made}
    records = {
        "datasets": {
            "dataset": "a",
            "kind": "micrographs",
            "location_uri": "/x",
            "file_count": 0,
            "registered_at": datetime(2026, 11, 21, tzinfo=UTC),
            **made,
        },
        "acquisition_readings": {
            **identity,
            "quantity": "magnification",
            "reading_source": "tag",
            "value_number": 500.0,
            "used": True,
            "detail": "Mag",
        },
        "findings": {**identity, "finding": "f", "detail": "d"},
        "quarantine": {"dataset": "a", "path": "p", "uri": "u", "reason": "r", **made},
        "image_quality": {**identity, **quality, **made},
    }
    for name, record in records.items():
        assert validate(TABLES[name], from_records(TABLES[name], [record])) == [], name


FAULTS = [
    ("path", None, "not be null"),
    ("page", None, "not be null"),
    ("page", -1, "between"),
    ("width_px", 0, "between"),
    ("pixel_size_um", 0.0, "between"),
    ("pixel_size_um", -1.0, "between"),
    ("pixel_size_um", 1000.5, "between"),
    ("magnification", 0.5, "between"),
    ("accelerating_voltage_kv", float("inf"), "between"),
    ("modality", "SEN", "in set"),
    ("pixel_size_source", "guess", "in set"),
    ("content_hash", "abc", "match regex"),
    ("micrograph_id", "XYZ", "match regex"),
    ("dataset", "no blanks", "match regex"),
]


@pytest.fixture(scope="module")
def breaches():
    """What is found in rows of which each has one fault, with good rows between them."""
    records = []
    for n, (column, value, _) in enumerate(FAULTS):
        records += [micrograph("a", f"good {n}"), micrograph("a", n) | {column: value}]
    return validate(TABLE, table(records))


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_spoilt_value_is_named_with_its_row(breaches, number):
    column, value, words = FAULTS[number]
    (breach,) = [b for b in breaches if b.rule.startswith(f"{column}: ") and words in b.rule]
    row = {"dataset": "a", "micrograph_id": key(number), column: value}
    position = breach.keys.index(f"{row['dataset']} {row['micrograph_id']}")
    shown = breach.values[position]
    if value is None:
        assert shown in {"nan", "None"}
    elif isinstance(value, str):
        assert shown == value
    else:
        assert float(shown) == value


def test_no_good_row_and_no_other_rule_is_named(breaches):
    told = sum(breach.failing for breach in breaches)
    assert told == len(FAULTS) == sum(len(breach.keys) for breach in breaches)


def test_a_bound_itself_is_inside_unless_it_is_exclusive():
    assert validate(TABLE, images(pixel_size_um=1000.0, magnification=1.0, page=0)) == []


def test_null_is_allowed_where_the_dictionary_says_so():
    nothing = dict.fromkeys(set(TABLE.columns) - TABLE.never_null)
    assert validate(TABLE, images(**nothing)) == []


def test_columns_without_any_value_break_no_rule():
    records = [micrograph("a", n) for n in range(COUNT)]
    assert validate(TABLE, from_records(TABLE, records)) == []


def test_a_key_that_stands_twice_names_both_rows():
    (breach,) = validate(TABLE, images(micrograph_id=key(0)))
    assert "unique" in breach.rule
    assert breach.failing == 2
    assert set(breach.keys) == {f"a {key(0)}"}


def test_the_single_key_of_vectors_is_unique():
    table = TABLES["micrograph_vectors"]
    rules = [rule for rule in suite(table) if "unique" in rule.type]
    rows = pa.table({"micrograph_id": [key(1), key(2), key(1)]})
    (breach,) = run_suite(rows, rules, ("micrograph_id",))
    assert (breach.failing, set(breach.keys)) == (2, {key(1)})


def test_several_faults_are_told_apart():
    breaches = validate(TABLE, images(modality="x", bits_used=0, thumbnail="short"))
    assert {breach.rule.split(":")[0] for breach in breaches} == {
        "modality",
        "bits_used",
        "thumbnail",
    }


def test_all_failing_rows_are_counted_and_a_thousand_shown():
    records = [micrograph("a", n, page=-1) for n in range(1250)]
    (breach,) = validate(TABLE, from_records(TABLE, records))
    assert breach.failing == 1250
    assert len(breach.keys) == len(breach.values) == 1000


def test_no_rows_break_no_rule():
    assert validate(TABLE, images().slice(0, 0)) == []


def rule(kind: str, *columns: str, **arguments: object) -> Expectation:
    named = {"column_list": list(columns)} if len(columns) > 1 else {"column": columns[0]}
    return Expectation(f"expect_{kind}", columns, {**named, **arguments})


RULES = [
    rule("column_values_to_not_be_null", "text"),
    rule("column_values_to_not_be_null", "number"),
    rule("column_values_to_be_in_set", "text", value_set=["ab", "it's", ""]),
    rule("column_values_to_match_regex", "text", regex="^[a-f]{2}$"),
    rule("column_values_to_match_regex", "name", regex="^(?=a)[ab]+"),  # not known to the screen
    rule("column_values_to_be_between", "number", min_value=0, strict_min=True),
    rule("column_values_to_be_between", "number", min_value=-1.5, max_value=0.1),
    rule("column_values_to_be_between", "count", min_value=1, max_value=2**53),
    rule("column_values_to_be_between", "count", max_value=3),
    rule("column_values_to_be_unique", "name"),
    rule("compound_columns_to_be_unique", "name", "count"),
    rule("column_value_lengths_to_be_between", "text", min_value=2),  # nor is this one
]
WORDS = ["ab", "cd", "ab\n", "abc", "AB", "it's", "", "nan", "None", "é", None]
NUMBERS = [0.0, -0.0, 0.1, 0.1 + 1e-17, 1.5, -1.5, 1e300, float("inf"), float("nan"), None]
COUNTS = [0, 1, 3, 4, -1, 2**53, 2**53 + 1, None]
ROWS = st.lists(
    st.tuples(*map(st.sampled_from, (["a", "b", "ba", "c", None], WORDS, NUMBERS, COUNTS))),
    min_size=1,
    max_size=8,
)
SCHEMA = pa.schema(
    {"name": pa.string(), "text": pa.string(), "number": pa.float64(), "count": pa.int64()}
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_screened_rows_are_judged_as_all_rows_would_be(rows):
    table = pa.table(dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True)), schema=SCHEMA)
    found = {breach.rule: told(breach) for breach in run_suite(table, RULES, ("name", "count"))}
    whole = judge(table, RULES, ("name", "count"))
    assert found == {breach.rule: told(breach) for breach in whole.values()}


def told(breach):
    return breach.failing, sorted(breach.keys), sorted(breach.values)


def test_clean_rows_leave_nothing_to_judge():
    for table, rows in ((TABLE, images()), (TABLES["samples"], samples("a", range(3)))):
        assert rules_in_doubt(in_memory(rows), suite(table)) == (rows.num_rows, [])


def test_many_rows_are_judged_in_parts():
    rows = from_records(TABLE, [micrograph("a", n, page=-(n % 2)) for n in range(12)])
    rules = [one for one in suite(TABLE) if one.columns == ("page",)]
    whole = judge(rows, rules, TABLE.key)
    assert list(judge(rows, rules, TABLE.key, chunk=5).values()) == list(whole.values()) != []


def test_every_pattern_of_the_dictionary_is_screened_and_none_that_python_reads_otherwise():
    patterns = {field.pattern for field in FIELDS.values() if field.pattern}
    assert all(is_plain(pattern) for pattern in patterns)
    for pattern in ("a.b", r"\d", "[^a]", "(?=a)", "(?i)a", "a++", r"[\w]", "é", "a{2"):
        assert not is_plain(pattern), pattern


def test_clean_rows_are_passed_without_great_expectations():
    script = (
        "import sys; from graindex.validation import validate; from schemas.tables import TABLES; "
        "from tests.graindex.rows import micrographs; "
        "assert validate(TABLES['micrographs'], micrographs('a', range(3))) == []; "
        "assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
