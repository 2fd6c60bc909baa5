"""Star-shaped particles: volume, area and moments are those of the surface; sizes are as asked."""

import math

import numpy as np
import pytest

from models.phantoms.packing import Box, PackingError, draw_diameters, pack, six_nearest
from models.phantoms.particle_shape import (
    Shapes,
    body,
    draw_shapes,
    interior_points,
    radial_distances,
    surface_points,
)


@pytest.fixture(scope="module")
def shapes() -> tuple[Shapes, np.ndarray]:
    diameters = np.array([6.0, 8.0, 11.0])
    return draw_shapes(diameters, 0.15, 0.05, np.random.default_rng(2)), diameters


def test_a_shape_has_exactly_the_stated_volume(shapes: tuple[Shapes, np.ndarray]) -> None:
    drawn, diameters = shapes
    for i, diameter in enumerate(diameters):
        assert body(drawn, i).volume_um3 == pytest.approx(math.pi / 6 * diameter**3, rel=1e-9)


def test_volume_area_and_moments_agree_with_a_fine_grid(
    shapes: tuple[Shapes, np.ndarray],
) -> None:
    drawn, _ = shapes
    known = body(drawn, 1)
    axis = np.arange(-7, 7, 0.14) + 0.013
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    inside = points[radial_distances(drawn, np.full(len(points), 1), points) <= 0]
    assert len(inside) * 0.14**3 == pytest.approx(known.volume_um3, rel=0.002)
    np.testing.assert_allclose(inside.mean(axis=0), known.centroid_um, atol=0.01)
    variances = np.linalg.eigvalsh(np.cov(inside.T))[::-1]
    np.testing.assert_allclose(2 * np.sqrt(5 * variances), known.axes_um, rtol=0.003)
    assert np.linalg.norm(inside, axis=1).max() <= known.reach_um
    assert known.extent_z_um[0] == pytest.approx(inside[:, 0].min(), abs=0.1)
    _, offsets, normals, area = surface_points(drawn, 1, 4000)
    assert area.sum() == pytest.approx(known.surface_um2, rel=0.002)
    # divergence theorem: 3 V = ∮ x · n dA
    flux = np.einsum("ki,ki,k->", offsets, normals, area)
    assert flux == pytest.approx(3 * known.volume_um3, rel=0.002)
    np.testing.assert_allclose(
        radial_distances(drawn, np.full(len(offsets), 1), offsets), 0, atol=1e-9
    )


def test_without_spread_and_lobes_it_is_a_ball() -> None:
    drawn = draw_shapes(np.array([8.0]), 0, 0, np.random.default_rng(0))
    known = body(drawn, 0)
    assert known.surface_um2 == pytest.approx(math.pi * 64, rel=1e-9)
    np.testing.assert_allclose(known.axes_um, 8)
    np.testing.assert_allclose(known.centroid_um, 0, atol=1e-9)
    offsets, share = interior_points(drawn, 0, 2000)
    assert share.sum() == pytest.approx(1)
    assert share[np.linalg.norm(offsets, axis=1) < 2].sum() == pytest.approx(1 / 8, abs=0.01)


def test_diameters_are_log_normal_and_fill_the_volume() -> None:
    diameters = draw_diameters(8, 0.2, 3e5, np.random.default_rng(0))
    assert math.pi / 6 * np.sum(diameters**3) == pytest.approx(3e5, rel=0.003)
    assert np.median(diameters) == pytest.approx(8, rel=0.02)
    assert np.log(diameters).std() == pytest.approx(0.2 * 0.955, rel=0.06)  # cut at 2.5
    assert np.abs(np.log(diameters / 8)).max() <= 0.5 + 1e-12


def test_balls_are_packed_without_overlap_to_the_stated_fraction() -> None:
    box = Box(1.0, 31.0, (30.0, 34.0))
    diameters = draw_diameters(7, 0.1, 0.55 * box.volume_um3, np.random.default_rng(1))
    shapes = draw_shapes(diameters, 0, 0, np.random.default_rng(2))
    bodies = [body(shapes, i) for i in range(len(diameters))]
    centres = pack(shapes, bodies, box, 0.05, np.random.default_rng(3))
    offset = centres[:, None] - centres[None]
    offset[..., 1:] -= np.array(box.period_um) * np.rint(offset[..., 1:] / box.period_um)
    gap = np.linalg.norm(offset, axis=2) - (diameters[:, None] + diameters) / 2
    np.fill_diagonal(gap, 1)
    assert gap.min() >= -0.1 - 1e-9
    assert np.all(centres[:, 0] - diameters / 2 >= 1 - 0.05)
    assert np.all(centres[:, 0] + diameters / 2 <= 31 + 0.05)
    nearest, distance_um = six_nearest(box, centres)
    distance = np.linalg.norm(offset, axis=2)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(np.sort(nearest), np.sort(np.argsort(distance)[:, :6]))
    np.testing.assert_allclose(distance_um, np.sort(distance)[:, :6].mean(axis=1))


def test_too_many_particles_are_refused() -> None:
    box = Box(0.0, 16.0, (16.0, 16.0))
    diameters = np.full(25, 6.0)  # 69 %
    shapes = draw_shapes(diameters, 0, 0, np.random.default_rng(2))
    bodies = [body(shapes, i) for i in range(len(diameters))]
    with pytest.raises(PackingError, match="lower the solid fraction"):
        pack(shapes, bodies, box, 0.05, np.random.default_rng(3))
