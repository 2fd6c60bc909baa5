"""Particles of a micrograph: scaled so that they look as in training, found, scaled back.

Out of scope: training, files.
"""

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.detection import Find
from models.segment.mask_rcnn.finding import PredictionOptions
from models.segment.mask_rcnn.instances import Instances, Labels, render
from models.segment.mask_rcnn.tiles import image_instances
from models.segment.scale_search import Look, Search, evidence, search_scale
from models.segment.star_convex.scaling import Floats, normalised, resized, scale_factor

_SEARCH = Search(least_side_px=64, power=8, close=0.3)
"""A pyramid sees particles of half or twice the size as well, so that its looks in full, half,
quarter, … size are nearly always enough. On two folds of EMPS (2026-11) F1 is 0.80 as where the
diameter is told; where every scale is corrected and the power is 4, it is 0.77. Over all folds it
is 0.86 for a closeness of 0.3 and of 0.4; at 0.4 cathodes with particles of 30 pixels were looked
at in half their size, and small particles missed."""

_LARGEST_SHARE = 0.8
"""Of an image that a particle fills: beyond, it is uneven light on no particle at all. The largest
of 3829 particles that people drew in EMPS fills 0.77."""

_LARGE_SHARE, _SURE = 0.4, 0.7
"""Share of an image from which a particle has to be so probable: a polished surface came out as a
single one at 0.61, in place of its grains. Over all folds of EMPS F1 is 0.866 with it, 0.861
without, nearly all by one image in which 40 of 43 particles are found instead of none (2026-11)."""

_WEAK = 0.5  # surer particles alone would make the scale depend on how sure they must be
_DEFAULT = PredictionOptions()


def segment_image(
    find: Find,
    config: NetworkConfig,
    grey: npt.NDArray[Any],
    options: PredictionOptions = _DEFAULT,
) -> tuple[Labels, Floats]:
    """Find the particles of a micrograph.

    Args:
        find: runs the network (`detection.finder`).
        config: of the network.
        grey: (Y, X), any real dtype, databar cropped.
        options: see there.

    Returns:
        Labels (Y, X) int32, 0 background, particles 1…N from the most probable, none overlapping;
        and (N,) float32, the network's probability of particle `label` at `label - 1`.

    Raises:
        StarConvexError: not two-dimensional, empty, or not finite throughout.
    """
    instances, _ = find_instances(find, config, normalised(grey), options)
    return render(instances, (grey.shape[0], grey.shape[1]), options.overlap)


def at_scale(
    find: Find,
    config: NetworkConfig,
    image: Floats,
    diameter_px: float,
    options: PredictionOptions = _DEFAULT,
) -> Instances:
    """Particles, in pixels of the image, found where it is scaled by a typical diameter.

    Args:
        find: runs the network (`detection.finder`).
        config: of the network.
        image: (Y, X) float32, normalised.
        diameter_px: typical of the image's particles.
        options: see there.
    """
    wanted = config.diameter_px
    factor = scale_factor(diameter_px, wanted, (image.shape[0], image.shape[1]))
    small = resized(image, factor)
    found = image_instances(find, small, config, options.probability, options.tiling)
    found = found.resized(1 / factor)
    share = found.area_px2 / image.size
    likely = (share <= _LARGE_SHARE) | (found.probability >= _SURE)
    return found.take((share <= _LARGEST_SHARE) & likely)


def find_instances(
    find: Find, config: NetworkConfig, image: Floats, options: PredictionOptions = _DEFAULT
) -> tuple[Instances, float | None]:
    """Particles, and the typical diameter that the image was scaled by; None if none is found.

    Where the diameter is not given, it is looked for (`scale_search`). Particles may overlap.

    Args:
        find: runs the network (`detection.finder`).
        config: of the network.
        image: (Y, X) float32, normalised.
        options: see there.
    """
    if options.diameter_px is not None:
        return at_scale(find, config, image, options.diameter_px, options), options.diameter_px
    weak = replace(options, probability=min(options.probability, _WEAK))

    def look(diameter: float) -> Look[Instances]:
        found = at_scale(find, config, image, diameter, weak)
        sure = found.take(found.probability > options.probability)
        speaks = evidence(
            found.area_px2, found.diameter_px, found.probability, diameter, _SEARCH.power
        )
        return Look(diameter, sure, sure.diameter_px, speaks)

    best = search_scale(look, config.diameter_px, image.shape, options.passes, _SEARCH)
    return best.found, best.diameter_px if len(best.found) else None
