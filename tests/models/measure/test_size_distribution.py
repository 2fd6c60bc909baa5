"""Sizes: log-normal populations, weights, loss at the border."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from models.measure.arrays import InvalidVolumeError
from models.measure.size_distribution import (
    miles_lantuejoul_weights,
    quantile_errors,
    size_histogram,
    size_statistics,
    weighted_quantiles,
)

DIAMETERS = st.lists(st.floats(0.01, 100), min_size=1, max_size=30).map(np.array)


def test_a_log_normal_population_follows_hatch_and_choate() -> None:
    spread = math.log(1.6)
    # quantiles instead of random numbers: the distribution itself, up to its far tail
    diameter = 5 * np.exp(spread * norm.ppf((np.arange(200_000) + 0.5) / 200_000))
    found = size_statistics(diameter)
    assert found.geometric_mean_um == pytest.approx(5)
    assert found.geometric_std == pytest.approx(1.6, rel=1e-3)
    assert found.mean_um == pytest.approx(5 * math.exp(spread**2 / 2), rel=1e-3)
    assert found.d50_number_um == pytest.approx(5, rel=1e-3)
    assert found.d90_number_um == pytest.approx(5 * math.exp(1.28155 * spread), rel=1e-3)
    median_by_volume = 5 * math.exp(3 * spread**2)
    assert found.d50_volume_um == pytest.approx(median_by_volume, rel=0.01)
    assert found.d10_volume_um == pytest.approx(
        median_by_volume * math.exp(-1.28155 * spread), rel=0.01
    )
    assert found.span_volume == pytest.approx(2 * math.sinh(1.28155 * spread), rel=0.02)
    assert found.sauter_mean_um == pytest.approx(5 * math.exp(2.5 * spread**2), rel=0.01)


def test_border_particles_are_left_out_and_their_volume_is_told() -> None:
    found = size_statistics([1, 1, 3], volume_um3=[2, 2, 6], touches_border=[False, False, True])
    assert (found.count, found.excluded_count) == (2, 1)
    assert found.excluded_volume_share == pytest.approx(0.6)
    assert (found.mean_um, found.std_um, found.geometric_std) == (1, 0, 1)


def test_weights_stand_for_repeated_particles() -> None:
    rng = np.random.default_rng(0)
    diameter, repeats = rng.random(400) + 0.1, rng.integers(1, 4, 400)
    weighted = size_statistics(diameter, weights=repeats)
    repeated = size_statistics(np.repeat(diameter, repeats))
    assert weighted.mean_um == pytest.approx(repeated.mean_um)
    assert weighted.geometric_std == pytest.approx(repeated.geometric_std)
    assert weighted.sauter_mean_um == pytest.approx(repeated.sauter_mean_um)
    assert weighted.d50_volume_um == pytest.approx(repeated.d50_volume_um, rel=0.01)


@settings(max_examples=25, deadline=None)
@given(DIAMETERS, st.floats(0.1, 10))
def test_sizes_scale_and_are_ordered(diameter: np.ndarray, factor: float) -> None:
    found, scaled = size_statistics(diameter), size_statistics(diameter * factor)
    assert diameter.min() <= found.d10_number_um <= found.d50_number_um <= found.d90_number_um
    assert found.d10_volume_um <= found.d50_volume_um <= found.d90_volume_um <= diameter.max()
    assert found.d50_number_um == pytest.approx(np.median(diameter))
    assert found.d50_volume_um >= found.d50_number_um * (1 - 1e-12)
    assert scaled.d90_volume_um == pytest.approx(factor * found.d90_volume_um)
    assert scaled.span_volume == pytest.approx(found.span_volume, abs=1e-9)


def test_no_particles() -> None:
    found = size_statistics([])
    assert (found.count, found.excluded_count) == (0, 0)
    assert math.isnan(found.d50_volume_um)
    assert math.isnan(found.mean_um)
    assert math.isnan(found.excluded_volume_share)
    assert len(size_histogram([])["count"]) == 0
    empty = size_histogram([], bins=3, limits_um=(1, 8))
    np.testing.assert_array_equal(empty["count"], [0, 0, 0])
    np.testing.assert_array_equal(empty["number_share"], [0, 0, 0])


def test_unknown_sizes_are_left_out() -> None:
    assert size_statistics([2, np.nan, 4]).count == 2
    assert math.isnan(weighted_quantiles(np.array([1.0, 2.0]), np.zeros(2), (0.5,))[0])


@pytest.mark.parametrize("confidence", [1.0, 0.5, math.nan])
def test_the_error_of_the_median_is_that_of_a_normal_population(confidence: float) -> None:
    count, spread = 2000, 3.0
    values = 50 + spread * norm.ppf((np.arange(count) + 0.5) / count)
    there = np.full(count, confidence)
    (error,) = quantile_errors(values, np.ones(count), there, (0.5,), resamples=1000)
    seen = count * (1.0 if math.isnan(confidence) else confidence)
    assert error == pytest.approx(math.sqrt(math.pi / 2) * spread / math.sqrt(seen), rel=0.1)


def test_particles_that_may_not_be_there_make_the_error_larger() -> None:
    values = np.concatenate([np.full(30, 1.0), np.linspace(9, 11, 31)])
    sure = np.ones(len(values))
    doubtful = np.where(values < 5, 0.3, 1.0)
    errors = [
        quantile_errors(values, np.ones(len(values)), there, (0.1,))[0]
        for there in (sure, doubtful, np.where(values < 5, 0.0, 1.0))
    ]
    assert errors[0] == 0  # the smallest tenth is of one size, whatever is drawn
    assert errors[1] > 1
    assert errors[2] < 0.2


def test_errors_need_two_particles_and_come_out_the_same_again() -> None:
    one, none = np.array([1.0]), np.zeros(0)
    assert math.isnan(quantile_errors(one, one, one, (0.5,))[0])
    assert math.isnan(quantile_errors(none, none, none, (0.5,))[0])
    never = quantile_errors(np.arange(5.0), np.ones(5), np.zeros(5), (0.5,))
    assert math.isnan(never[0])
    values = np.random.default_rng(1).random(50)
    arguments = (values, np.ones(50), np.full(50, 0.7), (0.1, 0.5, 0.9))
    assert quantile_errors(*arguments) == quantile_errors(*arguments)
    scaled = quantile_errors(values * 4, *arguments[1:])
    np.testing.assert_allclose(scaled, 4 * np.array(quantile_errors(*arguments)))


def test_histogram_counts_everything_once() -> None:
    rng = np.random.default_rng(1)
    diameter = rng.lognormal(0, 0.5, 500)
    found = size_histogram(diameter, bins=9)
    assert found["count"].sum() == 500
    assert found["number_share"].sum() == pytest.approx(1)
    assert found["volume_share"].sum() == pytest.approx(1)
    assert (found["lower_um"][0], found["upper_um"][-1]) == (diameter.min(), diameter.max())
    np.testing.assert_allclose(
        np.diff(np.log(found["upper_um"])), np.log(diameter.max() / diameter.min()) / 9
    )
    assert size_histogram([2, 2, 2], bins=5)["count"].sum() == 3


def test_the_loss_at_the_border_is_made_up_for() -> None:
    rng = np.random.default_rng(2)
    diameter = rng.choice([5.0, 30.0], 40_000)
    centre = rng.random((40_000, 2)) * 140 - 20  # window 0 … 100 and all that reaches into it
    whole = ((centre > diameter[:, None] / 2) & (centre < 100 - diameter[:, None] / 2)).all(axis=1)
    assert abs((diameter[whole] == 30).mean() - 0.5) > 0.1
    weights = miles_lantuejoul_weights(diameter[whole], (100, 100))
    share = weights[diameter[whole] == 30].sum() / weights.sum()
    assert share == pytest.approx(0.5, abs=0.015)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidVolumeError, match="differ in number"):
        size_statistics([1, 2], volume_um3=[1])
    with pytest.raises(InvalidVolumeError, match="above zero"):
        size_statistics([0])
    with pytest.raises(InvalidVolumeError, match="classes"):
        size_histogram([1], bins=0)
    with pytest.raises(InvalidVolumeError, match="lower < upper"):
        size_histogram([1], limits_um=(2, 1))
    with pytest.raises(InvalidVolumeError, match="smaller than the window"):
        miles_lantuejoul_weights([5.0], (5.0, 9.0))
