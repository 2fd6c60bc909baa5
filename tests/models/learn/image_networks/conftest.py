"""Bright blobs on a darker ground, whose share of the image decides the target."""

from dataclasses import dataclass

import numpy as np
import pytest

from models.learn.image_networks.learner import ImageExample, ImageRegression
from models.training.threads import torch_threads

SIDE = 64


@dataclass(frozen=True)
class Planted:
    images: list
    masks: list
    target: np.ndarray
    groups: list

    def examples(self, target=None, descriptors=None):
        target = self.target if target is None else target
        descriptors = np.empty((len(target), 0)) if descriptors is None else descriptors
        return [
            ImageExample(*row)
            for row in zip(self.images, descriptors, target, self.groups, strict=True)
        ]

    def of(self, start, stop):
        part = slice(start, stop)
        return Planted(self.images[part], self.masks[part], self.target[part], self.groups[part])


def blobs(rng):
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(rng.integers(1, 12)):
        radius, (cy, cx) = rng.uniform(4, 8), rng.uniform(0, SIDE, 2)
        mask |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    grey = 90 + 60 * mask + rng.normal(0, 15, mask.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def planted():
    """72 images, three of a group; the target is -5 where there are no blobs."""
    rng = np.random.default_rng(0)
    images, masks = zip(*(blobs(rng) for _ in range(72)), strict=True)
    target = -5 + 3 * np.array([mask.mean() for mask in masks])
    return Planted(list(images), list(masks), target, [f"s{number // 3}" for number in range(72)])


@pytest.fixture(scope="session")
def small():
    """What trains on the planted images in two seconds."""
    return ImageRegression(
        filters=(4, 8, 16),
        equalise="none",
        inner_folds=1,
        crop_px=SIDE,
        epochs=30,
        learning_rate=5e-3,
        patience=30,
    )


@pytest.fixture(scope="session")
def learnt(planted, small):
    """A network that has seen the first 48 images."""
    return small.fit(planted.of(0, 48).examples(), 0)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run beside."""
    with torch_threads(1):
        yield
