"""Training sets: features as they stood at a snapshot, with label and side of the split.

Out of scope: keeping them (`graindex.training.registered`) and passing them on
(`graindex.training.bundle`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.entities import EntityKind
from graindex.features.fitting import FittedFeatures, expanded_names
from graindex.features.matrix import columns_of, feature_matrix
from graindex.features.registry import RegisteredFeatureSet, registered_feature_set
from graindex.features.values import feature_values
from graindex.history.snapshots import resolve
from graindex.training.assembling import chosen, described, labelled, split
from graindex.training.duplicates import duplicates_of
from graindex.training.fingerprint import fingerprint, row_hashes
from graindex.training.labels import label_notes, labels_of
from graindex.training.request import TrainingSetRequest
from graindex.training.splits import assign
from graindex.training.table_files import parquet_bytes, write_whole

if TYPE_CHECKING:
    import pandas as pd

    from graindex.store import Store

CODE_VERSION = "1"
"""Raise when the same request comes to other rows: sets of before then compare as changed."""

_FOLDS_SHOWN = 12
_HASHED = ("dataset", "entity_id", "label_number", "label_text")


@dataclass(frozen=True)
class TrainingSet:
    """A table that a model sees.

    Attributes:
        request: what was asked for, version of the feature set and snapshot named.
        feature_set: the feature set.
        rows: `graindex.training.assembling.ROW_COLUMNS`, in the order of dataset and entity.
        features: one column per feature, as float64 or vectors of float32; the same rows.
        counts: entities, those without a label, pairs of duplicates, groups of the split.
        notes: what a person should know about the split.
    """

    request: TrainingSetRequest
    feature_set: RegisteredFeatureSet
    rows: pa.Table
    features: pa.Table
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def kind(self) -> EntityKind:
        """What a row is of."""
        return self.feature_set.definition.entity

    @property
    def lake_snapshot(self) -> int:
        """Snapshot that everything was read at."""
        assert self.request.as_of is not None
        return self.request.as_of

    @cached_property
    def table(self) -> pa.Table:
        """Rows and features side by side."""
        return joined(self.rows, self.features)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, types and values of all rows, and the feature set's definition."""
        return fingerprint(
            self.table, self.feature_set.definition.canonical(), self.request.label.name
        )

    @property
    def training_set_id(self) -> str:
        """Key: the first 16 digits of the fingerprint."""
        return self.fingerprint[:16]

    @cached_property
    def row_hashes(self) -> tuple[str, ...]:
        """SHA-256 of each row's entity, label and features; the split is no part of it."""
        return tuple(row_hashes(joined(self.rows.select(_HASHED), self.features)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `matrix()`; numbers of a vector by their place."""
        return expanded_names(columns_of(self.features))

    def matrix(self, fitted: FittedFeatures | None = None) -> npt.NDArray[np.float64]:
        """(N, D) features; NaN where one is missing.

        Args:
            fitted: normalises, selects and fills them; raw ones when None.
        """
        if fitted is not None:
            return fitted.apply(self.features, self.batches)
        return feature_matrix(self.features)

    @property
    def batches(self) -> pa.Table:
        """What features are normalised by, row by row."""
        return self.rows.select(["dataset", "session_id", "sample_id"])

    @cached_property
    def target(self) -> npt.NDArray[Any]:
        """(N,) labels: float64, or texts."""
        name = "label_text" if self.rows["label_number"].null_count else "label_number"
        kind = np.str_ if name == "label_text" else np.float64
        return np.asarray(self.rows[name].to_numpy(zero_copy_only=False), kind)

    @property
    def classes(self) -> tuple[str, ...]:
        """Texts of the labels in order; empty where labels are numbers."""
        if self.target.dtype.kind == "f":
            return ()
        return tuple(str(name) for name in np.unique(self.target))

    def summary(self) -> dict[str, object]:
        """What it is, in numbers and short texts."""
        return {
            "training_set_id": self.training_set_id,
            "fingerprint": self.fingerprint,
            "feature_set": self.request.feature_set,
            "label": self.request.label.name,
            "lake_snapshot": self.lake_snapshot,
            "rows": len(self),
            "features": len(self.names),
            **self.counts,
            **self._label_summary(),
            "folds": _told(self.fold_sizes()),
            **{f"{side} rows": count for side, count in self.side_sizes().items()},
            "notes": "; ".join(self.notes) or None,
        }

    def _label_summary(self) -> dict[str, object]:
        if not self.classes:
            low, high = float(np.min(self.target)), float(np.max(self.target))
            return {"label range": f"{low:g} to {high:g}"}
        names, counts = np.unique(self.target, return_counts=True)
        if len(names) == len(self):  # such as label images
            return {"classes": f"{len(names)}, one for each row"}
        return {"classes": ", ".join(f"{n} {c}" for n, c in zip(names, counts, strict=True))}

    def fold_sizes(self) -> list[int]:
        """Rows that each fold tests."""
        folds = np.asarray(self.rows["fold"].drop_null().to_numpy(), np.int64)
        return [int(count) for count in np.bincount(folds)] if len(folds) else []

    def side_sizes(self) -> dict[str, int]:
        """Rows on each side of the split."""
        counted = self.rows["side"].value_counts().to_pylist()
        return {item["values"]: item["counts"] for item in counted}

    def flat(self) -> pa.Table:
        """Rows and features, each number of a vector in a column of its own."""
        numbers = self.matrix()
        columns = {name: pa.array(numbers[:, i]) for i, name in enumerate(self.names)}
        return joined(self.rows, pa.table(columns))

    def to_pandas(self) -> "pd.DataFrame":
        """Rows and features; vectors as arrays."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def parquet(self) -> bytes:
        """Rows and features as a Parquet file: the same bytes for the same set."""
        notes = {
            "graindex.training_set": self.training_set_id,
            "graindex.fingerprint": self.fingerprint,
            "graindex.request": self.request.text(),
            "graindex.features": ",".join(self.features.column_names),
        }
        return parquet_bytes(self.table, notes)

    def write_parquet(self, path: Path) -> None:
        """Write rows and features; the file appears whole or not at all.

        Raises:
            InputError: it cannot be written.
        """
        write_whole(path, self.parquet())


def build_training_set(store: "Store", request: TrainingSetRequest) -> TrainingSet:
    """Build a training set; the same request at the same snapshot gives the same bytes.

    Args:
        store: the store.
        request: features, label, rows, snapshot (the newest when it names none) and split.

    Raises:
        GraindexError: an unknown feature set, label, entity or snapshot; no entity has a label;
            or the split would leak.
    """
    registered = registered_feature_set(store, request.feature_set)
    as_of = resolve(store, request.as_of)
    request = request.model_copy(update={"feature_set": registered.reference, "as_of": as_of})
    kind = registered.definition.entity
    values = feature_values(
        store, registered.definition, datasets=request.datasets, where=request.where, as_of=as_of
    )
    entities, features = chosen(request, values.entities, values.columns)
    labels = labels_of(store, request.label, entities, kind, as_of)
    kept, rows = labelled(request, entities, labels)
    features = features.take(kept)
    duplicates = duplicates_of(store, kind, rows, as_of)
    described_rows = described(store, kind, rows, request.split, as_of)
    assignment = assign(request.split, described_rows, duplicates.pairs)
    counts = {
        "entities": entities.num_rows,
        "without label": entities.num_rows - rows.num_rows,
        "duplicate pairs": duplicates.among_rows,
        "groups": len(np.unique(assignment.groups)),
    }
    notes = (*label_notes(labels), *assignment.notes)
    return TrainingSet(request, registered, split(rows, assignment), features, counts, notes)


def _told(sizes: list[int]) -> str | None:
    """Sizes of folds, many of them in short."""
    if len(sizes) <= _FOLDS_SHOWN:
        return ", ".join(map(str, sizes)) or None
    return f"{len(sizes)} of {min(sizes)} to {max(sizes)} rows"


def joined(rows: pa.Table, features: pa.Table) -> pa.Table:
    """Two tables of the same rows side by side."""
    schema = pa.schema([*rows.schema, *features.schema])
    return pa.Table.from_arrays([*rows.columns, *features.columns], schema=schema)
