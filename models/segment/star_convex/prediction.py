"""Particles of a micrograph: scaled so that they look as in training, found, scaled back.

Out of scope: training, files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    render,
    suppress,
)
from models.segment.star_convex.tiles import Forward, image_candidates

_CLOSE = 0.1  # relative change of the typical diameter below which it counts as found
_OCTAVE = 0.5
_ENLARGED = 2.0  # at most, where the diameter is estimated: four times the pixels, and the time
_EVIDENCE_POWER = 4
_KEPT_EVIDENCE = 0.2  # share of it that a corrected scale must keep
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

    Where the diameter is not given, the image is looked at in full, half, quarter, … size. The
    scale starts from the size with the most evidence (`evidence`) and follows the median diameter
    found, until that changes by less than a tenth or most of the evidence is gone; an image is
    enlarged twice at most.

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

    def look(diameter: float) -> _Look:
        shapes = at_scale(forward, config, image, diameter, weak)
        sure = shapes.take(shapes.probability > options.probability)
        return _Look(diameter, sure, evidence(shapes, diameter))

    best = max((look(diameter) for diameter in _octaves(config, image)), key=lambda at: at.evidence)
    least = config.diameter_px / _ENLARGED
    for _ in range(options.passes if len(best.shapes) else 0):
        found = max(float(np.median(best.shapes.diameter_px)), least)
        if abs(found / best.diameter_px - 1) < _CLOSE:
            break
        corrected = look(found)
        if not len(corrected.shapes) or corrected.evidence < _KEPT_EVIDENCE * best.evidence:
            break
        best = corrected
    return best.shapes, best.diameter_px if len(best.shapes) else None


def evidence(shapes: Shapes, diameter_px: float) -> float:
    """How much speaks for a scale: the area of all shapes, weighted by their probability.

    By its fourth power, since texture that is seen too large makes many shapes, hardly any of them
    sure; and less the farther a shape is from the size that the network is trained for, as a
    Gaussian of one octave.

    Args:
        shapes: found at the scale, the improbable ones too.
        diameter_px: that the image was scaled by.
    """
    octaves = np.log2(np.maximum(shapes.diameter_px, 1e-3) / diameter_px)
    weight = shapes.probability.astype(np.float64) ** _EVIDENCE_POWER
    return float((shapes.area_px2 * weight) @ np.exp(-0.5 * octaves**2))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is seen at one scale."""

    diameter_px: float
    shapes: Shapes
    evidence: float


def _octaves(config: NetworkConfig, image: Floats) -> Iterator[float]:
    """Typical diameters for which the image is taken in full, half, quarter, … size."""
    factor = 1.0
    while factor == 1.0 or factor * max(image.shape) >= LEAST_SIDE_PX:
        yield config.diameter_px / factor
        factor *= _OCTAVE
