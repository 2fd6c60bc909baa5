"""Refinement: an outline drawn too wide comes back to the grey levels; what is unclear stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segment.star_convex.refinement import refine

CONFIDENCE = np.array([0.8], np.float32)


def grey_of(labels: np.ndarray, low: float, high: float, noise: float = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(labels > 0, high, low) + noise * rng.standard_normal(labels.shape)


def overlap_over_union(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a > 0) & (b > 0)).sum() / ((a > 0) | (b > 0)).sum())


@pytest.mark.parametrize(("low", "high"), [(50, 180), (180, 50)])
def test_a_shape_drawn_too_wide_shrinks_to_its_particle(disc_labels, low, high):
    truth, wide = disc_labels([(60, 70, 25)]), disc_labels([(60, 70, 29)])
    refined, confidence = refine(grey_of(truth, low, high), wide, CONFIDENCE)
    assert overlap_over_union(wide, truth) < 0.78
    assert overlap_over_union(refined, truth) > 0.95
    np.testing.assert_array_equal(confidence, CONFIDENCE)


def test_a_shape_that_hardly_differs_from_its_surroundings_stays(disc_labels):
    truth, wide = disc_labels([(60, 70, 25)]), disc_labels([(60, 70, 29)])
    refined, _ = refine(grey_of(truth, 100, 104, noise=8), wide, CONFIDENCE)
    np.testing.assert_array_equal(refined, wide)


def test_a_crack_inside_stays_particle(disc_labels):
    truth = disc_labels([(60, 70, 25)])
    grey = grey_of(truth, 50, 180)
    grey[59:61, 50:90] = 50
    refined, _ = refine(grey, truth, CONFIDENCE)
    assert overlap_over_union(refined, truth) > 0.95


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_nothing_is_ever_added_and_no_particle_vanishes(seed):
    rng = np.random.default_rng(seed)
    y, x = np.indices((60, 80))
    labels = np.where(np.hypot(y - 30, x - 25) < 15, 1, 0) + np.where(
        np.hypot(y - 30, x - 60) < 12, 2, 0
    )
    grey = rng.normal(100, 30, labels.shape) + 60 * (labels == 1)
    refined, confidence = refine(grey, labels.astype(np.int32), np.array([0.9, 0.7], np.float32))
    assert set(np.unique(refined)) == {0, 1, 2}
    assert ((refined == labels) | (refined == 0)).all()
    assert len(confidence) == 2
