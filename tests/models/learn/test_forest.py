"""The forest against scikit-learn's and shap's own, and its spread against what it claims."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from models.learn.forest import Forest
from models.learn.learner import CannotLearnError, Rows

SMALL = Forest(trees=30, inner_folds=3)


def rows_of(seed=0, count=200, features=6, noise=0.3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, features))
    target = x[:, 0] + x[:, 1] ** 2 + noise * rng.normal(size=count)
    return Rows(x, target, np.arange(count) // 5, np.ones(count))


def grown(rows, forest=SMALL, seed=0):
    return RandomForestRegressor(
        n_estimators=forest.trees,
        max_depth=forest.depth,
        max_features=forest.features,
        min_samples_leaf=forest.least_rows,
        random_state=seed,
    ).fit(rows.x, rows.target, sample_weight=rows.weight)


def test_predicts_what_scikit_learn_does():
    rows = rows_of()
    new = np.random.default_rng(1).normal(size=(50, 6))
    found = SMALL.fit(rows, seed=3).predict(new).number
    np.testing.assert_allclose(found, grown(rows, seed=3).predict(new), rtol=1e-12)


def test_shapley_values_are_those_of_the_grown_forest_and_add_up():
    from shap import TreeExplainer

    rows = rows_of()
    fit = SMALL.fit(rows, seed=3)
    found = fit.shapley(rows.x)
    expected = TreeExplainer(grown(rows, seed=3)).shap_values(rows.x, check_additivity=False)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    total = found.base + found.values.sum(1)
    np.testing.assert_allclose(total, fit.predict(rows.x).number, atol=1e-9)


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_spread_holds_as_many_rows_as_it_says(noise):
    rows, new = rows_of(1, 600, noise=noise), rows_of(2, 2000, noise=noise)
    found = Forest(trees=60, inner_folds=4).fit(rows).predict(new.x)
    within = np.abs(new.target - found.number) <= found.std
    assert 0.62 < within.mean() < 0.76


def test_equal_seeds_give_equal_bits_and_others_do_not():
    rows = rows_of()
    one, same, other = (SMALL.fit(rows, seed=seed).tensors() for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["forest.threshold"], other["forest.threshold"])


def test_tensors_hold_all_that_it_needs():
    rows = rows_of()
    fit = SMALL.fit(rows)
    tensors = fit.tensors()
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.float64)}
    back = SMALL.restore(tensors)
    for found, expected in (
        (back.predict(rows.x).number, fit.predict(rows.x).number),
        (back.predict(rows.x).std, fit.predict(rows.x).std),
        (back.shapley(rows.x).values, fit.shapley(rows.x).values),
    ):
        np.testing.assert_array_equal(found, expected)
    del tensors["forest.left"]
    with pytest.raises(KeyError, match=r"forest\.left"):
        SMALL.restore(tensors)


def test_rows_of_weight_nought_do_not_count():
    rows = rows_of()
    absurd = np.where(np.arange(200) < 100, rows.target, 1e6)
    weight = (np.arange(200) < 100).astype(float)
    fit = SMALL.fit(Rows(rows.x, absurd, rows.groups, weight))
    assert fit.predict(rows.x).number.max() < 100


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: Rows(r.x, np.full(200, 2.0), r.groups, r.weight), "every row has the label 2"),
        (lambda r: Rows(r.x, r.target, np.zeros(200, int), r.weight), "two groups or more"),
    ],
)
def test_what_cannot_be_learned_is_said(change, told):
    with pytest.raises(CannotLearnError, match=told):
        SMALL.fit(change(rows_of()))


@pytest.mark.parametrize(
    "wrong", [{"trees": 0}, {"features": 0.0}, {"features": 1.5}, {"inner_folds": 1}]
)
def test_parameters_that_grow_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Forest(**wrong)
