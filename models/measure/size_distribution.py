"""Diameters at given shares of the number or the volume, spans, histograms, loss at the border.

Out of scope: measuring the particles; plane sections of balls (`unfolding`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError

Floats = npt.NDArray[np.float64]

SHARES = (0.1, 0.5, 0.9)
"""Of the number or the volume, whose diameters are told."""


@dataclass(frozen=True, slots=True)
class SizeStatistics:
    """Size of a population of particles; NaN where there are none.

    Attributes:
        count: particles the statistics are over.
        excluded_count: particles left out because the border cuts them.
        excluded_volume_share: their share of the volume of all particles, 0 … 1.
        mean_um: mean diameter by number.
        std_um: population standard deviation of the diameter by number.
        geometric_mean_um: exp of the mean log diameter by number.
        geometric_std: exp of the standard deviation of the log diameter by number, ≥ 1.
        sauter_mean_um: D[3,2], Σd³ / Σd².
        d10_number_um: 10 % of the particles are smaller.
        d50_number_um: 50 % of the particles are smaller.
        d90_number_um: 90 % of the particles are smaller.
        d10_volume_um: 10 % of the volume is in smaller particles.
        d50_volume_um: 50 % of the volume is in smaller particles.
        d90_volume_um: 90 % of the volume is in smaller particles.
        span_number: (D90 − D10) / D50 by number.
        span_volume: (D90 − D10) / D50 by volume.
    """

    count: int
    excluded_count: int
    excluded_volume_share: float
    mean_um: float
    std_um: float
    geometric_mean_um: float
    geometric_std: float
    sauter_mean_um: float
    d10_number_um: float
    d50_number_um: float
    d90_number_um: float
    d10_volume_um: float
    d50_volume_um: float
    d90_volume_um: float
    span_number: float
    span_volume: float


def size_statistics(
    diameter_um: npt.ArrayLike,
    *,
    volume_um3: npt.ArrayLike | None = None,
    touches_border: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> SizeStatistics:
    """Describe the sizes of particles by number and by volume.

    Args:
        diameter_um: (N,) equivalent diameters; particles with NaN are left out of everything.
        volume_um3: (N,) volumes; None takes balls of the diameters.
        touches_border: (N,) particles that the border cuts; they are left out and counted.
        weights: (N,) how many particles each stands for, see `miles_lantuejoul_weights`.

    Raises:
        InvalidVolumeError: if the lengths differ, or a diameter, volume or weight is negative.
    """
    diameter, volume, inner, weight = _columns(diameter_um, volume_um3, touches_border, weights)
    total = float(volume.sum())
    excluded = float(volume[~inner].sum()) / total if total > 0 else math.nan
    left_out = int((~inner).sum())
    diameter, volume, weight = diameter[inner], volume[inner], weight[inner]
    number = weighted_quantiles(diameter, weight, SHARES)
    by_volume = weighted_quantiles(diameter, weight * volume, SHARES)
    mean, std = _mean_and_std(diameter, weight)
    log_mean, log_std = _mean_and_std(np.log(diameter), weight)
    square = float(weight @ diameter**2)
    return SizeStatistics(
        count=len(diameter),
        excluded_count=left_out,
        excluded_volume_share=excluded,
        mean_um=mean,
        std_um=std,
        geometric_mean_um=math.exp(log_mean),
        geometric_std=math.exp(log_std),
        sauter_mean_um=float(weight @ diameter**3) / square if square else math.nan,
        d10_number_um=number[0],
        d50_number_um=number[1],
        d90_number_um=number[2],
        d10_volume_um=by_volume[0],
        d50_volume_um=by_volume[1],
        d90_volume_um=by_volume[2],
        span_number=(number[2] - number[0]) / number[1],
        span_volume=(by_volume[2] - by_volume[0]) / by_volume[1],
    )


def weighted_quantiles(
    values: Floats, weights: Floats, shares: tuple[float, ...]
) -> tuple[float, ...]:
    """Values below which given shares of the total weight lie.

    The cumulative weight is taken at the middle of each value's own weight and interpolated
    linearly; with equal weights this is Hazen's definition, whose half is the usual median.

    Args:
        values: (N,) finite.
        weights: (N,) ≥ 0.
        shares: of the total weight, 0 … 1.

    Returns:
        One value per share; NaN if the total weight is 0.
    """
    positive = weights > 0
    order = np.argsort(values[positive], kind="stable")
    value, weight = values[positive][order], weights[positive][order]
    if not len(value):
        return (math.nan,) * len(shares)
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    return tuple(float(np.interp(share, middle, value)) for share in shares)


def quantile_errors(
    values: Floats,
    weights: Floats,
    confidence: Floats,
    shares: tuple[float, ...],
    *,
    resamples: int = 200,
) -> tuple[float, ...]:
    """Standard errors of `weighted_quantiles`: of how many were seen, and of what was not there.

    In each resample a particle counts as often as a Poisson distribution says whose mean is its
    confidence: the Poisson bootstrap (Hanley & MacGibbon, Comput. Methods Programs Biomed. 83, 57
    (2006)) of particles of which that share is there. Particles of confidence 1/2 so give the error
    of half as many that are certain. The same values give the same errors.

    Args:
        values: (N,) finite.
        weights: (N,) ≥ 0.
        confidence: (N,) 0 … 1; NaN where nothing is known, which counts as certain.
        shares: of the total weight, 0 … 1.
        resamples: how many are drawn.

    Returns:
        One standard error per share, in the unit of the values; NaN with fewer than two values.
    """
    positive = weights > 0
    order = np.argsort(values[positive], kind="stable")
    value, weight = values[positive][order], weights[positive][order]
    if len(value) < 2:
        return (math.nan,) * len(shares)
    there = np.nan_to_num(confidence[positive][order], nan=1.0)
    rng = np.random.default_rng(0)
    drawn = np.empty((resamples, len(shares)))
    for resample in drawn:
        times = rng.poisson(there)
        counted = weight * times
        total = counted.sum()
        middle = (np.cumsum(counted) - counted / 2) / (total or 1.0)
        seen = times > 0
        resample[:] = np.interp(shares, middle[seen], value[seen]) if total else math.nan
    known = drawn[np.isfinite(drawn).all(axis=1)]
    if len(known) < 2:
        return (math.nan,) * len(shares)
    return tuple(float(error) for error in known.std(axis=0, ddof=1))


def size_histogram(
    diameter_um: npt.ArrayLike,
    *,
    bins: int = 20,
    limits_um: tuple[float, float] | None = None,
    volume_um3: npt.ArrayLike | None = None,
    touches_border: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Count particles in classes whose limits rise by a constant factor.

    Args:
        diameter_um: (N,) equivalent diameters.
        bins: number of classes.
        limits_um: lowest and highest limit; None takes the smallest and largest diameter.
        volume_um3: (N,) volumes; None takes balls of the diameters.
        touches_border: (N,) particles to leave out.
        weights: (N,) how many particles each stands for.

    Returns:
        `lower_um`, `upper_um`, `count` (int64), `number_share` and `volume_share`, each (bins,); no
        rows without particles and limits. Shares refer to the particles within the limits.

    Raises:
        InvalidVolumeError: as `size_statistics`, and if the limits are not 0 < lower < upper.
    """
    diameter, volume, inner, weight = _columns(diameter_um, volume_um3, touches_border, weights)
    diameter, volume, weight = diameter[inner], volume[inner], weight[inner]
    edges = log_edges(diameter, bins, limits_um)
    counts = [
        np.histogram(diameter, edges, weights=w)[0] if len(edges) > 1 else np.zeros(0)
        for w in (np.ones(len(diameter)), weight, weight * volume)
    ]
    return {
        "lower_um": edges[:-1],
        "upper_um": edges[1:],
        "count": np.rint(counts[0]).astype(np.int64),
        "number_share": counts[1] / (counts[1].sum() or 1.0),
        "volume_share": counts[2] / (counts[2].sum() or 1.0),
    }


def log_edges(values: Floats, bins: int, limits: tuple[float, float] | None = None) -> Floats:
    """(bins + 1,) limits that rise by a constant factor; empty if there is nothing to go by.

    Raises:
        InvalidVolumeError: if `bins` is below 1 or the limits are not 0 < lower < upper.
    """
    if bins < 1:
        raise InvalidVolumeError(f"{bins} classes: take 1 or more")
    if limits is None:
        if not len(values):
            return np.zeros(0)
        low, high = float(values.min()), float(values.max())
        if low == high:  # one size: a class of 1 % around it
            low, high = low / 1.005, high * 1.005
    else:
        low, high = limits
    if not 0 < low < high:
        raise InvalidVolumeError(f"limits {(low, high)} µm: take 0 < lower < upper")
    edges = np.geomspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # geomspace rounds; the extremes must not fall out
    return edges


def miles_lantuejoul_weights(extent_um: npt.ArrayLike, window_um: tuple[float, ...]) -> Floats:
    """How many particles each one that the border does not cut stands for.

    A particle of extent e along an axis lies wholly within a window of width w only with
    probability 1 − e / w, so that large particles are lost more often; the weight is the inverse
    over all axes.

    Source: Miles 1974, Stochastic Geometry, 228; Lantuéjoul 1980, Mikroskopie 37, 456.

    Args:
        extent_um: (N, D) extents of the bounding boxes; (N,) diameters stand for balls.
        window_um: (D,) extents of the image or volume.

    Returns:
        (N,) weights ≥ 1.

    Raises:
        InvalidVolumeError: if an extent is not below the window's.
    """
    extent = np.asarray(extent_um, dtype=np.float64)
    if extent.ndim == 1:
        extent = np.repeat(extent[:, None], len(window_um), axis=1)
    share = extent / np.asarray(window_um, dtype=np.float64)
    if not ((share >= 0) & (share < 1)).all():
        raise InvalidVolumeError(
            "a particle that the border does not cut is smaller than the window"
        )
    return np.asarray(np.prod(1 / (1 - share), axis=1), dtype=np.float64)


def _columns(
    diameter_um: npt.ArrayLike,
    volume_um3: npt.ArrayLike | None,
    touches_border: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
) -> tuple[Floats, Floats, npt.NDArray[np.bool_], Floats]:
    """Diameter, volume, not cut by the border, and weight of the particles of known size."""
    diameter = np.asarray(diameter_um, dtype=np.float64)
    ball = np.pi / 6 * diameter**3
    volume = ball if volume_um3 is None else np.asarray(volume_um3, dtype=np.float64)
    cut = (
        np.zeros(len(diameter), bool)
        if touches_border is None
        else np.asarray(touches_border, bool)
    )
    weight = np.ones(len(diameter)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(diameter) == len(volume) == len(cut) == len(weight):
        raise InvalidVolumeError("diameters, volumes, border flags and weights differ in number")
    known = np.isfinite(diameter) & np.isfinite(volume)
    diameter, volume, cut, weight = diameter[known], volume[known], cut[known], weight[known]
    if (diameter <= 0).any() or (volume < 0).any() or (weight < 0).any():
        raise InvalidVolumeError("diameters must be above zero, volumes and weights not below")
    return diameter, volume, ~cut, weight


def _mean_and_std(values: Floats, weights: Floats) -> tuple[float, float]:
    total = float(weights.sum())
    if total == 0:
        return math.nan, math.nan
    mean = float(weights @ values) / total
    return mean, math.sqrt(float(weights @ (values - mean) ** 2) / total)
