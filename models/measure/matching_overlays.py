"""Pictures of a segmentation beside the truth: outlines of both over the image.

Out of scope: outlines of one label image in colours of its particles (`overlays`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.measure.arrays import check_same_shape, parse_label_image
from models.measure.overlays import Picture, outline_overlay

TRUTH_COLOUR = (60, 220, 90)
PREDICTION_COLOUR = (255, 80, 200)
BOTH_COLOUR = (255, 240, 130)

_FACES = ndimage.generate_binary_structure(2, 1)


def comparison_overlay(
    truth: npt.NDArray[np.integer[Any]],
    predicted: npt.NDArray[np.integer[Any]],
    grey: npt.NDArray[Any] | None = None,
) -> Picture:
    """Draw the outermost pixels of true particles green and of predicted ones pink, of both yellow.

    Args:
        truth: (Y, X) integers, 0 is background.
        predicted: the same shape.
        grey: (Y, X) grey levels; None draws on black.

    Returns:
        (Y, X, 3) uint8 RGB.

    Raises:
        InvalidVolumeError: the arrays do not fit together or are no label images.
    """
    true, found = parse_label_image(truth), parse_label_image(predicted)
    check_same_shape(true.shape, found.shape, "prediction")
    canvas = np.zeros(true.shape, np.uint8) if grey is None else grey
    check_same_shape(true.shape, canvas.shape, "image")
    picture = outline_overlay(canvas, np.zeros(true.shape, np.uint8))
    true_edge, found_edge = (_outline(labels) for labels in (true, found))
    picture[true_edge] = TRUTH_COLOUR
    picture[found_edge] = PREDICTION_COLOUR
    picture[true_edge & found_edge] = BOTH_COLOUR
    return picture


def _outline(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Outermost pixels of particles; of two that touch, both have them."""
    highest = ndimage.maximum_filter(labels, footprint=_FACES, mode="nearest")
    lowest = ndimage.minimum_filter(labels, footprint=_FACES, mode="nearest")
    edge: npt.NDArray[np.bool_] = (highest != lowest) & (labels > 0)
    return edge
