"""What a network's probability is worth: the share of such particles that are right.

A network is taught the distance to the outline, which is 1 at one pixel of a particle alone, so
that its probabilities hardly pass 0.7 where it is sure. Out of scope: which images decide
(`validation`).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.segment.star_convex.config import StarConvexError

Floats = npt.NDArray[np.float64]

LEAST_PARTICLES = 20
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence of a particle from the network's probability.

    logit(confidence) = slope · logit(probability) + intercept (Platt, Advances in Large Margin
    Classifiers, 61 (1999)).

    Attributes:
        slope: above 0.
        intercept: of the line.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what does not rise."""
        if not (0 < self.slope < math.inf and math.isfinite(self.intercept)):
            raise StarConvexError(
                f"calibration {self.slope}, {self.intercept}: the slope must be above 0"
            )

    def confidence(self, probability: npt.ArrayLike) -> Floats:
        """Share of particles of this probability that are right, 0 … 1."""
        return _expit(self.slope * _logit(probability) + self.intercept)

    def probability(self, confidence: npt.ArrayLike) -> Floats:
        """The network's probability at which a particle has this confidence."""
        return _expit((_logit(confidence) - self.intercept) / self.slope)


def calibrate(probability: Floats, right: npt.NDArray[np.bool_]) -> Calibration:
    """Fit a calibration.

    Args:
        probability: (N,) of particles found.
        right: (N,) whether each is a true one.

    Raises:
        StarConvexError: too few particles, all of them right or none, or those that are right are
            not the more probable ones.
    """
    if len(right) < LEAST_PARTICLES or right.all() or not right.any():
        raise StarConvexError(
            f"{int(right.sum())} of {len(right)} particles are right: calibration needs "
            f"{LEAST_PARTICLES}, some right and some wrong"
        )
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (half a second)

    fitted = LogisticRegression(C=1e6).fit(_logit(probability)[:, np.newaxis], right)
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def _logit(share: npt.ArrayLike) -> Floats:
    inside = np.clip(np.asarray(share, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(inside / (1 - inside)))


def _expit(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))
