"""Whether images of one specimen agree: spread of their predictions beside the error of specimens.

Out of scope: metrics of single rows (`models.learn.metrics`), making the predictions.
"""

import numpy as np

from models.learn.intervals import RESAMPLES, bootstrap
from models.learn.learner import Floats, Ints
from models.learn.metrics import OF_SPECIMENS, Metric, with_intervals

OF_A_SPECIMEN = "images of a specimen"
"""Part of these metrics: specimens of two predicted images or more."""


def specimen_metrics(
    measured: Floats,
    predicted: Floats,
    std: Floats,
    specimens: Ints,
    groups: Ints,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Metric]:
    """Spread within specimens, the spread that was stated, and the error between specimens.

    `within_specimen_sd` is the pooled standard deviation of predictions about the mean of their
    specimen, each specimen's freedom one less than its images; `stated_std` the root mean square of
    the predicted standard deviations; `between_specimen_rmse` that of mean predictions of specimens
    less what was measured on them, each specimen counting once. All in the unit of the label.

    Args:
        measured: (N,) labels, one for all images of a specimen.
        predicted: (N,) predictions.
        std: (N,) predicted standard deviations.
        specimens: (N,) number of the specimen of each image, two images of each or more.
        groups: (N,) group of each row, which the intervals are drawn over.
        resamples: draws of the bootstrap; 0 for no intervals.
        seed: of the draws.
    """
    share, mean = per_specimen(predicted, specimens)
    within, off = (predicted - mean) ** 2, (mean - measured) ** 2

    def values(weight: Floats) -> Floats:
        squares = (
            weight @ within / (weight @ (1 - share)),
            weight @ std**2 / weight.sum(1),
            weight @ (share * off) / (weight @ share),
        )
        spreads: Floats = np.sqrt(np.stack(squares, axis=1))
        return spreads

    found = bootstrap(values, groups, resamples=resamples, seed=seed)
    return with_intervals([(name, OF_A_SPECIMEN, len(measured)) for name in OF_SPECIMENS], found)


def per_specimen(values: Floats, specimens: Ints) -> tuple[Floats, Floats]:
    """For each of N rows its share 1/n in its specimen, and the mean of its specimen, (N,) each."""
    _, code = np.unique(specimens, return_inverse=True)
    count = np.bincount(code)
    mean = np.bincount(code, values) / count
    return 1 / count[code], mean[code]
