"""Centre and scale of columns of numbers, and which columns are worth keeping.

Out of scope: which rows they are judged on (`graindex.features.fitting`).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Method = Literal["standard", "robust"]

# Interquartile range of the normal distribution of standard deviation 1.
_NORMAL_IQR = 1.3489795003921634
_ROUNDING = 10 * float(np.finfo(np.float64).eps)


def centre_and_scale(values: Floats, method: Method) -> tuple[Floats, Floats]:
    """Centre and scale of each column.

    Args:
        values: (N, D) numbers; NaN where one is missing.
        method: standard is mean and standard deviation (dividing by the number of values); robust
            is the median and the interquartile range over that of the normal distribution.

    Returns:
        (D,) centres and (D,) scales; a constant column has scale 1, one without values centre 0.
    """
    with _empty_columns_allowed():
        if method == "standard":
            centre, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        else:
            low, centre, high = np.nanpercentile(values, (25, 50, 75), axis=0)
            scale = (high - low) / _NORMAL_IQR
        least, largest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    constant = least == largest
    centre = np.where(constant, least, centre)
    spread = scale > _ROUNDING * np.abs(centre)
    centre = np.where(np.isfinite(centre), centre, 0)
    return centre, np.where(spread & ~constant, scale, 1)


def missing_share(values: Floats) -> Floats:
    """(D,) share of rows of `values` (N, D) that are NaN."""
    share: Floats = np.isnan(values).mean(axis=0)
    return share


def variances(values: Floats) -> Floats:
    """(D,) variances of columns, NaN left out."""
    with _empty_columns_allowed():
        found: Floats = np.nanvar(values, axis=0)
    return found


def medians(values: Floats) -> Floats:
    """(D,) medians of columns, NaN left out."""
    with _empty_columns_allowed():
        found: Floats = np.nanmedian(values, axis=0)
    return found


def uncorrelated(values: Floats, limit: float) -> Flags:
    """Which columns stay when of two that correlate more than `limit` the later one goes.

    Args:
        values: (N, D) numbers, none missing.
        limit: largest absolute correlation.

    Returns:
        (D,) flags. Columns are judged in order, by those that stayed before them.
    """
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(norms > 0, norms, 1)
    correlation = np.abs(unit.T @ unit)
    stays = np.zeros(values.shape[1], bool)
    for column in range(values.shape[1]):
        stays[column] = not (correlation[column, stays] > limit).any()
    return stays


@contextmanager
def _empty_columns_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
