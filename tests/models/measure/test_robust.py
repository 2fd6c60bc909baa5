"""Scores are those of a normal distribution, and outliers do not hide each other."""

import numpy as np
import pytest

from models.measure.robust import kinds, robust_scores


def test_normal_values_score_as_standard_deviations() -> None:
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    scores, medians = robust_scores(values, np.zeros(20_000, np.int64), 0)
    assert scores.std() == pytest.approx(1, abs=0.02)
    assert medians[0] == pytest.approx(5, abs=0.05)
    np.testing.assert_allclose(scores * 2, values - 5, atol=0.2)


def test_a_third_of_outliers_does_not_hide_them() -> None:
    values = np.r_[np.random.default_rng(0).normal(0, 1, 40), np.full(20, 50.0)]
    scores, _ = robust_scores(values, np.zeros(60, np.int64), 0.1)
    assert (scores[40:] > 10).all()


def test_equal_values_are_measured_by_the_least_spread() -> None:
    values = np.r_[np.full(20, 3.0), 4.0]
    scores, _ = robust_scores(values, np.zeros(21, np.int64), 0.5)
    np.testing.assert_allclose(scores, np.r_[np.zeros(20), 2.0])


def test_kinds_apart_are_scored_apart_and_gaps_stay_gaps() -> None:
    values = np.r_[np.arange(12.0), 100 + np.arange(12.0), np.nan]
    kind = np.r_[np.zeros(12, np.int64), np.ones(13, np.int64)]
    scores, medians = robust_scores(values, kind, 0.1)
    np.testing.assert_allclose(scores[:12], scores[12:24])
    assert np.isnan(scores[24])
    assert medians[24] == 105.5


def test_too_few_values_have_no_score() -> None:
    scores, _ = robust_scores(np.arange(11.0), np.zeros(11, np.int64), 0.1)
    assert np.isnan(scores).all()


def test_the_most_detailed_description_that_enough_share_counts() -> None:
    fine = ["a"] * 12 + ["b"] * 3 + ["c"] * 2
    coarse = ["x"] * 15 + ["y"] * 2
    found = kinds(fine, coarse)
    assert len(set(found[:12])) == 1
    assert len(set(found[12:15])) == 1
    assert found[0] != found[12] != -1
    assert (found[15:] == -1).all()
