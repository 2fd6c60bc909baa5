"""Training sets and models that saw a withdrawn image: which, and their files without it.

Weights stay what they are: a model is marked, not changed.
Out of scope: marking (`graindex.forget.withdraw`).
"""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graindex.errors import ModelError
from graindex.forget.target import WITHDRAWN, Target
from graindex.training.table_files import parquet_bytes

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A training set that held the image, or rests on it.

    Attributes:
        training_set_id: its key.
        row_count: rows that go; 0 where only rows of its specimen rest on it.
        models: models that were trained on it, as name and version.
    """

    training_set_id: str
    row_count: int
    models: tuple[tuple[str, int], ...]


def sets_that_saw(store: "Store", target: Target) -> list[Seen]:
    """Training sets with rows of the image, its particles, or features of its specimen."""
    rows = store.lake.read(
        "training_rows",
        columns=("training_set_id", "entity_id", "entity_kind", "dataset", "content_hash"),
    )
    direct = Counter(rows.filter(_of_target(rows, target))["training_set_id"].to_pylist())
    specimen = pc.and_(
        pc.equal(rows["entity_kind"], "sample"),
        pc.is_in(rows["entity_id"], value_set=pa.array(target.sample_ids, pa.string())),
    )
    through = set(rows.filter(specimen)["training_set_id"].to_pylist()) & _of_images(store)
    models = defaultdict(list)
    columns = ("training_set_id", "model", "model_version")
    for run in store.lake.read("model_runs", columns=columns).to_pylist():
        models[run["training_set_id"]].append((run["model"], run["model_version"]))
    return [
        Seen(key, direct[key], tuple(sorted(models[key]))) for key in sorted({*direct, *through})
    ]


def _of_target(rows: pa.Table, target: Target) -> pa.ChunkedArray:
    """Whether rows with `entity_id`, `dataset` and `content_hash` are of the image."""
    by_key = pc.is_in(rows["entity_id"], value_set=pa.array(target.keys, pa.string()))
    of_content = pc.is_in(rows["content_hash"], value_set=pa.array(target.contents, pa.string()))
    in_collection = pc.equal(rows["dataset"], target.dataset)
    return pc.or_(by_key, pc.and_(of_content, in_collection))


def _of_images(store: "Store") -> set[str]:
    """Training sets whose features do not come from the table of specimens alone."""
    sql = """
        SELECT DISTINCT s.training_set_id FROM lake.training_sets s
        JOIN lake.feature_set_columns c USING (feature_set, feature_set_version)
        WHERE NOT starts_with(c.source_column, 'samples.')
    """
    return set(store.lake.query(sql)["training_set_id"].to_pylist())


def replaced_files(store: "Store", target: Target, seen: Iterable[Seen]) -> dict[str, str]:
    """Files of training sets and models written anew without the image.

    Returns:
        What stands in rows, addresses and requests, with what takes its place.
    """
    replaced: dict[str, str] = {}
    of_sets = {each.training_set_id for each in seen}
    for record in store.lake.read("training_sets").to_pylist():
        request = _cleaned_json(record["request"], target)
        if request != record["request"]:
            replaced[record["request"]] = request
        elif record["training_set_id"] not in of_sets:
            continue
        _replace(store, record["content"], replaced, lambda data: _rows_without(data, target))
    for run in store.lake.read("model_runs").to_pylist():
        _replace(
            store,
            run["card"],
            replaced,
            lambda data: _cleaned_json(data.decode(), target, indent=1).encode(),
        )
        if run["training_set_id"] in of_sets:
            _replace(store, run["report"], replaced, partial(_page, store, run, target))
    return replaced


def _replace(store: "Store", address: str | None, replaced: dict[str, str], change: Any) -> None:
    if address is None or not store.files.has(address):
        return
    before = store.files.get(address)
    after = change(before)
    if after != before:
        replaced[address] = store.files.put(after)


def _rows_without(data: bytes, target: Target) -> bytes:
    """A training set's Parquet file without rows of the image."""
    rows = pq.read_table(io.BytesIO(data))
    notes = {
        key.decode(): _cleaned_json(value.decode(), target)
        for key, value in (rows.schema.metadata or {}).items()
        if key.startswith(b"graindex.")
    }
    return parquet_bytes(
        rows.filter(pc.invert(pc.fill_null(_of_target(rows, target), False))), notes
    )


def _cleaned_json(text: str, target: Target, indent: int | None = None) -> str:
    """JSON, or another text, without the image; the very text where it is not in there."""
    marks = target.marks().replacements
    if not any(one in text for one in marks):
        return text
    try:
        content = json.loads(text)
    except ValueError:
        return _without(text, marks)
    cleaned = _walked(content, marks)
    if indent is None:
        return json.dumps(cleaned, sort_keys=True, ensure_ascii=False)
    return json.dumps(cleaned, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"


def _walked(value: Any, marks: Mapping[str, str]) -> Any:
    """JSON whose lists lack the ids, unless nothing else is in them, and whose texts say so."""
    if isinstance(value, dict):
        return {key: _walked(one, marks) for key, one in value.items()}
    if isinstance(value, list):
        rest = [one for one in value if not (isinstance(one, str) and one in marks)]
        return [_walked(one, marks) for one in (rest or value)]
    return _without(value, marks) if isinstance(value, str) else value


def _without(text: str, marks: Mapping[str, str]) -> str:
    for one in marks:
        text = text.replace(one, WITHDRAWN)
    return text


def _page(store: "Store", run: Record, target: Target, before: bytes) -> bytes:
    """Page of a model, on which the worst predictions have pictures, without the image."""
    from graindex.trained.kept import kept_drivers, kept_model, predictions_of  # noqa: PLC0415
    from graindex.trained.report import report_page  # noqa: PLC0415
    from models.learn.learner import Curve  # noqa: PLC0415

    predictions = predictions_of(store, run)
    kept = [row for row in predictions if row["entity_id"] not in set(target.keys)]
    if len(kept) == len(predictions):
        return before
    points = store.lake.query(
        "FROM lake.curves WHERE model = ? AND model_version = ? ORDER BY curve, curve_x",
        [run["model"], run["model_version"]],
    ).to_pylist()
    by_curve: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        by_curve[point["curve"]].append((point["curve_x"], point["curve_y"]))
    curves = [Curve(name, *zip(*found, strict=True)) for name, found in by_curve.items()]
    try:
        card = kept_model(store, f"{run['model']}@{run['model_version']}").card
    except ModelError:
        return _GONE
    drivers = kept_drivers(store, run, without=set(target.keys))
    return report_page(store, card, kept, curves, drivers=drivers).encode() if kept else _GONE


_GONE = b"<!doctype html><title>withdrawn</title><p>What this page showed was withdrawn.</p>\n"
