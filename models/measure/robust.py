"""How far values lie from their own kind, by median and median absolute deviation.

Out of scope: what the values are and which distance is too far (`graindex.image_checks`).
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

FEWEST = 12
"""Values of a kind below which the spread says too little: no score then."""


def kinds(*levels: Sequence[Hashable], fewest: int = FEWEST) -> npt.NDArray[np.int64]:
    """Number of each row's kind, by the most detailed description that enough rows share.

    Args:
        levels: descriptions of N rows each, the most detailed first.
        fewest: rows that a kind needs.

    Returns:
        (N,) numbers of kinds from 0; −1 where even the last description is shared by too few.
    """
    found = np.full(len(levels[0]), -1, np.int64)
    following = 0
    for level in levels:
        places: dict[Hashable, list[int]] = {}
        for place, description in enumerate(level):
            places.setdefault(description, []).append(place)
        for shared in places.values():
            free = [place for place in shared if found[place] < 0]
            if free and len(shared) >= fewest:
                found[free] = following
                following += 1
    return found


def robust_scores(
    values: Floats, kind: npt.NDArray[np.int64], least_spread: float, fewest: int = FEWEST
) -> tuple[Floats, Floats]:
    """Distance of each value from the median of its kind, in robust standard deviations.

    Args:
        values: (N,) numbers; NaN has no score.
        kind: (N,) number of each one's kind; −1 has no score.
        least_spread: standard deviation that a kind has at least, in the unit of the values.
        fewest: values of a kind below which there are no scores.

    Returns:
        (N,) scores and (N,) medians; NaN where there are none.
    """
    scores, medians = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for number in np.unique(kind[kind >= 0]):
        inside = kind == number
        known = values[inside & np.isfinite(values)]
        if len(known) < fewest:
            continue
        median = float(np.median(known))
        spread = max(NORMAL * float(np.median(np.abs(known - median))), least_spread)
        medians[inside] = median
        scores[inside] = (values[inside] - median) / spread
    return scores, medians
