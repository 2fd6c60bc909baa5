"""Logistic regression against scikit-learn, symmetry and known probabilities."""

import numpy as np
import pytest

from models.learn.learner import CannotLearnError, Rows
from models.learn.logistic import Logistic

PLAIN = ((1.0, "none"),)


def blobs(rng, counts, features=6, apart=3.0):
    """Classes around corners of a simplex."""
    codes = np.repeat(np.arange(len(counts)), counts)
    return apart * np.eye(features)[codes] + rng.normal(size=(len(codes), features)), codes


def rows_of(x, codes, groups=None):
    groups = np.arange(len(codes)) if groups is None else groups
    return Rows(x, codes.astype(float), groups, np.ones(len(codes)))


@pytest.mark.parametrize(("counts", "features"), [((30, 20, 25), 6), ((14, 10), 40)])
def test_is_scikit_learns_logistic_regression(counts, features):
    from sklearn.linear_model import LogisticRegression

    x, codes = blobs(np.random.default_rng(0), counts, features)
    fit = Logistic(penalties=(0.1,), scalings=PLAIN).fit(rows_of(x, codes), len(counts))
    centred = x - x.mean(0)
    scaled = centred / np.sqrt(centred.var(0).mean())
    weight = len(codes) / (len(counts) * np.bincount(codes)[codes])
    unit = (weight @ (scaled**2).sum(1)) / weight.sum()
    reference = LogisticRegression(C=1 / (0.1 * unit), tol=1e-8, class_weight="balanced")
    expected = reference.fit(scaled, codes).predict_proba(scaled)
    np.testing.assert_allclose(fit.predict(x).probabilities, expected, atol=2e-4)


def test_two_equal_gaussians_give_the_logistic_of_their_distance():
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 1], 1500)
    x = rng.normal(size=(3000, 1)) + codes[:, None]
    fit = Logistic(penalties=(1e-3,), scalings=PLAIN).fit(rows_of(x, codes), 2)
    at = np.array([[-1.0], [0.5], [2.0]])
    expected = 1 / (1 + np.exp(-(at[:, 0] - 0.5)))
    np.testing.assert_allclose(fit.predict(at).probabilities[:, 1], expected, atol=0.04)


def test_classes_weigh_alike_whatever_their_rows():
    rng = np.random.default_rng(2)
    codes = np.repeat([0, 1], [600, 40])
    x = rng.normal(size=(640, 1)) + codes[:, None]
    middle = np.array([[0.5]])
    alike = Logistic(penalties=(1e-3,), scalings=PLAIN).fit(rows_of(x, codes), 2)
    by_rows = Logistic(penalties=(1e-3,), scalings=PLAIN, balanced=False).fit(rows_of(x, codes), 2)
    assert alike.predict(middle).probabilities[0, 1] == pytest.approx(0.5, abs=0.1)
    assert by_rows.predict(middle).probabilities[0, 1] < 0.15


def test_relabelled_classes_give_relabelled_probabilities():
    x, codes = blobs(np.random.default_rng(3), (20, 20, 20))
    turned = np.array([2, 0, 1])
    one = Logistic(penalties=(0.1,), scalings=PLAIN).fit(rows_of(x, codes), 3)
    other = Logistic(penalties=(0.1,), scalings=PLAIN).fit(rows_of(x, turned[codes]), 3)
    np.testing.assert_allclose(
        one.predict(x).probabilities, other.predict(x).probabilities[:, turned], atol=1e-4
    )


def test_a_class_that_was_never_seen_has_probability_nought():
    x, codes = blobs(np.random.default_rng(4), (15, 15, 15))
    seen = codes != 1
    fit = Logistic(scalings=PLAIN).fit(rows_of(x[seen], codes[seen]), 3)
    found = fit.predict(x).probabilities
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1)


def test_tensors_restore_every_bit_and_the_seed_decides():
    x, codes = blobs(np.random.default_rng(5), (15, 12, 9), 30)
    rows = rows_of(x, codes, np.arange(36) // 2)
    one, other = Logistic().fit(rows, 3, seed=1), Logistic().fit(rows, 3, seed=1)
    assert all((one.tensors()[name] == other.tensors()[name]).all() for name in one.tensors())
    restored = Logistic().restore(one.tensors())
    assert (restored.predict(x).probabilities == one.predict(x).probabilities).all()


def test_pure_noise_takes_a_strong_penalty():
    rng = np.random.default_rng(6)
    x, codes = rng.normal(size=(60, 100)), np.arange(60) % 3
    assert Logistic().fit(rows_of(x, codes), 3).chosen["penalty"] >= 1


def test_one_class_or_one_group_cannot_be_learned():
    x, codes = blobs(np.random.default_rng(7), (10, 10))
    with pytest.raises(CannotLearnError, match="one class"):
        Logistic().fit(rows_of(x[:10], codes[:10]), 2)
    with pytest.raises(CannotLearnError, match="two groups"):
        Logistic().fit(rows_of(x, codes, np.zeros(20, int)), 2)
    with pytest.raises(CannotLearnError, match="one class only"):
        Logistic().fit(rows_of(x, codes, codes), 2)
