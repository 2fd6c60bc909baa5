"""From averaged views to particles: at the nodes by flooding, at the voxels by interpolation.

Out of scope: the views (`views`), joining blocks (`models.segment.pieces`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.compiled import jit
from models.segment.flooding import flood
from models.segment.view_fusion.frame import Frame
from models.segment.view_fusion.options import FusionOptions
from models.segment.view_fusion.views import Floats, Views

Labels = npt.NDArray[np.int32]

_SMOOTHING = 1.0  # nodes, of the averaged probability: bridges the noise of single sections


def node_labels(views: Views, options: FusionOptions) -> Labels:
    """Divide the nodes that enough directions cover into particles.

    The averaged probability is flooded from its peaks. Where two particles touch, every direction
    but that across the contact sees its outline there, so that the average has a valley; a crack
    leaves none, if the network knows cracks.

    Args:
        views: of a block.
        options: see there.

    Returns:
        (Z, Y, X) int32, 0 elsewhere.
    """
    height = ndimage.gaussian_filter(views.probability, _SMOOTHING, mode="nearest")
    labels = flood(height, views.coverage >= options.coverage, options.depth)
    count = int(labels.max())
    if count == 0:
        return labels
    peaks = np.asarray(ndimage.maximum(height, labels, np.arange(1, count + 1)))
    kept = np.concatenate([[False], peaks >= options.peak])
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def voxel_labels(
    labels: Labels,
    coverage: Floats,
    frames: Sequence[Frame],
    nodes: Sequence[slice],
    voxels: Sequence[slice],
    options: FusionOptions,
) -> Labels:
    """Labels of voxels: where the interpolated coverage is enough, the label of most weight around.

    Args:
        labels: of the nodes of a block.
        coverage: likewise.
        frames: axes of the volume.
        nodes: of the block.
        voxels: that are wanted.
        options: see there.

    Returns:
        (Z, Y, X) int32.
    """
    zs, ys, xs = _places(frames, nodes, voxels)
    least = options.coverage
    return np.asarray(_interpolated(labels, coverage, zs, ys, xs, least), dtype=np.int32)


def certainty_sums(
    labels: Labels,
    highest: int,
    certainty: Floats,
    frames: Sequence[Frame],
    nodes: Sequence[slice],
    voxels: Sequence[slice],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Sum of the certainty, at the nearest node, over the voxels of each label, and their number.

    Args:
        labels: (Z, Y, X) of the voxels.
        highest: N, the highest label.
        certainty: at the nodes of a block.
        frames: axes of the volume.
        nodes: of the block.
        voxels: where the labels lie.

    Returns:
        (N + 1,) each, by label.
    """
    nearest = [np.rint(part).astype(np.int64) for part in _places(frames, nodes, voxels)]
    sums, counts = np.zeros(highest + 1), np.zeros(highest + 1, dtype=np.int64)
    _add(sums, counts, labels, certainty, *nearest)
    return sums, counts


def _places(
    frames: Sequence[Frame], nodes: Sequence[slice], voxels: Sequence[slice]
) -> list[npt.NDArray[np.float64]]:
    """Where the middles of voxels lie among the nodes of a block, along each axis."""
    return [
        np.clip(
            frame.node_of(np.arange(side.start, side.stop)) - of.start, 0, of.stop - of.start - 1
        )
        for frame, side, of in zip(frames, voxels, nodes, strict=True)
    ]


@jit
def _interpolated(labels: Labels, coverage: Floats, zs: Any, ys: Any, xs: Any, least: float) -> Any:
    """Trilinear coverage, and a vote of the eight nodes around by their weights."""
    deep, high, wide = labels.shape
    out = np.zeros((len(zs), len(ys), len(xs)), dtype=np.int32)
    names = np.zeros(8, dtype=np.int32)
    votes = np.zeros(8)
    for k in range(len(zs)):
        z = int(zs[k])
        fz = zs[k] - z
        for j in range(len(ys)):
            y = int(ys[j])
            fy = ys[j] - y
            for i in range(len(xs)):
                x = int(xs[i])
                fx = xs[i] - x
                covered = 0.0
                found = 0
                for corner in range(8):
                    dz, dy, dx = corner >> 2, (corner >> 1) & 1, corner & 1
                    weight = (fz if dz else 1 - fz) * (fy if dy else 1 - fy)
                    weight *= fx if dx else 1 - fx
                    if weight <= 0:
                        continue
                    a, b, c = min(z + dz, deep - 1), min(y + dy, high - 1), min(x + dx, wide - 1)
                    covered += weight * coverage[a, b, c]
                    label = labels[a, b, c]
                    if label == 0:
                        continue
                    place = 0
                    while place < found and names[place] != label:
                        place += 1
                    if place == found:
                        names[found], votes[found] = label, 0.0
                        found += 1
                    votes[place] += weight
                if covered < least or found == 0:
                    continue
                best = 0
                for place in range(1, found):
                    if votes[place] > votes[best] or (
                        votes[place] == votes[best] and names[place] < names[best]
                    ):
                        best = place
                out[k, j, i] = names[best]
    return out


@jit
def _add(
    sums: Any, counts: Any, labels: Labels, certainty: Floats, zs: Any, ys: Any, xs: Any
) -> None:
    for k in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            for i in range(labels.shape[2]):
                label = labels[k, j, i]
                if label > 0:
                    sums[label] += certainty[zs[k], ys[j], xs[i]]
                    counts[label] += 1
