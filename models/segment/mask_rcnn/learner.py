"""Mask R-CNN as a learner: images with labels in, network with thresholds out.

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
from models.segment.mask_rcnn.config import PUBLISHED, NetworkConfig
from models.segment.star_convex.config import StarConvexError
from models.training.errors import TrainingError

if TYPE_CHECKING:
    from models.segment.mask_rcnn.options import TrainingOptions
    from models.segment.mask_rcnn.records import EpochRecord
    from models.segment.star_convex.patches import Example


@dataclass(frozen=True, slots=True)
class MaskRcnnLearner:
    """Parameters of a training of a Mask R-CNN.

    Attributes:
        published: the published network on a ResNet, which needs `weights`; else a smaller one on
            the packaged backbone.
        weights: local file with ImageNet weights of the backbone; None: the packaged ones.
        epochs: at most.
        steps: batches in an epoch.
        batch: patches in a batch.
        patch_px: side of a patch, a multiple of 32.
        learning_rate: at first; 1e-3 as published, for trainings of many hours.
        final_learning_rate: at last; 1e-4 as published.
        patience: epochs without a better validation after which training ends.
        phantoms: share of synthetic patches in place of real ones, 0…1.
        validation_fraction: of the images, by group, which stop the training and tune thresholds.
        device: of torch.
        threads: of torch on a CPU; the outcome depends on them in the last bits.
    """

    published: bool = False
    weights: str | None = None
    epochs: int = 32
    steps: int = 50
    batch: int = 4
    patch_px: int = 192
    learning_rate: float = 3e-2
    final_learning_rate: float = 3e-3
    patience: int = 16
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
        return PUBLISHED if self.published else NetworkConfig()

    def options(self, seed: int) -> "TrainingOptions":
        """The same as the training takes them."""
        from models.segment.mask_rcnn.options import TrainingOptions  # noqa: PLC0415
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
    ) -> "FittedMaskRcnn":
        """Train, then tune thresholds and calibration on images that were not learnt from.

        Raises:
            CannotLearnError: a single group, unusable images, no weights of the backbone, or a
                training that diverged.
        """
        from models.encode.backbones import EncoderUnavailableError  # noqa: PLC0415
        from models.segment.mask_rcnn.training import train  # noqa: PLC0415
        from models.segment.mask_rcnn.validation import tune  # noqa: PLC0415
        from models.segment.star_convex.training import hold_out  # noqa: PLC0415

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
            return FittedMaskRcnn(
                trained.network,
                tune(trained.network, validation),
                trained.curve,
                trained.best_epoch,
                len(validation),
            )
        except (StarConvexError, TrainingError, EncoderUnavailableError) as error:
            raise CannotLearnError(str(error)) from error


class FittedMaskRcnn(FittedNetwork):
    """A trained Mask R-CNN."""

    CURVES = ("loss", "proposal_loss", "region_loss", "mask_loss", "f1_50", "f1_75")

    def labels(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Particles of an image (Y, X) as labels (Y, X) from 1, 0 is background."""
        from models.segment.mask_rcnn.detection import finder  # noqa: PLC0415
        from models.segment.mask_rcnn.finding import PredictionOptions  # noqa: PLC0415
        from models.segment.mask_rcnn.prediction import segment_image  # noqa: PLC0415
        from models.segment.mask_rcnn.torch_runtime import TorchParts  # noqa: PLC0415

        options = PredictionOptions(
            probability=self.tuning.probability, overlap=self.tuning.overlap
        )
        return segment_image(finder(TorchParts(self.network)), self.network.config, grey, options)[
            0
        ]
