"""How good a network is on images that it does not learn from, and which thresholds suit it.

Out of scope: choosing those images (`training.hold_out`).
"""

from collections.abc import Sequence

import numpy as np
import torch

from models.segment.judging import THRESHOLDS, mean_f1, pooled_f1, worth
from models.segment.learner import Tuning
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.fitting import batch_loss
from models.segment.star_convex.network import StarConvexNetwork
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Example, Patch, Prepared, plain_patch, prepare
from models.segment.star_convex.prediction import segment_image
from models.segment.star_convex.shapes import Labels, Shapes, candidates, render, suppress
from models.segment.star_convex.tiles import Forward
from models.segment.star_convex.torch_runtime import torch_forward

PROBABILITIES = (0.3, 0.4, 0.5, 0.6, 0.7)
FINE_PROBABILITIES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65)
OVERLAPS = (0.3, 0.4, 0.5)

_PROBABILITY, _OVERLAP = 0.5, 0.4
_LOWER = 0.1  # particles less probable than the threshold by this still tell what it is worth


def validation_patches(
    examples: Sequence[Prepared], config: NetworkConfig, options: TrainingOptions
) -> list[Patch]:
    """The same patches in every epoch: of each image some, at the wanted scale, unchanged."""
    return [
        plain_patch(
            example, options.patch_px, config, np.random.default_rng([options.seed, image, number])
        )
        for image, example in enumerate(examples)
        for number in range(options.validation_patches)
    ]


def validate(network: StarConvexNetwork, patches: Sequence[Patch]) -> tuple[float, float, float]:
    """Loss, and F1 of the particles at an overlap over union of 0.5 and 0.75.

    Args:
        network: in evaluation mode.
        patches: one or more.
    """
    with torch.inference_mode():
        losses = [batch_loss(network, [patch]).total.item() for patch in patches]
    found = _candidates(network, patches, _PROBABILITY)
    labels = [
        _labels(shapes, patch, _OVERLAP) for shapes, patch in zip(found, patches, strict=True)
    ]
    f1 = [pooled_f1(patches, labels, threshold) for threshold in THRESHOLDS]
    return float(np.mean(losses)), f1[0], f1[1]


def choose_thresholds(network: StarConvexNetwork, patches: Sequence[Patch]) -> tuple[float, float]:
    """Least probability and allowed overlap with the best mean F1 at 0.5 and 0.75.

    Args:
        network: in evaluation mode.
        patches: of images that it did not learn from.
    """
    found = _candidates(network, patches, min(PROBABILITIES))
    best, most = (_PROBABILITY, _OVERLAP), -1.0
    for probability in PROBABILITIES:
        for overlap in OVERLAPS:
            labels = [
                _labels(shapes.take(shapes.probability > probability), patch, overlap)
                for shapes, patch in zip(found, patches, strict=True)
            ]
            score = sum(pooled_f1(patches, labels, threshold) for threshold in THRESHOLDS)
            if score > most:
                best, most = (probability, overlap), score
    return best


def choose_probability(
    forward: Forward, config: NetworkConfig, examples: Sequence[Example], overlap: float
) -> float:
    """Least probability with the best mean F1 at 0.5 and 0.75 on whole images of unknown scale.

    It differs from what suits patches of the right scale, where there is no texture that is seen
    too large.

    Args:
        forward: runs the network.
        config: of the network.
        examples: that it did not learn from.
        overlap: that two particles may share.
    """
    scores = []
    for probability in FINE_PROBABILITIES:
        options = PredictionOptions(probability=probability, overlap=overlap)
        scores.append(
            mean_f1(
                (
                    example.labels,
                    segment_image(forward, config, example.grey, options=options).labels,
                )
                for example in examples
            )
        )
    return FINE_PROBABILITIES[int(np.argmax(scores))]


def calibration(
    forward: Forward, config: NetworkConfig, examples: Sequence[Example], options: PredictionOptions
) -> Calibration:
    """What the network's probability is worth, by the particles of whole images (see `worth`).

    Args:
        forward: runs the network.
        config: of the network.
        examples: that it did not learn from.
        options: as it will be used.

    Raises:
        StarConvexError: too few particles to tell.
    """
    found = [segment_image(forward, config, example.grey, options=options) for example in examples]
    return worth(
        (example.labels, of.labels, of.confidence)
        for example, of in zip(examples, found, strict=True)
    )


def tune(
    network: StarConvexNetwork, examples: Sequence[Example], options: TrainingOptions
) -> Tuning:
    """Overlap by patches, then probability and calibration by whole images of unknown scale.

    Args:
        network: in evaluation mode.
        examples: that it did not learn from.
        options: of its training, for patches as in its validation.
    """
    patches = validation_patches(prepare(examples), network.config, options)
    overlap = choose_thresholds(network, patches)[1]
    return tune_probability(network, examples, overlap)


def tune_probability(
    network: StarConvexNetwork, examples: Sequence[Example], overlap: float
) -> Tuning:
    """The same where the overlap is given."""
    forward = torch_forward(network)
    probability = choose_probability(forward, network.config, examples, overlap)
    lower = PredictionOptions(probability=probability - _LOWER, overlap=overlap)
    try:
        found = calibration(forward, network.config, examples, lower)
    except StarConvexError:  # too few particles, or all of them right
        found = None
    return Tuning(probability, overlap, found)


def _candidates(network: StarConvexNetwork, patches: Sequence[Patch], least: float) -> list[Shapes]:
    forward = torch_forward(network)
    return [candidates(*forward(patch.image), network.config.grid, least) for patch in patches]


def _labels(shapes: Shapes, patch: Patch, overlap: float) -> Labels:
    rows, columns = patch.labels.shape
    return render(suppress(shapes, overlap), (rows, columns))[0]
