"""How a Mask R-CNN is trained.

Out of scope: training. Nothing here imports torch.
"""

import math
from dataclasses import dataclass, field

from models.segment.mask_rcnn.config import STRIDE, MaskRcnnError
from models.segment.star_convex.patches import Augmentation


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything that decides the outcome besides network and images.

    Epochs, rates and momentum are as published (Jiang et al., Nat. Commun. 11, 2310 (2020),
    supplement, note 2); in between the rate falls by the same factor each step.

    Attributes:
        epochs: at most.
        steps: batches in an epoch.
        batch: patches in a batch.
        patch_px: side of a patch, a multiple of 32.
        learning_rate: of the first step after `warmup`. Trainings of under an hour want 1e-2.
        final_learning_rate: of the last step.
        warmup: steps over which the learning rate rises.
        momentum: of the stochastic gradient descent.
        weight_decay: likewise.
        gradient_norm: gradients are shortened to it.
        patience: epochs without a better validation after which training ends.
        validation_patches: of each validation image.
        augmentation: of training patches.
        weights: local file with ImageNet weights of the backbone; None: the packaged ones.
        seed: of everything random.
        device: of torch.
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    epochs: int = 150
    steps: int = 50
    batch: int = 4
    patch_px: int = 256
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    warmup: int = 50
    momentum: float = 0.9
    weight_decay: float = 1e-4
    gradient_norm: float = 5.0
    patience: int = 30
    validation_patches: int = 2
    augmentation: Augmentation = field(default_factory=Augmentation)
    weights: str | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        for name in ("epochs", "steps", "batch", "patience", "validation_patches", "threads"):
            if getattr(self, name) < 1:
                raise MaskRcnnError(f"{name} is {getattr(self, name)}: take at least 1")
        if self.patch_px < STRIDE or self.patch_px % STRIDE:
            raise MaskRcnnError(f"patch_px is {self.patch_px}: take a multiple of {STRIDE}")
        if not 0 < self.final_learning_rate <= self.learning_rate:
            raise MaskRcnnError(
                f"learning rates {self.learning_rate} to {self.final_learning_rate}: take the "
                "first as the larger one, both above 0"
            )
        if not 0 <= self.momentum < 1:
            raise MaskRcnnError(f"momentum is {self.momentum}: take 0 up to 1")

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        done = step / max(self.epochs * self.steps - 1, 1)
        fall = math.pow(self.final_learning_rate / self.learning_rate, done)
        return self.learning_rate * rise * fall
