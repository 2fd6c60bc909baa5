"""Boxes with masks, to labels and back: places, sizes, who is on top."""

import numpy as np
import pytest

from models.segment.mask_rcnn.instances import Instances, joined, no_instances, render
from models.segment.mask_rcnn.targets import boxes_of, known_grey
from models.segment.star_convex.patches import View


def filled(boxes: list[tuple[float, float, float, float]], probability: list[float]) -> Instances:
    """Whole boxes of pixels."""
    masks = np.ones((len(boxes), 8, 8), np.float32)
    return Instances(np.array(boxes, np.float32), masks, np.array(probability, np.float32))


def test_a_box_covers_its_pixels():
    """0 is the middle of the first pixel: from −0.5 to 3.5 are four of them."""
    labels, confidence = render(filled([(1.5, -0.5, 4.5, 3.5)], [0.8]), (6, 7), 0.4)
    wanted = np.zeros((6, 7), np.int32)
    wanted[:4, 2:5] = 1
    np.testing.assert_array_equal(labels, wanted)
    assert labels.dtype == np.int32
    assert confidence.dtype == np.float32
    assert confidence.tolist() == pytest.approx([0.8])


def test_the_more_probable_particle_keeps_the_pixels():
    both = filled([(-0.5, -0.5, 5.5, 5.5), (3.5, -0.5, 11.5, 5.5)], [0.6, 0.9])
    labels, confidence = render(both, (6, 12), 0.5)
    assert confidence.tolist() == pytest.approx([0.9, 0.6])
    assert (labels[:, 4:] == 1).all()
    assert (labels[:, :4] == 2).all()


def test_what_is_mostly_taken_is_the_same_seen_again():
    both = filled([(-0.5, -0.5, 9.5, 9.5), (0.5, -0.5, 10.5, 9.5)], [0.9, 0.8])
    assert len(render(both, (10, 12), 0.4)[1]) == 1
    assert len(render(both, (10, 12), 0.95)[1]) == 2


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_disc_keeps_its_place_and_size_at_any_scale(offset, factor):
    side, radius = 28, 12.0
    middle = (np.arange(side) + 0.5) / side * 2 - 1
    disc = (1 - np.hypot(middle[:, None], middle[None]))[None] * side / 2 + 0.5
    centre = np.array([20 + offset, 24 - offset])
    box = np.concatenate([centre - radius, centre + radius])[None]
    one = Instances(
        box.astype(np.float32), np.clip(disc, 0, 1).astype(np.float32), np.ones(1, np.float32)
    )
    shape = (round(48 * factor), round(48 * factor))
    labels, _ = render(one.resized(factor), shape, 0.4)
    y, x = np.nonzero(labels)
    wanted = (centre + 0.5) * factor - 0.5
    assert np.array([x.mean(), y.mean()]) == pytest.approx(
        wanted, abs=0.25
    )  # edges are rounded to pixels
    assert len(x) == pytest.approx(np.pi * (radius * factor) ** 2, rel=0.05)
    assert one.diameter_px[0] == pytest.approx(2 * radius, rel=0.02)


def test_beyond_the_image_is_nothing():
    outside = filled([(20, 20, 30, 30), (-9, -9, -2, -2), (3, 3, 3, 3)], [0.9, 0.8, 0.7])
    labels, confidence = render(outside, (10, 10), 0.4)
    assert not labels.any()
    assert len(confidence) == 0


def test_none_are_none():
    none = joined([], 28)
    assert len(none) == 0
    assert len(none.area_px2) == len(none.resized(2).moved(1, 2)) == 0
    labels, confidence = render(no_instances(28), (5, 6), 0.4)
    assert labels.shape == (5, 6)
    assert confidence.shape == (0,)


def test_targets_are_the_particles_seen_from_outside():
    labels = np.zeros((12, 16), np.int32)
    labels[2:6, 3:9] = 4
    labels[8:12, 0:5] = 9
    labels[0, 15] = 2  # too small to be recognised
    targets = boxes_of(labels)
    assert targets.boxes.tolist() == [[2.5, 1.5, 8.5, 5.5], [-0.5, 7.5, 4.5, 11.5]]
    np.testing.assert_array_equal(targets.masks[0], labels == 4)
    np.testing.assert_array_equal(targets.masks[1], labels == 9)
    none = boxes_of(np.zeros((12, 16), np.int32))
    assert none.boxes.shape == (0, 4)
    assert none.masks.shape == (0, 12, 16)


def test_mirrored_particles_are_not_shown():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    valid = np.zeros((4, 4), np.bool_)
    valid[:, :2] = True
    grey = known_grey(View(image, np.zeros((4, 4), np.int32), valid))
    np.testing.assert_array_equal(grey[:, :2], image[:, :2])
    assert (grey[:, 2:] == np.median(image[:, :2])).all()
