"""Shapes: true targets drawn back give the particles; who is on top; nothing gives nothing."""

import numpy as np
import pytest

from models.measure.matching import evaluate
from models.segment.star_convex.shapes import (
    Shapes,
    candidates,
    joined,
    no_shapes,
    render,
    suppress,
)
from models.segment.star_convex.targets import star_targets

PLACED = [(30, 30, 18), (30, 67, 18), (80, 40, 24), (90, 100, 9), (25, 115, 14)]


def circle(y: float, x: float, radius: float, probability: float) -> Shapes:
    return Shapes(
        np.array([[y, x]], np.float32),
        np.full((1, 32), radius, np.float32),
        np.array([probability], np.float32),
    )


@pytest.mark.parametrize("grid", [1, 2])
def test_true_targets_give_every_disc_back(disc_labels, grid):
    truth = disc_labels(PLACED)
    targets = star_targets(truth, grid=grid)
    found = suppress(candidates(targets.probability, targets.distances, grid, 0.5), 0.4)
    labels, confidence = render(found, truth.shape)
    assert len(found) == len(confidence) == labels.max() == len(PLACED)
    assert evaluate(truth, labels).at(0.9).true_positives == len(PLACED)
    assert confidence.min() > 0.9


def test_loose_particles_come_back_from_their_targets(made_particles):
    truth = made_particles(3, overlap=0.0, irregularity=0.08).labels
    targets = star_targets(truth)
    found = suppress(candidates(targets.probability, targets.distances, 2, 0.5), 0.4)
    assert evaluate(truth, render(found, truth.shape)[0]).at(0.75).f1 > 0.95


def test_the_order_of_candidates_means_nothing(disc_labels):
    targets = star_targets(disc_labels(PLACED))
    found = candidates(targets.probability, targets.distances, 2, 0.3)
    shuffled = found.take(np.random.default_rng(0).permutation(len(found)))
    one, other = suppress(found, 0.4), suppress(shuffled, 0.4)
    np.testing.assert_array_equal(one.points, other.points)


def test_the_more_probable_of_two_is_on_top_and_has_the_lower_number():
    both = joined([circle(20, 20, 12, 0.6), circle(20, 32, 12, 0.9)], 32)
    labels, confidence = render(both, (40, 60))
    assert labels[20, 26] == 1
    assert labels[20, 10] == 2
    np.testing.assert_allclose(confidence, [0.9, 0.6])


def test_what_is_hidden_or_outside_has_no_number():
    shapes = [circle(20, 20, 4, 0.6), circle(20, 20, 12, 0.9), circle(-40, 20, 9, 0.95)]
    labels, confidence = render(joined(shapes, 32), (40, 60))
    assert labels.max() == 1
    np.testing.assert_allclose(confidence, [0.9])


def test_one_of_two_that_share_more_than_allowed_stays():
    both = joined([circle(20, 20, 12, 0.6), circle(20, 30, 12, 0.9)], 32)
    assert len(suppress(both, 0.9)) == 2
    np.testing.assert_allclose(suppress(both, 0.3).probability, [0.9])


def test_areas_and_resizing():
    shape = circle(10, 20, 12, 0.5)
    assert shape.diameter_px[0] == pytest.approx(24, rel=0.01)
    twice = shape.resized(2)
    np.testing.assert_allclose(twice.points, [[20.5, 40.5]])  # pixel 10 becomes 20 and 21
    assert twice.area_px2[0] == pytest.approx(4 * shape.area_px2[0])
    np.testing.assert_allclose(twice.resized(0.5).points, shape.points)


def test_nothing_gives_typed_nothing():
    nothing = suppress(no_shapes(32), 0.4)
    labels, confidence = render(nothing, (10, 12))
    assert labels.shape == (10, 12)
    assert labels.dtype == np.int32
    assert confidence.dtype == np.float32
    assert not labels.any()
    assert len(confidence) == len(nothing.area_px2) == 0
