"""How a network from a micrograph to a number is trained.

Out of scope: training. Nothing here imports torch.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from models.learn.image_networks.config import LEAST_CROP_PX, ImageNetworkError

Optimiser = Literal["adam", "adamw"]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything that decides the outcome besides network and images.

    Crop, flips and the squared error are as published (Murakami et al. 2025); the paper leaves
    optimiser, rates, batch and epochs to its supplement.

    Attributes:
        epochs: at most; an epoch shows every training image once.
        batch: images in a step.
        crop_px: side of the square that is cut out of each image, 512 in the paper.
        learning_rate: at its highest.
        warmup: steps over which it rises; from there it falls to 0 as half a cosine.
        optimiser: Adam (Kingma and Ba 2015), or with decoupled decay (Loshchilov and Hutter 2019).
        weight_decay: of the weights.
        gradient_norm: gradients are shortened to it.
        patience: epochs without a lower validation loss after which training ends.
        fine_tune: whether a pretrained backbone is trained too, or the last layer alone.
        weights: local file with weights of the pretrained backbone; None: the packaged ones.
        mixed: convolutions in bfloat16: half the time for the baseline on processors that have it.
        seed: of everything random.
        device: of torch; trainings are repeatable to the bit on "cpu".
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    epochs: int = 30
    batch: int = 8
    crop_px: int = 512
    learning_rate: float = 1e-3
    warmup: int = 10
    optimiser: Optimiser = "adam"
    weight_decay: float = 0.0
    gradient_norm: float = 5.0
    patience: int = 10
    fine_tune: bool = True
    weights: str | None = None
    mixed: bool = False
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        for name in ("epochs", "batch", "patience", "threads"):
            if getattr(self, name) < 1:
                raise ImageNetworkError(f"{name} is {getattr(self, name)}: take at least 1")
        if self.crop_px < LEAST_CROP_PX:
            raise ImageNetworkError(f"crop_px is {self.crop_px}: take at least {LEAST_CROP_PX}")
        for name in ("learning_rate", "gradient_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ImageNetworkError(f"{name} is {getattr(self, name)}: take more than 0")
        if self.optimiser not in get_args(Optimiser):
            raise ImageNetworkError(f"optimiser is {self.optimiser!r}: choose adam or adamw")
        for name in ("weight_decay", "warmup"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ImageNetworkError(f"{name} is {getattr(self, name)}: take at least 0")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step, from 0.

        Args:
            step: of the whole training.
            steps: that the whole training has at most.
        """
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / steps))
