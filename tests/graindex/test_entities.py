from datetime import datetime, timedelta

import numpy as np
import pytest

from graindex.entities import KEYS, entity_rows
from graindex.errors import QueryError
from graindex.query import SESSION_PAUSE_HOURS
from graindex.store import Store
from schemas.arrow import from_records
from schemas.tables import TABLES
from tests.graindex import rows as row

NOON = datetime(2026, 3, 1, 12, 0)


def put(store: Store, dataset: str, images: list[dict[str, object]]) -> int:
    table = from_records(TABLES["micrographs"], images)
    return store.lake.replace({"micrographs": table}, dataset, author="test", message="images")


def sessions_by_hand(images: list[dict[str, object]]) -> dict[object, frozenset[object]]:
    """For each image with a time, all images of its session."""
    found: dict[object, frozenset[object]] = {}
    for instrument in {image["instrument"] for image in images}:
        timed = [i for i in images if i["instrument"] == instrument and i["acquired_at"]]
        timed.sort(key=lambda image: image["acquired_at"])
        block: list[dict[str, object]] = []
        for image in [*timed, None]:
            pause = timedelta(hours=SESSION_PAUSE_HOURS)
            if block and (image is None or image["acquired_at"] - block[-1]["acquired_at"] > pause):
                keys = frozenset(one["micrograph_id"] for one in block)
                found |= dict.fromkeys(keys, keys)
                block = []
            if image is not None:
                block.append(image)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_sessions_end_with_a_pause_of_their_instrument(store: Store, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = []
    for number in range(40):
        when = NOON + timedelta(minutes=int(rng.integers(0, 60 * 48)))
        known = rng.random() > 0.1
        instrument = str(rng.choice(["SNE-4500M", "JSM-6610"]))
        more = {"acquired_at": when if known else None, "instrument": instrument}
        images.append(row.micrograph("a", number, **more))
    put(store, "a", images)
    found: dict[str, set[str]] = {}
    for entity in entity_rows(store, "micrograph").to_pylist():
        if entity["acquired_at"] is None:
            assert entity["session_id"] is None
        else:
            found.setdefault(entity["session_id"], set()).add(entity["entity_id"])
    assert {frozenset(keys) for keys in found.values()} == set(sessions_by_hand(images).values())
    assert all(name.startswith("a#") for name in found)


def test_entities_stand_as_they_stood(store: Store) -> None:
    first = put(store, "a", [row.micrograph("a", name) for name in "xy"])
    put(store, "a", [row.micrograph("a", name) for name in "yz"])
    then = entity_rows(store, "micrograph", as_of=first)["entity_id"].to_pylist()
    now = entity_rows(store, "micrograph")["entity_id"].to_pylist()
    assert then == sorted(row.key(name) for name in "xy")
    assert now == sorted(row.key(name) for name in "yz")


def test_a_condition_sees_specimens_and_cannot_break_out(store: Store) -> None:
    samples = row.samples("a", ["s"], {"material": "LLZTO"})
    store.lake.replace({"samples": samples}, "a", author="test", message="samples")
    sample = samples["sample_id"][0].as_py()
    images = [row.micrograph("a", "x", sample_id=sample), row.micrograph("a", "y")]
    put(store, "a", images)
    put(store, "b", [row.micrograph("b", "z")])
    chosen = entity_rows(store, "micrograph", where="material = 'LLZTO'").to_pylist()
    assert [(one["entity_id"], one["sample_id"]) for one in chosen] == [(row.key("x"), sample)]
    assert entity_rows(store, "micrograph", datasets=["b"])["dataset"].to_pylist() == ["b"]
    everything = entity_rows(store, "micrograph", datasets=["b"], where="true) OR (true")
    assert everything["dataset"].to_pylist() == ["b"]
    assert entity_rows(store, "sample")["entity_id"].to_pylist() == [sample]
    for wrong in ("true) UNION (SELECT 1", "no_such_column = 1", "'/etc/passwd'::NOTYPE"):
        with pytest.raises(QueryError):
            entity_rows(store, "micrograph", where=wrong)


def test_particles_know_what_they_lie_in(store: Store) -> None:
    put(store, "a", [row.micrograph("a", "x", pixel_size_um=0.5)])
    record = {
        "dataset": "a", "micrograph_id": row.key("x"), "particle_id": row.key("p"), "label": 1,
        "pixels": 9, "x_px": 1.0, "y_px": 1.0, "area_px2": 9.0, "touches_border": False,
        "neighbours": 0, "input_hash": row.SHA, "code_version": "1",
    }  # fmt: skip
    table = from_records(TABLES["particles_2d"], [record])
    store.lake.replace({"particles_2d": table}, "a", author="test", message="particles")
    now = store.snapshot()
    condition = "pixel_size_um < 1 AND area_px2 > 4"
    found = entity_rows(store, "particle", where=condition, as_of=now).to_pylist()
    assert [one["entity_id"] for one in found] == [row.key("p")]
    assert found[0]["path"] == "x.tif"
    assert entity_rows(store, "particle", where="pixel_size_um > 1").num_rows == 0


@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_has_the_same_columns(store: Store, kind: str) -> None:
    names = entity_rows(store, kind).column_names
    assert names == [
        "dataset", "entity_id", "sample_id", "session_id", "acquired_at", "content_hash", "path",
    ]  # fmt: skip
