"""Watershed of a volume larger than memory, block by block, with labels that go on across blocks.

Out of scope: segmenting one block, which is `watershed.label_region`; reading and writing files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.compiled import jit
from models.measure.arrays import InvalidVolumeError, Sliceable, check_same_shape, parse_spacing
from models.segment.foreground import choose_range, grey_histogram
from models.segment.watershed import (
    GreyScale,
    WatershedOptions,
    check_finite,
    check_volume,
    label_region,
    relative_spacing,
    smooth,
)

Integers = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]

_AGREE = 0.5  # overlap over union: above a half, no label agrees with two others
_DEFAULT = WatershedOptions()


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


def segment_blocks(
    source: Sliceable,
    write: Assignable,
    *,
    spacing_um: Sequence[float],
    options: WatershedOptions = _DEFAULT,
    block_shape: tuple[int, int, int] = (256, 256, 256),
    overlap: int = 64,
    progress: Progress | None = None,
) -> int:
    """Divide a volume into particles as `watershed.segment_volume` does, in bounded memory.

    Every block is segmented with `overlap` voxels around it and writes its core. Where a particle
    goes on in a block written before, the two labels are joined if they agree on what both blocks
    see of it (more than half of the union). The threshold comes from the histogram of the whole.
    The labels are those of the whole volume in one piece, to the voxel, for particles of which
    nothing that matters lies farther than `overlap` away: their diameter and twice the smallest
    diameter (`options`) together. Larger particles are joined all the same, but where particles
    touch they may be parted elsewhere than in one piece.

    Peak memory is about 25 bytes for each voxel of a padded block.

    Args:
        source: (Z, Y, X) grey levels, or phases if `options.phase_values` is set; read by slices.
        write: (Z, Y, X) integers, filled with 0 for background and particles from 1; it is also
            read back, and written twice.
        spacing_um: (dz, dy, dx) in µm.
        options: see `WatershedOptions`.
        block_shape: (Z, Y, X) core of a block in voxels; a multiple of the chunks of `write`.
        overlap: voxels around the core.
        progress: called with the blocks done and their number over all passes.

    Returns:
        Number of particles.

    Raises:
        InvalidVolumeError: if the arrays do not fit together, are not finite, `write` does not
            hold integers or the spacing is not three lengths.
    """
    check_volume(source.shape, 3)
    check_same_shape(source.shape, write.shape, "write")
    if np.dtype(write.dtype).kind not in "iu":
        raise InvalidVolumeError(f"write holds {write.dtype}, not integers: labels do not fit")
    spacing = relative_spacing(parse_spacing(spacing_um))
    blocks = list(_blocks(tuple(source.shape), block_shape, overlap))
    step = _Counter(progress, len(blocks) * (2 if options.phase_values is not None else 4))
    scale = (
        None if options.phase_values is not None else _scale(source, blocks, spacing, options, step)
    )
    pieces = _Pieces(tuple(source.shape))
    for number, block in enumerate(blocks):
        region = np.asarray(source[block.padded])
        if scale is not None:
            region = smooth(region, spacing, options)
        pieces.add(label_region(region, spacing, options, scale), block, blocks[:number], write)
        step()
    table = pieces.final_labels(options.smallest_size(3))
    if table.max() > np.iinfo(np.dtype(write.dtype)).max:
        raise InvalidVolumeError(f"{table.max()} particles do not fit {write.dtype}: take int32")
    for block in blocks:
        write[block.core] = table[np.asarray(write[block.core])].astype(write.dtype)
        step()
    return int(table.max())


class _Counter:
    """Counts blocks for the caller's progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


class _Pieces:
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
    ) -> None:
        """Write a block's core and join its labels with those written before."""
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


def _blocks(shape: tuple[int, ...], block_shape: tuple[int, ...], overlap: int) -> Iterator[Block]:
    if min(block_shape) < 1 or overlap < 1:
        raise InvalidVolumeError(f"blocks {block_shape} with overlap {overlap}: take 1 or more")
    starts = [range(0, side, step) for side, step in zip(shape, block_shape, strict=True)]
    for corner in product(*starts):
        ends = [min(a + b, n) for a, b, n in zip(corner, block_shape, shape, strict=True)]
        yield Block(
            tuple(slice(a, b) for a, b in zip(corner, ends, strict=True)),
            tuple(
                slice(max(a - overlap, 0), min(b + overlap, n))
                for a, b, n in zip(corner, ends, shape, strict=True)
            ),
        )


def _scale(
    source: Sliceable,
    blocks: list[Block],
    spacing: Sequence[float],
    options: WatershedOptions,
    step: _Counter,
) -> GreyScale:
    """Threshold and spread of the grey levels of the whole, in two passes."""
    lows, highs = [], []
    for block in blocks:
        core = np.asarray(source[block.core])
        check_finite(core)
        lows.append(float(core.min()))
        highs.append(float(core.max()))
        step()
    total = None
    for block in blocks:
        smoothed = smooth(np.asarray(source[block.padded]), spacing, options)[block.inside]
        edges = tuple(
            (side.start == 0, side.stop == n)
            for side, n in zip(block.core, source.shape, strict=True)
        )
        part = grey_histogram(smoothed, (min(lows), max(highs)), edges)
        total = part if total is None else total + part
        step()
    if total is None:
        raise InvalidVolumeError("no blocks")
    return GreyScale(choose_range(total, options.threshold, options.polarity), total.std)


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
