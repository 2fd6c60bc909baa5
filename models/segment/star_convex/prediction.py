"""Particles of a micrograph: scaled so that they look as in training, found, scaled back.

Out of scope: training, files.
"""

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from models.segment.scale_search import Look, Search, evidence, search_scale
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.refinement import refine
from models.segment.star_convex.scaling import LEAST_SIDE_PX, normalised, resized, scale_factor
from models.segment.star_convex.shapes import (
    Floats,
    Segmentation,
    Shapes,
    render,
    suppress,
)
from models.segment.star_convex.tiles import Forward, image_candidates

_SEARCH = Search(least_side_px=LEAST_SIDE_PX, power=4, close=0.1)
_WEAK = 0.5  # surer shapes alone would make the scale depend on how sure they must be

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

    Where the diameter is not given, it is looked for (`scale_search`).

    Args:
        forward: runs the network.
        config: of the network.
        image: (Y, X) float32, normalised.
        options: see there.
    """
    if options.diameter_px is not None:
        given = options.diameter_px
        return at_scale(forward, config, image, given, options), given
    weak = replace(options, probability=min(options.probability, _WEAK))

    def look(diameter: float) -> Look[Shapes]:
        shapes = at_scale(forward, config, image, diameter, weak)
        sure = shapes.take(shapes.probability > options.probability)
        speaks = evidence(
            shapes.area_px2, shapes.diameter_px, shapes.probability, diameter, _SEARCH.power
        )
        return Look(diameter, sure, sure.diameter_px, speaks)

    best = search_scale(look, config.diameter_px, image.shape, options.passes, _SEARCH)
    return best.found, best.diameter_px if len(best.found) else None
