"""Discs that are known, and a small network that has learnt a handful of them by heart."""

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.mask_rcnn.training import train
from models.segment.star_convex.patches import Augmentation, Example
from models.training.loop import Trained
from models.training.threads import torch_threads

SMALL = NetworkConfig(pyramid_filters=32, box_features=64, mask_filters=32, proposals=400)
TINY = NetworkConfig(pyramid_filters=8, box_features=16, mask_filters=8, mask_px=14, proposals=50)
BARE = Augmentation(1.0, 0, 0, 0, 0, tone=False)


def discs(seed: int, shape: tuple[int, int] = (128, 128), radius_px: int = 13) -> Example:
    """Bright discs of one size on a lattice, each moved by up to two pixels, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    step = 2 * radius_px + 8
    for top in range(radius_px + 4, shape[0] - radius_px - 3, step):
        for left in range(radius_px + 4, shape[1] - radius_px - 3, step):
            cy, cx = np.array([top, left]) + rng.integers(-2, 3, 2)
            labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius_px**2] = labels.max() + 1
    grey = 60 + 100 * (labels > 0) + rng.normal(0, 5, shape)
    return Example(grey.astype(np.uint8), labels, f"group {seed}")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run beside."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def disc_network(shared_folder: Path) -> Trained:
    """Trained on four images of discs; the first process trains, others go on from its end."""
    with FileLock(shared_folder / "disc network.lock"):
        return train(
            SMALL,
            [discs(seed, (220, 220)) for seed in range(4)],
            [discs(100)],
            TrainingOptions(
                epochs=5,
                steps=16,
                batch=2,
                patch_px=128,
                learning_rate=4e-2,
                final_learning_rate=1e-2,
                warmup=6,
                validation_patches=1,
                augmentation=BARE,
            ),
            checkpoints=shared_folder / "disc network",
        )


@pytest.fixture(scope="session")
def disc_image():
    return discs


@pytest.fixture(scope="session")
def tiny_config() -> NetworkConfig:
    return TINY
