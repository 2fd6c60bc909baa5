"""How good particles are that a network found, where the true ones are known.

Out of scope: measures of single images (`models.measure.matching`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.matching import MatchCounts, match_counts
from models.measure.matching_overlap import label_overlap
from models.segment.star_convex.confidence import Calibration, calibrate
from models.segment.star_convex.patches import View

Labels = npt.NDArray[np.int32]

THRESHOLDS = (0.5, 0.75)
"""Overlaps over union whose F1 are averaged where one number must do."""


def pooled_f1(views: Sequence[View], labels: Sequence[Labels], threshold: float) -> float:
    """F1 of the particles of all views together; pixels that are not valid do not count."""
    total = MatchCounts(threshold, 0, 0, 0, 0.0)
    for view, found in zip(views, labels, strict=True):
        total += match_counts(label_overlap(view.labels, found * view.valid), threshold)
    return total.f1


def mean_f1(judged: Iterable[tuple[npt.NDArray[Any], Labels]]) -> float:
    """Mean of F1 at 0.5 and 0.75 of the particles of all images together.

    Args:
        judged: true and found labels (Y, X) of each image.
    """
    counts = [MatchCounts(threshold, 0, 0, 0, 0.0) for threshold in THRESHOLDS]
    for truth, found in judged:
        shared = label_overlap(truth, found)
        counts = [total + match_counts(shared, total.threshold) for total in counts]
    return sum(total.f1 for total in counts) / len(counts)


def worth(
    judged: Iterable[tuple[npt.NDArray[Any], Labels, npt.NDArray[np.float32]]],
) -> Calibration:
    """What a network's probability is worth, by the particles of whole images.

    A particle is right that shares more than half of the pixels of it and a true one.

    Args:
        judged: of each image true and found labels (Y, X), and the probability of label 1…N.

    Raises:
        StarConvexError: too few particles to tell.
    """
    probability, right = [], []
    for truth, found, said in judged:
        shared = label_overlap(truth, found)
        matched = shared.predicted_index[shared.iou > 0.5]
        probability.append(said[shared.predicted_labels - 1])
        right.append(np.isin(np.arange(len(shared.predicted_labels)), matched))
    return calibrate(np.concatenate(probability), np.concatenate(right))
