"""Whether two samples are of one distribution, or one has a trend: PSI, KS, Spearman, Holm.

Out of scope: what is compared with what (`graindex.drift_parts`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHIFT_CODE_VERSION = "1"

STABILITY_THRESHOLD = 0.25
"""Population stability index above which a shift is held to be large, by convention (Siddiqi,
Credit Risk Scorecards, 2006); it tells size and not significance, which is left to the test."""

SIGNIFICANCE = 0.01
"""Of the test, after Holm's correction: one false alarm in a hundred collections."""

MIN_ROWS = 10
"""On either side; with fewer no difference of five variables could be significant."""

_MAX_BINS = 10
_ROWS_A_BIN = 5
_PSEUDO_COUNT = 0.5


@dataclass(frozen=True, slots=True)
class Shift:
    """How far two samples differ.

    Attributes:
        stability_index: population stability index.
        ks_statistic: largest distance of the two distributions.
        ks_p_value: probability of a larger one by chance, before any correction.
    """

    stability_index: float
    ks_statistic: float
    ks_p_value: float


def shift(sample: Floats, reference: Floats) -> Shift:
    """How far a sample (N,) is from a reference (M,); both finite.

    Raises:
        ValueError: one of them is empty.
    """
    from scipy.stats import ks_2samp  # noqa: PLC0415

    found = ks_2samp(sample, reference)
    statistic, p_value = float(found.statistic), float(np.clip(found.pvalue, 0, 1))
    return Shift(stability_index(sample, reference), statistic, p_value)


def trend(values: Floats) -> tuple[float, float]:
    """Rank correlation of values (N,) with their order, and its p-value before any correction.

    Of brightness that drifts slowly it finds about twice as much as a comparison of both halves.
    """
    from scipy.stats import spearmanr  # noqa: PLC0415

    found = spearmanr(values, np.arange(len(values)))
    return float(np.clip(found.statistic, -1, 1)), float(np.clip(found.pvalue, 0, 1))


def stability_index(sample: Floats, reference: Floats) -> float:
    """Population stability index, Σ (p − q) ln(p / q) over quantiles of the reference.

    At most ten bins of at least five rows of the smaller side, limited by rows of the reference.
    Where many of these are equal, they are a bin of their own. Half a row is added to each bin that
    holds any, so that one which is empty on one side is finite.
    """
    bins = int(np.clip(min(len(sample), len(reference)) // _ROWS_A_BIN, 2, _MAX_BINS))
    shares = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(reference, shares, method="lower"))
    tied = len(edges) < len(shares)
    counts = np.stack([_counts(values, edges, tied) for values in (sample, reference)])
    counts = counts[:, counts.any(axis=0)] + _PSEUDO_COUNT
    p, q = counts / counts.sum(axis=1, keepdims=True)
    return float(((p - q) * np.log(p / q)).sum())


def _counts(values: Floats, edges: Floats, tied: bool) -> Floats:
    """Numbers of values between E edges, (E + 1,), or between and on them, (2 E + 1,)."""
    above = np.searchsorted(edges, values, "right")
    places = above + np.searchsorted(edges, values, "left") if tied else above
    bins = 2 * len(edges) + 1 if tied else len(edges) + 1
    return np.bincount(places, minlength=bins).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, Holm, Scand. J. Stat. 6 (1979) 65."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    raised = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in corrected]
