"""Volumes of analytic spheres, and a network that says exactly what is true of a section."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from skimage.measure import label as components

from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.targets import star_targets
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.frame import grey_range

CONFIG = NetworkConfig(kind="unet", depth=2, rays=32, diameter_px=20.0)


@dataclass(frozen=True)
class Made:
    """Labels, a volume in which spheres that touch differ in grey, and a network for it."""

    labels: np.ndarray
    volume: np.ndarray
    exact: Forward


@pytest.fixture(scope="session")
def config() -> NetworkConfig:
    return CONFIG


@pytest.fixture(scope="session")
def bright() -> Forward:
    """Knows particles that do not touch, at any scale: what is bright and hangs together."""
    return lambda image: _told(components(image > 0.5, connectivity=1))


@pytest.fixture(scope="session")
def spheres() -> Callable[..., Made]:
    return _spheres


@pytest.fixture(scope="session")
def packed() -> Made:
    """Spheres of radius 7 … 10 on a jittered grid, of which many touch."""
    rng = np.random.default_rng(5)
    shape = (36, 46, 64)
    places = np.stack(np.meshgrid(*(np.arange(12, n, 19) for n in shape), indexing="ij"), -1)
    centres = places.reshape(-1, 3) + rng.uniform(-1.5, 1.5, (places.size // 3, 3))
    return _spheres(shape, centres, rng.uniform(7, 10, len(centres)))


def _spheres(shape, centres, radii) -> Made:
    """Where two overlap, a voxel belongs to the one in which it lies deeper."""
    grid = np.indices(shape, dtype=np.float32)
    labels, depth = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), start=1):
        distance = np.sqrt(((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0))
        here = radius - distance > depth
        labels[here], depth[here] = number, (radius - distance)[here]
    volume = np.where(labels > 0, 90.0 + 10 * (labels % 5), 0).astype(np.float32)
    return Made(labels, volume, _exact(volume))


def _exact(volume: np.ndarray) -> Forward:
    """Regions of equal grey level are the particles of a section; at the volume's own scale."""
    levels = grey_range(volume)

    def forward(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grey = np.rint((image * (levels.high - levels.low) + levels.low) / 10)
        return _told(components(grey.astype(np.int32), background=0, connectivity=1))

    return forward


def _told(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets = star_targets(labels, rays=CONFIG.rays, grid=CONFIG.grid)
    return targets.probability, targets.distances
