"""Two phases: texture tells them apart, and neither brightness nor contrast does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import laplace

from models.phantoms.two_phases import TwoPhases, render_phases, two_phases_s_per_cm


@given(st.integers(0, 2**40), st.floats(0.1, 0.9), st.floats(100, 150), st.floats(15, 25))
@settings(max_examples=15, deadline=None)
def test_phases_are_equally_bright_and_differ_in_texture(seed, share, brightness, contrast):
    config = TwoPhases(seed=seed, conducting_share=share, brightness=brightness, contrast=contrast)
    rendered = render_phases(config)
    grey, mask = rendered.image.astype(float), rendered.conducting
    assert mask.mean() == pytest.approx(share, abs=0.05)
    fineness = np.abs(laplace(grey))
    for phase in (mask, ~mask):
        assert grey[phase].mean() == pytest.approx(brightness, abs=0.2)
        assert grey[phase].std() == pytest.approx(contrast, abs=0.3)
    assert fineness[~mask].mean() > 3 * fineness[mask].mean()


def test_the_same_seed_gives_the_same_pixels():
    one, same, other = (render_phases(TwoPhases(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.conducting, same.conducting)
    assert (one.image != other.image).mean() > 0.5


def test_the_law_mixes_logarithms():
    assert two_phases_s_per_cm(0) == pytest.approx(1e-7)
    assert two_phases_s_per_cm(1) == pytest.approx(1e-4)
    half = np.sqrt(two_phases_s_per_cm(0) * two_phases_s_per_cm(1))
    assert two_phases_s_per_cm(0.5) == pytest.approx(half)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match="conducting_share must be"):
        TwoPhases(conducting_share=1)
