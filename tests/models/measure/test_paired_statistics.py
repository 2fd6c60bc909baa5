"""Pairs: exact lines, published intervals, and how often intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure.paired_statistics import fisher_interval, paired_statistics


def test_a_line_is_found_exactly():
    x = np.arange(10.0)
    found = paired_statistics(x, 3 - 2 * x)
    assert found.count == 10
    assert tuple(found.pearson) == pytest.approx((-1, -1, -1))
    assert tuple(found.slope) == pytest.approx((-2, -2, -2))
    assert found.intercept == pytest.approx(3)
    assert paired_statistics(x, x**5).spearman.value == pytest.approx(1)


def test_fishers_interval_by_hand():
    # tanh(atanh 0.5 ± 1.96 / √25)
    assert fisher_interval(0.5, 28) == pytest.approx((0.5, 0.1560, 0.7358), abs=1e-4)
    assert np.isnan(fisher_interval(0.5, 3).lower)
    wider = fisher_interval(0.5, 28, inflation=1.125)
    assert wider.lower < 0.1560 and wider.upper > 0.7358


def test_too_few_pairs_and_constants_say_nothing():
    for x, y in (([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1, 1], range(5)), ([], [])):
        found = paired_statistics(np.array(x, float), np.array(y, float))
        assert found.count == len(x)
        assert np.isnan([found.pearson.value, found.spearman.value, found.slope.value]).all()


def test_unknown_values_do_not_count():
    x = np.array([0.0, 1, 2, np.nan, 4, 5])
    y = np.array([0.0, 1, np.inf, 3, 4, 5])
    found = paired_statistics(x, y)
    assert found.count == 4 and found.pearson.value == pytest.approx(1)


@settings(deadline=None)
@given(st.floats(0.01, 100), st.floats(-100, 100), st.booleans())
def test_correlations_know_no_units(scale, shift, turned):
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 30))
    found = paired_statistics(x, y)
    factor = -scale if turned else scale
    other = paired_statistics(factor * x + shift, y)
    sign = -1 if turned else 1
    assert other.pearson.value == pytest.approx(sign * found.pearson.value, abs=1e-6)
    assert other.spearman.value == pytest.approx(sign * found.spearman.value, abs=1e-6)
    assert other.slope.value == pytest.approx(found.slope.value / factor, rel=1e-5)


def test_intervals_hold_the_truth_19_times_of_20():
    rng = np.random.default_rng(3)
    held = np.zeros(2)
    for _ in range(400):
        x = rng.standard_normal(40)
        y = 0.6 * x + 0.8 * rng.standard_normal(40)
        found = paired_statistics(x, y)
        held += [one.lower <= 0.6 <= one.upper for one in (found.pearson, found.slope)]
    assert held / 400 == pytest.approx([0.95, 0.95], abs=0.035)
