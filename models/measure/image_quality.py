"""How good a micrograph is, as eight numbers of its grey levels.

Out of scope: cropping the databar, which comes first, and deciding what is too bad to use.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

QUALITY_CODE_VERSION = "1"

_GREY_LEVELS = np.arange(256, dtype=np.int64)
_SECOND_DIFFERENCE = np.array([1, -2, 1], dtype=np.float32)
_IMMERKAER_GAIN = 6.0  # root of the sum of the squared mask coefficients


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """Quality of one image; the names are columns of the asset `image_quality`.

    Attributes:
        brightness_mean: mean grey level, 0…255.
        contrast_std: population standard deviation of the grey level, 0…127.5.
        sharpness_laplacian: population variance of the Laplacian, grey levels squared.
        sharpness_tenengrad: mean squared Sobel gradient magnitude, grey levels squared.
        noise_std: estimated standard deviation of additive white noise, grey levels.
        saturation_fraction_low: share of pixels at grey level 0, 0…1.
        saturation_fraction_high: share of pixels at grey level 255, 0…1.
        entropy_bits: Shannon entropy of the 256-bin histogram, 0…8 bits.
    """

    brightness_mean: float
    contrast_std: float
    sharpness_laplacian: float
    sharpness_tenengrad: float
    noise_std: float
    saturation_fraction_low: float
    saturation_fraction_high: float
    entropy_bits: float


def image_quality(grey: npt.NDArray[np.uint8]) -> ImageQuality:
    """Measure brightness, contrast, sharpness, noise, saturation and entropy.

    All derivatives are exact integers; borders continue by reflection without repeating the edge
    pixel, so every measure is the same for the flipped and the rotated image up to the last bits
    of the summation.

    Args:
        grey: (Y, X) uint8, at least 3 × 3, databar cropped.

    Returns:
        The measures; each function below gives its definition and source.

    Raises:
        TypeError: if the dtype is not uint8.
        ValueError: if the array is not two-dimensional or a side is below 3 pixels.
    """
    if grey.dtype != np.uint8:
        raise TypeError(f"expected uint8 grey levels, got {grey.dtype}")
    if grey.ndim != 2 or min(grey.shape) < 3:
        raise ValueError(f"expected a (Y, X) image of at least 3 × 3, got shape {grey.shape}")
    histogram = _histogram(grey)
    mean, std = _moments(histogram)
    return ImageQuality(
        brightness_mean=mean,
        contrast_std=std,
        sharpness_laplacian=laplacian_variance(grey),
        sharpness_tenengrad=tenengrad(grey),
        noise_std=immerkaer_noise(grey),
        saturation_fraction_low=float(histogram[0] / grey.size),
        saturation_fraction_high=float(histogram[-1] / grey.size),
        entropy_bits=_entropy(histogram),
    )


def laplacian_variance(grey: npt.NDArray[np.uint8]) -> float:
    """Population variance of the image convolved with [[0, 1, 0], [1, −4, 1], [0, 1, 0]].

    Source: Pech-Pacheco et al., ICPR 2000, "Diatom autofocusing in brightfield microscopy".
    """
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1, borderType=cv2.BORDER_REFLECT_101)
    _, std = cv2.meanStdDev(laplacian)
    return float(std[0, 0] ** 2)


def tenengrad(grey: npt.NDArray[np.uint8]) -> float:
    """Mean of Gx² + Gy², with G the 3 × 3 Sobel responses (not divided by 8), no threshold.

    Source: Krotkov 1987, Int. J. Computer Vision 1, 223; the mean instead of the sum makes images
    of different size comparable.
    """
    total = 0.0
    for dx, dy in ((1, 0), (0, 1)):
        gradient = cv2.Sobel(grey, cv2.CV_16S, dx, dy, ksize=3, borderType=cv2.BORDER_REFLECT_101)
        total += cv2.norm(gradient, cv2.NORM_L2SQR)
    return float(total / grey.size)


def immerkaer_noise(grey: npt.NDArray[np.uint8]) -> float:
    """Standard deviation of white Gaussian noise, estimated over all but the border pixels.

    σ = √(π/2) · mean |I ∗ N| / 6 with N = [[1, −2, 1], [−2, 4, −2], [1, −2, 1]], which passes over
    everything that is linear in y or in x. Texture finer than about 4 pixels counts as noise, so
    the value is an upper bound on textured surfaces.

    Source: Immerkær 1996, Computer Vision and Image Understanding 64, 300, eq. 4.
    """
    response = cv2.sepFilter2D(grey, cv2.CV_16S, _SECOND_DIFFERENCE, _SECOND_DIFFERENCE)
    inner = response[1:-1, 1:-1]
    mean_absolute = cv2.norm(inner, cv2.NORM_L1) / inner.size
    return float(math.sqrt(math.pi / 2) * mean_absolute / _IMMERKAER_GAIN)


def _histogram(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    # not cv2.calcHist: it counts in float32, which stops at 2**24 pixels
    return np.bincount(grey.ravel(), minlength=256)


def _moments(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean and population standard deviation, from exact integer sums."""
    count = int(histogram.sum())
    first = int(histogram @ _GREY_LEVELS)
    second = int(histogram @ _GREY_LEVELS**2)
    return first / count, math.sqrt(count * second - first * first) / count


def _entropy(histogram: npt.NDArray[np.int64]) -> float:
    """−Σ p log₂ p over the occupied bins (Shannon 1948)."""
    share = histogram[histogram > 0] / histogram.sum()
    return abs(float(-(share * np.log2(share)).sum()))  # abs: a single bin gives −0.0
