"""Image quality: analytic images, planted noise, blur, invariances."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from models.measure.image_quality import ImageQuality, image_quality

IMAGES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=40))


def _scene(rng: np.random.Generator) -> np.ndarray:
    """A smooth scene of grey levels 60…190, without noise."""
    rough = ndimage.gaussian_filter(rng.standard_normal((240, 320)), 12)
    return np.interp(rough, (rough.min(), rough.max()), (60, 190))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_constant_image_has_no_contrast_sharpness_noise_or_entropy(level: int) -> None:
    quality = image_quality(np.full((20, 30), level, np.uint8))
    assert quality == ImageQuality(
        brightness_mean=level,
        contrast_std=0,
        sharpness_laplacian=0,
        sharpness_tenengrad=0,
        noise_std=0,
        saturation_fraction_low=float(level == 0),
        saturation_fraction_high=float(level == 255),
        entropy_bits=0,
    )
    assert math.copysign(1, quality.entropy_bits) == 1


def test_two_levels_in_equal_shares() -> None:
    grey = np.zeros((40, 60), np.uint8)
    grey[:, 30:] = 100
    quality = image_quality(grey)
    assert quality.brightness_mean == 50
    assert quality.contrast_std == 50
    assert quality.entropy_bits == 1
    assert quality.saturation_fraction_low == 0.5
    assert quality.saturation_fraction_high == 0
    # the step gives Gx = 4 · 100 in the two columns beside it, and Laplacians of ±100 there
    assert quality.sharpness_tenengrad == pytest.approx(2 * 400**2 / 60)
    assert quality.sharpness_laplacian == pytest.approx(2 * 100**2 / 60)
    assert quality.noise_std == 0


def test_uniform_histogram_has_eight_bits() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert image_quality(grey).entropy_bits == pytest.approx(8)


def test_a_plane_has_its_slope_and_no_noise() -> None:
    y, x = np.mgrid[:50, :60]
    quality = image_quality((2 * x + y).astype(np.uint8))
    assert quality.noise_std == 0
    # 8 · slope inside; the reflected border columns and rows have no slope across them
    expected = 64 * (4 * 58 / 60 + 1 * 48 / 50)
    assert quality.sharpness_tenengrad == pytest.approx(expected)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0, 20.0])
def test_planted_gaussian_noise_is_recovered(sigma: float) -> None:
    rng = np.random.default_rng(7)
    noisy = _scene(rng) + rng.normal(0, sigma, (240, 320))
    grey = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    assert image_quality(grey).noise_std == pytest.approx(sigma, rel=0.1)


def test_more_blur_scores_less_sharp() -> None:
    rng = np.random.default_rng(3)
    sharp = rng.integers(0, 256, (200, 300)).astype(np.uint8)
    series = [image_quality(sharp)]
    series += [image_quality(cv2.GaussianBlur(sharp, (0, 0), s)) for s in (0.6, 1.0, 1.6, 2.5, 4)]
    for name in ("sharpness_laplacian", "sharpness_tenengrad"):
        values = [getattr(quality, name) for quality in series]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == len(values)


@given(IMAGES, st.integers(1, 55))
def test_added_constant_moves_brightness_alone(grey: np.ndarray, step: int) -> None:
    dark = (grey // 2).astype(np.uint8)
    before, after = image_quality(dark), image_quality(dark + np.uint8(step))
    assert after.brightness_mean == pytest.approx(before.brightness_mean + step)
    for name in ("contrast_std", "sharpness_laplacian", "sharpness_tenengrad", "noise_std"):
        assert getattr(after, name) == pytest.approx(getattr(before, name))
    assert after.entropy_bits == pytest.approx(before.entropy_bits)


@given(IMAGES)
@settings(max_examples=60)
def test_flips_and_rotations_change_nothing(grey: np.ndarray) -> None:
    expected = dataclasses.astuple(image_quality(grey))
    for turned in (grey[::-1], grey[:, ::-1], np.rot90(grey), grey.T):
        assert dataclasses.astuple(image_quality(turned)) == pytest.approx(expected, abs=1e-9)


@given(IMAGES)
def test_bounds_and_agreement_with_numpy(grey: np.ndarray) -> None:
    quality = image_quality(grey)
    assert all(math.isfinite(value) for value in dataclasses.astuple(quality))
    assert quality.brightness_mean == pytest.approx(grey.mean())
    assert quality.contrast_std == pytest.approx(grey.std(), abs=1e-9)
    assert 0 <= quality.contrast_std <= 127.5
    assert 0 <= quality.entropy_bits <= 8
    assert 0 <= quality.saturation_fraction_low <= 1
    assert 0 <= quality.saturation_fraction_high <= 1
    assert quality.sharpness_laplacian <= 1020**2
    assert quality.noise_std >= 0


def test_derivatives_agree_with_scipy_at_full_swing() -> None:
    """Extreme pixels on a large image would show an overflow of 16 bits or of a sum."""
    grey = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1500, 1700))
    wide = grey.astype(np.float64)
    quality = image_quality(grey)
    laplacian = ndimage.convolve(wide, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], mode="mirror")
    sobel = sum(ndimage.sobel(wide, axis, mode="mirror") ** 2 for axis in (0, 1))
    mask = np.outer([1, -2, 1], [1, -2, 1])
    immerkaer = ndimage.convolve(wide, mask)[1:-1, 1:-1]
    assert quality.sharpness_laplacian == pytest.approx(laplacian.var())
    assert quality.sharpness_tenengrad == pytest.approx(sobel.mean())
    expected = math.sqrt(math.pi / 2) * np.abs(immerkaer).mean() / 6
    assert quality.noise_std == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(2, 10), (10, 2), (10,), (4, 4, 3)])
def test_shapes_without_an_inside_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 3 × 3"):
        image_quality(np.zeros(shape, np.uint8))


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="uint16"):
        image_quality(np.zeros((5, 5), np.uint16))


@pytest.mark.real_data
def test_real_micrographs_blurred_are_less_sharp(real_data) -> None:
    for path in sorted((real_data / "ncm622_cycled_sem").glob("*.jpg"))[:5]:
        content = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[:880]
        quality, blurred = image_quality(content), image_quality(cv2.blur(content, (5, 5)))
        assert blurred.sharpness_laplacian < quality.sharpness_laplacian
        assert blurred.sharpness_tenengrad < quality.sharpness_tenengrad
        assert 40 < quality.brightness_mean < 220
