"""Features brought to one scale before a linear model: signed power, centre, spread.

Out of scope: normalisation per batch and selection of features, which feature sets declare.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.learn.learner import Floats, Ints, Tensors

Spread = Literal["none", "standard"]

_FLOOR = 1.0
"""A feature that hardly varies is not blown up: its standard deviation counts as at least this
share of the median one. Channels of a network that are almost always silent would otherwise throw
the first image that excites them far out: on 67 ceramics R² fell from 0.84 to 0.35 (2026-11)."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """A fitted scaling: sign(x) · |x|^power, minus `centre`, divided by `spread`.

    Attributes:
        power: 1 leaves features as they are; ½ evens out the few channels that dominate.
        centre: (D,) weighted mean of the fitted rows.
        spread: (D,) divisor, above 0.
    """

    power: float
    centre: Floats
    spread: Floats

    def apply(self, x: Floats) -> Floats:
        """Scaled features (N, D)."""
        scaled: Floats = (powered(x, self.power) - self.centre) / self.spread
        return scaled

    def tensors(self) -> dict[str, Floats]:
        """Arrays that `restore` takes."""
        return {
            "scaling.power": np.array([self.power]),
            "scaling.centre": self.centre,
            "scaling.spread": self.spread,
        }

    @classmethod
    def restore(cls, tensors: Tensors) -> "Scaling":
        """The scaling whose `tensors()` these are."""
        return cls(
            float(tensors["scaling.power"][0]),
            tensors["scaling.centre"],
            tensors["scaling.spread"],
        )


def powered(x: Floats, power: float) -> Floats:
    """Signed power: sign(x) · |x|^power."""
    if power == 1:
        return x
    raised: Floats = np.sign(x) * np.abs(x) ** power
    return raised


def fit_scaling(x: Floats, weight: Floats, power: float, spread: Spread) -> Scaling:
    """Fit a scaling to rows (N, D) with weights (N,); labels play no part.

    With `spread` "none" all features are divided by one number, so that rows have a mean squared
    length of D; with "standard" each is divided by its own standard deviation, with a floor.
    """
    raised = powered(x, power)
    share = weight / weight.sum()
    centre = share @ raised
    variance = share @ (raised - centre) ** 2
    deviation = np.sqrt(variance)
    if spread == "none":
        divisor = np.full(x.shape[1], np.sqrt(variance.mean()))
    else:
        varying = deviation[deviation > 0]
        divisor = np.maximum(deviation, _FLOOR * np.median(varying) if varying.size else 0.0)
    return Scaling(power, centre, np.where(divisor > 0, divisor, 1.0))


def block_scaling(x: Floats, weight: Floats, sizes: Ints, power: float, spread: Spread) -> Scaling:
    """Scaling after which rows (N, D) have a mean squared length of 1 within each block of columns.

    Args:
        x: features.
        weight: (N,) of the rows.
        sizes: (B,) columns of each block.
        power: see `fit_scaling`.
        spread: see `fit_scaling`.
    """
    share = weight / weight.sum()
    centres, spreads = [], []
    for block in np.split(x, np.cumsum(sizes)[:-1], axis=1):
        scaling = fit_scaling(block, weight, power, spread)
        length = float(np.sqrt(share @ (scaling.apply(block) ** 2).sum(1)))
        centres.append(scaling.centre)
        spreads.append(scaling.spread * (length or 1.0))
    return Scaling(power, np.concatenate(centres), np.concatenate(spreads))
