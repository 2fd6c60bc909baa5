"""Targets: a disc's distances and probability are known by formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.targets import (
    object_probability,
    star_targets,
    typical_diameter_px,
)

RADIUS, CENTRE = 20, (60, 70)


@pytest.fixture(scope="module")
def labels(disc_labels):
    return disc_labels([(*CENTRE, RADIUS)])


@pytest.mark.parametrize("offset", [(0, 0), (6, 0), (0, -10), (8, 8)])
def test_distances_to_the_outline_of_a_disc(labels, offset):
    targets = star_targets(labels, grid=2)
    y, x = ((c + o) // 2 for c, o in zip(CENTRE, offset, strict=True))
    along = 2 * np.pi * np.arange(32) / 32
    # from inside a circle, in direction u from offset o: -o·u + sqrt((o·u)² + R² - o²)
    dot = offset[0] * np.sin(along) + offset[1] * np.cos(along)
    expected = -dot + np.sqrt(dot**2 + RADIUS**2 - np.dot(offset, offset))
    found = targets.distances[:, y, x]  # steps from pixel to pixel, so right within a diagonal
    np.testing.assert_allclose(found, expected, atol=1.42)
    assert np.abs(found - expected).mean() < 0.6


def test_the_probability_falls_from_the_middle_to_the_outline(labels):
    probability = object_probability(labels)
    y, x = np.indices(labels.shape)
    depth = RADIUS + 0.5 - np.hypot(y - CENTRE[0], x - CENTRE[1])
    inside = labels > 0
    assert probability[CENTRE] == 1
    assert not probability[~inside].any()
    np.testing.assert_allclose(probability[inside], (depth / RADIUS)[inside], atol=0.06)


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_targets_are_taken_at_multiples_of_the_grid(labels, grid):
    fine, coarse = star_targets(labels, grid=1), star_targets(labels, grid=grid)
    np.testing.assert_array_equal(coarse.probability, fine.probability[::grid, ::grid])
    np.testing.assert_array_equal(coarse.distances, fine.distances[:, ::grid, ::grid])
    assert coarse.distances.shape == (32, 120 // grid, 140 // grid)


def test_a_neighbour_ends_a_particle_as_background_does(disc_labels):
    labels = np.repeat([[1] * 10 + [2] * 10], 20, axis=0).astype(np.int32)
    targets = star_targets(labels, grid=1)
    assert targets.distances[0, 10, 4] == pytest.approx(5.5, abs=0.01)  # along +x to the seam
    assert targets.probability[10, 9] == pytest.approx(0.1)


@settings(deadline=None, max_examples=20)
@given(st.permutations([3, 700, 65000]), st.integers(1, 2**20))
def test_the_numbers_of_labels_mean_nothing(numbers, shift):
    y, x = np.indices((40, 60))
    plain = np.where((y > 5) & (y < 30), 1 + x // 20, 0)
    renamed = np.where(plain > 0, np.take([0, *numbers], plain) + shift, 0)
    one, other = star_targets(plain), star_targets(renamed)
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.distances, other.distances)


def test_nothing_labelled_gives_nothing():
    targets = star_targets(np.zeros((32, 48), np.int32))
    assert targets.probability.shape == (16, 24)
    assert not targets.probability.any()
    assert not targets.distances.any()
    assert typical_diameter_px(np.zeros((8, 8), np.int32)) is None


def test_a_particle_that_fills_the_image_is_deepest_in_the_middle():
    probability = object_probability(np.full((21, 21), 7))
    assert probability[10, 10] == probability.max() == 1


def test_the_typical_diameter_is_that_of_the_disc_in_the_middle(disc_labels):
    labels = disc_labels([(20, 20, 8), (60, 70, 15), (20, 100, 16)])
    assert typical_diameter_px(labels) == pytest.approx(30, rel=0.03)


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8), int), np.zeros((8, 8))])
def test_what_is_no_label_image_is_refused(wrong):
    with pytest.raises(StarConvexError, match="two-dimensional image of whole numbers"):
        star_targets(wrong)
