"""Foreign images: those that resemble another collection of the store more than their own.

Out of scope: images of another class of the same collection (`graindex.label_issues`), and images
that resemble nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graindex.errors import QueryError
from graindex.vector_history import as_matrix, vectors_as_of
from models.measure.vector_distance import nearest_distance

if TYPE_CHECKING:
    from graindex.store import Store

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

NEIGHBOURS = 5
"""More than a handful of foreign images of one kind are each other's neighbours."""

MIN_RATIO = 1.4
"""Of the distances to a collection's own images and to another's. Among 215 images of three
collections the largest ratio of an image at its place is 1.25; of images put into a collection of
another material, up to eight at once, 99 % reach 1.4 (`benchmarks/quality_labels.py`)."""

MAX_SHARE = 0.1
"""Of a collection's images that may resemble another one more: with more, both hold the same."""

_MAX_OTHERS = 5000  # of one collection: enough neighbours, and a product that stays quick


@dataclass(frozen=True, slots=True)
class ForeignImage:
    """An image that resembles another collection.

    Attributes:
        micrograph_id: the image.
        other_dataset: the collection that it resembles.
        ratio: mean distance to the nearest of its own collection over that to the other's.
    """

    micrograph_id: str
    other_dataset: str
    ratio: float


def foreign_images(store: "Store", dataset: str) -> list[ForeignImage]:
    """Images of a collection that resemble another one, the clearest first.

    Raises:
        QueryError: vectors of the collection itself are gone.
    """
    if len(store.datasets()) < 2:
        return []
    own = vectors_as_of(store, dataset)
    if own.num_rows <= NEIGHBOURS:
        return []
    vectors = as_matrix(own["vector"])
    encoder = own["encoder_id"][0].as_py()
    places = _spread(len(vectors))
    itself = np.full(len(vectors), -1, np.int64)
    itself[places] = np.arange(len(places))
    home = nearest_distance(vectors, vectors[places], NEIGHBOURS, itself)
    best, where = np.zeros(len(vectors)), np.full(len(vectors), "", object)
    for other in store.datasets():
        ratio = None if other == dataset else _ratio(store, other, encoder, vectors, home)
        if ratio is not None and (ratio > 1).mean() <= MAX_SHARE:
            closer = ratio > best
            best, where = np.where(closer, ratio, best), np.where(closer, other, where)
    ids = own["micrograph_id"].to_pylist()
    order = np.argsort(-best, kind="stable")
    return [ForeignImage(ids[i], where[i], float(best[i])) for i in order if best[i] >= MIN_RATIO]


def _ratio(
    store: "Store", other: str, encoder: str, vectors: Vectors, home: Floats
) -> Floats | None:
    """Distance to the own collection over that to another, (N,); None where there is too little."""
    try:
        rows = vectors_as_of(store, other)
    except QueryError:  # which a check of that collection tells
        return None
    if rows.num_rows < NEIGHBOURS or rows["encoder_id"][0].as_py() != encoder:
        return None
    others = as_matrix(rows["vector"])
    away = nearest_distance(vectors, others[_spread(len(others))], NEIGHBOURS)
    ratio: Floats = home / np.maximum(away, np.finfo(np.float32).eps)
    return ratio


def _spread(count: int) -> npt.NDArray[np.int64]:
    """At most five thousand places, evenly spread."""
    if count <= _MAX_OTHERS:
        return np.arange(count)
    return np.linspace(0, count - 1, _MAX_OTHERS).round().astype(np.int64)
