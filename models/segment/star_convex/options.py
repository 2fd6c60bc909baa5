"""How a star-convex network is trained.

Out of scope: training. Nothing here imports torch.
"""

from dataclasses import dataclass, field

from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.patches import Augmentation


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything that decides the outcome besides network and images.

    Attributes:
        epochs: at most; the learning rate falls to zero over all of them as a cosine.
        steps: batches in an epoch.
        batch: patches in a batch.
        patch_px: side of a patch, a multiple of the network's stride; 256 as published, but with
            particles of 30 pixels most micrographs are smaller than that.
        learning_rate: highest, reached after `warmup` steps; 3e-4 as published.
        warmup: steps over which the learning rate rises.
        weight_decay: of AdamW.
        gradient_norm: gradients are shortened to it.
        averaging: share of the old in the running mean of the weights, which is what is validated
            and kept; 0: the weights as they are.
        patience: epochs without a better validation after which training ends.
        frozen_blocks: of a pretrained backbone, which stay as they are, with its stem.
        mixed: convolutions in bfloat16 where it pays.
        validation_patches: of each validation image.
        augmentation: of training patches.
        seed: of everything random.
        device: of torch.
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    epochs: int = 40
    steps: int = 50
    batch: int = 12
    patch_px: int = 192
    learning_rate: float = 3e-4
    warmup: int = 50
    weight_decay: float = 1e-4
    gradient_norm: float = 5.0
    averaging: float = 0.99
    patience: int = 10
    frozen_blocks: int = 2
    mixed: bool = True
    validation_patches: int = 2
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        for name in ("epochs", "steps", "batch", "patience", "validation_patches", "threads"):
            if getattr(self, name) < 1:
                raise StarConvexError(f"{name} is {getattr(self, name)}: take at least 1")
        if self.patch_px < 32 or not self.learning_rate > 0 or not 0 <= self.averaging < 1:
            raise StarConvexError(
                f"patch_px {self.patch_px}, learning_rate {self.learning_rate}, averaging "
                f"{self.averaging}: take at least 32, more than 0, and 0 up to 1"
            )
