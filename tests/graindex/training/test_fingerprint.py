"""Fingerprints follow from names, types and values, and from nothing else."""

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graindex.training.fingerprint import column_digests, fingerprint, row_hashes

texts = st.none() | st.text(max_size=5).filter(lambda text: text.isprintable())
numbers = st.none() | st.floats() | st.sampled_from([-0.0, 0.0])
vectors = st.none() | st.lists(st.floats(width=32), min_size=2, max_size=2)
rows = st.lists(st.tuples(texts, numbers, st.none() | st.integers(-9, 9), vectors), max_size=6)


def table(records):
    types = {
        "name": pa.string(),
        "size": pa.float64(),
        "count": pa.int64(),
        "vector": pa.list_(pa.float32(), 2),
    }
    columns = [pa.array([r[i] for r in records], kind) for i, kind in enumerate(types.values())]
    return pa.table(columns, names=list(types))


@given(rows, st.integers(0, 6))
@settings(deadline=None, max_examples=25)
def test_how_arrow_holds_the_rows_does_not_matter(records, cut):
    plain = table(records)
    cut = min(cut, plain.num_rows)
    chunked = pa.concat_tables([plain.slice(0, cut), plain.slice(cut)])
    wider = pa.concat_tables([plain, plain]).slice(0, plain.num_rows)
    other = plain.set_column(0, "name", plain["name"].dictionary_encode())
    smaller = other.set_column(2, "count", other["count"].cast(pa.int8()))
    large = plain.set_column(0, "name", plain["name"].cast(pa.large_string()))
    noted = plain.replace_schema_metadata({"a": "b"})
    for same in (chunked, wider, smaller, large, noted):
        assert fingerprint(same) == fingerprint(plain)
        assert row_hashes(same) == row_hashes(plain)


def meaning(value):
    """Values that count as equal, as equal keys: one zero, one not-a-number."""
    if isinstance(value, list):
        return tuple(meaning(item) for item in value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


@given(rows, rows)
@settings(deadline=None, max_examples=60)
def test_fingerprints_are_equal_where_the_values_are(one, other):
    same = [tuple(map(meaning, r)) for r in one] == [tuple(map(meaning, r)) for r in other]
    assert (fingerprint(table(one)) == fingerprint(table(other))) == same
    hashes = dict(zip(row_hashes(table(one)), (tuple(map(meaning, r)) for r in one), strict=True))
    for record, digest in zip(other, row_hashes(table(other)), strict=True):
        if digest in hashes:
            assert hashes[digest] == tuple(map(meaning, record))


def test_zeros_and_not_a_numbers_have_one_form_and_null_another():
    payload = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    same = [pa.table({"x": pa.array([value])}) for value in (math.nan, *payload)]
    assert len({fingerprint(columns) for columns in same}) == 1
    assert fingerprint(pa.table({"x": [0.0]})) == fingerprint(pa.table({"x": [-0.0]}))
    null = pa.table({"x": pa.array([None], pa.float64())})
    assert fingerprint(null) not in {fingerprint(same[0]), fingerprint(pa.table({"x": [0.0]}))}


def test_names_types_order_and_context_count():
    base = pa.table({"a": [1.0, 2.0], "b": ["x", "y"]})
    others = [
        base.rename_columns(["a", "c"]),
        base.select(["b", "a"]),
        base.take([1, 0]),
        pa.table({"a": [1, 2], "b": ["x", "y"]}),
        pa.table({"a": pa.array([1.0, 2.0], pa.float32()), "b": ["x", "y"]}),
        pa.table({"a": [1.0, 2.0], "b": ["xy", ""]}),
    ]
    hashes = {fingerprint(columns) for columns in (base, *others)} | {fingerprint(base, "other")}
    assert len(hashes) == len(others) + 2


def test_a_changed_value_shows_in_its_row_and_its_column_only():
    base = pa.table({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
    changed = pa.table({"a": [1.0, 2.5, 3.0], "b": ["x", "y", "z"]})
    before, after = row_hashes(base), row_hashes(changed)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    assert column_digests(base)["b"] == column_digests(changed)["b"]
    assert column_digests(base)["a"] != column_digests(changed)["a"]


def test_times_and_flags_survive_parquet(tmp_path):
    when = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
    columns = pa.table(
        {
            "at": pa.array([when, None], pa.timestamp("us", "UTC")),
            "local": pa.array([when.replace(tzinfo=None)] * 2, pa.timestamp("us")),
            "flag": [True, None],
        }
    )
    pq.write_table(columns, tmp_path / "rows.parquet", coerce_timestamps="us")
    assert fingerprint(pq.read_table(tmp_path / "rows.parquet")) == fingerprint(columns)


def test_a_column_of_another_type_is_refused_by_name():
    with pytest.raises(TypeError, match="'odd'"):
        fingerprint(pa.table({"odd": [{"a": 1}]}))
