"""Evaluation on rows that were left out: everything, scaling included, is fitted anew per fold.

Out of scope: choosing the folds (`graindex.training.splits`) and the metrics
(`models.learn.metrics`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from models.learn.learner import Bools, CannotLearnError, Floats, Ints, Learner, Prediction, Rows

Matrix = Callable[[Bools], Floats]
"""Mask of training rows (N,) → features (N, D) of all rows, fitted on the masked ones alone."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that train and rows that are tested; masks (N,)."""

    number: int
    training: Bools
    tested: Bools


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Predictions of rows that were left out.

    Attributes:
        tested: (N,) rows that have a prediction.
        fold: (N,) fold that tested the row; -1 where none did.
        prediction: of all N rows; NaN where not tested.
        chosen: what the training of each fold chose, by the fold's number.
    """

    tested: Bools
    fold: Ints
    prediction: Prediction
    chosen: Mapping[int, Mapping[str, float | str]]


def evaluate(
    learner: Learner,
    matrix: Matrix,
    target: Floats,
    groups: Ints,
    weight: Floats,
    folds: Iterable[Fold],
    *,
    classes: int = 0,
    seed: int = 0,
) -> Evaluated:
    """Predict each fold's rows by a model that is fitted on the fold's training rows alone.

    Args:
        learner: the model.
        matrix: features, fitted anew for each fold.
        target: (N,) labels, or codes of classes.
        groups: (N,) groups that inner validations keep together.
        weight: (N,) weights.
        folds: who trains and who is tested; no row is tested twice. Taken one after the other.
        classes: number of classes; 0 for numbers.
        seed: of the trainings.

    Raises:
        CannotLearnError: a fold's training rows do not allow a fit; says which fold.
        ValueError: a fold that trains on what it tests, or a row that is tested twice.
    """
    count = len(target)
    tested = np.zeros(count, bool)
    number, std = np.full(count, np.nan), np.full(count, np.nan)
    probabilities = np.full((count, classes), np.nan)
    fold_of = np.full(count, -1)
    chosen = {}
    for fold in folds:
        if (fold.training & fold.tested).any() or (tested & fold.tested).any():
            message = f"fold {fold.number} tests rows that it trains on, or that were tested before"
            raise ValueError(message)
        x = matrix(fold.training)
        rows = Rows(x, target, groups, weight).of(fold.training)
        try:
            fitted = learner.fit(rows, classes, seed)
        except CannotLearnError as error:
            message = f"fold {fold.number}: {error}"
            raise CannotLearnError(message) from error
        found = fitted.predict(x[fold.tested])
        if found.number is not None and found.std is not None:
            number[fold.tested], std[fold.tested] = found.number, found.std
        if found.probabilities is not None:
            probabilities[fold.tested] = found.probabilities
        tested |= fold.tested
        fold_of[fold.tested] = fold.number
        chosen[fold.number] = fitted.chosen
    prediction = Prediction(probabilities=probabilities) if classes else Prediction(number, std)
    return Evaluated(tested, fold_of, prediction, chosen)
