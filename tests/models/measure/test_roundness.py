"""Bounds of roundness: measured bodies keep below them, areas 20 % too small do not."""

import numpy as np
import pytest

from models.measure.particles_2d import measure_particles_2d
from models.measure.particles_3d import MeasureOptions, measure_particles_3d
from models.measure.roundness import largest_circularity, largest_wadell

RADII = np.concatenate([np.linspace(0.5, 4, 40), [5, 6, 8, 10, 12]])  # µm at a mean voxel of 1 µm
SEED = 0


def bodies(spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Label volume of balls, ellipsoids and boxes of many sizes, turned and moved at random."""
    side = 2 * int(np.ceil(1.8 * RADII.max() / spacing.min())) + 3
    boxes = []
    for radius in RADII:
        for kind in range(3):
            half = np.ceil(1.8 * radius / spacing).astype(int) + 1
            places = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in half), indexing="ij"), -1)
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            at = (places + rng.uniform(-0.5, 0.5, 3)) * spacing @ turn
            axes = radius * np.array([1, 1, 1] if kind != 1 else [1, 0.8, 0.6])
            inside = (np.abs(at) <= axes).all(-1) if kind == 2 else ((at / axes) ** 2).sum(-1) <= 1
            boxes.append(inside)
    count = sum(box.shape[2] for box in boxes)
    labels = np.zeros((side, side, count), np.uint16)
    x = 0
    for number, box in enumerate(boxes, start=1):
        place = labels[: box.shape[0], : box.shape[1], x : x + box.shape[2]]
        place[box] = number
        x += box.shape[2]
    return labels


@pytest.mark.parametrize("estimator", ["crofton", "boundary_voxels"])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 1, 1), (4, 1, 1)])
def test_nothing_measured_is_rounder_than_the_bound(spacing, estimator) -> None:
    sides = np.array(spacing) / np.cbrt(np.prod(spacing))
    labels = bodies(sides, np.random.default_rng(SEED))
    options = MeasureOptions(surface_estimator=estimator, conduction=False, closing_radius_um=1)
    found = measure_particles_3d(labels, spacing_um=sides, options=options).particles
    bound = largest_wadell(found["volume_um3"], sides, estimator)
    assert len(bound) > 100
    assert (found["sphericity_wadell"] <= bound).all()
    assert (found["sphericity"] <= bound**3).all()
    if estimator == "crofton":
        balls = (found["label"] % 3 == 1) & (found["voxels"] > 500)
        assert (found["sphericity_wadell"][balls] / 0.8 > bound[balls]).all()


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_balls_centred_on_the_grid_which_come_out_roundest_lie_within_the_bound(centre) -> None:
    radii = np.arange(1, 15, 0.37)
    labels = np.zeros((34, 34, 34 * len(radii)), np.uint8)
    at = np.indices((34, 34, 34)) - 16 - centre
    for number, radius in enumerate(radii):
        ball = (at**2).sum(0) <= radius**2
        labels[:, :, 34 * number : 34 * (number + 1)][ball] = number + 1
    found = measure_particles_3d(
        labels, spacing_um=(1, 1, 1), options=MeasureOptions(conduction=False)
    ).particles
    assert (found["sphericity_wadell"] <= largest_wadell(found["voxels"], (1, 1, 1))).all()


def test_single_voxels_lie_within_the_bound() -> None:
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[1, 1, 1] = 1
    for spacing in ((1, 1, 1), (0.1, 0.1, 0.1), (4, 1, 1), (1, 4, 4)):
        found = measure_particles_3d(labels, spacing_um=spacing).particles
        assert found["sphericity_wadell"] <= largest_wadell(found["voxels"], spacing)


def test_bounds_fall_to_one_with_size() -> None:
    sizes = np.geomspace(1, 1e7, 50)
    for bound in (largest_wadell(sizes, (1, 1, 1)), largest_circularity(sizes)):
        assert (np.diff(bound) <= 0).all()
    assert largest_wadell(1e7, (1, 1, 1)) == pytest.approx(1.02)
    assert largest_wadell(sizes, (3, 3, 3)) == pytest.approx(largest_wadell(sizes, (1, 1, 1)))
    assert (largest_wadell(sizes, (4, 1, 1)) >= largest_wadell(sizes, (1, 1, 1))).all()


def test_nothing_flat_is_rounder_than_the_bound_and_the_octagon_reaches_it() -> None:
    rng = np.random.default_rng(SEED)
    images = []
    for radius in np.concatenate([np.linspace(0.5, 6, 80), [10, 20, 40]]):
        half = int(np.ceil(1.5 * radius)) + 1
        at = np.stack(np.mgrid[-half : half + 1, -half : half + 1], -1) + rng.uniform(-0.5, 0.5, 2)
        images.append((at**2).sum(-1) <= radius**2)
        images.append((np.abs(at) <= radius).all(-1))
    at = np.stack(np.mgrid[-300:301, -300:301], -1)
    # sides across the four directions, where they look shortest
    normals = np.deg2rad(45 * np.arange(8))
    octagon = (at @ np.stack([np.sin(normals), np.cos(normals)]) <= 290).all(-1)
    found = [measure_particles_2d(np.pad(image, 1)) for image in [*images, octagon]]
    columns = {n: np.concatenate([one[n] for one in found]) for n in ("pixels", "circularity")}
    assert (columns["circularity"] <= largest_circularity(columns["pixels"])).all()
    assert columns["circularity"][-1] == pytest.approx(1.0548, abs=2e-3)
    discs = columns["pixels"] > 100
    assert (columns["circularity"][discs] / 0.8**2 > largest_circularity(100))[::2].all()
