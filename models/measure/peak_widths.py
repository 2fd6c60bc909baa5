"""Peaks of grey values by phase: where they lie and how wide they are at half their height.

The width of a phase that is one material, as a foil of aluminium, is that of the measurement; what
a phase has more is its own (Jiang et al., Nat. Commun. 11 (2020) 2310, supplementary figure 8).

Voxels of a phase count where their six neighbours are of it too: those at a boundary are partly
something else. Blur that reaches farther still widens the foot of a peak more than its half height.

Out of scope: which volumes (`graindex.phase_peaks`); peaks of several phases in one histogram.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError, Sliceable, check_same_shape
from models.progress import Progress

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

FEWEST = 100
"""Voxels below which a peak is not looked for."""

FWHM_PER_STD = 2 * math.sqrt(2 * math.log(2))
"""Width at half height of a Gaussian over its standard deviation, 2.3548."""

_LEVELS = 1 << 16  # of a histogram: all values of 16 bits
_SLAB_BYTES = 1 << 25
_TOP_SHARE = 0.8  # of the highest level, above which a peak is taken for a parabola
_SILVERMAN = 0.9  # Density Estimation (1986), eq. 3.31


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Grey values of a phase.

    Attributes:
        phase: its value.
        first: grey value in the middle of the first level.
        step: from one level to the next.
        counts: (L,) voxels of each level.
        cut_off: whether the values at both ends are the least and greatest that the type holds.
    """

    phase: int
    first: float
    step: float
    counts: Counts
    cut_off: bool = False

    @property
    def grey(self) -> Floats:
        """(L,) middle of each level."""
        return np.asarray(self.first + self.step * np.arange(len(self.counts)), np.float64)


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest peak of a histogram, in grey values; NaN where it is not known.

    Attributes:
        position: of its top.
        fwhm: full width at half its height.
        mean: of all values.
        std: of all values.
    """

    position: float
    fwhm: float
    mean: float
    std: float


def phase_histograms(
    grey: Sliceable, phases: Sliceable, *, progress: Progress | None = None
) -> list[Histogram]:
    """Histogram of the grey values inside each phase, from slabs of the volumes.

    Args:
        grey: (Z, Y, X) of any number type; what is not finite does not count.
        phases: (Z, Y, X) integers.
        progress: told the slices looked at, and all.

    Returns:
        Ascending by phase, of those with inner voxels. Integers of up to 16 bits have a level
        each; other values 65536 between the least and the greatest, and are read twice.

    Raises:
        InvalidVolumeError: if the shapes differ or are not (Z, Y, X), or phases are no integers.
    """
    if len(grey.shape) != 3 or np.dtype(phases.dtype).kind not in "iub":
        message = f"grey {grey.shape} with phases {phases.dtype}: give (Z, Y, X), phases integers"
        raise InvalidVolumeError(message)
    check_same_shape(phases.shape, grey.shape, "grey")
    dtype = np.dtype(grey.dtype)
    exact = dtype.kind in "iu" and dtype.itemsize <= 2
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if exact else _range(grey)
    step = 1.0 if exact else max((high - low) / (_LEVELS - 1), np.finfo(float).tiny)
    counts: dict[int, Counts] = {}
    for z, values, phase in _inner(grey, phases):
        for one in np.unique(phase).tolist():
            level = np.rint((values[phase == one].astype(np.float64) - low) / step)
            found = np.bincount(level.astype(np.int64), minlength=_LEVELS)
            counts[one] = counts[one] + found if one in counts else found
        if progress is not None:
            progress(z, grey.shape[0])
    return [Histogram(p, float(low), step, counts[p], exact) for p in sorted(counts)]


def peak_of(histogram: Histogram) -> Peak:
    """Position and width of the highest peak.

    Counts are smoothed by a Gaussian of Silverman's width, at least one level, which is then taken
    out of the width in quadrature: exact for a Gaussian peak, and 1 to 2 % of any other. Half the
    height is met between levels, linearly. A peak at an end of the type's range is cut off: it has
    no width.
    """
    counts = histogram.counts
    used = np.flatnonzero(counts)
    total = int(counts.sum())
    if total < FEWEST:
        return Peak(math.nan, math.nan, math.nan, math.nan)
    grey = histogram.grey
    mean = float(grey @ counts / total)
    std = math.sqrt(float((grey - mean) ** 2 @ counts / total))
    smoothing = _smoothing_levels(counts[used[0] : used[-1] + 1], std / histogram.step)
    top, width = _peak_levels(counts, used, smoothing)
    ends = (0, len(counts) - 1)
    fwhm = histogram.step * math.sqrt(max(width**2 - (FWHM_PER_STD * smoothing) ** 2, 0))
    cut_off = histogram.cut_off and np.argmax(counts) in ends
    return Peak(
        position=histogram.first + histogram.step * top,
        fwhm=math.nan if cut_off else fwhm,
        mean=mean,
        std=std,
    )


def coarse(histogram: Histogram, classes: int) -> Histogram:
    """The same values in at most so many classes, from the least that occurs to the greatest."""
    used = np.flatnonzero(histogram.counts)
    if not used.size:
        return Histogram(histogram.phase, histogram.first, histogram.step, np.zeros(0, np.int64))
    merged = -(-(used[-1] - used[0] + 1) // classes)
    counts = np.bincount((used - used[0]) // merged, histogram.counts[used])
    middle = used[0] + (merged - 1) / 2
    return Histogram(
        histogram.phase,
        histogram.first + histogram.step * middle,
        histogram.step * merged,
        np.rint(counts).astype(np.int64),
    )


def _smoothing_levels(counts: Counts, std: float) -> float:
    """Silverman's standard deviation in levels; at least one."""
    below = np.cumsum(counts)
    quarter, three = np.searchsorted(below, (0.25 * below[-1], 0.75 * below[-1]))
    spread = min(std, (three - quarter) / 1.34) or std
    return max(float(_SILVERMAN * spread * below[-1] ** -0.2), 1.0)


def _peak_levels(
    counts: Counts, used: npt.NDArray[np.intp], smoothing: float
) -> tuple[float, float]:
    """Place of the top among all levels, and full width at half height, in levels."""
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415

    room = math.ceil(6 * smoothing) + 2  # on both sides, beyond which nothing is left
    cut = np.pad(counts[used[0] : used[-1] + 1].astype(np.float64), room)
    smooth = gaussian_filter1d(cut, smoothing, mode="constant", truncate=6.0)
    top = int(np.argmax(smooth))
    half = smooth[top] / 2
    left = int(np.flatnonzero(smooth[:top] < half)[-1])
    right = top + int(np.flatnonzero(smooth[top:] < half)[0])
    low = left + (half - smooth[left]) / (smooth[left + 1] - smooth[left])
    high = right - (half - smooth[right]) / (smooth[right - 1] - smooth[right])
    return float(used[0] - room + _summit(smooth, top)), float(high - low)


def _summit(smooth: Floats, top: int) -> float:
    """Place of the top between levels, by a parabola through all of the peak above 80 %.

    The highest level alone wanders about a broad top by chance.
    """
    low = np.flatnonzero(smooth < _TOP_SHARE * smooth[top])
    first, last = low[low < top][-1] + 1, low[low > top][0]
    if last - first < 3:
        first, last = top - 1, top + 2
    place = np.arange(first, last) - top
    bend, slope, _ = np.polyfit(place, smooth[first:last], 2)
    summit = -slope / (2 * bend) if bend < 0 else place.mean()
    return top + float(np.clip(summit, place[0], place[-1]))


def _range(grey: Sliceable) -> tuple[float, float]:
    """Least and greatest finite value; 0 and 0 where there is none."""
    low, high = math.inf, -math.inf
    for begin, end in _slabs(grey):
        slab = np.asarray(grey[begin:end])
        finite = slab[np.isfinite(slab)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _slabs(grey: Sliceable) -> Iterator[tuple[int, int]]:
    """First slice and last + 1 of slabs, in whole chunks where there are any."""
    depth, height, width = grey.shape
    chunk = (getattr(grey, "chunks", None) or (1,))[0]
    slices = max(_SLAB_BYTES // (8 * height * width) // chunk, 1) * chunk
    for begin in range(0, depth, slices):
        yield begin, min(begin + slices, depth)


def _inner(
    grey: Sliceable, phases: Sliceable
) -> Iterator[tuple[int, npt.NDArray[Any], npt.NDArray[Any]]]:
    """Slices done, grey values and phases of the finite inner voxels of each slab."""
    for begin, end in _slabs(grey):
        first, last = max(begin - 1, 0), min(end + 1, grey.shape[0])
        around = np.asarray(phases[first:last])
        inner = _surrounded(around)[begin - first : end - first]
        slab, phase = np.asarray(grey[begin:end]), around[begin - first : end - first]
        if slab.dtype.kind == "f":
            inner &= np.isfinite(slab)
        yield end, slab[inner], phase[inner]


def _surrounded(phases: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Voxels whose face neighbours, those in the array, are all of their phase."""
    inner = np.ones(phases.shape, dtype=np.bool_)
    for axis in range(3):
        here: list[slice] = [slice(None)] * 3
        there: list[slice] = [slice(None)] * 3
        here[axis], there[axis] = slice(1, None), slice(None, -1)
        differs = phases[tuple(here)] != phases[tuple(there)]
        inner[tuple(here)] &= ~differs
        inner[tuple(there)] &= ~differs
    return inner
