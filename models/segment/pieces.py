"""Blocks of a volume that overlap, and labels that go on from one block to the next.

Out of scope: how a block is segmented (`blocks`, `view_fusion`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.compiled import jit
from models.measure.arrays import InvalidVolumeError, Sliceable

Integers = npt.NDArray[np.int64]

_AGREE = 0.5  # overlap over union: above a half, no label agrees with two others


class Assignable(Sliceable, Protocol):
    """What takes labels: a NumPy array, a memory map, a zarr array."""

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write a region."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a volume: `core` is its own, `padded` what is read to segment it."""

    core: tuple[slice, ...]
    padded: tuple[slice, ...]

    @property
    def inside(self) -> tuple[slice, ...]:
        """The core as slices of the padded block."""
        return _relative(self.core, self.padded)


class Pieces:
    """Provisional labels of all blocks: their sizes, first voxels, and which belong together."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = np.array(shape, dtype=np.int64)
        self.sizes: list[Integers] = [np.zeros(1, dtype=np.int64)]
        self.firsts: list[Integers] = [np.zeros(1, dtype=np.int64)]
        self.pairs: list[Integers] = []
        self.count = 0

    def add(
        self,
        labels: npt.NDArray[np.int32],
        block: Block,
        earlier: list[Block],
        write: Assignable,
    ) -> Integers:
        """Write a block's core and join its labels with those written before.

        Args:
            labels: of the padded block, 0…N.
            block: where it is.
            earlier: blocks added before.
            write: the whole, to which provisional labels are written.

        Returns:
            (N + 1,) provisional label of each label of the block; 0 of those not in its core.
        """
        start = np.array([side.start for side in block.core], dtype=np.int64)
        size, first = _survey(labels[block.inside], int(labels.max()), start, self.shape)
        here = size > 0
        number = np.where(here, np.cumsum(here) + self.count, 0)
        if number.max(initial=0) > np.iinfo(np.dtype(write.dtype)).max:
            raise InvalidVolumeError(f"more pieces than {write.dtype} can number: take int32")
        for before in earlier:
            zone = _intersection(block.padded, before.core)
            if zone is not None:
                ours = number[labels[_relative(zone, block.padded)]]
                self.pairs.append(_agreeing(np.asarray(write[zone]), ours))
        write[block.core] = number[labels[block.inside]].astype(write.dtype)
        self.sizes.append(size[here])
        self.firsts.append(first[here])
        self.count += int(here.sum())
        return number

    def final_labels(self, smallest: float) -> Integers:
        """The final label of every provisional one; small particles become background."""
        size, first = np.concatenate(self.sizes), np.concatenate(self.firsts)
        pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *self.pairs])
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(size),) * 2)
        count, component = connected_components(links, directed=False)
        total = np.bincount(component, weights=size, minlength=count)
        earliest = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(earliest, component, first)
        total[component[0]] = 0  # background
        kept = np.flatnonzero(total >= smallest)
        final = np.zeros(count, dtype=np.int64)
        final[kept[np.argsort(earliest[kept])]] = np.arange(1, len(kept) + 1)
        return np.asarray(final[component], dtype=np.int64)


def cut_blocks(
    shape: tuple[int, ...], block_shape: tuple[int, ...], overlap: tuple[int, ...]
) -> Iterator[Block]:
    """Blocks of a volume, the first axis slowest.

    Args:
        shape: of the volume.
        block_shape: of a block's core; those at the far end may be smaller.
        overlap: voxels around the core along each axis, within the volume.

    Raises:
        InvalidVolumeError: one of the lengths is below 1.
    """
    if min(block_shape) < 1 or min(overlap) < 1:
        raise InvalidVolumeError(f"blocks {block_shape} with overlap {overlap}: take 1 or more")
    starts = [range(0, side, step) for side, step in zip(shape, block_shape, strict=True)]
    for corner in product(*starts):
        ends = [min(a + b, n) for a, b, n in zip(corner, block_shape, shape, strict=True)]
        yield Block(
            tuple(slice(a, b) for a, b in zip(corner, ends, strict=True)),
            tuple(
                slice(max(a - more, 0), min(b + more, n))
                for a, b, more, n in zip(corner, ends, overlap, shape, strict=True)
            ),
        )


def _agreeing(theirs: npt.NDArray[Any], ours: Integers) -> Integers:
    """Pairs of labels (K, 2) that cover the same voxels of a zone, by overlap over union."""
    both = (theirs > 0) & (ours > 0)
    if not both.any():
        return np.zeros((0, 2), dtype=np.int64)
    pairs, shared = np.unique(
        np.stack([theirs[both].astype(np.int64), ours[both]], axis=1), axis=0, return_counts=True
    )
    sizes = []
    for column, labels in enumerate((theirs, ours)):
        found, counts = np.unique(labels, return_counts=True)
        sizes.append(counts[np.searchsorted(found, pairs[:, column])])
    agreeing: Integers = pairs[shared > _AGREE * (sizes[0] + sizes[1] - shared)]
    return agreeing


def _intersection(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...] | None:
    zone = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return zone if all(side.start < side.stop for side in zone) else None


def _relative(zone: tuple[slice, ...], frame: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(zone, frame, strict=True)
    )


@jit
def _survey(labels: npt.NDArray[np.int32], highest: int, start: Integers, shape: Integers) -> Any:
    """Voxels of each label in a core, and the place of its first in the whole volume."""
    size = np.zeros(highest + 1, dtype=np.int64)
    first = np.zeros(highest + 1, dtype=np.int64)
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                label = labels[z, y, x]
                if label == 0:
                    continue
                if size[label] == 0:
                    first[label] = ((z + start[0]) * shape[1] + y + start[1]) * shape[2]
                    first[label] += x + start[2]
                size[label] += 1
    return size, first
