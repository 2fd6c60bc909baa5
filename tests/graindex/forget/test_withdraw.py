"""Withdrawing an image of a store that trained on it: all of it goes, all else stays."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graindex.checkpoint import Checkpoint
from graindex.errors import HomeError, InputError, QueryError
from graindex.files import sha256
from graindex.forget import erasing
from graindex.forget import withdraw as withdrawing
from graindex.forget.lake_files import LakeFiles
from graindex.forget.target import targets_of
from graindex.forget.touched import touched
from graindex.forget.withdraw import alone, withdraw
from graindex.forget.withdrawal import noted
from graindex.history.compaction import compact
from graindex.history.snapshots import Snapshot, snapshots
from graindex.lake import LAKE_TABLES
from graindex.store import Store, open_store
from graindex.trained.kept import list_models, stored_page
from graindex.trained.replay import replay
from graindex.trained.train import train_model
from graindex.vector_history import vector_hash, vectors_as_of
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex.forget.traces import SPARED, holding, traces
from tests.graindex.rows import SHA, key, micrographs
from tests.graindex.trained.conftest import GRAIN, PLATES, fill, image_name, model
from tests.graindex.vector_rows import encode, vector

NAME = image_name(3, 1)
ID, OTHER = key(NAME), key(image_name(5, 2))
CONTENT = sha256("content of", NAME)
PARTICLE, STATEMENT = key("particle"), key("statement")
PICTURE, MASK = b"\xff\xd8 picture of it", b"mask of it"
DRAWN = b"drawn by hand on it"
OLD, NEW = vector(NAME_SEED := 31, 1), vector(NAME_SEED, 2)
NEEDLES = (ID, CONTENT, PARTICLE, STATEMENT)


def put(store: Store, table: str, records: list[dict[str, object]]) -> None:
    rows = from_records(TABLES[table], records)
    if TABLES[table].of_store:
        store.lake.put({table: rows}, author="test", message=f"rows of {table}")
    else:
        store.lake.replace({table: rows}, PLATES, author="test", message=f"rows of {table}")


def made(**columns: object) -> dict[str, object]:
    return {"dataset": PLATES, "input_hash": SHA, "code_version": "1", **columns}


def populate(store: Store) -> None:
    """An image with everything that may hang on one, in several snapshots."""
    fill(store)
    images = store.read("micrographs").to_pylist()
    thumbnail, shared = store.files.put(PICTURE), store.files.put(b"picture of all others")
    mask, overlay = store.files.put(MASK), store.files.put(b"\xff\xd8 overlay of it")
    for image in images:
        own = image["micrograph_id"] == ID
        image["thumbnail"] = thumbnail if own else shared
        image["content_hash"] = CONTENT if own else image["content_hash"]
    put(store, "micrographs", images)
    names = [image_name(specimen, field) for specimen in range(12) for field in range(3)]
    others = {name: vector(n, 0) for n, name in enumerate(names) if name != NAME}
    encode(store, PLATES, {**others, NAME: OLD})
    encode(store, PLATES, {NAME: NEW})
    found = {
        "segmentation_method": "watershed",
        "segmentation_source": "grey",
        "segmentation_settings": "{}",
        "particle_count": 1,
        "particle_fraction": 0.5,
    }
    masks = [
        made(micrograph_id=ID, mask=mask, overlay=overlay, **found),
        made(micrograph_id=OTHER, mask=shared, overlay=shared, **found),
    ]
    put(store, "particle_masks_2d", masks)
    drawn = store.files.put(DRAWN)
    annotations = [
        made(
            micrograph_id=one,
            annotation=f"{name}.png",
            annotation_uri="/drawn.json",
            annotation_format="coco",
            annotation_hash=SHA,
            file_size_bytes=1,
            mask=address,
            particle_count=1,
            particle_fraction=0.5,
            annotation_classes="{}",
            overlap_px=1,
            overlay=address,
        )
        for one, name, address in ((ID, "it", drawn), (OTHER, "other", shared))
    ]
    put(store, "particle_annotations", annotations)
    said = [
        made(annotation=name, finding="overlap_settled", detail="1 pixels", micrograph_id=one)
        for one, name in ((ID, "it"), (OTHER, "other"))
    ]
    put(store, "annotation_findings", said)
    compact(store, author="test")
    findings = [
        {"dataset": PLATES, "micrograph_id": image, "finding": "odd", "detail": "grey"}
        for image in (ID, OTHER)
    ]
    put(store, "findings", findings)
    pairs = [
        made(
            micrograph_id=one,
            other_dataset=PLATES,
            other_id=other,
            duplicate_kind="similar",
            similarity=0.9,
        )
        for one, other in ((OTHER, ID), (OTHER, key(names[0])))
    ]
    put(store, "near_duplicates", pairs)
    failure = {"dataset": PLATES, "asset": "findings", "check_name": "c", "failing_count": 1}
    failures = [
        {**failure, "rule": "r", "failing_id": f"{ID}, odd", "found": "x"},
        {**failure, "rule": "r", "failing_id": f"{OTHER}, odd", "found": f"unlike {ID}"},
    ]
    put(store, "check_failures", failures)
    statement = {
        "dataset": PLATES,
        "entity_kind": "micrograph",
        "label_name": "nice",
        "label_text": "yes",
        "labeller": "me",
        "recorded_at": datetime.now(UTC),
    }
    statements = [
        {**statement, "label_id": STATEMENT, "entity_id": ID},
        {**statement, "label_id": key("another"), "entity_id": OTHER},
    ]
    put(store, "labels", statements)
    put(store, "quarantine", [made(path="copy.tif", uri="/x", reason="r", content_hash=CONTENT)])
    train_model(store, model(GRAIN), author="test")
    work = Checkpoint(store.location, "image_quality", PLATES)
    work.save_tables({"micrographs": micrographs(PLATES, [NAME])})


def states(store: Store, made: Sequence[Snapshot]) -> dict[str, list[dict[str, object]]]:
    """Every row of every table at the snapshots that changed it, with their numbers."""
    found = {}
    for table in LAKE_TABLES:
        union = " UNION ALL BY NAME ".join(
            f"SELECT {one.number} AS snapshot, * FROM lake.{table.name} "
            f"AT (VERSION => {one.number})"
            for one in made
            if table.name in one.tables
        )
        if union and table.name not in SPARED:
            key = ", ".join(table.key)
            rows = store.lake.query(f"FROM ({union}) ORDER BY snapshot, {key}")
            found[table.name] = rows.to_pylist()
    return found


@dataclass(frozen=True)
class Done:
    """A store before and after."""

    store: Store
    before: Store
    told: object


@pytest.fixture(scope="module")
def populated(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store before anything is withdrawn; not to be changed."""
    home = tmp_path_factory.mktemp("populated") / "home"
    shutil.copytree(empty_home, home)
    populate(open_store(home))
    return home


def targets(store: Store, *names: str):
    with LakeFiles(store.location) as files:
        return targets_of(store, files, names)


@pytest.fixture(scope="module")
def done(populated: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("done") / "home"
    shutil.copytree(populated, home)
    store = open_store(home)
    with LakeFiles(store.location) as files:
        told = touched(store, files, targets_of(store, files, [ID])[0])
    commit = erasing.commit

    def interrupted(*arguments):
        commit(*arguments)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:  # new files are known, old ones lie there
        patch.setattr(erasing, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            withdraw(store, targets(store, ID), "its owner asks for it", author="test")
    (finished,) = withdraw(open_store(home), [], "to finish it", author="another")
    assert finished.models == (("grain", 1),)
    return Done(open_store(home), open_store(populated), told)


def test_what_it_touches_is_told_before(done):
    counted = {thing.what: (thing.now, thing.snapshots) for thing in done.told.things}
    for table in (
        "micrographs", "image_quality", "labels", "findings", "near_duplicates",
        "particle_annotations", "annotation_findings",
    ):  # fmt: skip
        assert counted[f"rows of {table}"][0] == 1
    assert counted["rows of check_failures"] == (1, counted["rows of check_failures"][1])
    assert counted["rows of training_rows"][0] == 1
    assert counted["rows of predictions"][0] == 2  # of the training, and left out
    assert counted["vectors of micrographs"][0] == 1
    assert counted["thumbnails, masks, overlays"][0] == 4
    assert counted["models that saw it"][0] == 1
    assert counted["unfinished runs of its collection"][0] == 1
    assert done.told.models == ["grain@1"]
    assert any("bundles" in note for note in done.told.notes)
    everything = len(snapshots(done.before.lake))
    assert 0 < counted["rows of micrographs"][1] < everything


def test_it_is_nowhere(done):
    home = done.store.location.folder
    assert traces(home, *NEEDLES) == []
    assert traces(done.before.location.folder, *NEEDLES) != []
    hashes = [vector_hash(unit) for unit, _ in (OLD, NEW)]
    files = [sha_of(data) for data in (PICTURE, MASK, DRAWN)]
    assert traces(home, *hashes, *files) == []
    assert holding(home, *(text.encode() for text in (*hashes, *files, PARTICLE))) == []
    for unit, _ in (OLD, NEW):
        assert holding(done.before.location.folder / "vectors", unit.tobytes()) != []
        assert holding(home / "vectors", unit.tobytes()) == []
    assert holding(home / "files", PICTURE, MASK, DRAWN) == []
    assert list((home / "work").rglob("*.parquet")) == []
    assert noted(done.store.location) == []


def sha_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_other_row_stays_at_every_snapshot(done):
    made = [one for one in snapshots(done.before.lake) if one.number > 1]
    told = ("content", "report")  # files that were written anew without it
    before, after = states(done.before, made), states(done.store, made)
    assert len(before) > 12
    for table, rows in before.items():
        wanted = [row for row in rows if not set(NEEDLES) & set(row.values())]
        wanted = [row for row in wanted if ID not in str(row.get("failing_id"))]
        for row in wanted:
            if row.get("found"):
                row["found"] = row["found"].replace(ID, "withdrawn")
        for row in after[table]:
            assert all(done.store.files.has(row.pop(name)) for name in told if row.get(name))
        assert after[table] == [
            {name: value for name, value in row.items() if name not in told or value is None}
            for row in wanted
        ], table


def test_vectors_of_all_others_stay_at_every_snapshot(done):
    numbers = [one.number for one in snapshots(done.before.lake) if "vector_index" in one.tables]
    for number in numbers:
        before, after = (vectors_as_of(s, PLATES, number) for s in (done.before, done.store))
        rest = before.filter(pa.compute.not_equal(before["micrograph_id"], ID))
        if before.num_rows:
            assert rest.num_rows == before.num_rows - 1
        assert after.equals(rest)


def test_it_is_said_that_it_was_withdrawn_and_what_saw_it(done):
    (tombstone,) = done.store.read("withdrawals").to_pylist()
    assert (tombstone["entity_id"], tombstone["content_hash"]) == (ID, CONTENT)
    assert (tombstone["entity_kind"], tombstone["author"]) == ("micrograph", "test")
    (effect,) = done.store.read("withdrawal_effects").to_pylist()
    assert (effect["model"], effect["model_version"]) == ("grain", 1)
    (lost,) = done.store.read("withdrawn_rows").to_pylist()
    assert (lost["row_count"], lost["training_set_id"]) == (1, effect["training_set_id"])
    (listed,) = list_models(done.store)
    assert (listed.status, listed.withdrawn) == ("affected by withdrawal", 1)
    (refused,) = done.store.read("quarantine").to_pylist()
    today = tombstone["withdrawn_at"]
    assert refused["reason"] == f"withdrawn on {today:%Y-%m-%d}: its owner asks for it"
    assert refused["content_hash"] is None


def test_replay_says_what_is_gone_and_that_the_rest_is_equal(done):
    assert replay(done.before, "grain").equal
    result = replay(done.store, "grain")
    assert not result.equal
    assert result.comparison.rest_equal
    day = done.store.read("withdrawals")["withdrawn_at"][0].as_py()
    assert set(result.comparison.columns) <= {"fold", "side"}
    lines = [line for line in result.lines() if "columns differ" not in line]
    assert lines[1:] == [
        f"1 rows withdrawn since: {ID}, withdrawn on {day:%Y-%m-%d}",
        "all other rows have the same features and labels",
        "it was not trained again, since its rows are not what they were",
        "models that saw it: grain@1",
        "replay of grain@1: affected by a withdrawal; everything else is equal",
    ]


def test_files_of_training_sets_and_pages_are_without_it(done):
    (kept,) = done.store.read("training_sets").to_pylist()
    rows = pq.read_table(pa.BufferReader(done.store.files.get(kept["content"])))
    assert rows.num_rows == kept["row_count"] - 1
    assert ID not in rows["entity_id"].to_pylist()
    assert b"its path" not in stored_page(done.store, "grain")
    assert f"{NAME}.tif" not in stored_page(done.store, "grain").decode()


def test_twice_or_unknown_is_one_line(done):
    with pytest.raises(QueryError, match=f"'{ID}' was withdrawn on .* nothing of it is left"):
        targets(done.store, ID)
    with pytest.raises(QueryError, match="'nobody' is no micrograph_id or volume_id"):
        targets(done.store, "nobody")
    with pytest.raises(QueryError, match="DATASET:PATH"):
        targets(done.store, f"{PLATES}:absent.tif")


def test_lineage_of_it_says_that_it_was_withdrawn(done):
    with pytest.raises(QueryError, match=f"'{ID}' was withdrawn on .* nothing rests on it"):
        done.store.lineage(ID, forward=True)


def test_no_reason_and_another_one_at_work(done):
    with pytest.raises(InputError, match="--reason"):
        withdraw(done.store, [], " ", author="test")
    with alone(done.store), pytest.raises(HomeError, match="another withdrawal is at work"):
        withdraw(done.store, [], "why", author="test")


_KILLED = """
import os, signal, sys
from graindex.forget import erasing, withdraw as w
from graindex.forget.lake_files import LakeFiles
from graindex.forget.target import targets_of
from graindex.store import open_store

home, name, where = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if where == "files":  # the new files are written, and not yet known
    erasing.commit = die
elif where == "rows":  # the new files are known, and the old ones lie there
    commit = erasing.commit
    erasing.commit = lambda *a: (commit(*a), die())
else:
    steps = list(w.STEPS)
    steps.insert(int(where), die)
    w.STEPS = tuple(steps)
store = open_store(home)
with LakeFiles(store.location) as files:
    targets = targets_of(store, files, [name])
w.withdraw(store, targets, "its owner asks for it", author="test")
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["files", "rows", *map(str, range(len(withdrawing.STEPS) + 1))])
def test_killed_in_the_middle_it_is_finished_the_next_time(populated, done, tmp_path, where):
    home = tmp_path / "home"
    shutil.copytree(populated, home)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(home), ID, where], check=False, timeout=300
    )
    assert killed.returncode == -9
    store = open_store(home)
    assert [each.target.ids for each in noted(store.location)] == [(ID,)]
    (finished,) = withdraw(store, [], "finish", author="another")
    assert (finished.reason, finished.models) == ("its owner asks for it", (("grain", 1),))
    hashes = [vector_hash(unit) for unit, _ in (OLD, NEW)]
    assert traces(home, *NEEDLES, *hashes, sha_of(PICTURE), sha_of(MASK)) == []
    for unit, _ in (OLD, NEW):
        assert holding(home / "vectors", unit.tobytes()) == []
    for table in ("micrographs", "training_rows", "predictions", "quarantine", "model_runs"):
        assert (
            store.read(table)
            .drop_columns(_times(table))
            .equals(done.store.read(table).drop_columns(_times(table)))
        )
    assert noted(store.location) == []


def _times(table: str) -> list[str]:
    return ["report"] if table == "model_runs" else []
