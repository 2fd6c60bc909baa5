"""What the network is to predict, from labels: object probability and radial distances.

Out of scope: labels from predictions (`shapes`), augmentation (`patches`).
"""

from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from stardist.geometry import star_dist

from models.segment.star_convex.config import StarConvexError

Floats = npt.NDArray[np.float32]

_MOST_LABELS = 65535  # the compiled function counts in 16 bits


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What is predicted at every grid point of an image.

    Attributes:
        probability: (Y / grid, X / grid) float32, 0 in the background, else the distance to the
            nearest pixel outside of the particle over the largest such distance in it.
        distances: (rays, Y / grid, X / grid) float32 pixels to the outline; ray k points along
            (sin, cos)(2 π k / rays) in (y, x). 0 in the background.
    """

    probability: Floats
    distances: Floats


def star_targets(labels: npt.NDArray[Any], *, rays: int = 32, grid: int = 2) -> Targets:
    """Targets of a label image (Schmidt et al., MICCAI 2018, eq. 1-3).

    A particle that the border of the image cuts ends there for the distances, and not for the
    probability.

    Args:
        labels: (Y, X) integers, 0 = background.
        rays: directions.
        grid: pixels per target; those at multiples of it are taken.

    Raises:
        StarConvexError: not two-dimensional, not integers, or more labels than 65535.
    """
    compact = _compact(labels)
    distances = star_dist(compact, n_rays=rays, grid=(grid, grid))  # (Y / g, X / g, rays)
    probability = object_probability(compact)[::grid, ::grid]
    return Targets(
        np.ascontiguousarray(probability), np.ascontiguousarray(np.moveaxis(distances, -1, 0))
    )


def object_probability(labels: npt.NDArray[Any]) -> Floats:
    """(Y, X) float32: distance to the nearest pixel of another label, 1 at most in each particle.

    Args:
        labels: (Y, X) integers, 0 = background.
    """
    if labels.size == 0 or not labels.any():
        return np.zeros(labels.shape, dtype=np.float32)
    alone = bool((labels == labels.flat[0]).all())  # nothing to measure distances to
    distance = edt.edt(np.ascontiguousarray(labels), black_border=alone, parallel=1)
    distance[labels == 0] = 0
    numbers = np.arange(int(labels.max()) + 1)
    largest = np.asarray(ndimage.maximum(distance, labels, numbers), dtype=np.float32)
    return np.asarray(distance / np.maximum(largest, 1e-6)[labels], dtype=np.float32)


def typical_diameter_px(labels: npt.NDArray[Any]) -> float | None:
    """Median diameter of discs of the particles' areas, None where there is none.

    Args:
        labels: (Y, X) integers, 0 = background.
    """
    _, areas = np.unique(labels[labels > 0], return_counts=True)
    return float(np.median(np.sqrt(4 / np.pi * areas))) if len(areas) else None


def _compact(labels: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise StarConvexError(
            f"labels are {labels.dtype} of shape {labels.shape}: give a two-dimensional image of "
            "whole numbers"
        )
    present = np.unique(labels)
    present = present[present != 0]
    if len(present) > _MOST_LABELS:
        raise StarConvexError(f"{len(present)} labels in one image: at most {_MOST_LABELS}")
    numbers = np.searchsorted(present, labels) + 1
    return np.where(labels != 0, numbers, 0).astype(np.uint16)
