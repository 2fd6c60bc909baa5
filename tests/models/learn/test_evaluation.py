"""Rows that are tested never reach the training, not even through scaling."""

import numpy as np
import pytest

from models.learn.evaluation import Fold, evaluate
from models.learn.learner import CannotLearnError
from models.learn.logistic import Logistic
from models.learn.ridge import Ridge


def kfold(count, folds):
    of_row = np.arange(count) % folds
    return [Fold(number, of_row != number, of_row == number) for number in range(folds)]


def number_rows(seed=0, count=30):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4))
    return x, x @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * rng.normal(size=count)


def evaluated(x, y, folds, **more):
    count = len(y)
    ones = np.ones(count)
    return evaluate(Ridge(), lambda _: x, y, np.arange(count), ones, folds, **more)


def test_each_row_is_predicted_once_and_well():
    x, y = number_rows()
    found = evaluated(x, y, kfold(30, 5))
    assert found.tested.all()
    np.testing.assert_array_equal(found.fold, np.arange(30) % 5)
    assert np.corrcoef(found.prediction.number, y)[0, 1] > 0.99
    assert set(found.chosen) == set(range(5))


def test_what_is_tested_changes_no_other_prediction():
    """Neither labels nor features of tested rows, nor scaling by them, reach the training."""
    x, y = number_rows()
    tested = np.isin(np.arange(30), (7, 8))
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[7] *= 50
    changed_y[[7, 8]] = 1e6
    found = [
        evaluate(
            Ridge(),
            lambda mask, features=features: features / features[mask].std(0),
            labels,
            np.arange(30),
            np.ones(30),
            [Fold(0, ~tested, tested)],
        )
        for features, labels in ((x, y), (changed_x, changed_y))
    ]
    assert found[0].chosen == found[1].chosen
    assert found[0].prediction.number[8] == found[1].prediction.number[8]
    assert found[0].prediction.number[7] != found[1].prediction.number[7]


def test_rows_that_no_fold_tests_have_no_prediction():
    x, y = number_rows()
    tested = np.arange(30) < 6
    found = evaluated(x, y, [Fold(0, ~tested, tested)])
    np.testing.assert_array_equal(np.isfinite(found.prediction.number), tested)
    np.testing.assert_array_equal(found.fold == -1, ~tested)


def test_probabilities_of_every_class():
    rng = np.random.default_rng(1)
    codes = np.arange(36) % 3
    x = 3 * np.eye(3)[codes] + rng.normal(size=(36, 3))
    # folds of each class, since i % 3 and i % 4 are independent
    found = evaluate(
        Logistic(), lambda _: x, codes.astype(float), np.arange(36), np.ones(36), kfold(36, 4),
        classes=3,
    )  # fmt: skip
    np.testing.assert_allclose(found.prediction.probabilities.sum(1), 1)
    assert (found.prediction.probabilities.argmax(1) == codes).mean() > 0.8


def test_a_fold_that_leaks_is_refused():
    x, y = number_rows()
    everything = np.ones(30, bool)
    with pytest.raises(ValueError, match="trains on"):
        evaluated(x, y, [Fold(0, everything, everything)])


def test_a_fold_that_cannot_be_learned_is_named():
    x, y = number_rows()
    only = np.arange(30) == 0
    with pytest.raises(CannotLearnError, match="fold 3: "):
        evaluated(x, y, [Fold(3, only, ~only)])
