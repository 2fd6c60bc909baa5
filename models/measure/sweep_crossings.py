"""The compiled loops of the sweep that take runs of equal voxels: crossings and sums of grey.

Crossings between two rows are overlaps of their runs, straight or moved by a step.

Out of scope: finding runs and what their codes are, which is `models.measure.sweep_kernel`.
"""

from typing import Any

import numpy as np

# Numba's cache watches the file of a loop, not of what the loop calls: after changing
# `find_or_add`, touch this file too
from models.compiled import jit
from models.measure.sweep_kernel import FRAME, OUTSIDE, Array, Runs, TableArrays, find_or_add

UNUSED = 2  # columns before the 13 steps: where a row with itself puts what is not a step
FIRST_NET = UNUSED + 13
PAIR_SUMS = FIRST_NET + 3
_NET = (FIRST_NET + 2, FIRST_NET + 1, 0, FIRST_NET, 0)  # column for the straight step to each row


@jit
def count_crossings(
    runs: Runs, span: Array, sides: Array, table: TableArrays, count: int, start: int
) -> tuple[int, int]:
    """Count the pairs (p, p + step) of different codes, for p in all planes but the last.

    Args:
        runs: k + 1 planes.
        span: y0, y1, x0, x1: where p runs, y counted in the frame.
        sides: (n, s, 15) int64: crossings of a label with outside (0) and the phases (1 + j), steps
            from column 2 on.
        table: keys and slots of the hash table, pairs in order met as 2³² · lesser code + greater
            code, and (m, 18) int64: as `sides`, then crossings of the steps along z, y and x again,
            less those that go from the greater code to the lesser.
        count: pairs met so far.
        start: row to begin with.

    Returns:
        Pairs met and the next row; k · (y1 − y0) when done.
    """
    keys, slots, pairs, sums = table
    starts, codes, begins, ends = runs
    rows, low, high = span[1] - span[0], span[2], span[3]
    last_key, slot = np.int64(-1), 0
    for row in range(start, (len(starts) - 1) * rows):
        needed = count + 13 * (high - low)
        if needed > len(pairs) or 2 * needed > len(keys):
            return count, row
        plane, y = row // rows, span[0] + row % rows
        for other in range(5):
            # the row itself, then the rows at (0, 1), (1, -1), (1, 0) and (1, 1)
            plane_b, y_b = plane + (other > 1), y + other - 3 * (other > 1)
            b, end_b = begins[plane_b, y_b], ends[plane_b, y_b]
            for a in range(begins[plane, y], ends[plane, y]):
                first, last = max(starts[plane, a], low), min(starts[plane, a + 1], high)
                if first >= last:
                    continue
                here = codes[plane, a]
                b = a if other == 0 else b  # within a row, steps go forward
                while starts[plane_b, b + 1] < first:
                    b += 1
                for at in range(b, end_b):
                    first_b, last_b = starts[plane_b, at], starts[plane_b, at + 1]
                    if first_b > last:
                        break
                    lower, upper = min(here, codes[plane_b, at]), max(here, codes[plane_b, at])
                    if lower == upper or upper < 0:
                        continue
                    left = max(0, min(last, last_b + 1) - max(first, first_b + 1))
                    straight = max(0, min(last, last_b) - max(first, first_b))
                    right = max(0, min(last, last_b - 1) - max(first, first_b - 1))
                    if lower < 0:
                        sides[upper, OUTSIDE - lower, 3 * other] += left
                        sides[upper, OUTSIDE - lower, 3 * other + 1] += straight
                        sides[upper, OUTSIDE - lower, 3 * other + 2] += right
                        continue
                    key = (np.int64(lower) << 32) | np.int64(upper)
                    if key != last_key:
                        slot, last_key = find_or_add(key, keys, slots, count), key
                        if slot == count:
                            pairs[slot] = key
                            sums[slot] = 0
                            count += 1
                    sums[slot, 3 * other] += left
                    sums[slot, 3 * other + 1] += straight
                    sums[slot, 3 * other + 2] += right
                    net = straight if other > 0 else right
                    sums[slot, _NET[other]] += net if here == lower else -net
    return count, (len(starts) - 1) * rows


@jit
def count_near_pairs(
    runs: Runs, span: Array, table: TableArrays, count: int, start: int
) -> tuple[int, int]:
    """Count the pairs (p, p + 2 · step) of different labels, for p in all planes but the last two.

    Arguments and return value as `count_crossings`, of k + 2 planes; the span lies in the volume. A
    pair may be met whose crossings are all 0, or whose labels do not touch.
    """
    keys, slots, pairs, sums = table
    starts, stops, codes, begins, ends = _labelled(runs)
    rows, low, high = span[1] - span[0], span[2], span[3]
    last_key, slot = np.int64(-1), 0
    for row in range(start, (len(begins) - 2) * rows):
        needed = count + 13 * (high - low)
        if needed > len(pairs) or 2 * needed > len(keys):
            return count, row
        plane, y = row // rows, span[0] + row % rows
        for other in range(5):
            plane_b, y_b = plane + 2 * (other > 1), y + 2 * (other - 3 * (other > 1))
            b, end_b = begins[plane_b, y_b], ends[plane_b, y_b]
            for a in range(begins[plane, y], ends[plane, y]):
                first, last, here = max(starts[a], low), min(stops[a], high), codes[a]
                b = a + 1 if other == 0 else b  # within a row, steps go forward
                while b < end_b and stops[b] < first - 1:
                    b += 1
                for at in range(b, end_b):
                    if starts[at] > last + 1:
                        break
                    there = codes[at]
                    if here == there:
                        continue
                    first_b, last_b = starts[at], stops[at]
                    left = max(0, min(last, last_b + 2) - max(first, first_b + 2))
                    straight = max(0, min(last, last_b) - max(first, first_b))
                    right = max(0, min(last, last_b - 2) - max(first, first_b - 2))
                    key = (np.int64(min(here, there)) << 32) | np.int64(max(here, there))
                    if key != last_key:
                        slot, last_key = find_or_add(key, keys, slots, count), key
                        if slot == count:
                            pairs[slot] = key
                            sums[slot] = 0
                            count += 1
                    sums[slot, 3 * other] += left
                    sums[slot, 3 * other + 1] += straight
                    sums[slot, 3 * other + 2] += right
                    net = straight if other > 0 else right
                    sums[slot, _NET[other]] += net if here < there else -net
    return count, (len(begins) - 2) * rows


@jit
def _labelled(runs: Runs) -> tuple[Array, Array, Array, Array, Array]:
    """Runs of labels alone: starts, ends and codes (n,), places of each row (k, Y + 4)."""
    starts, codes, begins, ends = runs
    total = 0
    for plane in range(len(begins)):
        total += ends[plane].max()
    firsts, lasts = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int32)
    names = np.empty(total, dtype=np.int32)
    row_begins, row_ends = np.empty_like(begins), np.empty_like(ends)
    at = 0
    for plane in range(len(begins)):
        for y in range(begins.shape[1]):
            row_begins[plane, y] = at
            for a in range(begins[plane, y], ends[plane, y]):
                if codes[plane, a] >= 0:
                    firsts[at], lasts[at] = starts[plane, a], starts[plane, a + 1]
                    names[at] = codes[plane, a]
                    at += 1
            row_ends[plane, y] = at
    return firsts, lasts, names, row_begins, row_ends


@jit
def add_grey(
    grey: Array, runs: Runs, own: Array, sums: Array, ends: Array, numbers: tuple[Any, Any, Any]
) -> None:
    """Add up the grey levels of each label.

    Args:
        grey: (k, Y, X).
        runs: k planes or more.
        own: y0, y1, x0, x1 in `grey`: voxels of the block itself.
        sums: (n, 4): voxels, Σ grey, Σ grey² and not finite voxels; int64 for integers, otherwise
            float64.
        ends: (n, 2) float64: least and largest.
        numbers: 0 of the dtype of `sums`, least and largest number of the dtype of `grey`.
    """
    zero, lowest, highest = numbers
    starts, codes, begins, stops = runs
    for plane in range(grey.shape[0]):
        for y in range(own[0], own[1]):
            for at in range(begins[plane, y + FRAME], stops[plane, y + FRAME]):
                n = codes[plane, at]
                first, last = max(starts[plane, at], own[2]), min(starts[plane, at + 1], own[3])
                if n < 0 or first >= last:
                    continue
                total, square, wrong = zero, zero, 0
                least, largest = highest, lowest
                for x in range(first, last):
                    value = grey[plane, y, x]
                    if np.isfinite(value):
                        total += value
                        square += (zero + value) * (zero + value)
                        least, largest = min(least, value), max(largest, value)
                    else:
                        wrong += 1
                sums[n, 0] += last - first - wrong
                sums[n, 1] += total
                sums[n, 2] += square
                sums[n, 3] += wrong
                if wrong < last - first:
                    ends[n, 0], ends[n, 1] = min(ends[n, 0], least), max(ends[n, 1], largest)
