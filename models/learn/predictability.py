"""How well a few settings predict a class, cross-validated over groups, against guessing.

A decision tree, Breiman et al., Classification and Regression Trees (1984), by scikit-learn: few
settings need no more, and it takes numbers, categories as numbers, and what is unknown.
Out of scope: which settings and classes (`graindex.confounding`).
"""

import warnings
from dataclasses import dataclass

import numpy as np

from models.learn.label_noise import balanced_accuracy
from models.learn.learner import Floats, Ints

PREDICTABILITY_CODE_VERSION = "1"

FOLDS = 5
MIN_LEAF = 3
STANDARD_ERRORS = 3.0
"""By which a prediction exceeds guessing before it counts: once in a thousand by chance."""

MIN_SKILL = 0.25
"""Share of the way from guessing to perfect below which a prediction does no harm to speak of."""


@dataclass(frozen=True, slots=True)
class Predictability:
    """How well a class is predicted.

    Attributes:
        accuracy: balanced accuracy, cross-validated over groups.
        chance: balanced accuracy of guessing.
        threshold: above which it counts.
    """

    accuracy: float
    chance: float
    threshold: float

    @property
    def alarm(self) -> bool:
        """Whether the prediction is well above guessing."""
        return self.accuracy > self.threshold


def predictability(x: Floats, codes: Ints, groups: Ints, seed: int = 0) -> Predictability:
    """Balanced accuracy of a tree that predicts a class.

    Args:
        x: (N, D) numbers; NaN where unknown.
        codes: (N,) classes from 0; each of them has at least two groups.
        groups: (N,) what is held out together, such as a specimen.
        seed: of folds, and of ties in the tree.

    Raises:
        ValueError: a class of fewer than two groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415

    counts = groups_of_classes(codes, groups)
    if counts.min() < 2:
        message = "a class of fewer than two groups cannot be left out and still be learned"
        raise ValueError(message)
    splitter = StratifiedGroupKFold(min(FOLDS, *counts), shuffle=True, random_state=seed)
    model = DecisionTreeClassifier(
        min_samples_leaf=MIN_LEAF, class_weight="balanced", random_state=seed
    )
    found = np.empty_like(codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # fewer groups in a class than folds
        for train, test in splitter.split(x, codes, groups):
            found[test] = model.fit(x[train], codes[train]).predict(x[test])
    chance = 1 / len(counts)
    return Predictability(balanced_accuracy(codes, found), chance, threshold(counts))


def groups_of_classes(codes: Ints, groups: Ints) -> Ints:
    """(C,) number of groups in each class."""
    return np.array([len(np.unique(groups[codes == code])) for code in range(codes.max() + 1)])


def threshold(groups: Ints) -> float:
    """Balanced accuracy that guessing hardly reaches.

    Rows of one group are right or wrong together, so that a class counts as many guesses as it has
    groups, (C,); the mean over classes then has the standard error √(Σ p(1−p)/G) / C, p = 1/C.
    """
    chance = 1 / len(groups)
    error = float(np.sqrt((chance * (1 - chance) / groups).sum())) / len(groups)
    return min(max(chance + STANDARD_ERRORS * error, chance + MIN_SKILL * (1 - chance)), 1.0)
