"""Geodesic distances: bars straight and bent, balls under caps, cuts that no path crosses."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from models.measure.arrays import InvalidVolumeError
from models.measure.geodesic import geodesic_distance
from models.phantoms.solids import ball, ball_with_binder

SPACINGS = [(1.0, 1.0, 1.0), (0.2, 0.1, 0.1), (0.1, 0.15, 0.3)]


def _bent_bar(width: int, long: int, step_um: float, ends: int) -> tuple[np.ndarray, np.ndarray]:
    """A bar that bends once (L) or twice (U), in a plane, touched at its end; and the truth.

    It starts at y = 0 … width, x = 0; turns at x = long − width; turns back at y = long − width.
    Around corners the shortest path is straight from one inner corner to the next.
    """
    y, x = (np.mgrid[:long, :long] + 0.5) * step_um
    w, high = width * step_um, (long - width) * step_um
    first, second = y < w, x > high
    third = (y > high) & (ends == 3)
    path = np.where(first, x, high + np.hypot(x - high, y - w))
    path = np.where(third & ~second, high + (high - w) + np.hypot(x - high, y - high), path)
    return (first | second | third), path


@pytest.mark.parametrize("spacing_um", SPACINGS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_straight_bar(axis: int, spacing_um: tuple[float, float, float]) -> None:
    body = np.ones((60, 5, 4), bool)
    source = np.zeros_like(body)
    body[0], source[0] = False, True
    body, source = np.moveaxis(body, 0, axis), np.moveaxis(source, 0, axis)
    distance = np.moveaxis(geodesic_distance(body, source, spacing_um=spacing_um), axis, 0)
    expected = (np.arange(59) + 0.5) * spacing_um[axis]
    assert distance[1:] == pytest.approx(np.broadcast_to(expected[:, None, None], (59, 5, 4)))
    assert np.isinf(distance[0]).all()


@pytest.mark.parametrize("arms", [2, 3], ids=["L", "U"])
@pytest.mark.parametrize("width", [6, 12])
@pytest.mark.parametrize("plane", [0, 1, 2])
def test_bent_bar(arms: int, width: int, plane: int) -> None:
    flat, path = _bent_bar(width, 60, 0.1, arms)
    body = np.pad(np.repeat(flat[None], 5, axis=0), 1)
    source = np.zeros_like(body)
    source[:, 1 : 1 + width, 0] = True
    body, source = np.moveaxis(body, 0, plane), np.moveaxis(source, 0, plane)
    distance = geodesic_distance(body, source, spacing_um=(0.1, 0.1, 0.1))
    distance = np.moveaxis(distance, plane, 0)[3, 1:-1, 1:-1]
    assert distance[flat].mean() == pytest.approx(path[flat].mean(), rel=0.02)
    assert distance[flat].max() == pytest.approx(path[flat].max(), rel=0.02)
    assert np.abs(distance - path)[flat].max() < 0.09 * (arms - 1)  # 0.9 voxels a corner


@pytest.mark.parametrize("radius", [18, 27])
@pytest.mark.parametrize("covered", [0.02, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("spacing_um", [(1.0, 1.0, 1.0), (1.5, 1.0, 1.0)])
def test_ball_under_a_cap(
    radius: int, covered: float, spacing_um: tuple[float, float, float]
) -> None:
    shape = tuple(round((2 * radius + 12) / step) for step in spacing_um)
    labels, phases, truth = ball_with_binder(
        shape,
        spacing_um=spacing_um,
        radius_um=radius,
        covered=covered,
        thickness_um=5,
        direction=(2, 1, -1),
    )
    body = labels == 1
    distance = geodesic_distance(body, phases == 2, spacing_um=spacing_um)[body]
    offset = np.argwhere(body) * spacing_um - truth.centre_um
    depth = np.linalg.norm(offset, axis=1)
    height = offset @ np.array((2, 1, -1)) / np.sqrt(6)
    # radially under the cap, else straight to its rim
    rim = np.arccos(1 - 2 * covered)
    beyond = np.maximum(np.arccos(np.clip(height / np.maximum(depth, 1e-9), -1, 1)) - rim, 0)
    straight = np.sqrt(depth**2 + radius**2 - 2 * depth * radius * np.cos(beyond))
    assert distance.mean() == pytest.approx(straight.mean(), rel=0.02)
    # where paths from all around meet, the least of all errors shows: half a voxel at most
    assert distance.max() == pytest.approx(straight.max(), rel=0.02, abs=0.6)


@pytest.mark.parametrize("radius", [16, 30])
def test_ball_touched_at_one_point(radius: int) -> None:
    shape, middle = (2 * radius + 6,) * 3, (radius + 2.0,) * 3
    body, _ = ball(shape, spacing_um=(1, 1, 1), radius_um=radius, centre_um=middle)
    source = np.zeros_like(body)
    source[1, radius + 2, radius + 2] = True
    distance = geodesic_distance(body, source, spacing_um=(1, 1, 1))[body]
    away = radius + 0.5  # of the face from the centre
    assert distance.mean() == pytest.approx(away + radius**2 / (5 * away), rel=0.01)
    assert distance.max() == pytest.approx(radius + away, rel=0.01)


def test_path_leads_around_a_crack_not_across_it() -> None:
    body = np.ones((8, 30, 42), bool)
    body[:, :, 0] = False
    body[:, :25, 20] = False  # open for y ≥ 25
    source = np.zeros_like(body)
    source[:, :, 0] = True
    distance = geodesic_distance(body, source, spacing_um=(1, 1, 1))[4, 1]
    assert distance[19] == pytest.approx(18.5)
    # from the source straight to the gap, across it, and back to y = 1
    assert distance[21] == pytest.approx(19.5 + np.hypot(1.5, 24), rel=0.02)


def test_a_crack_next_to_the_contact_blocks_the_view() -> None:
    body = np.ones((9, 9, 9), bool)
    body[:, :, 0] = body[:, :, 2] = False
    body[0, :, 2] = True  # the only way
    source = np.zeros_like(body)
    source[:, :, 0] = True
    distance = geodesic_distance(body, source, spacing_um=(1, 1, 1))
    assert distance[8, 4, 1] == pytest.approx(0.5)
    # between a straight line to the corner of the crack and a path from centre to centre
    assert 2 + np.hypot(7.5, 0.5) < distance[8, 4, 3] <= 8 + 2.5


def test_what_no_path_reaches_is_infinite() -> None:
    body = np.zeros((5, 5, 20), bool)
    body[1:4, 1:4, 1:8] = body[1:4, 1:4, 10:18] = True
    body[1, 1, 9] = True  # meets the one by an edge only
    source = np.zeros_like(body)
    source[:, :, 0] = True
    distance = geodesic_distance(body, source, spacing_um=(1, 1, 1))
    assert np.isfinite(distance[1:4, 1:4, 1:8]).all()
    assert np.isinf(distance[:, :, 8:]).all()
    assert np.isinf(geodesic_distance(body, np.zeros_like(body), spacing_um=(1, 1, 1))).all()


def test_axes_and_units() -> None:
    rng = np.random.default_rng(3)
    body = gaussian_filter(rng.standard_normal((24, 26, 28)), 2) > -0.05
    source = ~body & (np.arange(28) < 9)
    spacing = np.array((0.3, 0.2, 0.25))
    distance = geodesic_distance(body, source, spacing_um=spacing)
    doubled = geodesic_distance(body, source, spacing_um=2 * spacing)
    assert doubled == pytest.approx(2 * distance)
    for axes in ([1, 2, 0], [2, 1, 0]):
        turned = geodesic_distance(
            body.transpose(axes), source.transpose(axes), spacing_um=spacing[axes]
        )
        # the order within a bucket differs
        finite = np.isfinite(distance)
        assert (np.isfinite(turned) == finite.transpose(axes)).all()
        assert turned.transpose(np.argsort(axes))[finite] == pytest.approx(
            distance[finite], abs=0.02
        )


def test_refuses_what_does_not_fit() -> None:
    body = np.ones((3, 4, 5), bool)
    with pytest.raises(InvalidVolumeError, match="source has shape"):
        geodesic_distance(body, body[1:], spacing_um=(1, 1, 1))
    with pytest.raises(InvalidVolumeError, match="expected axes"):
        geodesic_distance(body[0], body[0], spacing_um=(1, 1, 1))
    with pytest.raises(InvalidVolumeError, match="spacing"):
        geodesic_distance(body, body, spacing_um=(1, 0, 1))
