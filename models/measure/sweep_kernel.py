"""The compiled loops of the sweep that find runs of equal voxels and their sums.

Each row becomes *runs* of a *code*: n ≥ 0 for the n-th label met, −1 outside the volume, −2 − j for
background of the j-th phase. All that follows works on runs, so that the inside of particles and
pores costs little beyond finding them. Each loop stops before a row that its
tables might not hold and returns that row: the caller enlarges them and calls again.

Runs of k planes of (Y, X) lie in four arrays: `starts` and `codes` (k, capacity), and `begins` and
`ends` (k, Y + 4), the places of each row's runs. Run i spans x from starts[i] to starts[i + 1] − 1.
Two rows outside the volume frame a plane at either end, and a run of two voxels outside begins and
ends each row, so that no loop asks where the volume ends.

Out of scope: pairs of voxels, which are `models.measure.sweep_crossings`; enlarging tables, threads
and blocks, which are `models.measure.sweep`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit

Array = npt.NDArray[Any]
TableArrays = tuple[Array, Array, Array, Array]
Runs = tuple[Array, Array, Array, Array]

FRAME = 2
OUTSIDE = -1
BACKGROUND = -2
EMPTY = -1  # in hash tables; keys are never negative
SUMS = 16  # voxels, Σ z y x, Σ zz zy zx yy yx xx, lowest z y x, highest z y x + 1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: multiplicative hashing
_FARTHEST = np.iinfo(np.int64).max


@jit
def find_or_add(key: int | np.int64, keys: Array, slots: Array, count: int) -> int:
    """Number of `key` in an open hash table of a power of two; `count` if it was not there."""
    mask = np.uint64(len(keys) - 1)
    at = ((np.uint64(key) * _MIX) >> np.uint64(24)) & mask
    while keys[at] != key:
        if keys[at] == EMPTY:
            keys[at] = key
            slots[at] = count
            return count
        at = (at + np.uint64(1)) & mask
    return int(slots[at])


@jit
def rehash(names: Array, count: int, keys: Array, slots: Array) -> None:
    """Fill an empty hash table with the first `count` names."""
    for slot in range(count):
        find_or_add(names[slot], keys, slots, slot)


@jit
def _mark_changes(line: Array, flags: Array) -> None:
    """Set flags[x] where line[x] and line[x + 1] differ; compiles to vector instructions."""
    left, right = line[:-1], line[1:]
    for x in range(len(left)):
        flags[x] = left[x] != right[x]


@jit
def _mark_more_changes(line: Array, flags: Array) -> None:
    left, right = line[:-1], line[1:]
    for x in range(len(left)):
        flags[x] |= left[x] != right[x]


@jit
def _next_change(x: int, width: int, flags: Array, words: Array) -> int:
    """First x + 1 from x on with flags[x] set, else `width`; eight flags at a time."""
    while x < width - 1:
        if x % 8 == 0 and words[x // 8] == 0:
            x += 8
            continue
        if flags[x] != 0:
            return x + 1
        x += 1
    return width


@jit
def find_runs(
    labels: Array,
    phases: Array,
    runs: Runs,
    region: tuple[Array, Array],
    scratch: tuple[Array, Array],
    table: TableArrays,
    count: int,
    start: int,
) -> tuple[int, int]:
    """Find the runs of (k, Y, X) labels; add up voxels, coordinates and boxes of the own ones.

    Args:
        labels: int32 or int64.
        phases: (k, Y, X) int32, code of the voxel where it is background; (0, 0, 0) for none.
        runs: to be written, k planes.
        region: y0, y1, x0, x1: voxels of the block itself, not of its halo; z, y, x of the first
            voxel of `labels` in the volume.
        scratch: uint8 (X rounded up to 8,) and the same memory as uint64.
        table: keys and slots of the hash table, labels in order met, sums (n, 16) int64.
        count: labels met so far.
        start: row to begin with.

    Returns:
        Labels met and the next row; k · Y when done, −1 where a label is negative.
    """
    keys, slots, names, sums = table
    starts, codes, begins, ends = runs
    flags, words = scratch
    own, origin = region
    height, width = labels.shape[1:]
    for row in range(start, labels.shape[0] * height):
        if count + width > len(names) or 2 * (count + width) > len(keys):
            return count, row
        plane, y = row // height, row % height
        line = labels[plane, y]
        _mark_changes(line, flags)
        if len(phases) > 0:
            _mark_more_changes(phases[plane, y], flags)
        own_begin, own_end = own[2], own[3] if own[0] <= y < own[1] else 0
        at = (ends[plane, y + FRAME - 1] if y > 0 else 1) + 1
        begins[plane, y + FRAME] = at
        starts[plane, at], codes[plane, at] = -FRAME, OUTSIDE
        x = 0
        while x < width:
            end = _next_change(x, width, flags, words)
            label = line[x]
            code = BACKGROUND
            if label < 0:
                return count, -1
            if label > 0:
                code = find_or_add(label, keys, slots, count)
                if code == count:
                    names[count] = label
                    sums[count, :10] = 0
                    sums[count, 10:13] = _FARTHEST
                    sums[count, 13:] = -_FARTHEST
                    count += 1
                first, length = max(x, own_begin), min(end, own_end) - max(x, own_begin)
                if length > 0:
                    z, x0 = origin[0] + plane, origin[2] + first
                    _add_run(sums, code, z, origin[1] + y, x0, length)
            elif len(phases) > 0:
                code = phases[plane, y, x]
            at += 1
            starts[plane, at], codes[plane, at] = x, code
            x = end
        starts[plane, at + 1], codes[plane, at + 1] = width, OUTSIDE
        starts[plane, at + 2] = width + FRAME
        ends[plane, y + FRAME] = at + 2
    return count, labels.shape[0] * height


@jit
def _add_run(sums: Array, n: int, z: int, y: int, x: int, length: int) -> None:
    """Add the voxels x … x + length − 1 of row (z, y), in closed form."""
    last = x + length - 1
    sum_x = (x + last) * length // 2
    sum_xx = (last * (last + 1) * (2 * last + 1) - (x - 1) * x * (2 * x - 1)) // 6
    sums[n, 0] += length
    sums[n, 1] += length * z
    sums[n, 2] += length * y
    sums[n, 3] += sum_x
    sums[n, 4] += length * z * z
    sums[n, 5] += length * z * y
    sums[n, 6] += z * sum_x
    sums[n, 7] += length * y * y
    sums[n, 8] += y * sum_x
    sums[n, 9] += sum_xx
    sums[n, 10] = min(sums[n, 10], z)
    sums[n, 11] = min(sums[n, 11], y)
    sums[n, 12] = min(sums[n, 12], x)
    sums[n, 13] = max(sums[n, 13], z + 1)
    sums[n, 14] = max(sums[n, 14], y + 1)
    sums[n, 15] = max(sums[n, 15], last + 1)


@jit
def encode_phases(
    phases: Array,
    codes: Array,
    own: Array,
    table: TableArrays,
    count: int,
    start: int,
) -> tuple[int, int]:
    """Write the code of each phase into `codes` and count its own voxels.

    Arguments and return value as `find_runs`; phases int64, codes int32 (k, Y, X), own y0, y1, x0,
    x1, sums (n, 1).
    """
    keys, slots, names, sums = table
    height, width = phases.shape[1:]
    for row in range(start, phases.shape[0] * height):
        if count + width > len(names) or 2 * (count + width) > len(keys):
            return count, row
        plane, y = row // height, row % height
        line = phases[plane, y]
        owned = own[0] <= y < own[1]
        x = 0
        while x < width:
            phase = line[x]
            if phase < 0:
                return count, -1
            end = x + 1
            while end < width and line[end] == phase:
                end += 1
            slot = find_or_add(phase, keys, slots, count)
            if slot == count:
                names[count] = phase
                sums[count] = 0
                count += 1
            if owned:
                sums[slot, 0] += max(0, min(end, own[3]) - max(x, own[2]))
            codes[plane, y, x:end] = BACKGROUND - slot
            x = end
    return count, phases.shape[0] * height
