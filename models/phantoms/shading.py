"""What a secondary-electron detector sees of a grained surface.

Out of scope: absolute grey levels and noise, which `models.phantoms.sem` sets.
"""

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.surface import Labels

Image = npt.NDArray[np.float32]

_DOME = 0.45  # height of a grain over its edge, per equivalent radius
_STEP = 0.12  # r.m.s. height difference between grains, per mean diameter
_PORE_DEPTH = 0.6  # per mean diameter
_TEXTURE_UM = 0.25  # finer Gaussian length of the roughness; the coarser is 2.5 times it
_TEXTURE_HEIGHT = 0.45  # r.m.s. height of full roughness per finer Gaussian length
_DETECTOR = (-0.94, -0.35)  # direction (y, x) towards the detector: above, slightly left
_PROBE_PX = 0.6  # Gaussian length of the electron probe


def height_px(
    labels: Labels,
    diameter_px: float,
    pixel_size_um: float,
    roughness: float,
    rng: np.random.Generator,
) -> Image:
    """Height of the surface in pixels: domed grains at different levels, pores, roughness.

    Args:
        labels: (Y, X), 0 = pore.
        diameter_px: mean grain diameter.
        pixel_size_um: scales the roughness, whose lengths are those of the material (0.25 to
            0.6 µm, or 0.7 pixel where that is larger).
        roughness: 0 (smooth facets) to 1 (cauliflower).
        rng: source of levels and roughness.

    Returns:
        (Y, X) float32.
    """
    radius = np.sqrt(np.bincount(labels.ravel()) / np.pi).astype(np.float32)
    level = rng.normal(0, _STEP * diameter_px, len(radius)).astype(np.float32)
    rim = np.minimum(_distance_to_boundary(labels) / (0.75 * radius)[labels], 1)
    height = np.sqrt(rim * (2 - rim)) * (_DOME * radius)[labels] + level[labels]
    pore = labels == 0
    height[pore] = -_PORE_DEPTH * diameter_px
    height = _blur(height, max(0.05 * diameter_px, 0.8))
    fine_px = max(_TEXTURE_UM / pixel_size_um, 0.7)
    texture = _band_noise(labels.shape, fine_px, rng)
    texture[pore] = 0
    return height + (roughness * _TEXTURE_HEIGHT * fine_px) * texture


def secondary_electrons(
    labels: Labels, height: Image, diameter_px: float, rng: np.random.Generator
) -> Image:
    """Detector signal in arbitrary units: about 0.3 standard deviation, mean not zero.

    The sum of what makes a secondary-electron image (Goldstein et al., Scanning Electron Microscopy
    and X-Ray Microanalysis, 4th ed., ch. 3): yield rising with the slope (edges shine), the slope
    towards the detector, shadow in grooves and pores, an orientation contrast per grain, and the
    gradient of a sample that is slightly tilted.

    Args:
        labels: (Y, X), 0 = pore.
        height: (Y, X) float32 in pixels.
        diameter_px: mean grain diameter; the length over which relief casts shadow.
        rng: source of the orientation contrast.

    Returns:
        (Y, X) float32.
    """
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    cosine = 1 / np.sqrt(1 + slope_y * slope_y + slope_x * slope_x)
    # the surface normal is (-slope_y, -slope_x, 1) times the cosine
    facing = -(_DETECTOR[0] * slope_y + _DETECTOR[1] * slope_x) * cosine
    relief = (height - _local_mean(height, 0.6 * diameter_px)) / (0.35 * diameter_px)
    orientation = rng.normal(0, 0.10, int(labels.max()) + 1).astype(np.float32)
    orientation[0] = -0.15
    tilt = np.linspace(-0.07, 0.07, len(labels), dtype=np.float32)[:, None]
    signal = (1 - cosine) + 0.35 * facing + 0.6 * np.tanh(relief) + orientation[labels] + tilt
    return _blur(signal, _PROBE_PX)


def _distance_to_boundary(labels: Labels) -> Image:
    inside = np.ones(labels.shape, dtype=np.uint8)
    inside[:, :-1][labels[:, :-1] != labels[:, 1:]] = 0
    inside[:-1][labels[:-1] != labels[1:]] = 0
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5), dtype=np.float32)


def _band_noise(shape_px: tuple[int, int], fine_px: float, rng: np.random.Generator) -> Image:
    """Noise of unit standard deviation between the Gaussian lengths `fine_px` and 2.5 × that."""
    white = rng.standard_normal(shape_px, dtype=np.float32)
    band = _blur(white, fine_px) - _blur(white, 2.5 * fine_px)
    return np.asarray(band / band.std(), dtype=np.float32)


def _blur(image: Image, sigma_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), dtype=np.float32)


def _local_mean(image: Image, sigma_px: float) -> Image:
    """Two box means: about a Gaussian, at a cost that does not grow with its length."""
    side = 2 * round(sigma_px * 1.22) + 1  # variance of two boxes is (side² − 1) / 6
    return np.asarray(cv2.blur(cv2.blur(image, (side, side)), (side, side)), dtype=np.float32)
