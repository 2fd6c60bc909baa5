"""Outlines by grey levels: pixels of a shape that look like what surrounds it are taken away.

Out of scope: shapes (`shapes`); a threshold of the whole image (`models.segment.foreground`).
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as connected_components

from models.segment.star_convex.shapes import Floats, Labels, renumbered

Mask = npt.NDArray[np.bool_]

_RIM = 0.25  # of the equivalent radius: outer band of a shape that may be taken away
_SURROUNDINGS = 0.4  # of the radius: band around it whose background is compared with
_LEAST_PIXELS = 12  # on either side, for a median that means something
_LEAST_CONTRAST = 2.0  # of the medians, in standard deviations of the grey levels on either side


def refine(grey: npt.NDArray[Any], labels: Labels, confidence: Floats) -> tuple[Labels, Floats]:
    """Threshold the rim of each shape half way between its core and the background around it.

    Li et al. (2022, supplement, p. 3) remove "pixels that were predicted … to be outside of
    particles through simple intensity thresholding". Here each shape has a threshold of its own,
    the core is never touched, and shapes that hardly differ from their surroundings stay as they
    are. What comes apart keeps its largest piece.

    Args:
        grey: (Y, X).
        labels: (Y, X) int32, 0…N.
        confidence: (N,).

    Returns:
        Labels and confidences, numbered anew.
    """
    smooth = np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0), np.float32)
    refined = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        radius = math.sqrt(float((labels[box] == number).sum()) / math.pi)
        window = _grown(box, math.ceil(_SURROUNDINGS * radius) + 2, labels.shape)
        removed = _removed(smooth[window], labels[window], number, radius)
        refined[window][removed] = 0
    return renumbered(refined, confidence)


def _removed(grey: Floats, labels: Labels, number: int, radius: float) -> Mask:
    """Pixels of one shape to take away, in a window around it."""
    mask = labels == number
    inside = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask)
    core: Mask = np.asarray(inside > _RIM * radius)
    around: Mask = (labels == 0) & (outside <= _SURROUNDINGS * radius + 2) & (outside > 1)
    nothing: Mask = np.zeros(mask.shape, dtype=np.bool_)
    if min(core.sum(), around.sum()) < _LEAST_PIXELS:
        return nothing
    middle, background = float(np.median(grey[core])), float(np.median(grey[around]))
    spread = max(float(grey[core].std()), float(grey[around].std()), 1e-6)
    if abs(middle - background) < _LEAST_CONTRAST * spread:
        return nothing
    threshold = 0.5 * (middle + background)
    alike = (grey > threshold) == (middle > background)
    kept = ndimage.binary_fill_holes(_largest(core | (mask & alike))) & mask
    return np.asarray(mask & ~kept, dtype=np.bool_)


def _largest(mask: Mask) -> Mask:
    pieces = connected_components(mask, connectivity=1)  # type: ignore[no-untyped-call]
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax(), dtype=np.bool_)


def _grown(box: tuple[slice, ...], margin: int, shape_px: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, side))
        for part, side in zip(box, shape_px, strict=True)
    )
