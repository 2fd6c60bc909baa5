"""Watershed by flooding a landscape from its peaks, with shallow valleys bridged on the way.

Out of scope: what the landscape is; it is a distance or a brightness in `models.segment.watershed`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit


def flood(
    landscape: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], depth: float
) -> npt.NDArray[np.int32]:
    """Divide a mask into one face-connected region for each peak that stands out.

    Pixels are visited from the highest down; one without visited face neighbours starts a region,
    others join the region of their highest neighbour. Where two regions meet they are united if
    the lower peak of the two is less than `depth` above the meeting point. The result is the
    watershed whose markers are the h-maxima of the landscape with h = `depth`, in one pass and
    without the reconstruction that finding h-maxima takes.

    Source: Vincent & Soille 1991, IEEE Trans. Pattern Anal. Mach. Intell. 13, 583 (flooding in
    order of height); Grimaud 1992, Proc. SPIE 1769, 292 (dynamics, the height that is bridged).

    Args:
        landscape: (Y, X) or (Z, Y, X) heights.
        mask: same shape, what is divided.
        depth: valley depth, in units of the landscape, that separates two regions; ≥ 0.

    Returns:
        int32 of the same shape: 0 outside the mask, regions from 1 in order of their first pixel.
    """
    shape = np.array((1,) * (3 - mask.ndim) + mask.shape, dtype=np.int64)
    heights = np.ascontiguousarray(landscape, dtype=np.float32).ravel()
    inside = np.flatnonzero(mask)
    order = inside[np.argsort(-heights[inside], kind="stable")]
    owner, parent = _flood(heights, order, shape, np.float32(depth))
    return np.asarray(_number(owner, parent).reshape(mask.shape), dtype=np.int32)


def renumber(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Number the labels of an image or a volume from 1 in the order of their first pixel."""
    same = np.arange(int(labels.max()), dtype=np.int32)
    return np.asarray(_number(labels.ravel() - 1, same).reshape(labels.shape), dtype=np.int32)


@jit
def find(parent: npt.NDArray[np.int32], region: int) -> int:
    """Root of a region in a forest of parents, shortening the path to it."""
    while parent[region] != region:
        parent[region] = parent[parent[region]]
        region = parent[region]
    return region


@jit
def _flood(
    heights: npt.NDArray[np.float32],
    order: npt.NDArray[np.int64],
    shape: npt.NDArray[np.int64],
    depth: np.float32,
) -> Any:
    """Region of every visited pixel (−1 elsewhere) and the forest of regions."""
    owner = np.full(heights.size, -1, dtype=np.int32)
    parent = np.empty(order.size, dtype=np.int32)
    peak = np.empty(order.size, dtype=np.float32)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    regions = 0
    for pixel in order:
        joined, top = -1, np.float32(-np.inf)
        for axis in range(3):
            place = (pixel // strides[axis]) % shape[axis]
            for sign in (-1, 1):
                if not 0 <= place + sign < shape[axis]:
                    continue
                beside = pixel + sign * strides[axis]
                if owner[beside] < 0:
                    continue
                other = find(parent, owner[beside])
                if joined >= 0 and other != joined:
                    lower, upper = other, joined
                    if peak[lower] > peak[upper]:
                        lower, upper = upper, lower
                    if peak[lower] - heights[pixel] < depth:
                        parent[lower] = upper
                        other = joined = upper
                if heights[beside] > top:
                    joined, top = other, heights[beside]
        if joined < 0:
            joined = regions
            parent[joined] = joined
            peak[joined] = heights[pixel]
            regions += 1
        owner[pixel] = joined
    return owner, parent[:regions]


@jit
def _number(owner: npt.NDArray[np.int32], parent: npt.NDArray[np.int32]) -> Any:
    """Labels from 1 in the order of the first pixel."""
    labels = np.zeros(owner.size, dtype=np.int32)
    number = np.zeros(parent.size, dtype=np.int32)
    highest = 0
    for pixel in range(owner.size):
        if owner[pixel] < 0:
            continue
        region = find(parent, owner[pixel])
        if number[region] == 0:
            highest += 1
            number[region] = highest
        labels[pixel] = number[region]
    return labels
