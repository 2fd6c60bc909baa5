"""Shifts of known size, invariance, and Holm's correction by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from models.measure.distribution_shift import holm, shift, stability_index, trend


def test_equal_samples_do_not_differ():
    values = np.linspace(0, 1, 100)
    found = shift(values, values)
    assert (found.stability_index, found.ks_statistic, found.ks_p_value) == (0, 0, 1)


def test_the_index_of_two_normal_distributions_is_that_of_their_bins():
    random = np.random.default_rng(0)
    reference, moved = random.normal(size=100_000), random.normal(0.5, size=100_000)
    edges = norm.ppf(np.linspace(0, 1, 11))
    p = np.diff(norm.cdf(edges - 0.5))
    expected = ((p - 0.1) * np.log(p / 0.1)).sum()
    assert stability_index(moved, reference) == pytest.approx(expected, rel=0.05)
    assert shift(moved, reference).ks_statistic == pytest.approx(
        norm.cdf(0.25) - norm.cdf(-0.25), abs=0.01
    )


def test_samples_apart_differ_as_much_as_can_be_and_stay_finite():
    found = shift(np.arange(20.0), 100 + np.arange(20.0))
    assert found.ks_statistic == 1
    assert found.ks_p_value < 1e-6
    assert 0.25 < found.stability_index < 20


@settings(deadline=None, max_examples=50)
@given(st.integers(10, 80), st.integers(10, 80), st.integers(0, 99), st.floats(0.1, 50))
def test_unit_and_origin_do_not_matter(rows, others, seed, unit):
    random = np.random.default_rng(seed)
    one, other = random.normal(size=rows), random.normal(0.7, size=others)
    found, scaled = shift(one, other), shift(one * unit + 7, other * unit + 7)
    assert scaled.ks_statistic == pytest.approx(found.ks_statistic)
    assert scaled.stability_index == pytest.approx(found.stability_index)
    assert found.stability_index >= 0
    assert 0 <= found.ks_p_value <= 1


def test_a_larger_shift_has_a_larger_index():
    random = np.random.default_rng(1)
    reference, sample = random.normal(size=500), random.normal(size=500)
    found = [stability_index(sample + by, reference) for by in (0, 0.3, 1, 3)]
    assert found == sorted(found)
    assert found[0] < 0.25 < found[2]


def test_one_value_many_times_is_a_bin_of_its_own():
    assert stability_index(np.zeros(30), np.zeros(30)) == 0
    assert stability_index(np.ones(30), np.zeros(30)) > 1
    assert stability_index(np.repeat([0.0, 1.0], 15), np.repeat([0.0, 1.0], 15)) == 0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_raises_no_more_than_bonferroni_and_keeps_the_order(values):
    found = np.array(holm(values))
    assert (found >= np.array(values) - 1e-12).all()
    assert (found <= np.minimum(np.array(values) * len(values), 1) + 1e-12).all()
    assert (np.diff(found[np.argsort(values, kind="stable")]) >= 0).all()


def test_a_trend_is_that_of_ranks():
    assert trend(np.arange(20.0) ** 3) == pytest.approx((1, 0))
    assert trend(-np.arange(20.0))[0] == pytest.approx(-1)
    rank, p_value = trend(np.random.default_rng(0).normal(size=200))
    assert abs(rank) < 0.2
    assert p_value > 0.01
