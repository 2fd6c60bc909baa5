"""Rows that lead nowhere are named, and only those; declared references are possible ones."""

import pytest

from graindex.references import dangling
from graindex.rows_in_sql import lake_columns, of_collection, of_store
from schemas.arrow import from_records
from schemas.fields import FIELDS
from schemas.tables import COMPANIONS, LAKE_ASSETS, TABLES
from tests.graindex.rows import SHA, key, micrograph, samples

MADE = {"input_hash": SHA, "code_version": "1"}


def write(store, dataset, **tables):
    rows = {name: from_records(TABLES[name], records) for name, records in tables.items()}
    store.lake.replace(rows, dataset, author="test", message="test")


def found(store, table, dataset=None):
    have = lake_columns(store)[table]
    rows = of_store(store, table, have)
    if dataset is not None:
        rows = of_collection(store, table, dataset, have)
    return {one.rule: one for one in dangling(store, table, rows, dataset)}


def pair(one, other_dataset, other):
    return {
        "dataset": "a",
        "micrograph_id": key(one),
        "other_dataset": other_dataset,
        "other_id": key(other),
        "duplicate_kind": "near",
        "similarity": 0.9,
        **MADE,
    }


def statement(kind, entity_id):
    return {
        "dataset": "a",
        "label_id": key((kind, entity_id)),
        "entity_kind": kind,
        "entity_id": entity_id,
        "label_name": "state",
        "labeller": "me",
        "recorded_at": 0,
    }


@pytest.fixture
def images(store):
    """Images 0 to 2 in collection a, of whose specimens one is missing; image 9 in b."""
    store.lake.replace({"samples": samples("a", "s")}, "a", author="t", message="t")
    of = {0: key("s"), 1: key("gone"), 2: None}
    records = [micrograph("a", n, sample_id=sample) for n, sample in of.items()]
    write(store, "a", micrographs=records)
    write(store, "b", micrographs=[micrograph("b", 9, sample_id=key("s"))])
    return store


def test_a_row_that_names_no_row_is_told_with_what_it_names(images):
    rules = found(images, "micrographs", "a")
    assert rules["sample_id is in samples"].rows == ((f"a {key(1)}", f"no a {key('gone')}"),)
    assert rules["dataset is in datasets"].count == 3


def test_a_row_of_another_collection_does_not_count(images):
    assert "sample_id is in samples" in found(images, "micrographs", "b")


def test_references_into_other_collections_are_followed_there(images):
    pairs = [pair(0, "a", 1), pair(0, "b", 9), pair(1, "b", 2)]
    write(images, "a", near_duplicates=pairs)
    rules = found(images, "near_duplicates", "a")
    (rule,) = rules.values()
    assert rule.rule == "other_dataset, other_id is in micrographs"
    assert [missing for _, missing in rule.rows] == [f"no b {key(2)}"]


def test_a_reference_may_depend_on_another_column(images):
    rows = [
        statement("sample", key("s")),
        statement("sample", key(0)),
        statement("micrograph", key(0)),
        statement("micrograph", key("s")),
        statement("particle", key("whatever")),
    ]
    write(images, "a", labels=rows)
    rules = found(images, "labels", "a")
    assert {rule: [missing for _, missing in one.rows] for rule, one in rules.items()} == {
        "entity_id is in samples": [f"no a {key(0)}"],
        "entity_id is in micrographs": [f"no a {key('s')}"],
    }


def test_rows_of_the_store_as_a_whole_name_rows_by_several_columns(store):
    def version(number):
        return {"model": "m", "model_version": number, "curve": "c", "curve_x": 0, "curve_y": 0}

    rows = from_records(TABLES["curves"], [version(1), version(2)])
    store.lake.put({"curves": rows}, author="t", message="t")
    assert found(store, "curves")["model, model_version is in model_runs"].count == 2


def test_all_rows_are_counted_and_a_thousand_told(store):
    write(store, "a", micrographs=[micrograph("a", n, sample_id=key(n)) for n in range(1200)])
    rule = found(store, "micrographs", "a")["sample_id is in samples"]
    assert (rule.count, len(rule.rows)) == (1200, 1000)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_references_name_columns_that_can_be_equal(table):
    for reference in table.references:
        target = TABLES[reference.table]
        assert not target.in_lance
        assert set(reference.columns) <= set(table.columns)
        assert set(reference.target) <= set(target.columns)
        pairs = zip(reference.columns, reference.target, strict=True)
        assert all(FIELDS[a].kind is FIELDS[b].kind for a, b in pairs)
        assert set(reference.target) == set(target.key)
        if reference.when is not None:
            column, value = reference.when
            assert value in FIELDS[column].values
            assert column in table.columns


def test_tables_written_along_with_an_asset_belong_to_collections():
    assert COMPANIONS.keys() <= {*LAKE_ASSETS, "micrograph_vectors"}
    for names in COMPANIONS.values():
        assert all("dataset" in TABLES[name].columns for name in names)
        assert not any(TABLES[name].in_lance for name in names)
