"""How two label images of one scene overlap: pixels of every label and of every pair that meets.

Out of scope: which pairs count as the same particle (`matching`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from models.measure.arrays import InvalidVolumeError, parse_label_image, parse_labels

Integers = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.integer[Any]]

_SLAB_PIXELS = 1 << 24
_LOOKUP_ENTRIES = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Sizes of T true and P predicted labels, and of the M pairs that share a pixel.

    Attributes:
        true_labels: (T,) ascending, without the background 0.
        predicted_labels: (P,) likewise.
        true_pixels: (T,) pixels or voxels of each.
        predicted_pixels: (P,) likewise.
        true_index: (M,) place of each pair's true label in `true_labels`.
        predicted_index: (M,) place of its predicted label in `predicted_labels`.
        shared_pixels: (M,) pixels that lie in both.
        pixels: of the whole image, background included.
        ndim: 2 of images, 3 of volumes.
    """

    true_labels: Integers
    predicted_labels: Integers
    true_pixels: Integers
    predicted_pixels: Integers
    true_index: Integers
    predicted_index: Integers
    shared_pixels: Integers
    pixels: int
    ndim: int

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """(M,) intersection over union of each pair, above 0 and up to 1."""
        either = self.true_pixels[self.true_index] + self.predicted_pixels[self.predicted_index]
        union: npt.NDArray[np.float64] = self.shared_pixels / (either - self.shared_pixels)
        return union


def label_overlap(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> Overlap:
    """Count the pixels of all labels and pairs of labels, slab by slab.

    Memory grows with the pairs that meet, not with true × predicted labels.

    Args:
        truth: (Y, X) or (Z, Y, X) integers, 0 is background; labels need not be consecutive.
        predicted: the same shape.

    Raises:
        InvalidVolumeError: one is no label image, or their shapes differ.
    """
    true, found = _parse(truth, "truth"), _parse(predicted, "prediction")
    if true.shape != found.shape:
        raise InvalidVolumeError(
            f"prediction has shape {found.shape} but truth {true.shape}: "
            "crop or resample one onto the other"
        )
    true_values, found_values = _values(true), _values(found)
    table = _table(true, found, true_values, found_values)
    inside = table[1:, 1:].tocoo()
    rows, columns = inside.coords
    return Overlap(
        true_labels=true_values[1:],
        predicted_labels=found_values[1:],
        true_pixels=np.asarray(table.sum(axis=1), np.int64)[1:],
        predicted_pixels=np.asarray(table.sum(axis=0), np.int64)[1:],
        true_index=np.asarray(rows, np.int64),
        predicted_index=np.asarray(columns, np.int64),
        shared_pixels=np.asarray(inside.data, np.int64),
        pixels=true.size,
        ndim=true.ndim,
    )


def _parse(labels: npt.ArrayLike, what: str) -> LabelArray:
    array = np.asarray(labels)
    try:
        return parse_label_image(array) if array.ndim == 2 else parse_labels(array)
    except InvalidVolumeError as error:
        raise InvalidVolumeError(f"{what}: {error}") from error


def _slabs(array: LabelArray) -> Iterator[LabelArray]:
    depth = max(1, _SLAB_PIXELS // int(np.prod(array.shape[1:])))
    for start in range(0, len(array), depth):
        yield array[start : start + depth]


def _values(labels: LabelArray) -> Integers:
    """All labels, ascending, the background first whether it occurs or not."""
    parts = (np.unique(slab).astype(np.int64) for slab in _slabs(labels))
    return reduce(np.union1d, parts, np.zeros(1, np.int64))


def _table(
    true: LabelArray, found: LabelArray, true_values: Integers, found_values: Integers
) -> csr_array:
    """(T + 1, P + 1) pixels by true and predicted label; those of neither are left out."""
    shape = (len(true_values), len(found_values))
    row_of, column_of = _numbering(true_values), _numbering(found_values)
    total = csr_array(shape, dtype=np.int64)
    for true_slab, found_slab in zip(_slabs(true), _slabs(found), strict=True):
        some = (true_slab > 0) | (found_slab > 0)
        rows, columns = row_of(true_slab[some]), column_of(found_slab[some])
        ones = np.ones(len(rows), np.int64)
        total = total + coo_array((ones, (rows, columns)), shape=shape).tocsr()
    return total


def _numbering(values: Integers) -> Callable[[LabelArray], npt.NDArray[np.int32]]:
    """A function that puts the place of each label among `values` in its stead."""
    highest = int(values[-1])
    if highest >= _LOOKUP_ENTRIES:
        return lambda labels: np.searchsorted(values, labels.astype(np.int64)).astype(np.int32)
    table = np.zeros(highest + 1, np.int32)
    table[values] = np.arange(len(values), dtype=np.int32)
    return lambda labels: table[labels]
