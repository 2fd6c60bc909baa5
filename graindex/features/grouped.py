"""Statistics of groups of numbers that are the same to the last bit in whatever order they come.

The numbers of a group are sorted by value before they are added up; floating-point sums in the
order of storage would change when files are merged. Out of scope: which numbers, and of what.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from graindex.features.definition import quantile_of

Floats = npt.NDArray[np.float64]
Groups = npt.NDArray[np.integer]


def grouped_statistics(
    groups: Groups, values: Floats, count: int, statistics: Iterable[str]
) -> dict[str, Floats]:
    """Statistics of each group's values.

    Args:
        groups: (N,) number of the group of each value, from 0.
        values: (N,) values; those that are not finite are left out.
        count: number of groups.
        statistics: names among mean, sd, sum, min, max, median, iqr, mad and q1 to q99. sd divides
            by one less than the number of values. Quantiles interpolate between the two nearest
            values. mad is the median distance from the median.

    Returns:
        (count,) array by name; NaN where a group has no value, or only one for sd.
    """
    values, starts, sizes = _sorted(groups, values, count)
    names = list(dict.fromkeys(statistics))
    return {name: _statistic(name, values, starts, sizes) for name in names}


def weighted_means(groups: Groups, values: Floats, weights: Floats, count: int) -> Floats:
    """(count,) means of each group's values, weighted; NaN where weights are absent or sum to 0.

    Values or weights that are not finite are left out with each other.
    """
    known = np.isfinite(values) & np.isfinite(weights)
    groups, values, weights = groups[known], values[known], weights[known]
    total = grouped_statistics(groups, values * weights, count, ["sum"])["sum"]
    weight = grouped_statistics(groups, weights, count, ["sum"])["sum"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def grouped_vector_mean(groups: Groups, values: npt.NDArray[np.floating], count: int) -> Floats:
    """(count, D) means of each group's rows of `values` (N, D), added up in their order.

    NaN where a group has no row.
    """
    means = np.full((count, values.shape[1]), np.nan)
    order = np.argsort(groups, kind="stable")
    present, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    if len(present):
        sums = np.add.reduceat(values[order], starts, axis=0, dtype=np.float64)
        means[present] = sums / sizes[:, None]
    return means


def _sorted(groups: Groups, values: Floats, count: int) -> tuple[Floats, Groups, Groups]:
    """Finite values by group and then by size, where each group starts, and how many it has."""
    from scipy.sparse import csr_array  # noqa: PLC0415

    finite = np.isfinite(values)
    if not finite.all():
        groups, values = groups[finite], values[finite]
    order = np.argsort(values)
    # Zero added makes negative zeros positive ones: they compare equal, so that either may come
    # first. Conversion to rows is a counting sort that keeps the order within each.
    data = values[order] + 0.0
    shape = (count, len(values))
    rows = csr_array((data, (groups[order], np.arange(len(values)))), shape=shape)
    starts = rows.indptr[:-1]
    return rows.data, starts, np.diff(rows.indptr)


def _statistic(name: str, values: Floats, starts: Groups, sizes: Groups) -> Floats:
    quantile = quantile_of(name)
    if quantile is not None:
        return _quantile(values, starts, sizes, quantile)
    if name == "iqr":
        ends = [_quantile(values, starts, sizes, share) for share in (0.25, 0.75)]
        return ends[1] - ends[0]
    if name == "mad":
        median = _quantile(values, starts, sizes, 0.5)
        distances = np.abs(values - np.repeat(median, sizes))
        groups = np.repeat(np.arange(len(sizes)), sizes)
        return _quantile(*_sorted(groups, distances, len(sizes)), 0.5)
    if name == "sd":
        return _deviation(values, starts, sizes)
    simple = {"median": 0.5, "min": 0.0, "max": 1.0}
    if name in simple:
        return _quantile(values, starts, sizes, simple[name])
    return (_sum if name == "sum" else _mean)(values, starts, sizes)


def _sum(values: Floats, starts: Groups, sizes: Groups) -> Floats:
    sums = np.full(len(sizes), np.nan)
    filled = sizes > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, starts[filled])
    return sums


def _mean(values: Floats, starts: Groups, sizes: Groups) -> Floats:
    means = _sum(values, starts, sizes) / np.maximum(sizes, 1)
    # Rounding would put the mean of equal numbers a bit beside them.
    least, largest = (_quantile(values, starts, sizes, share) for share in (0, 1))
    return np.clip(means, least, largest)


def _deviation(values: Floats, starts: Groups, sizes: Groups) -> Floats:
    squares = (values - np.repeat(_mean(values, starts, sizes), sizes)) ** 2
    several = np.where(sizes > 1, sizes - 1, np.nan)
    return np.sqrt(_sum(squares, starts, sizes) / several)


def _quantile(values: Floats, starts: Groups, sizes: Groups, share: float) -> Floats:
    found = np.full(len(sizes), np.nan)
    filled = sizes > 0
    place = share * (sizes[filled] - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, sizes[filled] - 1)
    low, high = values[starts[filled] + below], values[starts[filled] + above]
    found[filled] = low + (high - low) * (place - below)
    return found
