"""Figures of faults move as physics says, and not with brightness or gain."""

import cv2
import numpy as np
import pytest

from models.measure.image_faults import (
    fine_detail_ratio,
    image_faults,
    streak_fraction,
    structure_std,
)

SHAPE = (300, 420)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Discs with a little noise."""
    rng = np.random.default_rng(5)
    drawn = np.full(SHAPE, 90, np.uint8)
    for _ in range(400):
        centre = (int(rng.integers(SHAPE[1])), int(rng.integers(SHAPE[0])))
        cv2.circle(drawn, centre, int(rng.integers(2, 15)), int(rng.integers(60, 160)), -1)
    return np.clip(drawn + rng.normal(0, 2, SHAPE), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    """Smoothed noise without anything as long as a streak."""
    noise = np.random.default_rng(6).normal(0, 1, SHAPE)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(110 + 25 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_more_blur_leaves_less_fine_detail(image: np.ndarray) -> None:
    ratios = [fine_detail_ratio(image)]
    ratios += [fine_detail_ratio(cv2.GaussianBlur(image, (0, 0), s)) for s in (1, 1.5, 2, 3)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[2] < ratios[0] / 5


def test_gain_and_brightness_leave_fine_detail_alone(image: np.ndarray) -> None:
    darker = (image // 2 + 20).astype(np.uint8)
    assert fine_detail_ratio(darker) == pytest.approx(fine_detail_ratio(image), rel=0.05)


def test_gain_scales_structure_and_noise_alone_has_little(image: np.ndarray) -> None:
    halved = (image // 2).astype(np.uint8)
    assert structure_std(halved) == pytest.approx(structure_std(image) / 2, rel=0.03)
    noise = np.random.default_rng(0).normal(128, 10, SHAPE).astype(np.uint8)
    assert structure_std(noise) == pytest.approx(1.4, abs=0.2)
    assert structure_std(image) > 10


def charged(image: np.ndarray) -> np.ndarray:
    bright = image.astype(float)
    bright[100:106, 50:350] += 80
    return np.clip(bright, 0, 255).astype(np.uint8)


def test_streaks_are_seen_along_rows_only(texture: np.ndarray) -> None:
    found = image_faults(charged(texture))
    assert found.streak_fraction_rows == pytest.approx(6 * 300 / texture.size, rel=0.25)
    assert found.streak_fraction_columns == 0
    assert streak_fraction(texture) == 0


def test_turning_the_image_swaps_the_streaks(texture: np.ndarray) -> None:
    here = image_faults(charged(texture))
    turned = image_faults(np.ascontiguousarray(charged(texture).T))
    assert turned.streak_fraction_columns == here.streak_fraction_rows
    assert turned.streak_fraction_rows == here.streak_fraction_columns


@pytest.mark.parametrize("shape", [(3, 3), (3, 500), (64, 64), (1000, 5)])
def test_any_size_gives_finite_figures(shape: tuple[int, int]) -> None:
    flat = image_faults(np.full(shape, 7, np.uint8))
    assert (flat.fine_detail_ratio, flat.streak_fraction_rows) == (0, 0)
    assert flat.structure_std == pytest.approx(0, abs=1e-5)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = image_faults(noise)
    assert np.isfinite([found.fine_detail_ratio, found.structure_std]).all()


def test_what_is_no_grey_image_is_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        image_faults(np.zeros((9, 9), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 × 3"):
        image_faults(np.zeros((2, 9), np.uint8))
