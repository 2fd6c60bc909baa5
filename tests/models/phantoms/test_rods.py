"""Rods are as long, as wide and as parallel as they should be, and lie apart."""

import math

import numpy as np
import pytest
from scipy import ndimage

from models.phantoms.rods import RodPhantom, lay_rods

CLEAR = RodPhantom(seed=3, shape_px=(320, 300), width_px=14, noise_std=0, blur_px=0, tone_spread=0)


@pytest.fixture(scope="module")
def rods():
    return lay_rods(CLEAR)


def whole(made):
    """Numbers of rods that the border does not cut."""
    border = np.concatenate(
        [made.labels[0], made.labels[-1], made.labels[:, 0], made.labels[:, -1]]
    )
    return np.setdiff1d(np.arange(1, len(made.length_px) + 1), border)


def test_areas_are_those_of_a_rectangle_between_half_discs(rods):
    numbers = whole(rods)
    assert len(numbers) > 20
    areas = np.bincount(rods.labels.ravel())[numbers]
    straight = rods.length_px[numbers - 1] - CLEAR.width_px
    expected = straight * CLEAR.width_px + math.pi * CLEAR.width_px**2 / 4
    assert np.abs(areas / expected - 1).max() < 0.05
    assert areas.mean() / expected.mean() == pytest.approx(1, abs=0.01)


def test_moments_tell_the_centre_and_the_direction(rods):
    for number in whole(rods)[:15]:
        y, x = np.nonzero(rods.labels == number)
        assert (y.mean(), x.mean()) == pytest.approx(rods.centre_px[number - 1], abs=0.4)
        values, vectors = np.linalg.eigh(np.cov(np.stack([y, x])))
        axis = vectors[:, np.argmax(values)]
        turn = math.atan2(axis[0], axis[1]) - rods.angle_rad[number - 1]
        assert abs(math.sin(turn)) < 0.03


def test_rods_keep_their_distance_and_are_in_one_piece(rods):
    for number in whole(rods):
        mask = rods.labels == number
        assert ndimage.label(mask, np.ones((3, 3)))[1] == 1
        near = ndimage.distance_transform_edt(~mask) <= CLEAR.gap_px
        assert set(np.unique(rods.labels[near])) <= {0, number}


def test_contrast_and_background_are_as_told(rods):
    assert set(np.unique(rods.image[rods.labels == 0])) == {200}
    assert set(np.unique(rods.image[rods.labels > 0])) == {110}


def test_neighbours_are_parallel_where_they_should_be():
    def spread(alignment):
        made = lay_rods(RodPhantom(seed=1, alignment=alignment, stacked_share=0))
        gaps = np.hypot(*(made.centre_px[:, None] - made.centre_px[None]).transpose(2, 0, 1))
        np.fill_diagonal(gaps, np.inf)
        other = made.angle_rad[gaps.argmin(axis=1)]
        return float(np.abs(np.sin(made.angle_rad - other)).mean())

    assert spread(1.0) < 0.5 * spread(0.0)


def test_coverage_is_reached_where_there_is_room():
    made = lay_rods(RodPhantom(seed=2, coverage=0.3))
    assert np.mean(made.labels > 0) == pytest.approx(0.3, abs=0.02)
    assert lay_rods(RodPhantom(coverage=0)).labels.max() == 0


def test_the_same_configuration_gives_the_same_pixels_and_discs_have_ratio_one():
    first, second = (lay_rods(RodPhantom(seed=5)) for _ in range(2))
    assert (first.image == second.image).all()
    discs = lay_rods(RodPhantom(seed=5, aspect_ratio=1, aspect_spread=0, width_px=20))
    assert set(discs.length_px) == {20.0}


@pytest.mark.parametrize(
    "change", [{"width_px": 1}, {"aspect_ratio": 0.5}, {"coverage": 0.9}, {"seed": -1}]
)
def test_values_without_meaning_are_refused(change):
    with pytest.raises(ValueError, match="must"):
        RodPhantom(**change)
