"""Models that the store keeps: found by name and version, listed with their headline.

Out of scope: training them (`graindex.trained.train`).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graindex.ducklake import CATALOG
from graindex.errors import ModelError
from graindex.trained.artefact import Artefact, read_folder, stored_artefact
from graindex.trained.card import Card, MetricCard
from graindex.trained.definition import definition_names
from graindex.trained.drivers import Drivers
from graindex.trained.methods import METHODS
from models.learn.metrics import ALL
from schemas.ddl import literal
from schemas.fields import FIELDS

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]
_REFERENCE = re.compile(rf"({(FIELDS['model'].pattern or '').strip('^$')})(?:@([1-9]\d*))?")


def runs(store: "Store", where: str = "true") -> list[Record]:
    """Rows of `model_runs`, by name and version."""
    sql = f"FROM {CATALOG}.model_runs WHERE {where} ORDER BY model, model_version"
    found: list[Record] = store.lake.query(sql).to_pylist()
    return found


def newest_run(store: "Store", name: str) -> Record | None:
    """Row of the newest version of a model; None where it was never trained."""
    found = runs(store, f"model = {literal(name)}")
    return found[-1] if found else None


def run_of(store: "Store", reference: str) -> Record:
    """Row of a model: of `name` the newest version, of `name@2` the second.

    Raises:
        ModelError: there is none; says what there is.
    """
    match = _REFERENCE.fullmatch(reference)
    name = match[1] if match else reference
    found = runs(store, f"model = {literal(name)}")
    if not found:
        names = sorted({row["model"] for row in runs(store)})
        declared = name in definition_names(store.location)
        what = f"run: graindex train {name}" if declared else "graindex models lists them"
        message = (
            f"no model {reference!r} is trained (there are {', '.join(names) or 'none'}); {what}"
        )
        raise ModelError(message)
    if match is None or match[2] is None:
        return found[-1]
    for row in found:
        if row["model_version"] == int(match[2]):
            return row
    versions = ", ".join(str(row["model_version"]) for row in found)
    message = f"model {name!r} has no version {match[2]}; it has {versions}"
    raise ModelError(message)


def kept_model(store: "Store", reference: str) -> Artefact:
    """A model of the store.

    Raises:
        ModelError: there is none, or its files are gone or damaged.
    """
    row = run_of(store, reference)
    return stored_artefact(store.files, row["artefact"], row["card"])


def predictions_of(store: "Store", run: Record) -> list[Record]:
    """Rows of the table `predictions` of a row of `model_runs`, by entity."""
    sql = f"FROM {CATALOG}.predictions WHERE model = ? AND model_version = ? ORDER BY ALL"
    found: list[Record] = store.lake.query(sql, [run["model"], run["model_version"]]).to_pylist()
    return found


def kept_drivers(store: "Store", run: Record, without: Collection[str] = ()) -> Drivers:
    """What drives a model, of a row of `model_runs`; `without` are entities to leave out."""
    key = [run["model"], run["model_version"]]
    order = {
        "shap_values": "part, entity_id, feature",
        "importances": "part <> 'all', part, strategy, repeat, feature",
    }
    shap, importances = (
        store.lake.query(
            f"FROM {CATALOG}.{table} WHERE model = ? AND model_version = ? ORDER BY {by}", key
        ).to_pylist()
        for table, by in order.items()
    )
    return Drivers([row for row in shap if row["entity_id"] not in without], importances)


def stored_page(store: "Store", reference: str) -> bytes:
    """Page of a model, an HTML file.

    Raises:
        ModelError: there is no such model, or its page is gone.
    """
    address = run_of(store, reference)["report"]
    try:
        return store.files.get(address)
    except FileNotFoundError as error:
        message = f"the page of model {reference!r} is gone from the home; train it again"
        raise ModelError(message) from error


def is_folder(model: str) -> bool:
    """Whether a text names a folder with a model rather than a model of the store."""
    return _REFERENCE.fullmatch(model) is None or Path(model).is_dir()


def open_model(store: "Store | None", model: str) -> Artefact:
    """A model by folder, or by name in the store.

    Raises:
        ModelError: neither.
    """
    if is_folder(model):
        return read_folder(Path(model))
    if store is None:
        message = f"{model!r} is no folder with a model, and there is no home that may know it"
        raise ModelError(message)
    return kept_model(store, model)


def headline(card: Card) -> MetricCard | None:
    """The metric that stands for a model; None where nothing was left out."""
    wanted = METHODS[card.method.name].headline
    for metric in card.metrics:
        if (metric.metric, metric.part) == (wanted, ALL) and metric.evaluation != "train":
            return metric
    return None


@dataclass(frozen=True)
class Listed:
    """A model in a list.

    Attributes:
        run: its row of `model_runs`.
        metric: its headline as name, value and ends of the interval; None where it has none.
        status: trained, superseded, stale or affected by a withdrawal.
        withdrawn: withdrawn images and volumes that it saw.
    """

    run: Record
    metric: Record | None
    status: str
    withdrawn: int


def list_models(store: "Store") -> list[Listed]:
    """Every trained version."""
    found = runs(store)
    newest = {row["model"]: row["model_version"] for row in found}
    seen = _withdrawn(store)
    listed = []
    for row in found:
        key = (row["model"], row["model_version"])
        status = "trained" if newest[key[0]] == key[1] else "superseded"
        if key in seen:
            status = "affected by withdrawal"
        listed.append(Listed(row, _headline(store, row), status, seen.get(key, 0)))
    return listed


def _headline(store: "Store", run: Record) -> Record | None:
    wanted = METHODS[run["method"]].headline if run["method"] in METHODS else "r2"
    found: list[Record] = store.lake.query(
        f"""
        FROM {CATALOG}.metrics WHERE model = ? AND model_version = ? AND metric = ? AND part = ?
          AND evaluation <> 'train'
        """,
        [run["model"], run["model_version"], wanted, ALL],
    ).to_pylist()
    return found[0] if found else None


def _withdrawn(store: "Store") -> dict[tuple[str, int], int]:
    """How many withdrawn images and volumes each version saw."""
    rows = store.lake.query(
        f"""
        SELECT model, model_version, count(DISTINCT entity_id) AS seen FROM (
            SELECT m.model, m.model_version, w.entity_id
            FROM {CATALOG}.model_runs m
            JOIN {CATALOG}.training_rows t USING (training_set_id)
            JOIN {CATALOG}.withdrawals w
              ON w.dataset = t.dataset
             AND (w.entity_id = t.entity_id OR w.content_hash = t.content_hash)
            UNION ALL
            SELECT model, model_version, entity_id FROM {CATALOG}.withdrawal_effects
        ) GROUP BY ALL
        """
    ).to_pylist()
    return {(row["model"], row["model_version"]): row["seen"] for row in rows}
