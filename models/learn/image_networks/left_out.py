"""What networks say of images that they did not learn from, and how sure they may be after it.

Out of scope: training (`ensemble`), predicting (`fitted`).
"""

from dataclasses import dataclass

import numpy as np

from models.learn.learner import Floats

_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Outputs for images that were left out, of all networks one after the other.

    Attributes:
        found: (M,) numbers in the unit of the target, or (M, C) scores of classes.
        target: (M,) what they should be: numbers, or codes of classes.
        weight: (M,) of each.
    """

    found: Floats
    target: Floats
    weight: Floats

    @property
    def noise(self) -> float:
        """Weighted root mean squared error of numbers; 0 of classes.

        A little too small, as these images chose the epoch.
        """
        if self.found.ndim == 2:
            return 0.0
        squared = (self.found - self.target) ** 2
        return float(np.sqrt(self.weight @ squared / self.weight.sum()))

    @property
    def temperature(self) -> float:
        """What to divide scores by, so that probabilities are as often right as they say.

        The one of the least log-loss (Guo et al., ICML 2017), from 0.05 to 20; 1 of numbers. It is
        a little too low, as these images chose the epoch.
        """
        from scipy.optimize import minimize_scalar  # noqa: PLC0415

        if self.found.ndim == 1:
            return 1.0
        own = np.arange(len(self.target)), self.target.astype(int)

        def log_loss(exponent: float) -> float:
            likely = log_shares(self.found / np.exp(exponent))[own]
            return float(-(self.weight @ likely) / self.weight.sum())

        bounds = tuple(np.log(_TEMPERATURES).tolist())
        return float(np.exp(minimize_scalar(log_loss, bounds=bounds, method="bounded").x))


def log_shares(scores: Floats) -> Floats:
    """Logarithms (…, C) of the softmax of scores (…, C)."""
    from scipy.special import log_softmax  # noqa: PLC0415

    return np.asarray(log_softmax(scores, axis=-1))
