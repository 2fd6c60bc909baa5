"""Inner validation: folds within the training rows, by group, that choose between candidates.

Out of scope: the outer folds that evaluate a model (`models.learn.evaluation`).
"""

import warnings
from collections.abc import Iterator

import numpy as np

from models.learn.learner import Bools, CannotLearnError, Rows


def inner_folds(rows: Rows, classes: int, folds: int, seed: int) -> Iterator[tuple[Bools, Bools]]:
    """Masks of training and validation rows; whole groups, balanced over classes.

    Args:
        rows: the training rows, in a fixed order.
        classes: number of classes; 0 where the target is a number.
        folds: how many, where there are as many groups.
        seed: of the draw.

    Raises:
        CannotLearnError: fewer than two groups.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # noqa: PLC0415

    groups = np.unique(rows.groups).size
    if groups < 2:
        message = f"{groups} group of rows: a model needs specimens of two groups or more"
        raise CannotLearnError(message)
    count = min(folds, groups)
    if classes:  # scikit-learn wants a class with a row for each fold
        count = min(count, max(2, int(np.bincount(rows.target.astype(int)).max())))
    splitter = (
        StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        if classes
        else GroupKFold(count, shuffle=True, random_state=seed)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer groups than folds
        splits = list(splitter.split(rows.x, rows.target, rows.groups))
    for training, validation in splits:
        if training.size and validation.size:
            yield _mask(training, len(rows.target)), _mask(validation, len(rows.target))


def _mask(positions: "np.typing.NDArray[np.int64]", count: int) -> Bools:
    mask = np.zeros(count, bool)
    mask[positions] = True
    return mask
