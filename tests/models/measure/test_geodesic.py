"""Geodesic distances: bars straight and bent, balls under caps, cuts that no path crosses."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from models.measure.arrays import InvalidVolumeError
from models.measure.geodesic import geodesic_distance, longest_path
from models.phantoms.solids import ball, ball_with_binder, random_rotation

SPACINGS = [(1.0, 1.0, 1.0), (0.2, 0.1, 0.1), (0.1, 0.15, 0.3)]
WIDE = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (3.0, 1.0, 1.0)]


def _turned(reach: float, spacing_um: tuple[float, ...], seed: int) -> np.ndarray:
    """Coordinates (3, Z, Y, X) in µm from a centre off the grid, along axes at random."""
    rng = np.random.default_rng(seed)
    sides = [math.ceil(2 * reach / step) + 7 for step in spacing_um]
    steps = np.array(spacing_um)[:, None, None, None]
    centre = (np.array(sides) / 2 + rng.uniform(-0.5, 0.5, 3)) * spacing_um
    places = np.indices(sides) * steps - centre[:, None, None, None]
    return np.tensordot(random_rotation(seed), places, axes=1)


def _mean_and_longest(
    body: np.ndarray, source: np.ndarray, spacing_um: tuple[float, ...]
) -> tuple[float, float]:
    distance = geodesic_distance(body, source, spacing_um=spacing_um)
    mean = float(distance[np.isfinite(distance)].mean(dtype=float))
    return mean, longest_path(distance, spacing_um=spacing_um)


def _bent(
    y: np.ndarray, x: np.ndarray, width: float, long: float, arms: int
) -> tuple[np.ndarray, np.ndarray]:
    """A bar that bends once (L) or twice (U), in a plane, touched at its end; and the truth.

    It starts at y = 0 … width, x = 0; turns at x = long − width; turns back at y = long − width.
    Around corners the shortest path is straight from one inner corner to the next.
    """
    high = long - width
    first, second = y < width, x > high
    third = (y > high) & (arms == 3)
    path = np.where(first, x, high + np.hypot(x - high, y - width))
    back = 2 * high - width + np.hypot(x - high, y - high)
    return first | second | third, np.where(third & ~second, back, path)


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
    y, x = (np.mgrid[:60, :60] + 0.5) * 0.1
    flat, path = _bent(y, x, width * 0.1, 6.0, arms)
    body = np.pad(np.repeat(flat[None], 5, axis=0), 1)
    source = np.zeros_like(body)
    source[:, 1 : 1 + width, 0] = True
    body, source = np.moveaxis(body, 0, plane), np.moveaxis(source, 0, plane)
    distance = geodesic_distance(body, source, spacing_um=(0.1, 0.1, 0.1))
    distance = np.moveaxis(distance, plane, 0)[3, 1:-1, 1:-1]
    assert distance[flat].mean() == pytest.approx(path[flat].mean(), rel=0.02)
    assert distance[flat].max() == pytest.approx(path[flat].max(), rel=0.02)
    assert np.abs(distance - path)[flat].max() < 0.05 * (arms - 1)  # 0.5 voxels a corner


@pytest.mark.parametrize("spacing_um", WIDE)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("length", "width", "depth"), [(24, 10, 8), (12, 24, 16)])
def test_bar_and_slab_at_random(
    length: int, width: int, depth: int, spacing_um: tuple[float, float, float], seed: int
) -> None:
    size = max(spacing_um)
    along, y, x = _turned(0.5 * size * math.hypot(length + 4, width, depth), spacing_um, seed)
    along = along + length * size / 2
    within = (abs(y) <= width * size / 2) & (abs(x) <= depth * size / 2)
    body = within & (along >= 0) & (along <= length * size)
    mean, longest = _mean_and_longest(body, within & (along < 0), spacing_um)
    assert mean == pytest.approx(length * size / 2, rel=0.02)
    assert longest == pytest.approx(length * size, rel=0.02)


@pytest.mark.parametrize("spacing_um", WIDE)
@pytest.mark.parametrize("arms", [2, 3], ids=["L", "U"])
def test_bent_bar_at_random(arms: int, spacing_um: tuple[float, float, float]) -> None:
    size = max(spacing_um)
    long, width = 32 * size, 8 * size
    depth, y, x = _turned(0.5 * math.hypot(long, long, width) + 2 * size, spacing_um, arms)
    y, x = y + long / 2, x + long / 2
    within = (abs(depth) <= width / 2) & (y >= 0) & (y <= long) & (x <= long)
    bent, path = _bent(y, x, width, long, arms)
    body = within & bent & (x >= 0)
    mean, longest = _mean_and_longest(body, within & (y < width) & (x < 0), spacing_um)
    assert mean == pytest.approx(path[body].mean(), rel=0.02)
    fine = (np.mgrid[:401, :401] / 400) * long
    bent, path = _bent(*fine, width, long, arms)
    assert longest == pytest.approx(path[bent].max(), rel=0.02)


@pytest.mark.parametrize("spacing_um", WIDE)
@pytest.mark.parametrize("seed", [0, 1])
def test_way_around_a_crack_at_random(spacing_um: tuple[float, float, float], seed: int) -> None:
    size = max(spacing_um)
    long, high, deep, edge = (n * size for n in (32, 16, 8, 12))
    opening = 2.5 * size
    along, y, x = _turned(0.5 * math.hypot(long, high, deep) + 2 * size, spacing_um, seed)
    along, y = along + long / 2, y + high / 2
    within = (y >= 0) & (y <= high) & (abs(x) <= deep / 2) & (along <= long)
    start, end = long / 2 - opening / 2, long / 2 + opening / 2
    crack = (along > start) & (along < end) & (y < edge)
    body = within & (along >= 0) & ~crack
    mean, longest = _mean_and_longest(body, within & (along < 0), spacing_um)
    around = end + np.hypot(along - end, np.maximum(edge - y, 0))
    path = np.where((along > end) & (y < edge), around, along)
    assert mean == pytest.approx(path[body].mean(), rel=0.02)
    # the tip of the crack is turned at the voxels next to it
    assert longest == pytest.approx(end + math.hypot(long - end, edge), rel=0.025)


def _under_cap(depth: np.ndarray, angle: np.ndarray, radius: float, rim: float) -> np.ndarray:
    """Path in a ball from (depth from the centre, angle from the pole): radially under the cap
    that ends at the angle `rim`, else straight to its rim."""
    beyond = np.maximum(angle - rim, 0)
    return np.sqrt(depth**2 + radius**2 - 2 * depth * radius * np.cos(beyond))


@pytest.mark.parametrize("spacing_um", WIDE)
@pytest.mark.parametrize("covered", [0.02, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("voxels", [8, 16])
def test_ball_under_a_cap(
    voxels: int, covered: float, spacing_um: tuple[float, float, float]
) -> None:
    size = max(spacing_um)
    radius = voxels * size
    shape = tuple(round((2 * radius + 9 * size) / step) for step in spacing_um)
    rim = math.acos(1 - 2 * covered)
    shells = radius * np.cbrt((np.arange(100) + 0.5) / 100)[:, None]
    angles = np.arccos(np.linspace(-0.995, 0.995, 200))
    true_mean = _under_cap(shells, angles, radius, rim).mean()
    true_longest = _under_cap(np.linspace(0, radius, 100), np.array(math.pi), radius, rim).max()
    found = []
    for seed in range(3):
        labels, phases, _ = ball_with_binder(
            shape,
            spacing_um=spacing_um,
            radius_um=radius,
            covered=covered,
            thickness_um=3.5 * size,
            direction=tuple(random_rotation(seed)[0]),
        )
        found.append(_mean_and_longest(labels == 1, phases == 2, spacing_um))
    means, longest = np.array(found).T
    # where the rim of a small cap lies is known to a third of a voxel only
    assert means == pytest.approx(true_mean, rel=0.02, abs=size / 3 * (covered < 0.5))
    # and where fronts meet, paths are short by up to as many voxels
    short = {0.02: 0, 0.2: 0.65, 0.5: 0.5, 1.0: 0.35}[covered] * size
    assert longest == pytest.approx(true_longest, rel=0.02, abs=short)


@pytest.mark.parametrize("radius", [8, 16, 30])
def test_ball_touched_by_one_voxel(radius: int) -> None:
    shape, middle = (2 * radius + 6,) * 3, (radius + 2.0,) * 3
    body, _ = ball(shape, spacing_um=(1, 1, 1), radius_um=radius, centre_um=middle)
    source = np.zeros_like(body)
    source[1, radius + 2, radius + 2] = True
    z, y, x = np.argwhere(body).T - np.array([[1.5], [radius + 2], [radius + 2]])
    to_face = np.hypot(z, np.hypot(np.maximum(abs(y) - 0.5, 0), np.maximum(abs(x) - 0.5, 0)))
    mean, longest = _mean_and_longest(body, source, (1, 1, 1))
    assert mean == pytest.approx(to_face.mean(), rel=0.01)
    assert longest == pytest.approx(2 * radius + 0.5, rel=0.02)


@pytest.mark.parametrize(("inner", "rel"), [(8, 0.06), (16, 0.03)])
def test_ring_from_one_side_of_its_slit_to_the_other(inner: int, rel: float) -> None:
    # paths hug the hole, a staircase all along: the hardest case
    spacing, outer = (1.0, 1.0, 1.0), 2 * inner
    depth, y, x = _turned(math.hypot(outer, 5), spacing, inner)
    rho, phi = np.hypot(y, x), np.mod(np.arctan2(y, x), 2 * math.pi)
    ring = (rho >= inner) & (rho <= outer) & (abs(depth) <= 4)
    slit = ring & (x > 0) & (y < 0) & (y > -3)
    mean, longest = _mean_and_longest(ring & ~slit, slit & (y > -1.5), spacing)
    tangent = np.sqrt(np.maximum(rho**2 - inner**2, 0))
    wound = tangent + inner * (phi - np.arccos(np.minimum(inner / np.maximum(rho, 1), 1)))
    path = np.where((phi < math.pi / 2) & (x >= inner), y, wound)[ring & ~slit]
    assert mean == pytest.approx(path.mean(), rel=rel)
    assert longest == pytest.approx(path.max(), rel=rel)


def test_longest_path_lies_between_voxels() -> None:
    # a cone, a line and what no path reaches: exact but for the fit
    z, y, x = np.indices((24, 24, 24)) - np.array([11.3, 11.8, 11.6])[:, None, None, None]
    cone = (9 - np.sqrt(z**2 + y**2 + x**2)).astype(np.float32)
    assert longest_path(np.where(cone > 0, cone, np.inf), spacing_um=(1, 1, 1)) == pytest.approx(
        9, abs=0.03
    )
    line = np.broadcast_to(np.float32(0.5) + np.arange(7, dtype=np.float32), (3, 3, 7)) * 2
    assert longest_path(line, spacing_um=(1, 1, 2)) == pytest.approx(14)
    assert longest_path(np.full((1, 1, 2), 0.5, np.float32), spacing_um=(1, 1, 1)) == 0.5
    assert math.isnan(longest_path(np.full((2, 2, 2), np.inf, np.float32), spacing_um=(1, 1, 1)))


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
    # around the crack from corner to corner, each of them cut by a quarter of a voxel at most
    assert distance[8, 4, 3] == pytest.approx(2 + np.hypot(7.5, 0.5), abs=0.5)


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
