"""Particles of a micrograph: scaled so that they look as in training, found, scaled back.

Out of scope: training, files.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.refinement import refine
from models.segment.star_convex.scaling import LEAST_SIDE_PX, normalised, resized, scale_factor
from models.segment.star_convex.shapes import (
    Floats,
    Segmentation,
    Shapes,
    no_shapes,
    render,
    suppress,
)
from models.segment.star_convex.tiles import Forward, image_candidates

_CLOSE = 0.1  # relative change of the typical diameter below which it counts as found
_OCTAVE = 0.5


_DEFAULT = PredictionOptions()


def segment_image(
    forward: Forward,
    config: NetworkConfig,
    grey: npt.NDArray[Any],
    *,
    options: PredictionOptions = _DEFAULT,
) -> Segmentation:
    """Find the particles of a micrograph.

    Args:
        forward: runs the network (`tiles.torch_forward`).
        config: of the network.
        grey: (Y, X), any real dtype, databar cropped.
        options: see there.

    Returns:
        Labels with a confidence each; none where nothing is found.

    Raises:
        StarConvexError: not two-dimensional, empty, or not finite throughout.
    """
    image = normalised(grey)
    shapes, diameter = find_shapes(forward, config, image, options)
    labels, confidence = render(shapes, (grey.shape[0], grey.shape[1]))
    if options.refine:
        labels, confidence = refine(grey, labels, confidence)
    return Segmentation(labels, confidence, diameter)


def at_scale(
    forward: Forward,
    config: NetworkConfig,
    image: Floats,
    diameter_px: float,
    options: PredictionOptions = _DEFAULT,
) -> Shapes:
    """Shapes, in pixels of the image, found where it is scaled by a typical diameter.

    Args:
        forward: runs the network.
        config: of the network.
        image: (Y, X) float32, normalised.
        diameter_px: typical of the image's particles.
        options: see there.
    """
    factor = scale_factor(diameter_px, config.diameter_px, (image.shape[0], image.shape[1]))
    small = resized(image, factor)
    found = image_candidates(forward, small, config, options.probability, options.tiling)
    return suppress(found, options.overlap).resized(1 / factor)


def find_shapes(
    forward: Forward,
    config: NetworkConfig,
    image: Floats,
    options: PredictionOptions = _DEFAULT,
) -> tuple[Shapes, float | None]:
    """Shapes in an image, and the typical diameter that it was scaled by; None if none is found.

    Where the diameter is not given, the image is looked at in full, half, quarter, … size. The
    scale starts from where particles cover the most, weighted by their probability and by how near
    they are to the diameter that the network is trained for. It then follows the median diameter
    found, until that changes by less than a tenth.

    Args:
        forward: runs the network.
        config: of the network.
        image: (Y, X) float32, normalised.
        options: see there.
    """
    if options.diameter_px is not None:
        given = options.diameter_px
        return at_scale(forward, config, image, given, options), given
    shapes, assumed = _best_octave(forward, config, image, options)
    for _ in range(options.passes if len(shapes) else 0):
        found = float(np.median(shapes.diameter_px))
        if abs(found / assumed - 1) < _CLOSE:
            break
        corrected = at_scale(forward, config, image, found, options)
        if not len(corrected):
            break
        shapes, assumed = corrected, found
    return shapes, assumed if len(shapes) else None


def _best_octave(
    forward: Forward, config: NetworkConfig, image: Floats, options: PredictionOptions
) -> tuple[Shapes, float]:
    """Of the full, half, quarter, … size the shapes that cover the most, and the diameter there."""
    best, assumed = no_shapes(config.rays), config.diameter_px
    most, factor = 0.0, 1.0
    while factor == 1.0 or factor * max(image.shape) >= LEAST_SIDE_PX:
        diameter = config.diameter_px / factor
        shapes = at_scale(forward, config, image, diameter, options)
        octaves = np.log2(np.maximum(shapes.diameter_px, 1e-3) / diameter)
        covered = float((shapes.area_px2 * shapes.probability) @ np.exp(-0.5 * octaves**2))
        if covered > most:
            best, assumed, most = shapes, diameter, covered
        factor *= _OCTAVE
    return best, assumed
