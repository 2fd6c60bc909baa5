"""One thread's share of a sweep: planes in chunks that stay in the cache, tables that grow.

Out of scope: sharing planes out and cutting volumes into blocks, which is `models.measure.sweep`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure import sweep_crossings as crossings
from models.measure import sweep_kernel as kernel
from models.measure.arrays import (
    InvalidVolumeError,
    check_labels,
    check_not_negative,
    check_same_shape,
)
from models.measure.crofton import DIRECTIONS
from models.measure.sweep_result import Sweep, collect
from models.measure.sweep_tables import Table, enlarged

Array = npt.NDArray[Any]

_CHUNK_VOXELS = 1 << 18  # small volumes go through in one piece, runs stay in the cache
_SIDES = 4  # columns for outside and phases to begin with
_AHEAD = 2  # planes: how far pairs reach


@dataclass(frozen=True)
class Block:
    """A block and its own part.

    Attributes:
        labels: (Z, Y, X).
        grey: (Z, Y, X) or None.
        phases: (Z, Y, X) or None.
        core: (3, 2) first and last + 1 of the own voxels along each axis.
        origin: (3,) place of the array's first voxel in the volume.
    """

    labels: Array
    grey: Array | None
    phases: Array | None
    core: npt.NDArray[np.int64]
    origin: npt.NDArray[np.int64]

    @classmethod
    def checked(
        cls,
        labels: Array,
        *,
        grey: Array | None,
        phases: Array | None,
        core: tuple[slice, slice, slice] | None,
        origin: Sequence[int],
    ) -> "Block":
        """Check arrays of one block.

        Raises:
            InvalidVolumeError: if labels or phases are not integers, or shapes differ.
        """
        check_labels(labels)
        if grey is not None:
            check_same_shape(labels.shape, grey.shape, "grey")
        if phases is not None:
            check_same_shape(labels.shape, phases.shape, "phases")
            if phases.dtype.kind not in "iub":
                raise InvalidVolumeError(f"phases are {phases.dtype}: cast them to integers")
        whole = (slice(None),) * 3
        ranges = [axis.indices(n)[:2] for axis, n in zip(core or whole, labels.shape, strict=True)]
        return cls(labels, grey, phases, np.array(ranges), np.array(origin, dtype=np.int64))

    @property
    def planes(self) -> tuple[int, int]:
        """First and last + 1 of the own planes."""
        return int(self.core[0, 0]), int(self.core[0, 1])


def sweep_planes(block: Block, slabs: Sequence[tuple[int, int]]) -> Sweep:
    """Sweep the given ranges of own planes of a block, one after the other."""
    worker = _Worker(block)
    for first, last in slabs:
        worker.sweep(first, last)
    return worker.result(sum(last - first for first, last in slabs))


class _Worker:
    def __init__(self, block: Block) -> None:
        self._block = block
        depth, height, width = block.labels.shape
        self._planes = max(1, min(depth + 1, _CHUNK_VOXELS // (height * width)))
        self._runs = _runs(self._planes + _AHEAD, height, width)
        self._own = block.core[1:].ravel()
        self._span = _span(block.core[1:], (height, width))
        self._inner_span = self._own + np.array([kernel.FRAME, kernel.FRAME, 0, 0])
        words = np.zeros(-(-width // 8), dtype=np.uint64)
        self._scratch = (words.view(np.uint8), words)
        self._labels = Table(kernel.SUMS)
        self._phases = Table(1)
        self._pairs = Table(crossings.PAIR_SUMS)
        self._near_pairs = Table(crossings.PAIR_SUMS)
        self._sides = np.zeros((0, _SIDES, crossings.FIRST_NET), dtype=np.int64)
        integer = block.grey is not None and _wide(block.grey.dtype).kind in "iu"
        self._zero = np.int64(0) if integer else np.float64(0)
        self._grey = np.zeros((0, 4), dtype=self._zero.dtype)
        self._grey_ends = np.zeros((0, 2))

    def sweep(self, first: int, last: int) -> None:
        """Sweep own planes from `first` to `last` − 1, their pairs with planes beyond included."""
        start = first - (first == 0)  # pairs begin outside the volume
        self._load(start, start + _AHEAD, at=0, own=(first, last))
        for begin in range(start, last, self._planes):
            end = min(begin + self._planes, last)
            self._load(begin + _AHEAD, end + _AHEAD, at=_AHEAD, own=(first, last))
            self._count(end - begin)
            self._add_grey(begin, end)
            self._carry(end - begin)

    def _planes_of_runs(self, first: int, last: int) -> kernel.Runs:
        starts, codes, begins, ends = (part[first:last] for part in self._runs)
        return starts, codes, begins, ends

    def _load(self, begin: int, end: int, *, at: int, own: tuple[int, int]) -> None:
        """Put planes `begin` to `end` − 1 into the places from `at` on; those outside are empty."""
        depth = self._block.labels.shape[0]
        for z in (*range(begin, 0), *range(max(begin, depth), end)):
            # nothing but the run outside that each plane begins with
            self._runs[2][at + z - begin], self._runs[3][at + z - begin] = 0, 1
        for lower, upper, owned in ((*own, True), (own[1], depth, False)):
            first, last = max(lower, begin), min(upper, end)
            self._find(first, last, at=at + first - begin, owned=owned)

    def _carry(self, count: int) -> None:
        """Copy the planes behind the first `count` to the first places."""
        for place in range(_AHEAD):
            at = count + place
            used = int(self._runs[3][at].max()) + 1
            for part in self._runs[:2]:
                part[place, :used] = part[at, :used]
            for part in self._runs[2:]:
                part[place] = part[at]

    def _find(self, first: int, last: int, *, at: int, owned: bool) -> None:
        if first >= last:
            return
        block = self._block
        own = self._own if owned else np.zeros(4, dtype=np.int64)
        labels = _narrow(block.labels[first:last])
        phases = self._find_phases(first, last, own)
        runs = self._planes_of_runs(at, at + last - first)
        region = own, block.origin + np.array([first, 0, 0])
        table = self._labels

        def find(start: int) -> tuple[int, int]:
            return kernel.find_runs(
                labels, phases, runs, region, self._scratch, table.arrays, table.count, start
            )

        if _fill(table, labels.shape[2], labels.shape[0] * labels.shape[1], find):
            check_not_negative(block.labels)

    def _find_phases(self, first: int, last: int, own: Array) -> npt.NDArray[np.int32]:
        if self._block.phases is None:
            return np.zeros((0, 0, 0), dtype=np.int32)
        phases = _plain(self._block.phases[first:last], np.dtype(np.int64))
        codes = np.empty(phases.shape, dtype=np.int32)
        table = self._phases

        def encode(start: int) -> tuple[int, int]:
            return kernel.encode_phases(phases, codes, own, table.arrays, table.count, start)

        if _fill(table, phases.shape[2], phases.shape[0] * phases.shape[1], encode):
            raise InvalidVolumeError("a phase is below 0: number phases from 0 upwards")
        return codes

    def _count(self, planes: int) -> None:
        self._reserve_sides()
        runs, next_runs = (self._planes_of_runs(0, planes + n) for n in (2, 1))
        table, near, span, inner = self._pairs, self._near_pairs, self._span, self._inner_span

        def count(start: int) -> tuple[int, int]:
            return crossings.count_crossings(
                next_runs, span, self._sides, table.arrays, table.count, start
            )

        def count_near(start: int) -> tuple[int, int]:
            return crossings.count_near_pairs(runs, inner, near.arrays, near.count, start)

        for pairs, within, loop in ((table, span, count), (near, inner, count_near)):
            rows = planes * int(within[1] - within[0])
            _fill(pairs, len(DIRECTIONS) * int(within[3] - within[2]), rows, loop)

    def _reserve_sides(self) -> None:
        rows, columns = self._sides.shape[:2]
        if self._labels.count > rows or self._phases.count + 2 > columns:
            shape = (
                max(rows, 2 * self._labels.count),
                max(columns, 2 * self._phases.count + 2),
                self._sides.shape[2],
            )
            larger = np.zeros(shape, dtype=np.int64)
            larger[:rows, :columns] = self._sides
            self._sides = larger

    def _add_grey(self, first: int, last: int) -> None:
        if self._block.grey is None:
            return
        rows = len(self._grey)
        if self._labels.count > rows:
            self._grey = enlarged(self._grey, rows, 2 * self._labels.count)
            self._grey_ends = enlarged(self._grey_ends, rows, 2 * self._labels.count)
            self._grey[rows:] = 0
            self._grey_ends[rows:] = [np.inf, -np.inf]
        outside = max(-first, 0)
        part = self._block.grey[first + outside : last]
        grey = _plain(part, _wide(part.dtype))
        numbers = (self._zero, *_limits(grey.dtype))
        runs = self._planes_of_runs(outside, last - first)
        crossings.add_grey(grey, runs, self._own, self._grey, self._grey_ends, numbers)

    def result(self, planes: int) -> Sweep:
        core, origin = self._block.core, self._block.origin
        return collect(
            labels=self._labels,
            phases=self._phases if self._block.phases is not None else None,
            pairs=self._pairs,
            near_pairs=self._near_pairs,
            sides=self._sides[:, :, crossings.UNUSED :],
            grey=(self._grey, self._grey_ends) if self._block.grey is not None else None,
            extent=(core + origin[:, None]).T,
            voxels_swept=planes * int(np.prod(core[1:, 1] - core[1:, 0])),
        )


def _fill(table: Table, more: int, rows: int, loop: Callable[[int], tuple[int, int]]) -> bool:
    """Run a loop over rows, enlarging its table whenever it asks; True if it met a bad value."""
    row = 0
    while row < rows:
        table.reserve(more)
        table.count, row = loop(row)
        if row < 0:
            return True
    return False


def _runs(planes: int, height: int, width: int) -> kernel.Runs:
    """Room for runs; the first of each plane is outside, and so are all its rows to begin with."""
    starts = np.empty((planes, 2 + height * (width + 3)), dtype=np.int32)
    codes = np.empty_like(starts)
    starts[:, 0], starts[:, 1] = -kernel.FRAME, width + kernel.FRAME
    codes[:, 0] = kernel.OUTSIDE
    rows = (planes, height + 2 * kernel.FRAME)
    return starts, codes, np.zeros(rows, dtype=np.int64), np.ones(rows, dtype=np.int64)


def _span(core: Array, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Where the first voxel of pairs runs: one voxel beyond the block where the volume ends."""
    (y0, y1), (x0, x1) = (
        (first - (first == 0), last + (last == n))
        for (first, last), n in zip(core.tolist(), shape, strict=True)
    )
    return np.array([y0 + kernel.FRAME, y1 + kernel.FRAME, x0, x1], dtype=np.int64)


def _narrow(labels: Array) -> Array:
    """Labels as int32 or int64: two versions of compiled code instead of eight."""
    fits = labels.dtype.itemsize < 4 or labels.dtype == np.int32
    return _plain(labels, np.dtype(np.int32 if fits else np.int64))


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype that grey levels are read as: squares of integers beyond 16 bits might not fit."""
    if dtype in (np.uint8, np.uint16, np.float32):
        return dtype.newbyteorder("=")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(np.int32 if dtype.kind in "iu" and dtype.itemsize < 4 else np.float64)


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Least and largest number of a dtype, as scalars of it."""
    information = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return dtype.type(information.min), dtype.type(information.max)


def _plain(array: Array, dtype: np.dtype[Any]) -> Array:
    """Array in the one memory layout that the loops are compiled for."""
    return np.require(array, dtype=dtype, requirements=["C", "A", "W"])
