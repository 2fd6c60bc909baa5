"""Neighbours and packing: lattices, known axes, cubes counted one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.measure.arrays import InvalidVolumeError
from models.measure.neighbours import (
    Occupancy,
    nearest_particles,
    occupancy,
    packing_density,
)

SPACING = (0.2, 0.1, 0.15)


def _neighbours(centroids: np.ndarray, **columns: np.ndarray) -> dict[str, np.ndarray]:
    n = len(centroids)
    plain = {
        "elongation": np.ones(n),
        "volume_um3": np.ones(n),
        "sphericity": np.ones(n),
        "axes": np.tile([0.0, 0.0, 1.0], (n, 1)),
        "angles_deg": np.zeros((n, 3)),
    }
    return nearest_particles(centroids, **(plain | columns))


def _star(distance_um: float) -> np.ndarray:
    """One in the middle and six around it; more, farther away."""
    around = distance_um * np.concatenate([np.eye(3), -np.eye(3)])
    return np.concatenate([np.zeros((1, 3)), around, around * 9, around * 10])


def test_six_at_one_distance() -> None:
    found = _neighbours(_star(2.5))
    assert found["neighbours"].tolist() == [6] * 19
    assert found["neighbours"].dtype == np.int64
    assert found["distance_nearest_um"][0] == pytest.approx(2.5)
    assert found["elongation_std_neighbours"][0] == 0
    assert found["orientation_isotropy"] == pytest.approx(np.ones(19))
    assert found["orientation_std_neighbours_deg"][0] == 0


def test_spread_is_over_the_neighbours_without_the_particle() -> None:
    volumes = np.full(19, 50.0)
    volumes[0], volumes[1:7] = 1e6, [1, 1, 1, 3, 3, 3]
    found = _neighbours(_star(1.0), volume_um3=volumes, sphericity=volumes / 10)
    assert found["volume_std_neighbours_um3"][0] == pytest.approx(1)
    assert found["sphericity_std_neighbours"][0] == pytest.approx(0.1)


def test_orientation_of_axes() -> None:
    axes = np.tile([0.0, 0.0, 1.0], (19, 1))
    axes[1:7] = np.concatenate([np.eye(3), -np.eye(3)])  # a line has no sense
    assert _neighbours(_star(1.0), axes=axes)["orientation_isotropy"][0] == pytest.approx(1 / 3)
    axes[1:7] = np.repeat([[0, 0, 1.0], [0, 1, 0]], 3, axis=0)
    assert _neighbours(_star(1.0), axes=axes)["orientation_isotropy"][0] == pytest.approx(1 / 2)
    axes[3:7] = np.nan  # the two left are along x
    axes[1:3] = [0, 0, -1]
    assert _neighbours(_star(1.0), axes=axes)["orientation_isotropy"][0] == pytest.approx(1)
    axes[2:7] = np.nan
    assert np.isnan(_neighbours(_star(1.0), axes=axes)["orientation_isotropy"][0])


def test_largest_spread_of_the_angles() -> None:
    angles = np.zeros((19, 3))
    angles[1:7] = np.transpose([[0] * 6, [10, -10] * 3, [40, -40, np.nan, np.nan, np.nan, 0]])
    found = _neighbours(_star(1.0), angles_deg=angles)["orientation_std_neighbours_deg"]
    assert found[0] == pytest.approx(np.std([40, -40, 0]))
    angles[1:7] = np.nan
    found = _neighbours(_star(1.0), angles_deg=angles)["orientation_std_neighbours_deg"]
    assert np.isnan(found[0])


def test_fewer_than_six_alone_and_none() -> None:
    three = _neighbours(np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 3]]))
    assert three["neighbours"].tolist() == [2, 2, 2]
    assert three["distance_nearest_um"] == pytest.approx([2, 1.5, 2.5])
    alone = _neighbours(np.zeros((1, 3)))
    assert alone.pop("neighbours").tolist() == [0]
    assert all(np.isnan(column).all() for column in alone.values())
    none = _neighbours(np.zeros((0, 3)))
    assert none.keys() == alone.keys() | {"neighbours"}
    assert all(len(column) == 0 for column in none.values())


def test_concentric_particles_are_neighbours() -> None:
    found = _neighbours(np.array([[0.0, 0, 0]] * 9 + [[0, 0, 7]]))
    assert found["distance_nearest_um"] == pytest.approx([0] * 9 + [7])


def _counted(labels: np.ndarray, centre: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """Density and clipped share by taking each voxel for the part of it in the cube."""
    shares = []
    for axis, n in enumerate(labels.shape):
        low = np.maximum(np.arange(n) - 0.5, centre[axis] - half[axis])
        high = np.minimum(np.arange(n) + 0.5, centre[axis] + half[axis])
        shares.append(np.maximum(high - low, 0))
    part = np.einsum("i,j,k->ijk", *shares)
    return part[labels != 0].sum() / part.sum(), 1 - part.sum() / np.prod(2 * half)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3))
def test_packing_is_what_counting_gives(seed: int, cube_um: float) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((9, 13, 11)) < 0.5).astype(np.int16) * 7
    places = rng.uniform(0, np.array(labels.shape) - 1, (4, 3))
    filled = occupancy(labels, block_voxels=int(rng.integers(100, 2000)))
    found = packing_density(places * SPACING, filled, cube_um=cube_um, spacing_um=SPACING)
    half = cube_um / 2 / np.array(SPACING)
    expected = np.array([_counted(labels, place, half) for place in places])
    assert found["packing_density"] == pytest.approx(expected[:, 0])
    assert found["packing_clipped_fraction"] == pytest.approx(expected[:, 1], abs=1e-9)


def test_larger_cells_and_any_blocks_count_the_same_particles() -> None:
    rng = np.random.default_rng(4)
    labels = rng.random((33, 47, 40)).repeat(2, axis=0) < 0.4
    coarse = [occupancy(labels, most_cells=900, block_voxels=n) for n in (10**3, 10**4, 10**7)]
    assert all((other.table == coarse[0].table).all() for other in coarse)
    assert coarse[0].table[-1, -1, -1] == labels.sum()
    assert coarse[0].table.size < 2000
    assert coarse[0].shape.tolist() == list(labels.shape)
    middle = np.array([[33.0, 23, 20]])
    densities = [
        packing_density(middle, cells, cube_um=25, spacing_um=(1, 1, 1))["packing_density"][0]
        for cells in (coarse[0], occupancy(labels))
    ]
    assert densities[0] == pytest.approx(densities[1], abs=0.02)


def test_cracks_count_as_particles() -> None:
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[2:8] = 1
    labels[4, 4:6, 4:6] = 0
    whole = packing_density(
        np.full((1, 3), 4.5),
        occupancy(labels, cracks=(np.array([[4.0, 4.5, 4.5]]), np.array([4]))),
        cube_um=6,
        spacing_um=(1, 1, 1),
    )
    assert whole["packing_density"][0] == pytest.approx(1)
    assert whole["packing_clipped_fraction"][0] == pytest.approx(0)


def test_cube_larger_than_the_volume() -> None:
    labels = np.zeros((8, 8, 8), np.int32)
    labels[:4] = 1
    found = packing_density(
        np.full((1, 3), 3.5), occupancy(labels), cube_um=16, spacing_um=(1, 1, 1)
    )
    assert found["packing_density"][0] == pytest.approx(0.5)
    assert found["packing_clipped_fraction"][0] == pytest.approx(7 / 8)


def test_refuses() -> None:
    cells = occupancy(np.zeros((2, 2, 2), np.int32))
    assert isinstance(cells, Occupancy)
    with pytest.raises(ValueError, match="finite side above zero"):
        packing_density(np.zeros((1, 3)), cells, cube_um=0, spacing_um=(1, 1, 1))
    with pytest.raises(InvalidVolumeError, match="not integers"):
        occupancy(np.zeros((2, 2, 2)))
