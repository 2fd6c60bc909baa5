"""Rows of a training set that show the same, since their images are near-duplicates.

Out of scope: finding near-duplicates, which the quality assets do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from graindex.entities import EntityKind
from graindex.training.reading import rows_as_of

if TYPE_CHECKING:
    from graindex.store import Store

Pair = tuple[str, str]


@dataclass(frozen=True)
class Duplicates:
    """What hangs together since it shows the same.

    Attributes:
        pairs: of rows, and of images that are no rows but join others, in order.
        among_rows: pairs of images that both have rows.
    """

    pairs: tuple[Pair, ...]
    among_rows: int


def duplicates_of(store: "Store", kind: EntityKind, rows: pa.Table, as_of: int) -> Duplicates:
    """What must lie on one side of a split, since near-duplicate images show the same.

    Args:
        store: the store.
        kind: what a row is of; volumes have no near-duplicates.
        rows: columns `entity_id`, `dataset`, `sample_id` and `content_hash`.
        as_of: snapshot.
    """
    images = [] if kind == "volume" else _images(store, as_of)
    if not images:
        return Duplicates((), 0)
    alike = {image for pair in images for image in pair}
    entities = _entities_of_images(store, kind, rows, as_of, alike)
    parts = {
        (image, entity) for image, own in entities.items() for entity in own if image != entity
    }
    among_rows = sum(one in entities and other in entities for one, other in images)
    return Duplicates(tuple(sorted({*images, *parts})), among_rows)


def _images(store: "Store", as_of: int) -> list[Pair]:
    columns = ("micrograph_id", "other_id")
    found = rows_as_of(store, "near_duplicates", columns, as_of)
    return list(zip(*(found[name].to_pylist() for name in columns), strict=True))


def _entities_of_images(
    store: "Store", kind: EntityKind, rows: pa.Table, as_of: int, images: set[str]
) -> dict[str, list[str]]:
    """Rows by the image that they are of, or are part of, or of whose specimen they are."""
    ids = rows["entity_id"].to_pylist()
    if kind == "micrograph":
        return {key: [key] for key in ids if key in images}
    column = "sample_id" if kind == "sample" else "content_hash"
    catalogued = store.lake.read(
        "micrographs", columns=("dataset", "micrograph_id", column), as_of=as_of
    ).to_pylist()
    by_parent: dict[tuple[str, str], list[str]] = {}
    parents = rows["entity_id" if kind == "sample" else column].to_pylist()
    for dataset, parent, entity in zip(rows["dataset"].to_pylist(), parents, ids, strict=True):
        by_parent.setdefault((dataset, parent), []).append(entity)
    return {
        row["micrograph_id"]: by_parent[row["dataset"], row[column]]
        for row in catalogued
        if row["micrograph_id"] in images and (row["dataset"], row[column]) in by_parent
    }
