"""Areas of surfaces whose crossings are known exactly, and of voxels of shapes of known area."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.measure.crofton import DIRECTIONS
from models.measure.particle_faces import Kind, count_crossings
from models.measure.surface_area import missed_crossings, surface_areas

UNIT, TALL = (1, 1, 1), (2, 1, 1)


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


def test_no_crossings_are_no_area():
    assert surface_areas(np.zeros((2, 13)), spacing_um=(1, 1, 1)).tolist() == [0, 0]
    assert surface_areas(np.zeros((0, 13)), spacing_um=(1, 1, 1)).shape == (0,)


def test_each_row_is_measured_by_itself(normals):
    crossings = np.array([crossings_of([n], [a], (1, 1, 1)) for a, n in enumerate(normals, 1)])
    together = surface_areas(crossings, spacing_um=(1, 1, 1))
    alone = [surface_areas(row, spacing_um=(1, 1, 1))[0] for row in crossings]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def area_of(body, spacing):
    """Area of a boolean volume (Z, Y, X) with nothing in its outermost layer."""
    crossings, short_runs = count_crossings(body.astype(np.uint8) * np.uint8(Kind.BODY))
    counts = crossings[Kind.OPEN] + missed_crossings(short_runs)[0]
    return surface_areas(counts, spacing_um=spacing)[0]


def turned_grids(half_um, spacing, count, seed=0):
    """Coordinates (Z, Y, X, 3) in µm around an origin off the grid, turned at random."""
    rng = np.random.default_rng(seed)
    reach = [int(np.ceil(half_um / step)) + 2 for step in spacing]
    for turn in Rotation.random(count, random_state=seed).as_matrix():
        axes = [
            (np.arange(-n, n + 1) + rng.uniform(-0.5, 0.5)) * step
            for n, step in zip(reach, spacing, strict=True)
        ]
        yield np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn


@pytest.mark.parametrize("spacing", [UNIT, TALL])
@pytest.mark.parametrize("side", [12, 16, 20, 30])
def test_cubes_turned_any_way_are_right_within_3_percent(side, spacing):
    areas = [
        area_of(np.abs(places).max(axis=-1) <= side / 2, spacing)
        for places in turned_grids(side * 0.87, spacing, 10)
    ]
    assert np.mean(areas) == pytest.approx(6 * side**2, rel=0.015)
    # one cube of 12 or 16 voxels of 2 : 1 : 1 has itself few planes
    np.testing.assert_allclose(areas, 6 * side**2, rtol=0.03 if spacing == UNIT else 0.055)


@pytest.mark.parametrize("spacing", [UNIT, TALL])
@pytest.mark.parametrize("width", [10, 16, 24])
def test_cylinders_turned_any_way_are_right_within_3_percent(width, spacing):
    areas = [
        area_of(
            (np.hypot(z, y) <= width / 2) & (np.abs(x) <= width / 2),
            spacing,
        )
        for z, y, x in (
            np.moveaxis(places, -1, 0) for places in turned_grids(width * 0.71, spacing, 10)
        )
    ]
    assert np.mean(areas) == pytest.approx(1.5 * np.pi * width**2, rel=0.015)


@pytest.mark.parametrize(
    ("radius", "spacing", "bound"),
    [(4, UNIT, 0.03), (6, UNIT, 0.015), (8, UNIT, 0.01), (14, UNIT, 0.005), (8, TALL, 0.01)],
)
def test_balls_are_right_on_average(radius, spacing, bound):
    areas = [
        area_of((places**2).sum(axis=-1) <= radius**2, spacing)
        for places in turned_grids(radius, spacing, 12)
    ]
    assert np.mean(areas) == pytest.approx(4 * np.pi * radius**2, rel=bound)


@pytest.mark.parametrize("thickness", [1, 1.5, 2, 3, 5])
def test_thin_plates_are_not_taken_for_edges(thickness):
    side = 24
    areas = [
        area_of(
            (np.abs(places[..., :2]).max(axis=-1) <= side / 2)
            & (np.abs(places[..., 2]) <= thickness / 2),
            UNIT,
        )
        for places in turned_grids(side * 0.75, UNIT, 6)
    ]
    expected = 2 * side**2 + 4 * side * thickness
    # of one voxel they have holes
    low = 0.15 if thickness == 1 else 0.06
    assert (1 - low) * expected < min(areas) <= max(areas) < 1.03 * expected


def test_missed_crossings_are_those_of_lines_of_all_lengths():
    edge, ball = [2, 2, 2], [6, 12, 18]  # as many of each length, and in proportion to it
    plates = [[9, 0, 0], [0, 9, 0], [0, 0, 9], [5, 4, 0]]
    runs = np.repeat(np.array([edge, ball, *plates])[:, None], 13, axis=1)
    assert missed_crossings(runs)[:, 0].tolist() == pytest.approx([1, 1, 0, 0, 0, 0])
    assert missed_crossings(np.zeros((2, 13, 3))).shape == (2, 13)
