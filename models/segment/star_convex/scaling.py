"""Grey levels and sizes as the network wants them.

Out of scope: finding out the typical diameter (`prediction`).
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.segment.star_convex.config import StarConvexError

Floats = npt.NDArray[np.float32]

LEAST_SIDE_PX = 96
"""The longer side of an image is not scaled below this: one large particle needs surroundings."""

LARGEST_FACTOR = 4.0
"""Images are not enlarged by more: there is nothing to see."""

PERCENTILES = (1.0, 99.8)
"""Of the grey levels that become 0 and 1."""


def normalised(grey: npt.NDArray[Any]) -> Floats:
    """Grey levels with the 1st percentile at 0 and the 99.8th at 1, cut at −0.5 and 1.5.

    Args:
        grey: (Y, X) numbers, finite.

    Raises:
        StarConvexError: not two-dimensional, empty, or not finite throughout.
    """
    if grey.ndim != 2 or grey.size == 0:
        raise StarConvexError(f"an image of shape {grey.shape}: give one of (Y, X), not empty")
    pixels = grey.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise StarConvexError("the image holds values that are not finite: replace them")
    low, high = np.percentile(pixels, PERCENTILES)
    span = max(float(high - low), 1e-6)
    return np.asarray(np.clip((pixels - low) / span, -0.5, 1.5), dtype=np.float32)


def scale_factor(diameter_px: float, wanted_px: float, shape_px: tuple[int, int]) -> float:
    """Factor by which an image is scaled so that its particles have the wanted diameter.

    Args:
        diameter_px: typical diameter in the image.
        wanted_px: as the network wants it.
        shape_px: (Y, X); the longer side stays at least 96 pixels, or as it is.
    """
    least = min(LEAST_SIDE_PX / max(shape_px), 1.0)
    return float(min(max(wanted_px / diameter_px, least), LARGEST_FACTOR))


def resized(image: Floats, factor: float) -> Floats:
    """An image scaled by a factor, at least one pixel a side."""
    rows, columns = (max(round(side * factor), 1) for side in image.shape)
    if (rows, columns) == image.shape:
        return image
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=how), dtype=np.float32)
