"""Discs that are known, loose phantom particles, and a small network trained on them once."""

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from models.phantoms.scattered import Scattered, ScatteredPhantom, scatter
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Augmentation, Example
from models.segment.star_convex.training import train
from models.training.loop import Trained
from models.training.threads import torch_threads

SMALL = NetworkConfig(kind="unet", base_filters=16, depth=3, head_filters=32)
TINY = NetworkConfig(kind="unet", base_filters=4, depth=1, head_filters=8, rays=8)


def particles(seed: int, **changed: object) -> Scattered:
    options = {"shape_px": (256, 256), "diameter_px": 30.0, "overlap": 0.05} | changed
    return scatter(ScatteredPhantom(seed=seed, **options))


def example(seed: int, group: str, **changed: object) -> Example:
    made = particles(seed, **changed)
    return Example(made.image, made.labels, group)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run beside."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def small_network(shared_folder: Path) -> Trained:
    """About ten seconds of training: enough for phantoms that look like those it has seen.

    The first process trains, others go on from its last checkpoint.
    """
    with FileLock(shared_folder / "small network.lock"):
        return train(
            SMALL,
            [example(seed, "seen", contrast=60 + 10 * seed) for seed in range(6)],
            [example(100 + seed, "unseen") for seed in range(3)],
            TrainingOptions(
                epochs=4,
                steps=50,
                batch=2,
                patch_px=96,
                learning_rate=4e-3,
                warmup=10,
                averaging=0.9,
                validation_patches=1,
                augmentation=Augmentation(1.4, 0, 0, 0, 0, tone=False),
            ),
            checkpoints=shared_folder / "small network",
        )


def discs(placed: list[tuple[int, int, int]], shape: tuple[int, int] = (120, 140)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (cy, cx, radius) in enumerate(placed, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number
    return labels


@pytest.fixture(scope="session")
def disc_labels():
    return discs


@pytest.fixture(scope="session")
def made_particles():
    return particles


@pytest.fixture(scope="session")
def made_example():
    return example


@pytest.fixture(scope="session")
def tiny_config() -> NetworkConfig:
    return TINY
