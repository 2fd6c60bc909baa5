"""Intervals by bootstrap over groups: whole specimens are drawn, since their rows hang together.

Bias-corrected and accelerated: Efron, J. Am. Stat. Assoc. 82 (1987) 171, eq. 2.3 and 6.6; the
acceleration comes from leaving out one group after the other.
Out of scope: the metrics (`models.learn.metrics`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models.learn.learner import Floats, Ints

LEVEL = 0.95
RESAMPLES = 2000
_JACKKNIFED = 2000
"""With more groups than this the acceleration is too small to matter, and is taken as 0."""
_CELLS = 4_000_000  # weights in memory at a time

Statistic = Callable[[Floats], Floats]
"""Weights of rows (B, N) → values (B, M) of M metrics; NaN where one is not defined."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Values of M metrics with the ends of their intervals, each (M,); NaN where undefined."""

    value: Floats
    lower: Floats
    upper: Floats


def describe(resamples: int = RESAMPLES) -> str:
    """What the intervals are, in words."""
    return f"{LEVEL:.0%} BCa bootstrap over groups, {resamples} draws"


def bootstrap(
    statistic: Statistic, groups: Ints, *, resamples: int = RESAMPLES, seed: int = 0
) -> Intervals:
    """Values and 95 % intervals of metrics.

    Args:
        statistic: the metrics as a function of how often each row counts.
        groups: (N,) group of each row.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        Values, and ends of the intervals; these are NaN where there is only one group, or no draw.
    """
    names, codes = np.unique(groups, return_inverse=True)
    value = statistic(np.ones((1, len(groups))))[0]
    count = len(names)
    if count < 2 or resamples == 0:
        nothing = np.full(len(value), np.nan)
        return Intervals(value, nothing, nothing)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // len(groups))
    drawn = np.concatenate(
        [
            statistic(_draw(rng, min(step, resamples - start), count)[:, codes])
            for start in range(0, resamples, step)
        ]
    )  # (B, M)
    acceleration = np.zeros(len(value))
    if count <= _JACKKNIFED:
        left_out = np.concatenate(
            [statistic((part != codes).astype(float)) for part in _parts(count, step)]
        )
        acceleration = _acceleration(left_out)
    lower, upper = _ends(drawn, value, acceleration)
    return Intervals(value, lower, upper)


def _draw(rng: np.random.Generator, resamples: int, count: int) -> Floats:
    """How often each group is drawn, (B, G)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def _parts(count: int, step: int) -> Iterator[Ints]:
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count))[:, None]


def _acceleration(left_out: Floats) -> Floats:
    """Skewness of the influence of single groups, (M,), over six."""
    defined = np.isfinite(left_out)
    mean = np.where(defined, left_out, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    influence = mean - left_out
    cubes, squares = np.nansum(influence**3, axis=0), np.nansum(influence**2, axis=0)
    skewed: Floats = np.divide(cubes, 6 * squares**1.5, out=np.zeros_like(cubes), where=squares > 0)
    return skewed


def _ends(drawn: Floats, value: Floats, acceleration: Floats) -> tuple[Floats, Floats]:
    """Ends of the intervals, each (M,)."""
    from scipy.stats import norm  # noqa: PLC0415

    ends = np.full((2, len(value)), np.nan)
    tails = norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    for metric, centre in enumerate(value):
        found = drawn[:, metric]
        found = found[np.isfinite(found)]
        if not (found.size and np.isfinite(centre)):
            continue
        below = (np.mean(found < centre) + np.mean(found <= centre)) / 2
        # A draw that is never above, or never below, says no more than half a draw would.
        half = 0.5 / found.size
        bias = norm.ppf(np.clip(below, half, 1 - half))
        moved = bias + tails
        shares = norm.cdf(bias + moved / (1 - acceleration[metric] * moved))
        ends[:, metric] = np.quantile(found, shares)
    return ends[0], ends[1]
