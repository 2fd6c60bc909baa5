"""A star-convex network as a learner: images with labels in, network with thresholds out.

Out of scope: the training itself (`training`). torch is imported where something is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.learn.learner import CannotLearnError, TargetKind
from models.progress import Progress
from models.segment.learner import FittedNetwork, parameters_of, refuse_shares
from models.segment.star_convex.config import PUBLISHED, Kind, NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions
from models.training.errors import TrainingError

if TYPE_CHECKING:
    from models.segment.star_convex.options import TrainingOptions
    from models.segment.star_convex.patches import Example
    from models.segment.star_convex.records import EpochRecord


@dataclass(frozen=True, slots=True)
class StarConvexLearner:
    """Parameters of a training of a star-convex network.

    Attributes:
        network: "encoder" on a pretrained backbone, or the published "unet".
        epochs: at most.
        steps: batches in an epoch.
        batch: patches in a batch.
        patch_px: side of a patch, a multiple of the network's stride.
        learning_rate: highest; 3e-4 as published, for trainings of many hours.
        patience: epochs without a better validation after which training ends.
        phantoms: share of synthetic patches in place of real ones, 0…1.
        validation_fraction: of the images, by group, which stop the training and tune thresholds.
        device: of torch.
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    network: Kind = "encoder"
    epochs: int = 18
    steps: int = 50
    batch: int = 12
    patch_px: int = 192
    learning_rate: float = 1e-3
    patience: int = 10
    phantoms: float = 0.25
    validation_fraction: float = 0.12
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        self.options(0)
        refuse_shares(self, "phantoms", "validation_fraction")

    @property
    def kind(self) -> TargetKind:
        """What it predicts."""
        return "particles"

    @property
    def config(self) -> NetworkConfig:
        """The network."""
        return PUBLISHED if self.network == "unet" else NetworkConfig()

    def options(self, seed: int) -> "TrainingOptions":
        """The same as the training takes them."""
        from models.segment.star_convex.options import TrainingOptions  # noqa: PLC0415
        from models.segment.star_convex.patches import Augmentation  # noqa: PLC0415

        given = parameters_of(self, TrainingOptions)
        return TrainingOptions(
            **given, seed=seed, augmentation=Augmentation(phantoms=self.phantoms)
        )

    def fit(
        self,
        examples: Sequence["Example"],
        seed: int,
        *,
        checkpoints: Path | None = None,
        progress: Progress | None = None,
    ) -> "FittedStarConvex":
        """Train, then tune thresholds and calibration on images that were not learnt from.

        Raises:
            CannotLearnError: a single group, unusable images, or a training that diverged.
        """
        from models.segment.star_convex.training import hold_out, train  # noqa: PLC0415
        from models.segment.star_convex.validation import tune  # noqa: PLC0415

        def told(record: "EpochRecord") -> None:
            if progress is not None:
                progress(record.epoch, self.epochs)

        try:
            training, validation = hold_out(examples, self.validation_fraction, seed)
            trained = train(
                self.config,
                training,
                validation,
                self.options(seed),
                checkpoints=checkpoints,
                progress=told,
            )
            return FittedStarConvex(
                trained.network,
                tune(trained.network, validation, self.options(seed)),
                trained.curve,
                trained.best_epoch,
                len(validation),
            )
        except (StarConvexError, TrainingError) as error:
            raise CannotLearnError(str(error)) from error


class FittedStarConvex(FittedNetwork):
    """A trained star-convex network."""

    CURVES = ("loss", "validation_loss", "f1_50", "f1_75")

    def labels(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Particles of an image (Y, X) as labels (Y, X) from 1, 0 is background."""
        from models.segment.star_convex.prediction import segment_image  # noqa: PLC0415
        from models.segment.star_convex.torch_runtime import torch_forward  # noqa: PLC0415

        options = PredictionOptions(
            probability=self.tuning.probability, overlap=self.tuning.overlap
        )
        forward = torch_forward(self.network)
        return segment_image(forward, self.network.config, grey, options=options).labels
