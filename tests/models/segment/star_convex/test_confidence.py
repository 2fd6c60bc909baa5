"""Confidences: shares of particles that are right, whatever the network calls them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.segment.star_convex.confidence import LEAST_PARTICLES, Calibration, calibrate
from models.segment.star_convex.config import StarConvexError


@given(st.floats(0.5, 5), st.floats(-2, 2), st.floats(0.2, 0.8))
def test_there_and_back(slope, intercept, probability):
    worth = Calibration(slope, intercept)
    assert worth.probability(worth.confidence(probability)) == pytest.approx(probability, abs=1e-6)


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_surer_is_surer(slope, intercept):
    confidence = Calibration(slope, intercept).confidence(np.linspace(0, 1, 50))
    assert (np.diff(confidence) >= 0).all()
    assert (confidence >= 0).all()
    assert (confidence <= 1).all()


def test_a_planted_calibration_is_found():
    rng = np.random.default_rng(4)
    planted = Calibration(4.0, -0.5)
    probability = rng.uniform(0.3, 0.75, 20_000)
    right = rng.random(len(probability)) < planted.confidence(probability)
    found = calibrate(probability, right)
    assert found.slope == pytest.approx(4.0, rel=0.05)
    assert found.intercept == pytest.approx(-0.5, abs=0.05)
    sure = found.confidence(probability) > 0.8
    assert right[sure].mean() == pytest.approx(found.confidence(probability)[sure].mean(), abs=0.02)


@pytest.mark.parametrize(
    "right", [np.ones(50, bool), np.zeros(50, bool), np.arange(LEAST_PARTICLES - 1) % 2 == 0]
)
def test_what_tells_nothing_is_refused(right):
    with pytest.raises(StarConvexError, match="calibration needs 20"):
        calibrate(np.linspace(0.3, 0.7, len(right)), right)


def test_a_network_that_is_surer_of_what_is_wrong_is_refused():
    probability = np.linspace(0.3, 0.7, 100)
    with pytest.raises(StarConvexError, match="slope must be above 0"):
        calibrate(probability, probability < 0.5)
