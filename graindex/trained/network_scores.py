"""How good a network is that finds particles: image by image, and all together with intervals.

Out of scope: the measures (`models.measure.matching`), networks (`graindex.trained.networks`).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from graindex.trained.card import MetricCard
from graindex.trained.learning import Evaluation as Kind
from models.learn.intervals import RESAMPLES, bootstrap
from models.learn.metrics import ALL
from models.measure.matching import THRESHOLDS, Evaluation
from models.measure.matching_pixels import PIXEL_MEASURES
from models.measure.matching_sizes import TOLERANCE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHOWN = (0.5, 0.75)
NAMES = (
    *(f"{name}_{round(100 * share)}" for share in _SHOWN for name in ("f1", "precision", "recall")),
    *(f"mean_matched_iou_{round(100 * share)}" for share in _SHOWN),
    "average_precision",
    *(f"pixel_{name}" for name in PIXEL_MEASURES),
    "d50_within_10_percent",
)
"""Of the metrics, in their order; as `graindex evaluate` calls them."""


def network_metrics(
    kind: Kind, evaluations: Sequence[Evaluation], groups: Ints, folds: Ints, seed: int
) -> tuple[MetricCard, ...]:
    """Metrics of all images with intervals, and of each fold where there are several.

    Particles are pooled over images. Intervals are by bootstrap over groups.

    Args:
        kind: what the images are to the network.
        evaluations: of N images.
        groups: (N,) group of each image.
        folds: (N,) fold that tested it.
        seed: of the draws.
    """
    parts = {ALL: np.ones(len(groups), np.bool_)}
    numbers = np.unique(folds)
    if len(numbers) > 1:
        parts |= {f"fold {number}": folds == number for number in numbers}
    table = _table(evaluations)
    cards = []
    for part, rows in parts.items():
        found = bootstrap(
            partial(_values, table[rows]),
            groups[rows],
            resamples=RESAMPLES if part == ALL else 0,
            seed=seed,
        )
        columns = zip(NAMES, found.value, found.lower, found.upper, strict=True)
        cards += [
            MetricCard(
                evaluation=kind,
                part=part,
                metric=name,
                value=_finite(value),
                lower=_finite(lower),
                upper=_finite(upper),
                unit="1",
                rows=int(rows.sum()),
            )
            for name, value, lower, upper in columns
        ]
    return tuple(cards)


def _table(evaluations: Sequence[Evaluation]) -> Floats:
    """(N, C) numbers of each image that add up or are averaged: `_values` takes them apart."""
    rows = []
    for one in evaluations:
        counts = [
            (match.true_positives, match.false_positives, match.false_negatives, match.iou_sum)
            for match in one.matches
        ]
        pixels = [float(getattr(one.pixels, name)) for name in PIXEL_MEASURES]
        judged = float(one.sizes.judged)
        right = float(one.sizes.judged and abs(one.sizes.error) <= TOLERANCE)
        rows.append([*np.ravel(counts), *pixels, judged, right])
    return np.asarray(rows, dtype=np.float64)


def _values(table: Floats, weights: Floats) -> Floats:
    """(B, M) metrics of N images, of B draws of them with weights (B, N)."""
    split = 4 * len(THRESHOLDS)
    sums = (weights @ table[:, :split]).reshape(len(weights), len(THRESHOLDS), 4)
    true, spurious, missed, overlap = np.moveaxis(sums, 2, 0)
    values = []
    at = [THRESHOLDS.index(share) for share in _SHOWN]
    for place in at:
        t, s, m = true[:, place], spurious[:, place], missed[:, place]
        values += [_ratio(2 * t, 2 * t + s + m), _ratio(t, t + s), _ratio(t, t + m)]
    values += [_ratio(overlap[:, place], true[:, place]) for place in at]
    values.append(_ratio(true, true + spurious + missed).mean(axis=1))
    pixels = weights @ table[:, split : split + len(PIXEL_MEASURES)]
    values += list((pixels / weights.sum(axis=1, keepdims=True)).T)
    judged, right = (weights @ table[:, -2:]).T
    values.append(_ratio(right, judged))
    return np.stack(values, axis=1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
