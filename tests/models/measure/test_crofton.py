"""Weights are right for a circle and a ball of any spacing, and turn with the axes."""

import numpy as np
import pytest

from models.measure.crofton import DIRECTIONS, DIRECTIONS_2D, area_weights, length_weights

SPACINGS = [(1, 1, 1), (2, 1, 1), (0.1, 0.07, 0.2)]


def test_directions_are_half_of_the_neighbours():
    for steps, count in ((DIRECTIONS, 26), (DIRECTIONS_2D, 8)):
        both = {*steps, *(tuple(-axis for axis in step) for step in steps)}
        assert len(both) == count
        assert list(steps) == sorted(steps)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_surface_facing_everywhere_alike_has_its_area(spacing):
    # area 1 is seen as 1/2 along every direction
    lengths = np.linalg.norm(np.array(DIRECTIONS) * spacing, axis=1)
    crossings = 0.5 * lengths / np.prod(spacing)
    assert crossings @ area_weights(spacing) == pytest.approx(1)


@pytest.mark.parametrize("spacing", [(1, 1), (3, 1), (0.1, 0.07)])
def test_a_contour_facing_everywhere_alike_has_its_length(spacing):
    # length 1 is seen as 2/π along every direction
    lengths = np.linalg.norm(np.array(DIRECTIONS_2D) * spacing, axis=1)
    crossings = 2 / np.pi * lengths / np.prod(spacing)
    assert crossings @ length_weights(spacing) == pytest.approx(1)


def test_weights_of_cubic_voxels_are_the_published_ones():
    # Lehmann & Legland 2012, table of 13 directions: shares of each of the 26 neighbours
    weights = dict(zip(DIRECTIONS, area_weights((1, 1, 1)), strict=True))
    for step, share in (((0, 0, 1), 0.04577789), ((0, 1, 1), 0.03698063), ((1, 1, 1), 0.03519564)):
        assert weights[step] == pytest.approx(4 * share / np.linalg.norm(step), rel=1e-5)


def test_weights_follow_the_axes():
    weights = dict(zip(DIRECTIONS, area_weights((3, 2, 1)), strict=True))
    swapped = dict(zip(DIRECTIONS, area_weights((1, 2, 3)), strict=True))
    for step, weight in weights.items():
        turned = step[::-1] if step[::-1] in swapped else tuple(-axis for axis in step[::-1])
        assert swapped[turned] == pytest.approx(weight)


def test_twice_the_spacing_is_four_times_the_area_and_twice_the_length():
    np.testing.assert_allclose(area_weights((4, 2, 2)), 4 * area_weights((2, 1, 1)))
    np.testing.assert_allclose(length_weights((4, 2)), 2 * length_weights((2, 1)))
