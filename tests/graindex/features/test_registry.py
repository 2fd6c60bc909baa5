import subprocess
import sys
from datetime import UTC, datetime

import pytest

from graindex.errors import FeatureError
from graindex.features.definition import definition_hash
from graindex.features.files import make_feature_set
from graindex.features.registry import (
    features_of,
    list_feature_sets,
    register_feature_set,
    registered_feature_set,
    users_of,
)
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA


def made(name="f", column="noise_std", **more):
    entry = {"columns": [f"image_quality.{column}"]}
    return make_feature_set({"name": name, "entity": "micrograph", "features": [entry], **more})


def register(store, definition):
    return register_feature_set(store, definition, author="someone")


def test_versions_count_up_and_never_change(store):
    first = register(store, made(description="one"))
    again = register(store, made(description="one"))
    assert (first.version, again.version) == (1, 1)
    then = store.snapshot()
    second = register(store, made(column="contrast_std"))
    assert second.version == 2
    assert registered_feature_set(store, "f") == second
    assert registered_feature_set(store, "f@1") == first
    assert registered_feature_set(store, "f", as_of=then) == first
    # a definition of before is the version of before, not a third one
    assert register(store, made(description="one")) == first
    assert store.read("feature_sets").num_rows == 2


def test_nothing_new_makes_no_snapshot(store):
    register(store, made())
    before = store.snapshot()
    register(store, made())
    assert store.snapshot() == before


def test_another_description_is_told_of_the_same_version(store):
    register(store, made(description="one"))
    assert register(store, made(description="two")).version == 1
    assert registered_feature_set(store, "f").definition.description == "two"


def test_the_registry_says_who_from_what_and_since_when(store):
    before = datetime.now(UTC)
    found = register(store, made(derived={"double": "noise_std * 2"}))
    (row,) = store.read("feature_sets").to_pylist()
    assert row["author"] == "someone" and row["entity_kind"] == "micrograph"
    assert before <= row["recorded_at"] <= datetime.now(UTC)
    assert row["definition_hash"] == definition_hash(row["definition"])
    columns = store.read("feature_set_columns").to_pylist()
    assert {(c["feature"], c["source_column"]) for c in columns} == {
        ("noise_std", "image_quality.noise_std"), ("double", "image_quality.noise_std")
    }  # fmt: skip
    assert [f.name for f in features_of(store, found)] == ["noise_std", "double"]


def test_included_sets_are_held_at_their_version(store):
    register(store, made("inner"))
    outer = make_feature_set({"name": "outer", "entity": "micrograph", "include": ["inner"]})
    first = register(store, outer)
    assert first.definition.include == ("inner@1",)
    register(store, made("inner", "contrast_std"))
    second = register(store, outer)
    assert second.version == 2 and second.definition.include == ("inner@2",)
    assert [f.name for f in features_of(store, first)] == ["noise_std"]


def test_sets_may_not_come_to_include_each_other(store):
    register(store, made("inner"))
    register(store, make_feature_set({"name": "o", "entity": "micrograph", "include": ["inner"]}))
    with pytest.raises(FeatureError, match="inner -> o -> inner"):
        register(store, made("inner", include=["o"]))


def test_unknown_sets_and_versions(store):
    with pytest.raises(FeatureError, match="'f' is not registered; there are none"):
        registered_feature_set(store, "f")
    register(store, made("ceramic"))
    with pytest.raises(FeatureError, match=r"did you mean ceramic\?"):
        registered_feature_set(store, "ceramics")
    with pytest.raises(FeatureError, match="no version 7; it has 1"):
        registered_feature_set(store, "ceramic@7")
    with pytest.raises(FeatureError, match="did you mean noise_std"):
        register(store, made(column="noise_sd"))


def training_set(key, version):
    return {
        "training_set_id": key * 16, "fingerprint": SHA, "feature_set": "f",
        "feature_set_version": version, "label_name": "l", "request": "{}", "lake_snapshot": 1,
        "row_count": 1, "feature_count": 1, "content": SHA, "author": "t",
        "recorded_at": datetime.now(UTC), "code_version": "1",
    }  # fmt: skip


def model_run(name, key):
    return {
        "model": name, "model_version": 1, "method": "ridge", "training_set_id": key * 16,
        "label_name": "l", "parameters": "{}", "seed": 0, "lake_snapshot": 1, "artefact": SHA,
        "card": SHA, "recorded_at": datetime.now(UTC), "input_hash": SHA, "code_version": "1",
    }  # fmt: skip


def test_what_uses_a_set(store):
    register(store, made())
    register(store, made(column="contrast_std"))
    sets = [training_set("a", 1), training_set("b", 1), training_set("c", 2)]
    runs = [model_run("m", "a"), model_run("n", "a")]
    tables = {
        "training_sets": from_records(TABLES["training_sets"], sets),
        "model_runs": from_records(TABLES["model_runs"], runs),
    }
    store.lake.put(tables, author="t", message="t")
    used = [(row["feature_set_version"], row["model"]) for row in users_of(store, "f").to_pylist()]
    assert used == [(1, "m"), (1, "n"), (1, None), (2, None)]
    listed = list_feature_sets(store).to_pylist()
    counts = [(r["version"], r["features"], r["training_sets"], r["models"]) for r in listed]
    assert counts == [(1, 1, 2, 2), (2, 1, 1, 0)]


RACE = """
import sys
from graindex.features.registry import register_feature_set
from graindex.store import open_store
from tests.graindex.features.test_registry import made
store = open_store(sys.argv[1])
for column in ("noise_std", "contrast_std"):
    register_feature_set(store, made(column=column), author=sys.argv[2])
"""


def test_processes_that_register_at_once_make_each_version_once(store):
    command = [sys.executable, "-c", RACE, store.location.home]
    running = [subprocess.Popen([*command, f"p{n}"]) for n in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    rows = store.read("feature_sets").to_pylist()
    assert sorted(row["feature_set_version"] for row in rows) == [1, 2]
    assert len({row["definition_hash"] for row in rows}) == 2
    assert store.read("feature_set_columns").num_rows == 2
