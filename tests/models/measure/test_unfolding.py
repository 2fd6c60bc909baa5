"""Unfolding: random plane sections of balls whose sizes are known."""

import math

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.unfolding import section_kernel, unfold_diameters


def sections_of(diameter_um: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Sections by random planes: balls are met in proportion to their diameter, at any height."""
    met = rng.choice(diameter_um, count, p=diameter_um / diameter_um.sum())
    height = rng.uniform(0, met / 2)
    return np.asarray(2 * np.sqrt((met / 2) ** 2 - height**2))


@pytest.mark.parametrize("method", ["nnls", "goldsmith_cruz_orive"])
def test_equal_balls_are_found_to_be_equal(method: str) -> None:
    sections = sections_of(np.full(1, 10.0), np.random.default_rng(0), 20_000)
    limits = np.linspace(0, 10.4, 14)  # 9.6 … 10.4 is one class, with 10 in its middle
    found = unfold_diameters(sections, bins=limits, method=method)
    assert found.number_fraction[-1] > 0.97
    assert found.mean_um == pytest.approx(10, rel=0.02)
    assert sections.mean() == pytest.approx(10 * math.pi / 4, rel=0.01)


def test_saltykov_counts_balls_at_the_upper_limit() -> None:
    sections = sections_of(np.full(1, 10.0), np.random.default_rng(1), 20_000)
    found = unfold_diameters(sections, bins=np.linspace(0, 10, 11), method="saltykov")
    assert found.number_fraction[-1] == pytest.approx(1, abs=0.05)
    assert found.diameter_um[-1] == 10


@pytest.mark.parametrize(("spread", "tolerance"), [(0.15, 0.03), (0.35, 0.05)])
def test_log_normal_balls(spread: float, tolerance: float) -> None:
    rng = np.random.default_rng(2)
    balls = rng.lognormal(math.log(8), spread, 200_000)
    sections = sections_of(balls, rng, 20_000)
    found = unfold_diameters(sections, bins=16)
    assert found.mean_um == pytest.approx(balls.mean(), rel=tolerance)
    by_volume = float(found.volume_fraction @ found.diameter_um)
    assert by_volume == pytest.approx((balls**4).sum() / (balls**3).sum(), rel=tolerance)
    truth = np.histogram(balls, np.append(found.lower_um, found.upper_um[-1]))[0] / len(balls)
    # largest gap between the two cumulative distributions
    assert np.abs(np.cumsum(found.number_fraction - truth)).max() < 0.06
    assert (found.number_fraction >= 0).all()


def test_density_from_the_area_of_the_plane() -> None:
    rng = np.random.default_rng(3)
    balls = rng.lognormal(math.log(8), 0.2, 100_000)
    density, area = 2e-4, 4e6
    count = round(density * balls.mean() * area)
    found = unfold_diameters(sections_of(balls, rng, count), plane_area_um2=area)
    assert found.number_density_per_um3.sum() == pytest.approx(density, rel=0.05)
    assert np.isnan(unfold_diameters(np.array([1.0])).number_density_per_um3).all()


def test_least_squares_give_no_negative_counts_where_substitution_does() -> None:
    sections = sections_of(np.full(1, 10.0), np.random.default_rng(4), 60)
    assert (unfold_diameters(sections, method="saltykov").number_fraction < 0).any()
    assert (unfold_diameters(sections, method="nnls").number_fraction >= 0).all()


def test_resampling_tells_the_scatter() -> None:
    rng = np.random.default_rng(5)
    balls = rng.lognormal(math.log(8), 0.25, 50_000)
    few = unfold_diameters(sections_of(balls, rng, 200), bins=8, resamples=40)
    many = unfold_diameters(sections_of(balls, rng, 20_000), bins=8, resamples=40)
    assert np.nansum(many.number_fraction_std) < 0.5 * np.nansum(few.number_fraction_std)
    again = unfold_diameters(sections_of(balls, np.random.default_rng(6), 200), resamples=5)
    same = unfold_diameters(sections_of(balls, np.random.default_rng(6), 200), resamples=5)
    np.testing.assert_array_equal(again.number_fraction_std, same.number_fraction_std)


def test_the_kernel_conserves_sections_and_scales() -> None:
    edges, balls = np.linspace(0, 9, 10), np.array([2.5, 6.0, 8.9])
    np.testing.assert_allclose(section_kernel(edges, balls).sum(axis=0), balls)
    sections = np.random.default_rng(7).random(300) + 0.1
    one, thousand = unfold_diameters(sections), unfold_diameters(1000 * sections)
    np.testing.assert_allclose(thousand.number_fraction, one.number_fraction, atol=1e-9)
    np.testing.assert_allclose(thousand.diameter_um, 1000 * one.diameter_um)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidVolumeError, match="no sections"):
        unfold_diameters(np.array([]))
    with pytest.raises(InvalidVolumeError, match="above zero"):
        unfold_diameters(np.array([1.0, np.nan]))
    with pytest.raises(InvalidVolumeError, match="beyond the limits"):
        unfold_diameters(np.array([1.0, 5.0]), bins=np.array([0.0, 2.0]))
    with pytest.raises(InvalidVolumeError, match="must rise"):
        unfold_diameters(np.array([1.0]), bins=np.array([0.0, 2.0, 2.0]))
