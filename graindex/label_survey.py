"""A label volume looked through slab by slab: how many labels, how much, and where most of it is.

Out of scope: measuring particles (`models.measure`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graindex.volume_store import StoredVolume
from models.measure.arrays import parse_labels

_COUNTED_LABELS = 1 << 27  # below, a byte for each label finds the distinct ones without sorting


@dataclass(frozen=True, slots=True)
class LabelSurvey:
    """What a label volume holds.

    Attributes:
        count: distinct labels.
        voxels: labelled ones.
        fullest: planes (z, y, x) that hold most of them; None where there are none.
    """

    count: int
    voxels: int
    fullest: tuple[int, int, int] | None


def survey(labels: StoredVolume) -> LabelSurvey:
    """Look through a label volume, slab by slab.

    Raises:
        InvalidVolumeError: it holds something else than integers from 0 on.
    """
    distinct = np.zeros(0, labels.dtype)
    planes = [np.zeros(extent, np.int64) for extent in labels.shape]
    for z in range(0, labels.shape[0], labels.chunks[0]):
        slab = parse_labels(labels[z : z + labels.chunks[0]])
        distinct = np.union1d(distinct, _distinct(slab))
        inside = slab > 0
        planes[0][z : z + len(slab)] = np.count_nonzero(inside, axis=(1, 2))
        planes[1] += np.count_nonzero(inside, axis=(0, 2))
        planes[2] += np.count_nonzero(inside, axis=(0, 1))
    z, y, x = (int(plane.argmax()) for plane in planes)
    return LabelSurvey(len(distinct), int(planes[0].sum()), (z, y, x) if len(distinct) else None)


def _distinct(slab: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values above 0."""
    highest = int(slab.max())
    if highest >= _COUNTED_LABELS:
        values = np.unique(slab)
        return values[values > 0]
    seen = np.zeros(highest + 1, np.bool_)
    for plane in slab:  # an index of the whole slab would take eight bytes a voxel
        seen[plane] = True
    seen[0] = False
    return np.flatnonzero(seen).astype(slab.dtype)
