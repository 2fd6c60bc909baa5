"""Spread of images within specimens, and error between them, of known components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learn.specimen_metrics import OF_A_SPECIMEN, per_specimen, specimen_metrics


def values_of(measured, predicted, std, specimens, **more):
    found = specimen_metrics(
        np.asarray(measured, float),
        np.asarray(predicted, float),
        np.asarray(std, float),
        np.asarray(specimens),
        np.asarray(specimens),
        **more,
    )
    assert {metric.part for metric in found} == {OF_A_SPECIMEN}
    return {metric.name: metric for metric in found}


def test_two_specimens_by_hand():
    found = values_of(
        [1, 1, 5, 5, 5], [1, 3, 4, 5, 6], [1, 1, 2, 2, 2], [0, 0, 1, 1, 1], resamples=0
    )
    assert found["within_specimen_sd"].value == pytest.approx(np.sqrt((2 + 2) / (1 + 2)))
    assert found["stated_std"].value == pytest.approx(np.sqrt((1 + 1 + 4 + 4 + 4) / 5))
    assert found["between_specimen_rmse"].value == pytest.approx(np.sqrt((1 + 0) / 2))
    assert {metric.rows for metric in found.values()} == {5}
    assert all(np.isnan(metric.lower) for metric in found.values())


def test_planted_components_are_found_within_their_intervals():
    """Images scatter by 0.2 about a specimen that is off by 0.5."""
    rng = np.random.default_rng(0)
    specimens = np.repeat(np.arange(200), rng.integers(2, 6, 200))
    measured = rng.normal(0, 1, 200)[specimens]
    off = rng.normal(0, 0.5, 200)[specimens]
    predicted = measured + off + rng.normal(0, 0.2, len(specimens))
    found = values_of(measured, predicted, np.full(len(specimens), 0.54), specimens, resamples=500)
    within, stated = found["within_specimen_sd"], found["stated_std"]
    assert within.lower < 0.2 < within.upper
    assert within.value == pytest.approx(0.2, rel=0.1)
    assert stated.value == pytest.approx(0.54)
    between = found["between_specimen_rmse"]
    share, _ = per_specimen(predicted, specimens)
    expected = np.sqrt(0.25 + 0.04 * np.average(share, weights=share))  # a mean still scatters
    assert between.lower < expected < between.upper


@given(
    st.lists(st.tuples(st.integers(2, 5), st.floats(-5, 5)), min_size=2, max_size=8),
    st.floats(-10, 10),
    st.floats(0.1, 10),
    st.integers(0, 100),
)
def test_a_shift_moves_no_spread_and_a_scale_moves_all(sizes, shift, scale, seed):
    counts = [count for count, _ in sizes]
    specimens = np.repeat(np.arange(len(sizes)), counts)
    measured = np.repeat([number for _, number in sizes], counts)
    rng = np.random.default_rng(seed)
    predicted = measured + rng.normal(0, 1, len(measured))
    std = rng.uniform(0.1, 1, len(measured))
    one = values_of(measured, predicted, std, specimens, resamples=0)
    moved = values_of(
        scale * measured + shift, scale * predicted + shift, scale * std, specimens, resamples=0
    )
    for name, metric in one.items():
        assert moved[name].value == pytest.approx(scale * metric.value, rel=1e-6, abs=1e-9)


def test_order_and_numbers_of_specimens_do_not_matter():
    rng = np.random.default_rng(1)
    specimens = np.repeat(np.arange(6), 3)
    measured, predicted = rng.normal(size=6)[specimens], rng.normal(size=18)
    order = rng.permutation(18)
    one = values_of(measured, predicted, np.ones(18), specimens, resamples=0)
    other = values_of(
        measured[order], predicted[order], np.ones(18), 70 - specimens[order], resamples=0
    )
    for name, metric in one.items():
        assert other[name].value == pytest.approx(metric.value)
