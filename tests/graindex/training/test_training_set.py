"""Training sets: the same bytes from the same snapshot, labels and splits in their rows."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from graindex.errors import FeatureError, GraindexError, InputError, QueryError
from graindex.features.definition import FeatureSet
from graindex.features.fitting import fit
from graindex.history.compaction import compact
from graindex.history.garbage import collect_garbage
from graindex.history.pins import Retention
from graindex.store import Store, open_store
from graindex.training.comparison import compare
from graindex.training.registered import rebuild, register_training_set, stored_training_set
from graindex.training.request import make_request, parse_request
from graindex.training.training_set import build_training_set
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.rows import key
from tests.graindex.training.grown_store import (
    DEFINITION,
    DIMENSION,
    IMAGES,
    SPECIMENS,
    name,
    register_texture,
    write_again,
    write_all,
)

REBUILD = """
import sys
from pathlib import Path
from graindex.store import open_store
from graindex.training.request import parse_request
from graindex.training.training_set import build_training_set

store = open_store(sys.argv[1])
build_training_set(store, parse_request(sys.argv[2])).write_parquet(Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def home(empty_home, tmp_path_factory):
    """Two collections and a feature set; not to be changed."""
    home = tmp_path_factory.mktemp("grown") / "home"
    shutil.copytree(empty_home, home)
    store = open_store(home)
    for dataset in ("one", "two"):
        write_all(store, dataset)
    register_texture(store)
    return home


@pytest.fixture(scope="module")
def read_only(home) -> Store:
    return open_store(home)


@pytest.fixture
def changing(home, tmp_path) -> Store:
    shutil.copytree(home, tmp_path / "home")
    return open_store(tmp_path / "home")


@pytest.fixture(scope="module")
def one(read_only):
    return asked(read_only)


def asked(store, **more):
    fields = {"feature_set": "texture", "label": "texture_class", "datasets": ("one",)}
    return build_training_set(store, make_request(**(fields | {"split": {"folds": 4}} | more)))


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_materialisations_a_compaction_and_a_gc_change_no_byte(changing, tmp_path, count):
    before = asked(changing)
    register_training_set(changing, before, author="test")
    before.write_parquet(tmp_path / "before.parquet")
    for step in range(1, count + 1):
        write_again(changing, "one", step)
    compact(changing, author="test")
    at_once = Retention(keep=timedelta(0), grace=timedelta(0))
    gone = collect_garbage(changing, at_once, dry_run=False)
    assert len(gone.snapshots) > 2 * count
    assert before.lake_snapshot in gone.kept
    arguments = (changing.location.home, before.request.text(), tmp_path / "after.parquet")
    done = subprocess.run(
        [sys.executable, "-c", REBUILD, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "after.parquet").read_bytes() == (tmp_path / "before.parquet").read_bytes()
    now = asked(changing)
    assert now.fingerprint != before.fingerprint
    assert not set(now.row_hashes) & set(before.row_hashes)


def test_rows_hold_entities_labels_and_the_split_in_a_fixed_order(one):
    rows = one.rows.to_pylist()
    assert [row["entity_id"] for row in rows] == sorted(key(name("one", i)) for i in range(IMAGES))
    assert {row["dataset"] for row in rows} == {"one"}
    by_specimen: dict[str, set[object]] = {}
    for row in rows:
        by_specimen.setdefault(row["sample_id"], set()).add((row["fold"], row["label_text"]))
        assert row["side"] == "cross-validation"
        assert row["weight"] == 1.0
    assert len(by_specimen) == SPECIMENS
    assert all(len(found) == 1 for found in by_specimen.values())
    assert sum(one.fold_sizes()) == len(one) == IMAGES
    assert one.classes == ("coarse", "fine")


def test_features_are_the_raw_vectors_and_columns(read_only, one):
    assert one.names == ("vector[0]", "vector[1]", "vector[2]", "vector[3]", "noise_std",
                         "temperature_c")  # fmt: skip
    lance = read_only.vectors.read(
        "micrographs", "one", ("micrograph_id", "vector", "vector_norm")
    ).to_pylist()
    raw = {r["micrograph_id"]: np.array(r["vector"]) * r["vector_norm"] for r in lance}
    matrix = one.matrix()
    for place, entity in enumerate(one.rows["entity_id"].to_pylist()):
        np.testing.assert_allclose(matrix[place, :DIMENSION], raw[entity], rtol=1e-6)
    assert one.flat().column_names[-6:] == list(one.names)
    np.testing.assert_array_equal(one.flat()["noise_std"].to_numpy(), matrix[:, 4])


def test_near_duplicates_are_never_parted(read_only, one):
    folds = {row["entity_id"]: row["fold"] for row in one.rows.to_pylist()}
    assert folds[key(name("one", 0))] == folds[key(name("one", 1))]
    assert one.counts["duplicate pairs"] == 1
    assert one.counts["groups"] == SPECIMENS - 1


def test_entities_without_a_label_are_left_out_and_counted(read_only):
    graded = asked(read_only, label="grade", split="none")
    assert len(graded) == IMAGES - 2
    assert graded.counts["without label"] == 2
    assert graded.target.dtype == np.float64
    assert sorted(graded.target) == [float(i) for i in range(IMAGES - 2)]
    summary = graded.summary()
    assert (summary["rows"], summary["label range"]) == (IMAGES - 2, "0 to 21")


def test_fitting_takes_the_batches_that_the_definition_names(one):
    fitted = fit(one.feature_set.definition, one.features, one.batches, np.ones(len(one), bool))
    matrix = one.matrix(fitted)
    sessions = np.array(one.rows["session_id"].to_pylist())
    assert len(np.unique(sessions)) == 4
    for session in np.unique(sessions):
        np.testing.assert_allclose(matrix[sessions == session].mean(axis=0), 0, atol=1e-9)


def test_the_fingerprint_tells_features_label_rows_and_split_apart(read_only, one):
    others = [
        asked(read_only, label="grade"),
        asked(read_only, split={"folds": 4, "seed": 1}),
        asked(read_only, datasets=("two",)),
    ]
    assert len({s.fingerprint for s in (one, *others)}) == len(others) + 1
    again = asked(read_only, as_of=one.lake_snapshot, feature_set="texture@1")
    assert again.parquet() == one.parquet()
    ids = one.rows["entity_id"].to_pylist()[::-1]
    named = asked(read_only, datasets=(), entities=ids, where="dataset = 'one'")
    assert named.fingerprint == one.fingerprint


def test_the_request_survives_its_json(one):
    again = parse_request(one.request.text())
    assert again == one.request
    assert again.text() == one.request.text()
    strange = make_request(
        feature_set="texture@1",
        label={"name": "grade", "tolerance": "30d", "labellers": ["ada", "bob"]},
        split={"kind": "time", "boundaries": [datetime(2026, 3, 2)], "gap": "90min"},
        as_of=3,
    )
    assert parse_request(strange.text()) == strange


def test_parquet_holds_the_table_and_says_what_it_is(one, tmp_path):
    one.write_parquet(tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.equals(one.table)
    notes = table.schema.metadata
    assert notes[b"graindex.fingerprint"].decode() == one.fingerprint
    assert parse_request(notes[b"graindex.request"].decode()) == one.request
    assert table.schema.field("weight").metadata[b"unit"] == b"1"
    assert list(one.to_pandas().columns) == table.column_names
    with pytest.raises(InputError, match="cannot be written"):
        one.write_parquet(tmp_path / "none" / "rows.parquet")


def test_how_rows_are_stored_does_not_change_the_file(one):
    other = pa.concat_tables([one.features.slice(0, 5), one.features.slice(5)])
    rows = one.rows.set_column(0, "dataset", one.rows["dataset"].dictionary_encode())
    assert type(one)(one.request, one.feature_set, rows, other, {}).parquet() == one.parquet()


def test_a_store_takes_names_tags_times_ids_and_definitions(changing):
    write_again(changing, "one", 1)
    tag = {"tag": "start", "lake_snapshot": changing.snapshot(), "author": "ada"}
    tag["recorded_at"] = datetime.now(UTC)
    changing.lake.put({"tags": from_records(TABLES["tags"], [tag])}, author="ada", message="tag")
    write_again(changing, "one", 2)
    definition = FeatureSet.model_validate(DEFINITION)
    ask = {"datasets": ("one",), "split": "none"}
    tagged = changing.training_set(definition, "texture_class", as_of="start", **ask)
    now = changing.training_set("texture", "texture_class", **ask)
    assert tagged.fingerprint != now.fingerprint
    assert tagged.request.feature_set == "texture@1"
    ids = now.rows["entity_id"].to_pylist()[:3]
    number = tag["lake_snapshot"]
    few = changing.training_set("texture", "texture_class", entities=ids, as_of=number, **ask)
    assert few.rows["entity_id"].to_pylist() == ids
    assert few.row_hashes == tagged.row_hashes[:3]
    some = changing.training_set("texture", "grade", entities="sample = 's1'", **ask)
    assert len(some) == IMAGES // SPECIMENS
    with pytest.raises(QueryError, match="nothing is known of"):
        changing.training_set("texture", "grade", as_of=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        ({"feature_set": "textures"}, FeatureError, "'textures' is not registered"),
        ({"feature_set": "texture@7"}, FeatureError, "no version 7"),
        ({"label": "texture_clas"}, GraindexError, "texture_class"),
        ({"as_of": 10_000}, QueryError, "no snapshot 10000"),
        ({"entities": ("ab" * 8, "cd" * 8)}, InputError, "and 1 more is not there"),
        ({"where": "noise_std < -5"}, InputError, "no entity fits"),
        ({"where": "noise_st < 5"}, QueryError, "noise_st"),
        ({"label": "grade", "entities": (key("one 23"),)}, InputError, "none of 1 entities"),
        ({"split": {"folds": 50}}, GraindexError, "50"),
        ({"split": {"by": "micrograph"}}, GraindexError, "leak"),
    ],
)
def test_what_cannot_be_built_says_why_in_one_line(read_only, more, error, told):
    with pytest.raises(error, match=told) as caught:
        asked(read_only, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"label": "x"}, "feature_set"),
        ({"feature_set": "x", "label": "x", "colour": 1}, "colour"),
        ({"feature_set": "x", "label": "x", "split": "sideways"}, "split"),
    ],
)
def test_a_wrong_request_names_its_field(fields, told):
    with pytest.raises(InputError, match=told):
        make_request(**fields)


def test_a_kept_set_is_in_sql_and_can_be_read_again(changing):
    kept = asked(changing)
    identity = register_training_set(changing, kept, author="ada")
    snapshot = changing.snapshot()
    assert register_training_set(changing, kept, author="bob") == identity
    assert changing.snapshot() == snapshot
    (row,) = changing.read("training_sets").to_pylist()
    assert (row["training_set_id"], row["fingerprint"]) == (identity, kept.fingerprint)
    assert (row["row_count"], row["feature_count"], row["author"]) == (IMAGES, 6, "ada")
    rows = changing.read("training_rows").to_pylist()
    assert {r["entity_id"]: r["row_hash"] for r in rows} == dict(
        zip(kept.rows["entity_id"].to_pylist(), kept.row_hashes, strict=True)
    )
    index = {
        r["micrograph_id"]: r["vector_hash"] for r in changing.read("vector_index").to_pylist()
    }
    assert all(row["vector_hash"] == index[row["entity_id"]] for row in rows)
    assert stored_training_set(changing, identity).fingerprint == kept.fingerprint
    with pytest.raises(InputError, match="no training set"):
        rebuild(changing, "0" * 16)
    write_again(changing, "one", 1)
    same = rebuild(changing, identity)
    assert (same.equal, same.source, same.rest_equal) == (True, "rebuilt", True)
    assert same.lines() == [
        f"training set {identity}: built again from its snapshot, {IMAGES} rows: equal in every "
        "value"
    ]
    _stored_file_answers_when_the_snapshot_is_gone(changing, identity)


def _stored_file_answers_when_the_snapshot_is_gone(changing, identity):
    record = changing.read("training_sets").set_column(6, "lake_snapshot", pa.array([9999]))
    changing.lake.put({"training_sets": record}, author="test", message="gone")
    answer = rebuild(changing, identity)
    assert (answer.source, answer.equal) == ("stored", True)
    assert "snapshot 9999 was removed" in answer.lines()[1]
    damaged = changing.files.address(record["content"][0].as_py())
    Path(damaged).write_bytes(b"x")
    gone = rebuild(changing, identity)
    assert (gone.source, gone.equal, gone.rest_equal) == ("gone", False, False)
    assert len(gone.missing) == IMAGES


def kept_rows(training_set):
    ids = training_set.rows["entity_id"]
    return pa.table(
        {
            "entity_id": ids,
            "content_hash": training_set.rows["content_hash"],
            "row_hash": pa.array(training_set.row_hashes),
        }
    )


def test_a_comparison_says_what_is_gone_and_what_changed(one):
    def found(rows, features):
        return type(one)(one.request, one.feature_set, rows, features, {})

    kept, everything = kept_rows(one), np.ones(IMAGES, bool)
    contents = one.rows["content_hash"].to_pylist()
    ids = one.rows["entity_id"].to_pylist()
    without = pa.array(np.where(np.arange(IMAGES) == 3, False, everything))
    fewer = found(one.rows.filter(without), one.features.filter(without))
    withdrawn = compare(kept, one.fingerprint, fewer, one.table, {contents[3]}, source="rebuilt")
    assert (withdrawn.withdrawn, withdrawn.missing) == ((ids[3],), ())
    assert (withdrawn.equal, withdrawn.rest_equal) == (False, True)
    assert withdrawn.lines()[-1] == "all other rows have the same features and labels"
    lost = compare(kept, one.fingerprint, fewer, one.table, set(), source="rebuilt")
    assert (lost.missing, lost.rest_equal) == ((ids[3],), False)
    noise = pc.if_else(without, one.features["noise_std"], 0.0)
    place = one.features.column_names.index("noise_std")
    other = found(one.rows, one.features.set_column(place, "noise_std", noise))
    changed = compare(kept, one.fingerprint, other, one.table, set(), source="rebuilt")
    assert (changed.changed, changed.columns) == ((ids[3],), ("noise_std",))
    assert not changed.rest_equal
    again = compare(kept_rows(fewer), one.fingerprint, one, None, set(), source="rebuilt")
    assert again.added == (ids[3],)


def test_sets_of_specimens_know_the_duplicates_of_their_images(read_only, changing):
    register_texture(changing, name="steel", entity="sample")
    sets = asked(changing, feature_set="steel", datasets=("one", "two"))
    assert sets.kind == "sample"
    assert len(sets) == 2 * SPECIMENS
    assert sets.counts["groups"] == 2 * (SPECIMENS - 1)
    folds = {row["entity_id"]: row["fold"] for row in sets.rows.to_pylist()}
    assert folds[key("one s0")] == folds[key("one s1")]
