"""A star-convex network as a learner: images with labels in, network with thresholds out.

Out of scope: the training itself (`training`). torch is imported where something is trained.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.learn.learner import CannotLearnError, Curve, TargetKind
from models.segment.learner import Progress, set_aside
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import PUBLISHED, Kind, NetworkConfig, StarConvexError
from models.segment.star_convex.finding import PredictionOptions

if TYPE_CHECKING:
    from models.segment.star_convex.network import StarConvexNetwork
    from models.segment.star_convex.options import TrainingOptions
    from models.segment.star_convex.patches import Example
    from models.segment.star_convex.records import EpochRecord

_BELOW = 0.1  # particles less probable than the threshold by this still tell what it is worth
_CURVES = ("loss", "validation_loss", "f1_50", "f1_75")


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
        for name in ("phantoms", "validation_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise StarConvexError(f"{name} is {getattr(self, name)}: take a share, 0…1")

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

        own = {field.name for field in dataclasses.fields(TrainingOptions)}
        given = {key: value for key, value in dataclasses.asdict(self).items() if key in own}
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
            return _tuned(
                trained.network, trained.curve, trained.best_epoch, validation, self, seed
            )
        except StarConvexError as error:
            raise CannotLearnError(str(error)) from error


@dataclass(frozen=True, slots=True, eq=False)
class FittedStarConvex:
    """A trained network with what suits it.

    Attributes:
        network: in evaluation mode.
        probability: least of a particle.
        overlap: that two particles may share.
        calibration: what its probability is worth; None where too few particles could tell.
        curve: a record for each epoch.
        best_epoch: whose weights these are, from 1.
        validation_images: that chose all of this.
    """

    network: "StarConvexNetwork"
    probability: float
    overlap: float
    calibration: Calibration | None
    curve: tuple["EpochRecord", ...]
    best_epoch: int
    validation_images: int

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """Thresholds and epoch."""
        return {
            "probability": self.probability,
            "overlap": self.overlap,
            "epoch": float(self.best_epoch),
        }

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Losses of training and validation, F1 of the validation at 0.5 and 0.75."""
        epochs = tuple(float(record.epoch) for record in self.curve)
        return tuple(
            Curve(name, epochs, tuple(float(getattr(record, name)) for record in self.curve))
            for name in _CURVES
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Who chose the thresholds, and whether confidences mean anything."""
        return set_aside(self.validation_images, calibrated=self.calibration is not None)

    def labels(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Particles of an image (Y, X) as labels (Y, X) from 1, 0 is background."""
        from models.segment.star_convex.prediction import segment_image  # noqa: PLC0415
        from models.segment.star_convex.torch_runtime import torch_forward  # noqa: PLC0415

        options = PredictionOptions(probability=self.probability, overlap=self.overlap)
        forward = torch_forward(self.network)
        return segment_image(forward, self.network.config, grey, options=options).labels

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The weights."""
        return {
            name: tensor.cpu().contiguous().numpy()
            for name, tensor in self.network.state_dict().items()
        }

    def settings(self) -> dict[str, Any]:
        """Configuration, thresholds and calibration, as cards of networks hold them."""
        worth = self.calibration or Calibration()
        return {
            "network": dataclasses.asdict(self.network.config),
            "thresholds": [self.probability, self.overlap],
            "calibration": [worth.slope, worth.intercept],
        }


def _tuned(
    network: "StarConvexNetwork",
    curve: tuple["EpochRecord", ...],
    best_epoch: int,
    validation: Sequence["Example"],
    learner: StarConvexLearner,
    seed: int,
) -> FittedStarConvex:
    from models.segment.star_convex.patches import prepare  # noqa: PLC0415
    from models.segment.star_convex.torch_runtime import torch_forward  # noqa: PLC0415
    from models.segment.star_convex.validation import (  # noqa: PLC0415
        calibration,
        choose_probability,
        choose_thresholds,
        validation_patches,
    )

    config, options = network.config, learner.options(seed)
    patches = validation_patches(prepare(validation), config, options)
    overlap = choose_thresholds(network, patches)[1]
    forward = torch_forward(network)
    probability = choose_probability(forward, config, validation, overlap)
    lower = PredictionOptions(probability=probability - _BELOW, overlap=overlap)
    try:
        worth = calibration(forward, config, validation, lower)
    except StarConvexError:  # too few particles, or all of them right
        worth = None
    return FittedStarConvex(
        network, probability, overlap, worth, curve, best_epoch, len(validation)
    )
