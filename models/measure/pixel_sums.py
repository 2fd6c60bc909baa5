"""Additive quantities of every label of a (Y, X) image, in one compiled pass over its pixels.

Out of scope: what is derived from the sums (`particles_2d`), volumes (`sweep`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.crofton import DIRECTIONS_2D

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_STEPS = np.array(DIRECTIONS_2D, dtype=np.int64)
_LOOKUP_PER_PIXEL = 4  # a table of this many entries per pixel is cheaper than sorting the pixels


@dataclass(frozen=True, slots=True, eq=False)
class PixelSums:
    """Sums over the pixels of each of N labels; positions are indices of pixels.

    Attributes:
        labels: (N,) ascending, background 0 left out.
        index: (Y, X) int32, 0 for background, i + 1 for `labels[i]`.
        pixels: (N,) pixel counts.
        first: (N, 2) Σy, Σx.
        second: (N, 3) Σy², Σyx, Σx² about the first pixel of each label, exact.
        origin: (N, 2) that first pixel.
        lower: (N, 2) first row and column.
        upper: (N, 2) one past the last row and column.
        crossings: (N, 4) pixel pairs with one side inside, by `DIRECTIONS_2D`; what lies beyond the
            edge of the image is outside.
        touches_border: (N,) whether a pixel lies on the edge of the image.
    """

    labels: Integers
    index: npt.NDArray[np.int32]
    pixels: Integers
    first: Integers
    second: Integers
    origin: Integers
    lower: Integers
    upper: Integers
    crossings: Integers
    touches_border: npt.NDArray[np.bool_]


def pixel_sums(labels: npt.NDArray[np.integer[Any]]) -> PixelSums:
    """Sum over the pixels of every label.

    Args:
        labels: (Y, X) integers from 0, not necessarily consecutive.
    """
    values, index = _consecutive(labels)
    pixels, first, second, origin, lower, upper, crossings, border = _sum_pixels(
        index, len(values), _STEPS
    )
    return PixelSums(
        values, index, pixels, first, second, origin, lower, upper, crossings, border > 0
    )


def grey_moments(
    index: npt.NDArray[np.int32], count: int, image: npt.NDArray[Any]
) -> tuple[Integers, Floats, Floats]:
    """Number of finite grey values of each label, their mean and population standard deviation.

    Args:
        index: (Y, X) int32, 0 for background, otherwise 1 … `count`.
        count: number of labels.
        image: (Y, X) grey levels; NaN and ±inf are left out.

    Returns:
        Three (`count`,) arrays; NaN for a label without a finite grey value.
    """
    number, shift, total, squares = _sum_grey(index, count, np.asarray(image, dtype=np.float64))
    known = np.where(number > 0, number, 1)
    offset = total / known
    variance = np.maximum(squares / known - offset**2, 0)
    missing = np.where(number > 0, 0.0, np.nan)
    return number, shift + offset + missing, np.sqrt(variance) + missing


def _consecutive(
    labels: npt.NDArray[np.integer[Any]],
) -> tuple[Integers, npt.NDArray[np.int32]]:
    """The labels that occur, ascending without 0, and the image with them numbered from 1."""
    highest = int(labels.max())
    if highest <= max(_LOOKUP_PER_PIXEL * labels.size, 65535):
        seen = np.zeros(highest + 1, dtype=np.bool_)
        seen[labels] = True
        seen[0] = False
        table = np.where(seen, np.cumsum(seen), 0).astype(np.int32)
        return np.flatnonzero(seen), table[labels]
    values, inverse = np.unique(labels, return_inverse=True)
    background = int(values[0] == 0)
    index = (inverse + 1 - background).reshape(labels.shape).astype(np.int32)
    return values[background:].astype(np.int64), index


@jit
def _sum_pixels(index: npt.NDArray[np.int32], count: int, steps: Integers) -> Any:
    rows, columns = index.shape
    pixels = np.zeros(count, dtype=np.int64)
    first = np.zeros((count, 2), dtype=np.int64)
    second = np.zeros((count, 3), dtype=np.int64)
    origin = np.zeros((count, 2), dtype=np.int64)
    lower = np.zeros((count, 2), dtype=np.int64)
    upper = np.zeros((count, 2), dtype=np.int64)
    crossings = np.zeros((count, len(steps)), dtype=np.int64)
    border = np.zeros(count, dtype=np.uint8)
    for y in range(rows):
        for x in range(columns):
            here = index[y, x]
            if here == 0:
                continue
            i = here - 1
            if pixels[i] == 0:
                origin[i, 0], origin[i, 1] = y, x
                lower[i, 0], lower[i, 1] = y, x
            v, u = y - origin[i, 0], x - origin[i, 1]
            pixels[i] += 1
            first[i, 0] += y
            first[i, 1] += x
            second[i, 0] += v * v
            second[i, 1] += v * u
            second[i, 2] += u * u
            lower[i, 1] = min(lower[i, 1], x)
            upper[i, 0] = y + 1
            upper[i, 1] = max(upper[i, 1], x + 1)
            if y in (0, rows - 1) or x in (0, columns - 1):
                border[i] = 1
            for d in range(len(steps)):
                dy, dx = steps[d, 0], steps[d, 1]
                for sign in (1, -1):
                    v, u = y + sign * dy, x + sign * dx
                    inside = 0 <= v < rows and 0 <= u < columns
                    if not inside or index[v, u] != here:
                        crossings[i, d] += 1
    return pixels, first, second, origin, lower, upper, crossings, border


@jit
def _sum_grey(index: npt.NDArray[np.int32], count: int, image: Floats) -> Any:
    """Sums about the first grey value of each label, which keeps digits when levels are high."""
    number = np.zeros(count, dtype=np.int64)
    shift = np.zeros(count, dtype=np.float64)
    total = np.zeros(count, dtype=np.float64)
    squares = np.zeros(count, dtype=np.float64)
    for y in range(index.shape[0]):
        for x in range(index.shape[1]):
            i = index[y, x] - 1
            if i < 0:
                continue
            value = image[y, x]
            if not np.isfinite(value):
                continue
            if number[i] == 0:
                shift[i] = value
            number[i] += 1
            total[i] += value - shift[i]
            squares[i] += (value - shift[i]) ** 2
    return number, shift, total, squares
