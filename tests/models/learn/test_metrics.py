"""Metrics against scikit-learn and SciPy; intervals against simulated truth."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as reference

from models.learn.intervals import bootstrap
from models.learn.metrics import (
    class_metrics,
    confusion_matrix,
    number_metrics,
    weighted_spearman,
)

FEW = 50


def by_name(metrics, part="all"):
    return {metric.name: metric for metric in metrics if metric.part == part}


def numbers(measured, predicted, **more):
    count = len(measured)
    told = {"std": np.ones(count), "groups": np.arange(count), "folds": np.zeros(count, int)}
    return number_metrics(
        np.asarray(measured, float), np.asarray(predicted, float), **(told | more), resamples=FEW
    )


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(
        st.tuples(st.integers(-9, 9), st.floats(-9, 9, allow_subnormal=False)),
        min_size=3,
        max_size=30,
    )
)
def test_metrics_of_numbers_are_scikit_learns(values):
    measured, predicted = np.array(values, float).T
    found = by_name(numbers(measured, predicted))
    assert found["rmse"].value == pytest.approx(
        reference.root_mean_squared_error(measured, predicted), abs=1e-9
    )
    assert found["mae"].value == pytest.approx(
        reference.mean_absolute_error(measured, predicted), abs=1e-9
    )
    if np.ptp(measured) == 0:
        assert np.isnan(found["r2"].value)
        return
    assert found["r2"].value == pytest.approx(
        reference.r2_score(measured, predicted), rel=1e-6, abs=1e-9
    )
    if np.ptp(predicted) > 0:
        assert found["spearman"].value == pytest.approx(
            spearmanr(measured, predicted).statistic, abs=1e-9
        )


def test_a_large_offset_does_not_swallow_r2():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=50)
    predicted = measured + 0.3 * rng.normal(size=50)
    plain = by_name(numbers(measured, predicted))["r2"].value
    moved = by_name(numbers(measured + 1e6, predicted + 1e6))["r2"].value
    assert moved == pytest.approx(plain, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=12
    )
)
def test_spearman_with_weights_is_spearman_of_repeated_rows(rows):
    one, other, weight = np.array(rows, float).T
    repeat = weight.astype(int)
    a, b = np.repeat(one, repeat), np.repeat(other, repeat)
    found = weighted_spearman(weight[None], one, other)[0] if repeat.sum() else np.nan
    if repeat.sum() < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    codes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40),
    seed=st.integers(0, 99),
)
def test_metrics_of_classes_are_scikit_learns(codes, seed):
    measured, predicted = np.array(codes).T
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(4), len(codes)) * 0.1
    probabilities[np.arange(len(codes)), predicted] += 0.9
    count = len(codes)
    found = class_metrics(
        measured, probabilities, "abcd", np.arange(count), np.zeros(count, int), resamples=FEW
    )
    whole = by_name(found)
    assert whole["accuracy"].value == pytest.approx((measured == predicted).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class that is predicted and never there
        assert whole["balanced_accuracy"].value == pytest.approx(
            reference.balanced_accuracy_score(measured, predicted)
        )
    assert whole["macro_f1"].value == pytest.approx(
        reference.f1_score(measured, predicted, average="macro")
    )
    assert whole["log_loss"].value == pytest.approx(
        reference.log_loss(measured, probabilities, labels=range(4))
    )
    np.testing.assert_array_equal(
        confusion_matrix(measured, predicted, 4),
        reference.confusion_matrix(measured, predicted, labels=range(4)),
    )
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        measured, predicted, labels=range(4), zero_division=0
    )
    for code, name in enumerate("abcd"):
        of_class = by_name(found, f"class {name}")
        assert of_class["f1"].rows == support[code]
        if code in measured:
            assert of_class["recall"].value == pytest.approx(recall[code])
        if code in measured or code in predicted:
            assert of_class["precision"].value == pytest.approx(precision[code])
            assert of_class["f1"].value == pytest.approx(f1[code])


def test_folds_have_metrics_of_their_own():
    measured, predicted = np.arange(6.0), np.array([0, 1, 2, 4, 5, 6.0])
    found = numbers(measured, predicted, folds=np.array([0, 0, 0, 1, 1, 1]))
    assert by_name(found, "fold 0")["rmse"].value == 0
    assert by_name(found, "fold 1")["rmse"].value == pytest.approx(1)
    assert by_name(found, "fold 1")["rmse"].rows == 3


def mean_of(values):
    return lambda weight: (weight @ values / weight.sum(1))[:, None]


def test_intervals_hold_the_truth_as_often_as_they_claim():
    """The mean of 40 lognormal numbers, whose distribution is skewed."""
    held = 0
    for seed in range(300):
        values = np.random.default_rng(seed).lognormal(sigma=0.5, size=40)
        found = bootstrap(mean_of(values), np.arange(40), resamples=400, seed=seed)
        held += found.lower[0] <= np.exp(0.125) <= found.upper[0]
    assert 0.90 <= held / 300 <= 0.98


def test_rows_of_one_group_are_drawn_together():
    """Ten copies of a row say no more than the row; drawn alone they would narrow the interval."""
    values = np.random.default_rng(1).normal(size=30)
    single = bootstrap(mean_of(values), np.arange(30), seed=2)
    copied = bootstrap(mean_of(np.repeat(values, 10)), np.repeat(np.arange(30), 10), seed=2)
    torn = bootstrap(mean_of(np.repeat(values, 10)), np.arange(300), seed=2)
    width = (single.upper - single.lower)[0]
    assert (copied.upper - copied.lower)[0] == pytest.approx(width, rel=1e-9)
    assert (torn.upper - torn.lower)[0] < 0.5 * width


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(3).normal(size=200)
    found = bootstrap(mean_of(values), np.arange(200), resamples=4000)
    half = 1.972 * values.std(ddof=1) / np.sqrt(200)
    assert found.lower[0] == pytest.approx(values.mean() - half, abs=0.015)
    assert found.upper[0] == pytest.approx(values.mean() + half, abs=0.015)


def test_the_seed_decides_and_one_group_has_no_interval():
    measured = np.arange(20.0)
    predicted = measured + np.random.default_rng(4).normal(size=20)
    one, other = numbers(measured, predicted, seed=1), numbers(measured, predicted, seed=1)
    assert one == other
    alone = by_name(numbers(measured, predicted, groups=np.zeros(20, int)))["rmse"]
    assert np.isfinite(alone.value)
    assert np.isnan(alone.lower)
    assert np.isnan(alone.upper)


def test_perfect_predictions_have_perfect_intervals():
    found = by_name(numbers(np.arange(12.0), np.arange(12.0)))
    assert (found["r2"].value, found["r2"].lower, found["r2"].upper) == (1, 1, 1)
    assert found["within_one_std"].value == 1
