"""Areas of surfaces whose crossings are known exactly."""

import numpy as np
import pytest

from models.measure.crofton import DIRECTIONS
from models.measure.surface_area import contact_areas, surface_areas


def crossings_of(normals, areas, spacing):
    """Crossings (13,) of flat pieces of surface."""
    flux = np.abs(np.asarray(normals) @ (np.array(DIRECTIONS) * spacing).T) / np.prod(spacing)
    return np.asarray(areas) @ flux


@pytest.fixture(scope="module")
def normals():
    drawn = np.random.default_rng(5).normal(size=(60, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1, 1), (0.2, 0.1, 0.1)])
def test_a_surface_facing_everywhere_alike_has_its_area(spacing):
    lengths = np.linalg.norm(np.array(DIRECTIONS) * spacing, axis=1)
    for area in (3.0, 3e4):
        crossings = area / 2 * lengths / np.prod(spacing)
        assert surface_areas(crossings, spacing_um=spacing) == pytest.approx([area], rel=1e-3)


@pytest.mark.parametrize(("spacing", "bound"), [((1, 1, 1), 0.04), ((2, 1, 1), 0.06)])
def test_planes_are_never_too_small(normals, spacing, bound):
    crossings = [crossings_of([normal], [100], spacing) for normal in normals]
    areas = surface_areas(crossings, spacing_um=spacing)
    assert areas.min() > 99.5
    assert areas.max() < 100 * (1 + bound)


def test_boxes_turned_any_way_are_right_within_3_percent(normals):
    for normal in normals:
        sides = np.linalg.qr(np.column_stack([normal, [0.3, 0.5, 0.7], [0.9, -0.2, 0.1]]))[0].T
        crossings = crossings_of(sides, [200, 200, 200], (1, 1, 1))
        assert surface_areas(crossings, spacing_um=(1, 1, 1)) == pytest.approx([600], rel=0.03)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1, 1)])
def test_flat_contacts_have_their_area_at_any_tilt(normals, spacing):
    area = 1e6  # so large that the rim does not count
    crossings = [crossings_of([normal], [area], spacing) for normal in normals]
    facing = normals * area * spacing / np.prod(spacing)
    areas = contact_areas(crossings, facing, spacing_um=spacing)
    np.testing.assert_allclose(areas, area, rtol=0.005)


def test_no_crossings_are_no_area():
    assert surface_areas(np.zeros((2, 13)), spacing_um=(1, 1, 1)).tolist() == [0, 0]
    assert surface_areas(np.zeros((0, 13)), spacing_um=(1, 1, 1)).shape == (0,)
    assert contact_areas(np.zeros((0, 13)), np.zeros((0, 3)), spacing_um=(1, 1, 1)).shape == (0,)


def test_each_row_is_measured_by_itself(normals):
    crossings = np.array([crossings_of([n], [a], (1, 1, 1)) for a, n in enumerate(normals, 1)])
    together = surface_areas(crossings, spacing_um=(1, 1, 1))
    alone = [surface_areas(row, spacing_um=(1, 1, 1))[0] for row in crossings]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
