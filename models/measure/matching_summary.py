"""Evaluations as rows: one for each image, and one for all images together.

Out of scope: the measures (`matching`), printing and writing rows.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import Evaluation, MatchCounts, mean_average_precision, pooled
from models.measure.matching_pixels import PIXEL_MEASURES
from models.measure.matching_sizes import TOLERANCE

Row = dict[str, float | int]

_SHOWN = (0.5, 0.75)


def image_row(evaluation: Evaluation) -> Row:
    """One image or volume: counts and ratios at 0.5 and 0.75, pixels, sizes in pixels.

    Median diameters are `d50_…_px` by number and `d50_area_…_px` by area, their relative errors
    `d50_error` and `d50_area_error`.
    """
    sizes = evaluation.sizes
    return {
        **_particles([evaluation]),
        **_matching(evaluation.matches),
        **{f"pixel_{name}": _measure(evaluation, name) for name in PIXEL_MEASURES},
        "d50_true_px": sizes.true_d50_px,
        "d50_predicted_px": sizes.predicted_d50_px,
        "d50_error": sizes.error,
        "d50_area_true_px": sizes.true_d50_area_px,
        "d50_area_predicted_px": sizes.predicted_d50_area_px,
        "d50_area_error": sizes.area_error,
    }


def pooled_row(evaluations: Sequence[Evaluation]) -> Row:
    """All images together.

    Particles are pooled: counts are added up, ratios follow from the sums. The six measures of the
    foreground are means over images with sample standard deviations (NaN of a single one). Sizes
    are judged in the `d50_images` with ten true particles or more: `d50_abs_error_median` is the
    median of the error there, without its sign, `d50_within_10_percent` the share within ±10 %.

    Raises:
        InvalidVolumeError: there is no image.
    """
    if not evaluations:
        raise InvalidVolumeError("no images to evaluate: give one or more")
    row: Row = {
        "images": len(evaluations),
        **_particles(evaluations),
        **_matching(pooled(evaluations)),
    }
    for name in PIXEL_MEASURES:
        values = [_measure(evaluation, name) for evaluation in evaluations]
        row[f"pixel_{name}"] = float(np.mean(values))
        row[f"pixel_{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    sizes = [evaluation.sizes for evaluation in evaluations if evaluation.sizes.judged]
    row["d50_images"] = len(sizes)
    row |= _errors("d50", [size.error for size in sizes])
    row |= _errors("d50_area", [size.area_error for size in sizes])
    return row


def _particles(evaluations: Sequence[Evaluation]) -> Row:
    return {
        "true_particles": sum(evaluation.true_count for evaluation in evaluations),
        "predicted_particles": sum(evaluation.predicted_count for evaluation in evaluations),
    }


def _matching(matches: Sequence[MatchCounts]) -> Row:
    row: Row = {}
    for counts in matches:
        if counts.threshold not in _SHOWN:
            continue
        percent = round(100 * counts.threshold)
        row |= {
            f"true_positives_{percent}": counts.true_positives,
            f"false_positives_{percent}": counts.false_positives,
            f"false_negatives_{percent}": counts.false_negatives,
            f"precision_{percent}": counts.precision,
            f"recall_{percent}": counts.recall,
            f"f1_{percent}": counts.f1,
            f"average_precision_{percent}": counts.average_precision,
            f"mean_matched_iou_{percent}": counts.mean_matched_iou,
        }
    row["average_precision"] = mean_average_precision(matches)
    return row


def _measure(evaluation: Evaluation, name: str) -> float:
    return float(getattr(evaluation.pixels, name))


def _errors(prefix: str, errors: Iterable[float]) -> Row:
    sizes = np.abs(np.fromiter(errors, np.float64))
    known = len(sizes) > 0
    return {
        f"{prefix}_abs_error_median": float(np.median(sizes)) if known else math.nan,
        f"{prefix}_within_10_percent": float((sizes <= TOLERANCE).mean()) if known else math.nan,
    }
