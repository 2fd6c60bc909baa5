"""Axes and angles of ellipsoids turned by known angles."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.measure.moments import moments
from models.measure.sweep import sweep

ANGLES = [(0, 0, 0), (30, 0, 0), (-75, 20, 10), (40, -50, 60), (80, 65, -80), (-20, 5, 85)]


def ellipsoid(semi_axes, angles=(0, 0, 0), spacing=(1, 1, 1)):
    """Ellipsoid turned by yaw, pitch, roll, centred off the grid; semi-axes along x, y, z."""
    turn = Rotation.from_euler("ZYX", angles, degrees=True).as_matrix()
    spacing = np.array(spacing)
    half = np.ceil(max(semi_axes) / spacing).astype(int) + 2
    grid = [np.arange(2 * n) - n + 0.3 for n in half]
    z, y, x = np.meshgrid(*(g * s for g, s in zip(grid, spacing, strict=True)), indexing="ij")
    along = np.stack([x, y, z], axis=-1) @ turn / semi_axes
    return ((along**2).sum(axis=-1) <= 1).astype(np.uint8)


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1, 0.8)])
def test_angles_are_found_within_a_degree(angles, spacing):
    found = moments(sweep(ellipsoid((18, 12, 8), angles, spacing)), spacing_um=spacing)
    np.testing.assert_allclose(found.angles_deg[0], angles, atol=1)
    # the shortest axis is 8 voxels of 2 µm long: the voxels' own moment makes it 1.3 % longer
    np.testing.assert_allclose(found.axes_um[0], [36, 24, 16], rtol=0.03)
    assert found.elongation == pytest.approx(18 / 8, rel=0.03)


def test_a_point_reflection_changes_no_angle():
    body = ellipsoid((15, 10, 7), (25, -35, 40))
    one = moments(sweep(body), spacing_um=(1, 1, 1))
    other = moments(sweep(np.flip(body)), spacing_um=(1, 1, 1))
    np.testing.assert_allclose(other.angles_deg, one.angles_deg, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(one.directions[:, ::-1, ::-1]), -1)


def test_axes_that_are_alike_have_no_angles():
    ball = moments(sweep(ellipsoid((8, 8, 8))), spacing_um=(1, 1, 1))
    assert np.isnan(ball.angles_deg).all()
    prolate = moments(sweep(ellipsoid((16, 8, 8), (30, 20, 0))), spacing_um=(1, 1, 1))
    np.testing.assert_allclose(prolate.angles_deg[0, :2], [30, 20], atol=1)
    assert np.isnan(prolate.angles_deg[0, 2])
    oblate = moments(sweep(ellipsoid((14, 14, 7), (30, 20, 10))), spacing_um=(1, 1, 1))
    assert np.isnan(oblate.angles_deg).all()


def test_upright_axes_have_a_pitch_alone():
    upright = moments(sweep(ellipsoid((16, 11, 7), (0, 90, 0))), spacing_um=(1, 1, 1))
    assert abs(upright.angles_deg[0, 1]) == pytest.approx(90, abs=1)
    assert np.isnan(upright.angles_deg[0, [0, 2]]).all()


def test_a_voxel_is_a_box_and_not_a_point():
    found = moments(sweep(np.ones((1, 1, 1), dtype=int)), spacing_um=(3, 2, 1))
    # a box of side a has the moment a²/12, and its ellipsoid the length 2 √(5/12) a
    np.testing.assert_allclose(found.axes_um[0], 2 * np.sqrt(5 / 12) * np.array([3, 2, 1]))
    np.testing.assert_allclose(np.abs(found.directions[0]), np.eye(3), atol=1e-12)


def test_far_from_the_origin_axes_stay_exact():
    body = ellipsoid((9, 6, 4), (30, 20, 10))
    near = moments(sweep(body), spacing_um=(1, 1, 1))
    far = moments(sweep(body, origin=(30000, 20000, 10000)), spacing_um=(1, 1, 1))
    np.testing.assert_allclose(far.axes_um, near.axes_um, rtol=1e-12)
    np.testing.assert_allclose(far.centroid_um - near.centroid_um, [[30000, 20000, 10000]])
