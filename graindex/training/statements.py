"""Statements of labels: from files into the store, and which labels there are.

Out of scope: the files themselves (`graindex.training.label_files`), and joining labels to rows
(`graindex.training.labels`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from graindex.ducklake import CATALOG
from graindex.entities import EntityKind
from graindex.files import sha256
from graindex.labels import check_label_names
from graindex.lake import AsOf, at_clause
from graindex.training.label_files import COLLECTION, LabelError, LabelFile, Statement, number_of
from graindex.training.named_entities import Names, entities_named
from schemas.arrow import from_records
from schemas.ddl import literal, quote
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

Record = Mapping[str, object]

_NOT_LABELS = ("dataset", "sample_id", "sample", "input_hash", "code_version")


@dataclass(frozen=True)
class Imported:
    """What became of the statements of one file.

    Attributes:
        labels: names of the labels, sorted.
        kind: what they are of.
        new: statements that the store did not hold.
        changed: statements whose value or note took the place of another.
        unchanged: statements that stood there already.
        unknown: what the file names that is nothing of the collection.
        empty: values that were left empty.
        snapshot: snapshot that holds the statements.
    """

    labels: tuple[str, ...]
    kind: EntityKind
    new: int
    changed: int
    unchanged: int
    unknown: tuple[str, ...]
    empty: int
    snapshot: int


def import_labels(
    store: "Store", dataset: str, file: LabelFile, *, author: str, skip_unknown: bool = False
) -> Imported:
    """Write the statements of a file to the table `labels`.

    A statement is known by what it is about, its label, its labeller and the time of measurement:
    another value for the same takes the place of the former, which snapshots keep. Equal ones
    change nothing. A label whose values are all numbers holds numbers.

    Args:
        store: the store.
        dataset: collection that the statements are about.
        file: the statements.
        author: who writes.
        skip_unknown: leave out what the collection does not hold, instead of refusing the file.

    Raises:
        CollectionError: the collection is not registered, or a label has the name of a column.
        LabelError: rows name nothing of the collection, two contradict each other, or a label
            holds numbers here and text elsewhere.
    """
    labels = tuple(sorted({statement.label for statement in file.statements}))
    check_label_names(labels)
    kind, names, unknown = entities_named(store, dataset, file, skip_unknown=skip_unknown)
    stated = _by_id(file, dataset, kind, names)
    held = {str(row["label_id"]): row for row in statements_of(store, labels).to_pylist()}
    numbers = _numbers(file, stated, [row for key, row in held.items() if key not in stated])
    now = datetime.now(UTC)
    records = {
        key: {
            "dataset": dataset,
            "label_id": key,
            "entity_kind": kind,
            "entity_id": entity,
            "label_name": statement.label,
            "label_number": number_of(statement.value) if statement.label in numbers else None,
            "label_text": None if statement.label in numbers else statement.value,
            "labeller": statement.labeller,
            "measured_at": statement.measured_at,
            "recorded_at": now,
            "note": statement.note,
        }
        for key, (statement, entity) in stated.items()
    }
    fresh = [r for k, r in records.items() if k not in held or _said(held[k]) != _said(r)]
    changed = sum(record["label_id"] in held for record in fresh)
    snapshot = store.lake.put(
        {"labels": from_records(TABLES["labels"], fresh)},
        author=author,
        message=f"labels of {dataset}",
    )
    counts = (len(fresh) - changed, changed, len(records) - len(fresh))
    return Imported(labels, kind, *counts, unknown, file.empty, snapshot)


def statements_of(
    store: "Store",
    labels: Sequence[str],
    *,
    datasets: Iterable[str] = (),
    as_of: AsOf | None = None,
) -> pa.Table:
    """Statements of these labels as they stood, each once, in the order of their keys.

    Args:
        store: the store.
        labels: names of labels.
        datasets: only of these collections; of all when empty.
        as_of: snapshot or time.

    Returns:
        The columns of the table `labels`.

    Raises:
        QueryError: no snapshot is as old as `as_of`, or the store had no labels then.
    """
    names, of = (", ".join(literal(n) for n in given) for given in (labels, datasets))
    # Processes that write the same statement at the same moment leave it twice.
    return store.lake.query(
        f"""
        SELECT * FROM {CATALOG}.labels{at_clause(as_of)}
        WHERE label_name IN ({names}) {f"AND dataset IN ({of})" if of else ""}
        QUALIFY row_number() OVER (PARTITION BY label_id ORDER BY recorded_at DESC) = 1
        ORDER BY dataset, label_id
        """
    )


def label_columns(store: "Store", as_of: AsOf | None = None) -> dict[str, pa.DataType]:
    """Columns of `samples` that label specimens, with their types, as of a snapshot or time.

    Raises:
        QueryError: no snapshot is as old as `as_of`.
    """
    rows = store.lake.query(f"SELECT * FROM {CATALOG}.samples{at_clause(as_of)} LIMIT 0")
    return {field.name: field.type for field in rows.schema if field.name not in _NOT_LABELS}


def list_labels(store: "Store", datasets: Iterable[str] = ()) -> pa.Table:
    """Which labels there are: statements, and columns of `samples`.

    Args:
        store: the store.
        datasets: only of these collections; of all when empty.

    Returns:
        One row for each collection, label, kind of entity and labeller, in this order: columns
        `dataset, label_name, entity_kind, labeller, holds, statements, entities, distinct_values,
        measured_from, measured_to`.
    """
    of = ", ".join(literal(name) for name in datasets)
    where = f"dataset IN ({of})" if of else "true"
    columns = "".join(
        f"""
        UNION ALL
        SELECT dataset, {literal(name)}, 'sample', {literal(COLLECTION)},
               {literal("number" if pa.types.is_floating(kind) else "class")},
               count(*), count(*), count(DISTINCT {quote(name)}), NULL, NULL
        FROM {CATALOG}.samples WHERE {where} AND {quote(name)} IS NOT NULL GROUP BY dataset
        """
        for name, kind in label_columns(store).items()
    )
    return store.lake.query(
        f"""
        SELECT dataset, label_name, entity_kind, labeller,
               CASE WHEN count(label_text) = 0 THEN 'number' ELSE 'class' END AS holds,
               count(*) AS statements, count(DISTINCT entity_id) AS entities,
               count(DISTINCT coalesce(label_text, label_number::VARCHAR)) AS distinct_values,
               min(measured_at) AS measured_from, max(measured_at) AS measured_to
        FROM (SELECT DISTINCT ON (label_id) * FROM {CATALOG}.labels WHERE {where}
              ORDER BY label_id, recorded_at DESC)
        GROUP BY ALL {columns} ORDER BY ALL
        """
    )


def _by_id(
    file: LabelFile, dataset: str, kind: EntityKind, names: Names
) -> dict[str, tuple[Statement, str]]:
    """Statements with what they are about, by the key of the table `labels`.

    Raises:
        LabelError: two of them contradict each other.
    """
    found: dict[str, tuple[Statement, str]] = {}
    for statement in file.statements:
        for entity in names.get(statement.about, ()):
            about = (dataset, kind, entity, statement.label, statement.labeller)
            key = statement_key(*about, statement.measured_at)
            first, _ = found.setdefault(key, (statement, entity))
            if _value(first) != _value(statement):
                message = (
                    f"table of labels {file.uri} lines {first.line} and {statement.line}: two "
                    f"values of {statement.label} by the same labeller for the same time; keep one"
                )
                raise LabelError(message)
    return found


def statement_key(
    dataset: str,
    kind: str,
    entity: str,
    label: str,
    labeller: str,
    measured_at: datetime | None,
) -> str:
    """Key of a statement, its `label_id`: what it is about, whose it is and of when."""
    when = measured_at.isoformat() if measured_at else None
    return sha256(dataset, kind, entity, label, labeller, when)[:16]


def _value(statement: Statement) -> float | str:
    number = number_of(statement.value)
    return statement.value if number is None else number


def _numbers(
    file: LabelFile, stated: Mapping[str, tuple[Statement, str]], others: Sequence[Record]
) -> set[str]:
    """Labels of a file that hold numbers, given the statements that stay beside its own.

    Raises:
        LabelError: a label holds numbers elsewhere and text here.
    """
    texts = {row["label_name"] for row in others if row["label_text"] is not None}
    numbers = {row["label_name"] for row in others if row["label_number"] is not None}
    found = {statement.label for statement, _ in stated.values()} - texts
    for statement, _ in stated.values():
        if number_of(statement.value) is not None:
            continue
        if statement.label in numbers:
            message = (
                f"table of labels {file.uri} line {statement.line}: {statement.label} is "
                f"{statement.value!r} here and a number elsewhere; give the label another name"
            )
            raise LabelError(message)
        found.discard(statement.label)
    return found


def _said(record: Record) -> tuple[object, ...]:
    return record["label_number"], record["label_text"], record["note"]
