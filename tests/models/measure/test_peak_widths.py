"""Peaks of phases: widths by formula, boundaries left out, slabs that change nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.measure.peak_widths as module
from models.measure.arrays import InvalidVolumeError
from models.measure.peak_widths import (
    FWHM_PER_STD,
    Histogram,
    coarse,
    peak_of,
    phase_histograms,
)

LEVELS = np.arange(65536)


def histogram(shape, height=1e6, step=1.0, first=0.0):
    return Histogram(1, first, step, np.rint(height * shape).astype(np.int64))


def gaussian(centre, std):
    return np.exp(-0.5 * ((LEVELS - centre) / std) ** 2)


@settings(deadline=None, max_examples=30)
@given(st.floats(3000, 60000), st.floats(20, 400))
def test_a_gaussian_is_as_wide_as_the_formula_says(centre, std):
    peak = peak_of(histogram(gaussian(centre, std)))
    assert peak.fwhm == pytest.approx(FWHM_PER_STD * std, rel=2e-3)
    assert peak.position == pytest.approx(centre, abs=0.01 * std)
    assert peak.mean == pytest.approx(centre, abs=0.01 * std)
    assert peak.std == pytest.approx(std, rel=1e-3)


def test_other_peaks_are_within_two_percent():
    triangle = np.clip(1 - np.abs(LEVELS - 30000) / 1000, 0, None)
    assert peak_of(histogram(triangle)).fwhm == pytest.approx(1000, rel=0.02)
    box = (LEVELS > 29000) & (LEVELS <= 31000)
    assert peak_of(histogram(box)).fwhm == pytest.approx(2000, rel=0.02)
    lorentz = 1 / (1 + ((LEVELS - 30000) / 500) ** 2)
    assert peak_of(histogram(lorentz)).fwhm == pytest.approx(1000, rel=0.02)


def test_random_values_have_the_width_of_their_law():
    rng = np.random.default_rng(2)
    values = np.rint(rng.normal(30000, 800, 100_000)).astype(np.int64)
    peak = peak_of(Histogram(1, 0, 1, np.bincount(values, minlength=65536)))
    assert peak.fwhm == pytest.approx(FWHM_PER_STD * 800, rel=0.025)
    assert peak.position == pytest.approx(30000, abs=0.05 * 800)


def test_the_highest_of_two_peaks_counts():
    two = peak_of(histogram(gaussian(20000, 300) + 0.6 * gaussian(40000, 200)))
    assert two.position == pytest.approx(20000, abs=10)
    assert two.fwhm == pytest.approx(FWHM_PER_STD * 300, rel=0.03)


def test_grey_values_scale_positions_and_widths():
    one = peak_of(histogram(gaussian(30000, 300)))
    other = peak_of(histogram(gaussian(30000, 300), step=0.5, first=-7))
    assert other.fwhm == pytest.approx(0.5 * one.fwhm)
    assert other.position == pytest.approx(0.5 * one.position - 7)


def test_few_voxels_a_single_level_and_a_cut_off_peak():
    few = peak_of(Histogram(1, 0, 1, np.array([0, 50, 49, 0])))
    assert all(map(math.isnan, (few.position, few.fwhm, few.mean, few.std)))
    single = peak_of(Histogram(1, 0, 1, np.array([0, 0, 500, 0])))
    assert single.position == pytest.approx(2) and single.fwhm <= 1
    saturated = Histogram(1, 0, 1, np.array([100, 200, 900]), cut_off=True)
    assert math.isnan(peak_of(saturated).fwhm)


def test_coarse_classes_keep_every_voxel():
    fine = histogram(gaussian(30000, 300), height=1000)
    few = coarse(fine, 64)
    assert len(few.counts) <= 64 and few.counts.sum() == fine.counts.sum()
    assert few.grey @ few.counts / few.counts.sum() == pytest.approx(30000, abs=1)
    assert coarse(Histogram(1, 0, 1, np.zeros(9, np.int64)), 4).counts.size == 0


def two_phases(dtype=np.uint16):
    """Halves of two materials; the layers where they meet have values of their own."""
    rng = np.random.default_rng(0)
    phases = np.zeros((40, 30, 30), np.uint8)
    phases[20:] = 3
    grey = np.where(phases == 3, rng.normal(800, 10, phases.shape), 200.0)
    grey[19:21] = 500
    return np.rint(grey).astype(dtype), phases


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_voxels_at_a_boundary_are_left_out(dtype):
    grey, phases = two_phases(dtype)
    pore, solid = phase_histograms(grey, phases)
    assert (pore.phase, solid.phase) == (0, 3)
    assert pore.counts.sum() == solid.counts.sum() == 19 * 900
    assert peak_of(pore).mean == pytest.approx(200, abs=0.02)
    assert peak_of(solid).mean == pytest.approx(800, abs=0.5)
    assert peak_of(solid).fwhm == pytest.approx(23.5, rel=0.06)


def test_slabs_change_nothing(monkeypatch):
    grey, phases = two_phases()
    whole = phase_histograms(grey, phases)
    monkeypatch.setattr(module, "_SLAB_BYTES", 8 * 900 * 3)
    told = []
    parts = phase_histograms(grey, phases, progress=lambda done, of: told.append((done, of)))
    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(whole, parts, strict=True))
    assert told[0] == (3, 40) and told[-1] == (40, 40)


def test_values_that_are_not_finite_do_not_count():
    grey, phases = two_phases(np.float32)
    grey[5, 5, 5], grey[6, 6, 6] = np.nan, np.inf
    pore, _ = phase_histograms(grey, phases)
    assert pore.counts.sum() == 19 * 900 - 2
    assert phase_histograms(np.full((3, 3, 3), np.nan), np.zeros((3, 3, 3), np.uint8)) == []


def test_what_does_not_fit_is_refused():
    grey, phases = two_phases()
    with pytest.raises(InvalidVolumeError, match="crop or resample"):
        phase_histograms(grey[1:], phases)
    with pytest.raises(InvalidVolumeError, match="integers"):
        phase_histograms(grey, phases.astype(float))
