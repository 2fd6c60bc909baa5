"""Faults of images, to be planted into real ones at random.

Out of scope: whether checks find them (`quality_images.py`).
"""

import cv2
import numpy as np

Grey = np.ndarray


def clip(image: Grey) -> Grey:
    """Rounded to grey levels."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(image: Grey, rng: np.random.Generator) -> Grey:
    """Gaussian blur of 1.5 to 3 px."""
    return clip(cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(1.5, 3)))


def defocused(image: Grey, rng: np.random.Generator) -> Grey:
    """Blur of 2 to 3 px below the noise that the image has, at most 4 grey levels."""
    from models.measure.image_quality import immerkaer_noise

    noise = min(immerkaer_noise(image), 4.0)
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(2, 3))
    return clip(smooth + rng.normal(0, noise, image.shape))


def overexposed(image: Grey, rng: np.random.Generator) -> Grey:
    """Gain until 5 to 25 % are white."""
    white = max(float(np.quantile(image, 1 - rng.uniform(0.05, 0.25))), 1.0)
    return clip(image * (255 / white))


def underexposed(image: Grey, rng: np.random.Generator) -> Grey:
    """Black level until 5 to 25 % are black."""
    black = float(np.quantile(image, rng.uniform(0.05, 0.25)))
    return clip((image - black) * (255 / (255 - black)))


def charged(image: Grey, rng: np.random.Generator) -> Grey:
    """Three to eight streaks along the scan lines that fade."""
    bright = image.astype(np.float32)
    height, width = image.shape
    for _ in range(int(rng.integers(3, 9))):
        top, rows = int(rng.integers(0, height - 12)), int(rng.integers(2, 13))
        start, fade = int(rng.integers(0, 3 * width // 4)), rng.uniform(0.25, 1) * width
        grey = rng.uniform(50, 130) * rng.choice([1, 1, 1, -1])
        bright[top : top + rows, start:] += grey * np.exp(-np.arange(width - start) / fade)
    return clip(bright)


def foil(image: Grey, rng: np.random.Generator) -> Grey:
    """Noise, faint rolling marks and a slope of brightness."""
    height, width = image.shape
    marks = rng.normal(0, rng.uniform(0.5, 2), (height, 1)).repeat(width, axis=1)
    y, x = np.mgrid[:height, :width]
    slope = rng.uniform(-15, 15) * (x / width - 0.5) + rng.uniform(-15, 15) * (y / height - 0.5)
    noise = rng.normal(0, rng.uniform(2, 8), image.shape)
    return clip(image.mean() + noise + cv2.GaussianBlur(marks, (0, 0), 3) + slope)
