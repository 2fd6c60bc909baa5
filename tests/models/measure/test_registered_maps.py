"""Registered maps: a planted correlation, a thickness that fakes one, pixels that hang together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from models.measure.arrays import InvalidVolumeError
from models.measure.registered_maps import correlate_maps, per_thickness

Y, X = np.mgrid[:72, :80]
DISC = ((Y - 36) / 33) ** 2 + ((X - 40) / 36) ** 2 < 1
BALL_UM = 8 * np.sqrt(np.clip(1 - ((Y - 36) / 33) ** 2 - ((X - 40) / 36) ** 2, 0, None))


def field(rng, std):
    """A smooth random field of variance 1."""
    noise = gaussian_filter(rng.standard_normal((Y.shape[0] + 60, X.shape[1] + 60)), std)
    return noise[30:-30, 30:-30] * 2 * np.sqrt(np.pi) * std


def pair(rng, correlation, std=3):
    first = field(rng, std)
    return first, correlation * first + np.sqrt(1 - correlation**2) * field(rng, std)


@pytest.mark.parametrize("correlation", [0.0, 0.54])
def test_intervals_hold_the_planted_correlation(correlation):
    rng = np.random.default_rng(4)
    held, as_if_independent = 0, 0
    for _ in range(60):
        found = correlate_maps(*pair(rng, correlation), DISC)
        held += found.pearson.lower <= correlation <= found.pearson.upper
        reach = 1.96 / np.sqrt(found.pixels - 3)
        off = abs(np.arctanh(found.pearson.value) - np.arctanh(correlation))
        as_if_independent += off <= reach
    assert held / 60 >= 0.85
    assert as_if_independent / 60 < 0.5


def test_white_pixels_count_each_and_smooth_ones_hardly():
    rng = np.random.default_rng(5)
    white = correlate_maps(*rng.standard_normal((2, *Y.shape)), DISC)
    assert white.pixels == DISC.sum()
    assert white.independent == pytest.approx(white.pixels, rel=0.05)
    # Σ ρ² over the plane is 2 π s² for ρ = exp(−h² / 4 s²)
    smooth = correlate_maps(*pair(rng, 0), DISC)
    assert smooth.independent == pytest.approx(white.pixels / (2 * np.pi * 9), rel=0.5)


def test_thickness_alone_correlates_projections_and_is_taken_out():
    rng = np.random.default_rng(6)
    one, other = (BALL_UM * (1.3 + 0.05 * field(rng, 3)) for _ in range(2))
    raw = correlate_maps(per_thickness(one, None), per_thickness(other, None), DISC)
    assert raw.pearson.value > 0.95
    found = correlate_maps(per_thickness(one, BALL_UM), per_thickness(other, BALL_UM))
    assert found.pearson.lower < 0 < found.pearson.upper
    assert found.pixels == DISC.sum()
    assert np.isnan(found.first[~DISC]).all()


def test_density_is_projection_over_thickness():
    thickness = np.array([[0.0, 2, np.nan], [-1, 4, 5]])
    found = per_thickness(np.array([[1.0, 3, 1], [1, np.inf, 10]]), thickness)
    assert found == pytest.approx(
        np.array([[np.nan, 1.5, np.nan], [np.nan, np.nan, 2]]), nan_ok=True
    )


@settings(deadline=None, max_examples=10)
@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.booleans())
def test_units_of_a_map_do_not_matter(scale, shift, turned):
    first, second = pair(np.random.default_rng(7), 0.6)
    factor = -scale if turned else scale
    found = correlate_maps(first, second, DISC)
    other = correlate_maps(factor * first + shift, second, DISC)
    sign = -1 if turned else 1
    assert other.pearson.value == pytest.approx(sign * found.pearson.value, abs=1e-6)
    assert other.independent == pytest.approx(found.independent, rel=1e-3)
    assert found.pearson.value == pytest.approx(
        np.corrcoef(first[DISC], second[DISC])[0, 1], abs=1e-12
    )
    swapped = correlate_maps(second, first, DISC)
    assert swapped.pearson == pytest.approx(found.pearson)


def test_a_map_agrees_with_itself():
    first, _ = pair(np.random.default_rng(8), 0)
    found = correlate_maps(first, first, DISC)
    assert tuple(found.pearson) == pytest.approx((1, 1, 1))
    assert found.slope == pytest.approx(1)


def test_what_says_nothing_is_refused():
    first, second = pair(np.random.default_rng(9), 0)
    with pytest.raises(InvalidVolumeError, match="72 × 79 pixels, the first map 72 × 80"):
        correlate_maps(first, second[:, 1:])
    with pytest.raises(InvalidVolumeError, match="0 pixels are known"):
        correlate_maps(first, second, np.zeros_like(DISC))
    with pytest.raises(InvalidVolumeError, match="second map is 2 in all"):
        correlate_maps(first, np.full_like(first, 2))
    with pytest.raises(InvalidVolumeError, match="thickness is 72 × 79"):
        per_thickness(first, second[:, 1:])
    with pytest.raises(InvalidVolumeError, match=r"axes \(Y, X\)"):
        per_thickness(np.zeros((2, 3, 4)), None)
