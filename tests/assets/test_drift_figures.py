"""Figures of drift are drawn for any number of panels."""

import io

import numpy as np
import pytest
from PIL import Image

from assets.drift_figures import drift_panels
from graindex.drift import Compared
from graindex.drift_parts import Parts
from models.measure.distribution_shift import shift


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_panel_for_each_pair(count):
    parts = Parts("session a#2", "other sessions of a", (), ())
    random = np.random.default_rng(0)
    values, others = random.normal(size=30), random.normal(2, size=40)
    one = (Compared(parts, "brightness_mean", values, others), shift(values, others))
    picture = np.asarray(Image.open(io.BytesIO(drift_panels([one] * count))).convert("RGB"))
    height, width, _ = picture.shape
    assert height == (count + 1) // 2 * 320
    right = picture[-320:, width // 2 :]
    assert ((right != 255).any(axis=2).mean() > 0.01) == (count % 2 == 0)
