"""Whether a segmentation gives the right sizes: median diameters beside the true ones.

Out of scope: diameters in micrometres and other statistics of sizes (`size_distribution`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.size_distribution import weighted_quantiles

LEAST_PARTICLES = 10
"""True particles from which on an image's median diameter is judged."""

TOLERANCE = 0.1
"""Relative error of a median diameter that is right."""


@dataclass(frozen=True, slots=True)
class SizeComparison:
    """Median equivalent diameters of true and predicted particles of one image, in pixels.

    By number each particle counts once, and that is the error to quote: it weighs particles as
    F1 does, specks taken for particles show in it, and the medians printed in papers on
    particles in micrographs are of this kind. By area (of volumes by volume) each particle counts
    by its size, so that in an image of a dozen particles the result hangs on the largest two.
    Particles that the border cuts are included: it cuts truth and prediction alike.

    Attributes:
        true_count: true particles.
        true_d50_px: half of the true particles are smaller; NaN where there is none.
        predicted_d50_px: likewise of the predicted ones.
        true_d50_area_px: half of the true area is in smaller particles.
        predicted_d50_area_px: likewise of the predicted area.
    """

    true_count: int
    true_d50_px: float
    predicted_d50_px: float
    true_d50_area_px: float
    predicted_d50_area_px: float

    @property
    def error(self) -> float:
        """Relative error of D50 by number; −1 where nothing was found, NaN where nothing is."""
        return _relative(self.predicted_d50_px, self.true_d50_px)

    @property
    def area_error(self) -> float:
        """Relative error of D50 by area, or by volume of volumes; otherwise as `error`."""
        return _relative(self.predicted_d50_area_px, self.true_d50_area_px)

    @property
    def judged(self) -> bool:
        """Whether there are true particles enough for a median that means something."""
        return self.true_count >= LEAST_PARTICLES


def compare_sizes(
    true_pixels: npt.NDArray[np.integer[Any]],
    predicted_pixels: npt.NDArray[np.integer[Any]],
    ndim: int,
) -> SizeComparison:
    """Compare median diameters of discs (balls) of the same area (volume).

    Args:
        true_pixels: (T,) pixels or voxels of each true particle.
        predicted_pixels: (P,) of each predicted one.
        ndim: 2 of images, 3 of volumes.
    """
    true, predicted = _medians(true_pixels, ndim), _medians(predicted_pixels, ndim)
    return SizeComparison(len(true_pixels), true[0], predicted[0], true[1], predicted[1])


def _medians(pixels: npt.NDArray[np.integer[Any]], ndim: int) -> tuple[float, float]:
    """Median diameter by number and by area or volume."""
    size = pixels.astype(np.float64)
    diameter = np.sqrt(4 / np.pi * size) if ndim == 2 else np.cbrt(6 / np.pi * size)
    (by_number,) = weighted_quantiles(diameter, np.ones(len(size)), (0.5,))
    (by_area,) = weighted_quantiles(diameter, size, (0.5,))
    return by_number, by_area


def _relative(predicted: float, true: float) -> float:
    if math.isnan(true):
        return math.nan
    return -1.0 if math.isnan(predicted) else predicted / true - 1
