"""Balls, ellipsoids, boxes and contacts of known size; what turning and scaling must not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from models.measure.additive import additive_table, contacts_table
from models.measure.sweep import sweep

UNIT = (1, 1, 1)


def grid(half_um, spacing, offset):
    """Coordinates (Z, Y, X, 3) in µm of a cube around an origin off the grid, in order z, y, x."""
    spacing = np.array(spacing)
    half = np.ceil(half_um / spacing).astype(int) + 2
    axes = [(np.arange(-n, n + 1) + o) * s for n, o, s in zip(half, offset, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ball(radius_um, spacing=UNIT, offset=(0.1, 0.3, -0.4)):
    return (grid(radius_um, spacing, offset) ** 2).sum(axis=-1) <= radius_um**2


def measure(body, spacing=UNIT):
    table = additive_table(sweep(body.astype(np.uint8)), spacing_um=spacing)
    return {name: column[0] for name, column in table.items()}


@pytest.mark.parametrize(
    ("radius_um", "spacing"),
    [(8, UNIT), (13.3, UNIT), (25, UNIT), (1.6, (0.2, 0.1, 0.1)), (3, (0.1, 0.2, 0.15))],
)
def test_balls(radius_um, spacing):
    # a ball of 8 voxels itself has 1 % more or fewer voxels than its volume, and above 2 % with
    # its centre near a voxel's: bounds are for the average, each ball gets what its voxels need
    offsets = np.random.default_rng(11).uniform(-0.5, 0.5, (10, 3))
    rows = [measure(ball(radius_um, spacing, offset), spacing) for offset in offsets]
    expected = {
        "body_volume_um3": (4 / 3 * np.pi * radius_um**3, 0.01, 0.024),
        "surface_um2": (4 * np.pi * radius_um**2, 0.015, 0.02),
        "sphericity": (1, 0.03, 0.035),
        "sphericity_wadell": (1, 0.015, 0.015),
        "equivalent_diameter_um": (2 * radius_um, 0.005, 0.008),
        "elongation": (1, 0.015, 0.025),
    }
    for name, (value, bound, bound_each) in expected.items():
        found = np.array([row[name] for row in rows])
        assert found.mean() == pytest.approx(value, rel=bound), name
        np.testing.assert_allclose(found, value, rtol=bound_each, err_msg=name)


def test_small_balls_have_their_volume():
    offsets = np.random.default_rng(11).uniform(-0.5, 0.5, (20, 3))
    volumes = [measure(ball(6, UNIT, offset))["body_volume_um3"] for offset in offsets]
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.01)


def ellipsoid_area(a, b, c):
    """Average over the unit sphere of the stretched area element."""
    z = (np.arange(400) + 0.5) / 200 - 1
    turn = (np.arange(400) + 0.5) / 200 * np.pi
    x, y = (np.sqrt(1 - z * z)[:, None] * f(turn) for f in (np.cos, np.sin))
    stretched = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z[:, None] / c) ** 2)
    return 4 * np.pi * a * b * c * stretched.mean()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [UNIT, (2, 1, 1)])
def test_ellipsoids_turned_any_way(seed, spacing):
    semi_axes = np.array([18, 9, 12])
    turn = Rotation.random(random_state=seed).as_matrix()
    body = ((grid(18, spacing, (0.1, 0.3, -0.4)) @ turn / semi_axes) ** 2).sum(axis=-1) <= 1
    row = measure(body, spacing)
    assert row["surface_um2"] == pytest.approx(ellipsoid_area(*semi_axes), rel=0.03)
    assert row["body_volume_um3"] == pytest.approx(4 / 3 * np.pi * semi_axes.prod(), rel=0.01)


@pytest.mark.parametrize("seed", range(-1, 6))
def test_cubes_turned_any_way(seed):
    turn = Rotation.random(random_state=seed).as_matrix() if seed >= 0 else np.eye(3)
    body = np.abs(grid(40 * 0.87, UNIT, (0.1, 0.3, -0.4)) @ turn).max(axis=-1) <= 20
    assert measure(body)["surface_um2"] == pytest.approx(6 * 40**2, rel=0.03)


@pytest.mark.parametrize("seed", range(-1, 7))
def test_contact_of_a_ball_cut_by_a_plane(seed):
    normal = Rotation.random(random_state=seed).as_matrix()[0] if seed >= 0 else np.eye(3)[0]
    places = grid(15, UNIT, (0.1, 0.3, -0.4))
    inside = (places**2).sum(axis=-1) <= 15**2
    labels = inside * np.where(places @ normal > 0, 7, 4)
    contacts = contacts_table(sweep(labels), spacing_um=UNIT)
    assert (contacts["label_a"].tolist(), contacts["label_b"].tolist()) == ([4], [7])
    assert contacts["contact_area_um2"][0] == pytest.approx(np.pi * 15**2, rel=0.03)


@pytest.mark.parametrize("tilt_deg", [0, 10, 25, 40, 45])
def test_contact_of_a_box_cut_by_a_plane(tilt_deg):
    z, _, x = np.meshgrid(np.arange(90) - 45.2, np.arange(40), np.arange(40) - 19.5, indexing="ij")
    slope = np.tan(np.radians(tilt_deg))
    contacts = contacts_table(sweep(np.where(z > slope * x, 2, 1)), spacing_um=UNIT)
    area = 40**2 / np.cos(np.radians(tilt_deg))
    assert contacts["contact_area_um2"][0] == pytest.approx(area, rel=0.03)


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.integers(1, 5)] * 3), st.permutations([0, 1, 2]), st.integers(0, 99))
def test_moving_and_swapping_axes_change_only_places(shift, axes, seed):
    rng = np.random.default_rng(seed)
    blobs = np.kron(rng.integers(0, 4, (3, 3, 3)), np.ones((3, 3, 3), dtype=int))
    spacing = np.array([0.5, 1.0, 2.0])
    one = sweep(np.pad(blobs, 1))
    moved = np.pad(blobs, [(by, 1) for by in shift])
    other = sweep(moved.transpose(axes))
    a = additive_table(one, spacing_um=spacing)
    b = additive_table(other, spacing_um=spacing[axes])
    for name in ("label", "voxels", "body_volume_um3", "elongation", "surface_um2", "sphericity"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-6, err_msg=name)
    one_contacts = contacts_table(one, spacing_um=spacing)
    other_contacts = contacts_table(other, spacing_um=spacing[axes])
    for name, column in one_contacts.items():
        np.testing.assert_allclose(column, other_contacts[name], rtol=1e-6, err_msg=name)


def test_twice_the_spacing_is_twice_as_long():
    swept = sweep(ball(9) * 3)
    one = additive_table(swept, spacing_um=(0.2, 0.1, 0.1))
    two = additive_table(swept, spacing_um=(0.4, 0.2, 0.2))
    for name in one:
        power = 3 if "um3" in name else 2 if "um2" in name else 1 if name.endswith("um") else 0
        np.testing.assert_allclose(two[name], one[name] * 2.0**power, rtol=1e-9, err_msg=name)


def test_grey_statistics_and_border():
    labels = np.zeros((4, 4, 4), dtype=int)
    labels[1:3, 1:3, 1:3] = 5
    labels[0, 0, 0] = 9
    grey = np.arange(64).reshape(4, 4, 4)
    for dtype in (np.uint8, np.uint16, np.float32, np.int64):
        table = additive_table(sweep(labels, grey=grey.astype(dtype)), spacing_um=UNIT)
        assert table["grey_mean"].tolist() == [31.5, 0]
        np.testing.assert_allclose(table["grey_std"], [grey[labels == 5].std(), 0])
        assert table["touches_border"].tolist() == [False, True]


def test_small_spread_on_a_high_grey_level_is_kept():
    labels = np.ones((10, 10, 10), dtype=int)
    grey = (60000 + np.arange(1000) % 2).reshape(10, 10, 10).astype(np.uint16)
    table = additive_table(sweep(labels, grey=grey), spacing_um=UNIT)
    assert table["grey_std"][0] == pytest.approx(0.5, abs=1e-12)


def test_no_particles_are_no_rows_of_the_same_types():
    full = sweep(np.ones((2, 2, 2), dtype=int), grey=np.ones((2, 2, 2)))
    none = sweep(np.zeros((2, 2, 2), dtype=int), grey=np.ones((2, 2, 2)))
    for make in (additive_table, contacts_table):
        columns, empty = make(full, spacing_um=UNIT), make(none, spacing_um=UNIT)
        assert {n: c.dtype for n, c in columns.items()} == {n: c.dtype for n, c in empty.items()}
        assert all(column.shape == (0,) for column in empty.values())
