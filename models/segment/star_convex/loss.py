"""What training makes small: errors of probability and of distances.

Out of scope: the targets, the optimiser.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

DISTANCE_WEIGHT = 0.2
"""λ of Li et al. 2022, supplement."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of a batch and its two parts, each a scalar tensor.

    Attributes:
        total: what is made small.
        probability: binary cross-entropy, mean over the valid pixels.
        distance: mean absolute error in pixels, over the particles.
    """

    total: Tensor
    probability: Tensor
    distance: Tensor


def star_loss(
    logits: Tensor,
    distances: Tensor,
    true_probability: Tensor,
    true_distances: Tensor,
    valid: Tensor,
    weight: float = DISTANCE_WEIGHT,
) -> Loss:
    """Binary cross-entropy + λ · mean absolute error (Li et al. 2022, supplement, p. 3).

    Distances count in particles alone, with the true probability as weight as in StarDist's
    training (Schmidt et al. 2018, §2.2): what is said near an outline never becomes a shape.

    Args:
        logits: (N, 1, Y, X).
        distances: (N, rays, Y, X) pixels.
        true_probability: (N, 1, Y, X), 0…1.
        true_distances: (N, rays, Y, X) pixels.
        valid: (N, 1, Y, X), 0 where nothing is known, else 1.
        weight: λ.
    """
    entropy = functional.binary_cross_entropy_with_logits(
        logits, true_probability, reduction="none"
    )
    probability = (entropy * valid).sum() / valid.sum().clamp(min=1)
    error = (distances - true_distances).abs().mean(dim=1, keepdim=True)  # (N, 1, Y, X)
    share = true_probability * valid
    distance = (error * share).sum() / share.sum().clamp(min=1)
    return Loss(probability + weight * distance, probability, distance)
