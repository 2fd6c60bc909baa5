"""How good a network is on images that it does not learn from, and which thresholds suit it.

Out of scope: choosing those images (`star_convex.training.hold_out`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.segment.judging import THRESHOLDS, mean_f1, pooled_f1, worth
from models.segment.learner import Tuning
from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.detection import Find, finder
from models.segment.mask_rcnn.finding import PredictionOptions
from models.segment.mask_rcnn.instances import Labels, render
from models.segment.mask_rcnn.network import MaskRcnn
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.mask_rcnn.prediction import at_scale, find_instances
from models.segment.mask_rcnn.targets import known_grey
from models.segment.mask_rcnn.torch_runtime import TorchParts
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.patches import Example, Prepared, View, cut
from models.segment.star_convex.scaling import Floats, normalised

PROBABILITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
OVERLAPS = (0.3, 0.5, 0.7)

_LOWER = 0.2  # particles less probable than the threshold by this still tell what it is worth
_DEFAULT = PredictionOptions()


def validation_views(
    examples: Sequence[Prepared], config: NetworkConfig, options: TrainingOptions
) -> list[View]:
    """The same views in every epoch: of each image some, at the wanted scale, unchanged."""
    return [
        View(
            *cut(
                example,
                options.patch_px,
                config.diameter_px,
                np.random.default_rng([options.seed, image, number]),
            )
        )
        for image, example in enumerate(examples)
        for number in range(options.validation_patches)
    ]


def validate(network: MaskRcnn, views: Sequence[View]) -> tuple[float, float]:
    """F1 of the particles at an overlap over union of 0.5 and 0.75.

    Args:
        network: in evaluation mode.
        views: one or more, in whole strides.
    """
    find = finder(TorchParts(network))
    labels = []
    for view in views:
        found = find(known_grey(view), _DEFAULT.probability)
        shape = (view.image.shape[0], view.image.shape[1])
        labels.append(render(found, shape, _DEFAULT.overlap)[0])
    at_half, at_three_quarters = (pooled_f1(views, labels, threshold) for threshold in THRESHOLDS)
    return at_half, at_three_quarters


def tune(network: MaskRcnn, examples: Sequence[Example]) -> Tuning:
    """Thresholds with the best mean F1 at 0.5 and 0.75 on whole images of unknown scale.

    Args:
        network: in evaluation mode.
        examples: that it did not learn from.
    """
    return tune_finder(finder(TorchParts(network)), network.config, examples)


def tune_finder(find: Find, config: NetworkConfig, examples: Sequence[Example]) -> Tuning:
    """As `tune`, of a network that runs in any way."""
    lowest = replace(_DEFAULT, probability=min(PROBABILITIES) - _LOWER)
    seen = []
    for example in examples:
        image = normalised(example.grey)
        _, diameter = find_instances(find, config, image, _DEFAULT)
        given = config.diameter_px if diameter is None else diameter
        seen.append(at_scale(find, config, image, given, lowest))

    def drawn(
        probability: float, overlap: float
    ) -> Iterator[tuple[npt.NDArray[Any], Labels, Floats]]:
        for example, found in zip(examples, seen, strict=True):
            sure = found.take(found.probability > probability)
            shape = (example.grey.shape[0], example.grey.shape[1])
            yield example.labels, *render(sure, shape, overlap)

    _, probability, overlap = max(
        (
            mean_f1((truth, found) for truth, found, _ in drawn(probability, overlap)),
            probability,
            overlap,
        )
        for probability in PROBABILITIES
        for overlap in OVERLAPS
    )
    try:
        calibration = worth(drawn(probability - _LOWER, overlap))
    except StarConvexError:  # too few particles, or all of them right
        calibration = None
    return Tuning(probability, overlap, calibration)
