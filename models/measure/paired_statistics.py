"""How two attributes go together: correlations and a straight line, with 95 % intervals.

Intervals take pairs for independent unless they are told that fewer are: particles of one volume,
and still more pixels of one map, are not (`models.measure.registered_maps`).

Out of scope: many columns at once (`models.explain.correlations`).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST = 4
"""Pairs below which nothing is said of them: Fisher's interval needs more than three."""

_NORMAL = 1.959963984540054  # 97.5 % of a normal distribution lie below


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval; NaN where unknown."""

    value: float
    lower: float
    upper: float


_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class PairedStatistics:
    """What N pairs (x, y) say.

    Attributes:
        count: pairs of which both are finite.
        pearson: linear correlation.
        spearman: correlation of ranks.
        slope: of y over x by least squares, in units of y per unit of x.
        intercept: y at x = 0.
    """

    count: int
    pearson: Estimate = _UNKNOWN
    spearman: Estimate = _UNKNOWN
    slope: Estimate = _UNKNOWN
    intercept: float = math.nan


def paired_statistics(x: Floats, y: Floats) -> PairedStatistics:
    """Correlate pairs, and lay a line through them.

    Args:
        x: (N,); a pair of which either is not finite does not count.
        y: (N,).

    Returns:
        Everything unknown but the count with fewer than four pairs, or where x or y never varies.
    """
    # a third of a second to import: not with the command line
    from scipy.stats import linregress, spearmanr, t  # noqa: PLC0415

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    count = len(x)
    if count < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return PairedStatistics(count)
    line = linregress(x, y)
    ranked = float(spearmanr(x, y).statistic)
    reach = float(t.ppf(0.975, count - 2)) * line.stderr
    return PairedStatistics(
        count=count,
        pearson=fisher_interval(float(line.rvalue), count),
        spearman=fisher_interval(ranked, count, inflation=1 + ranked**2 / 2),
        slope=Estimate(float(line.slope), float(line.slope - reach), float(line.slope + reach)),
        intercept=float(line.intercept),
    )


def fisher_interval(correlation: float, pairs: float, *, inflation: float = 1.0) -> Estimate:
    """A correlation with its interval, by Fisher's transformation to a normal distribution.

    Args:
        correlation: −1…1.
        pairs: how many there are, or as many independent ones as they are worth.
        inflation: of the variance 1 / (pairs − 3): 1 for Pearson, 1 + r² / 2 for ranks (Bonett &
            Wright, Psychometrika 65 (2000) 23).

    Returns:
        Without an interval where there are three pairs or fewer.
    """
    if not (math.isfinite(correlation) and pairs > 3):
        return Estimate(correlation, math.nan, math.nan)
    if abs(correlation) >= 1:
        return Estimate(correlation, correlation, correlation)
    middle, reach = math.atanh(correlation), _NORMAL * math.sqrt(inflation / (pairs - 3))
    return Estimate(correlation, math.tanh(middle - reach), math.tanh(middle + reach))
