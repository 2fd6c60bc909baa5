"""Slices labelled alone and linked: spheres that are known come back."""

from dataclasses import replace

import numpy as np
import pytest

from models.measure.arrays import InvalidVolumeError
from models.measure.matching import evaluate
from models.segment.slice_linking import LinkOptions, link_slices
from models.segment.view_fusion.sliced import SLICES, slice_labels

ONE_SCALE = replace(SLICES, diameter_px=20.0, detail=1.0)


def test_linked_slices_are_the_spheres(config, packed) -> None:
    labels = np.zeros(packed.labels.shape, np.int32)
    images = slice_labels(packed.exact, config, packed.volume, options=ONE_SCALE)
    link_slices(images, labels, options=LinkOptions(smallest=30))
    counts = evaluate(packed.labels, labels).at(0.5)
    assert counts.f1 == 1
    assert counts.mean_matched_iou > 0.8


def test_slices_without_particles_stay_empty(config, bright, spheres) -> None:
    made = spheres((30, 40, 40), [(15, 20, 20)], [9])
    images = list(slice_labels(bright, config, made.volume, options=ONE_SCALE))
    assert [bool(image.any()) for image in images[:3]] == [False] * 3
    assert images[15].max() == 1
    assert images[15].dtype == np.int32


def test_nothing_is_found_in_an_empty_volume(config, bright) -> None:
    images = list(slice_labels(bright, config, np.zeros((4, 40, 40), np.uint8)))
    assert len(images) == 4
    assert not np.any(images)


def test_images_and_holes_are_refused(config, bright) -> None:
    with pytest.raises(InvalidVolumeError, match="expected axes"):
        next(slice_labels(bright, config, np.zeros((40, 40))))
    holed = np.zeros((4, 40, 40))
    holed[1] = np.nan
    with pytest.raises(InvalidVolumeError, match="NaN or infinite"):
        list(slice_labels(bright, config, holed, options=ONE_SCALE))
