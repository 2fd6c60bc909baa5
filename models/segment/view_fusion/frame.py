"""A volume at the scale that the network wants: which voxels, pixels and nodes lie where.

A *pixel* is one of the scaled volume, in which particles have the diameter that the network is
trained for; a *node* is where the network predicts something, every `grid` pixels along each axis.
Both are numbered over the whole volume, so that they are the same however it is cut into blocks.
Out of scope: what the network says (`views`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from models.measure.arrays import Sliceable
from models.segment.star_convex.scaling import LARGEST_FACTOR, PERCENTILES
from models.segment.watershed import check_finite

Floats = npt.NDArray[np.float32]

_SLAB = 32  # slices read at once
_SAMPLED_SLICES, _SAMPLED_SIDE = 32, 256  # for the range of the grey levels


@dataclass(frozen=True, slots=True)
class Frame:
    """One axis of a volume.

    Attributes:
        voxels: of the volume.
        factor: pixels per voxel.
        grid: pixels per node.
        stride: pixels that the network's levels are in step with.
    """

    voxels: int
    factor: float
    grid: int
    stride: int

    @property
    def pixels(self) -> int:
        """Of the scaled volume."""
        return max(round(self.voxels * self.factor), 1)

    @property
    def nodes(self) -> int:
        """Of the scaled volume."""
        return -(-self.pixels // self.grid)

    def nodes_around(self, side: slice) -> slice:
        """The nodes from the last before the middle of the first voxel to the one after the last.

        They begin where a whole stride does, so that the network sees every part in the same step.
        """
        step = self.stride // self.grid
        first = int(np.floor(self.node_of(side.start))) // step * step
        last = int(np.floor(self.node_of(side.stop - 1))) + 2
        return slice(max(first, 0), min(last, self.nodes))

    def node_of(self, voxel: Any) -> Any:
        """Where the middle of a voxel lies among the nodes."""
        return ((voxel + 0.5) * self.factor - 0.5) / self.grid

    def pixels_of(self, nodes: slice) -> slice:
        """The pixels that belong to nodes."""
        return slice(nodes.start * self.grid, min(nodes.stop * self.grid, self.pixels))

    def weights(self, pixels: slice) -> tuple[slice, csr_array]:
        """Which voxels make up pixels: by area where the volume shrinks, else by distance.

        Returns:
            The voxels, and (pixels, voxels) weights whose rows have the sum 1.
        """
        number = np.arange(pixels.start, pixels.stop)
        reach = max(1 / self.factor, 1.0)  # voxels on either side of the middle of a pixel
        middle = (number + 0.5) / self.factor - 0.5
        first = np.floor(middle - reach).astype(np.int64)
        voxel = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)
        if self.factor < 1:
            half = 0.5 / self.factor
            low = np.maximum(voxel - 0.5, (middle - half)[:, None])
            weight = np.minimum(voxel + 0.5, (middle + half)[:, None]) - low
        else:
            weight = 1 - np.abs(voxel - middle[:, None])
        voxel = np.clip(voxel, 0, self.voxels - 1)
        rows, columns = np.nonzero(weight > 1e-9)
        values, chosen = weight[rows, columns], voxel[rows, columns]
        values = values / np.bincount(rows, values)[rows]
        start, stop = int(chosen.min()), int(chosen.max()) + 1
        matrix = csr_array(
            (values.astype(np.float32), (rows, chosen - start)), shape=(len(number), stop - start)
        )
        return slice(start, stop), matrix


def frames_of(
    shape: tuple[int, ...],
    spacing: Sequence[float],
    diameter_px: float,
    wanted_px: float,
    steps: tuple[int, int],
) -> tuple[Frame, ...]:
    """The three axes of a volume.

    Args:
        shape: (Z, Y, X) voxels.
        spacing: of the voxels, in units of the geometric mean.
        diameter_px: typical in the volume, in the same units.
        wanted_px: typical as the network sees it.
        steps: grid and stride of the network.
    """
    factor = min(wanted_px / diameter_px, LARGEST_FACTOR)
    return tuple(
        Frame(side, factor * step, *steps) for side, step in zip(shape, spacing, strict=True)
    )


@dataclass(frozen=True, slots=True)
class GreyRange:
    """Grey levels that the network is to see as 0 and 1."""

    low: float
    high: float

    def normalised(self, grey: npt.NDArray[Any]) -> Floats:
        """Grey levels scaled and cut at −0.5 and 1.5, as `scaling.normalised` does an image."""
        span = max(self.high - self.low, 1e-6)
        scaled = (grey.astype(np.float32) - np.float32(self.low)) * np.float32(1 / span)
        return np.asarray(np.clip(scaled, -0.5, 1.5, out=scaled), dtype=np.float32)


def grey_range(volume: Sliceable) -> GreyRange:
    """Range of the grey levels of a whole volume, from 32 of its slices."""
    depth = volume.shape[0]
    chosen = np.unique(np.linspace(0, depth - 1, min(_SAMPLED_SLICES, depth)).round().astype(int))
    steps = tuple(slice(None, None, max(side // _SAMPLED_SIDE, 1)) for side in volume.shape[1:])
    parts = [np.asarray(volume[int(z)])[steps].ravel() for z in chosen]
    low, high = np.percentile(np.concatenate(parts).astype(np.float32), PERCENTILES)
    return GreyRange(float(low), float(high))


def scaled_block(
    volume: Sliceable, frames: Sequence[Frame], pixels: Sequence[slice], grey: GreyRange
) -> Floats:
    """A block of the scaled volume, read a few slices at a time.

    Args:
        volume: (Z, Y, X).
        frames: its axes.
        pixels: of the block along each axis.
        grey: range of the grey levels.

    Returns:
        (Z, Y, X) float32 of about 0…1.
    """
    parts = [frame.weights(side) for frame, side in zip(frames, pixels, strict=True)]
    (planes, along), (rows, down), (columns, across) = parts
    shape = (along.shape[0], down.shape[0], across.shape[0])
    total = np.zeros((shape[0], shape[1] * shape[2]), dtype=np.float32)
    for start in range(planes.start, planes.stop, _SLAB):
        stop = min(start + _SLAB, planes.stop)
        read = np.asarray(volume[start:stop, rows, columns])
        check_finite(read)
        slab = grey.normalised(read)
        small = np.stack([(across @ (down @ plane).T).T for plane in slab])
        part = along[:, start - planes.start : stop - planes.start]
        touched = np.flatnonzero(np.diff(part.indptr))
        total[touched] += part[touched] @ small.reshape(len(slab), -1)
    return total.reshape(shape)
