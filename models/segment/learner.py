"""What networks that find particles have in common: images with labels in, a network to keep.

Out of scope: single networks (`models.segment.star_convex.learner`), where images come from.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from models.learn.learner import Curve, TargetKind
from models.progress import Progress
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import StarConvexError

if TYPE_CHECKING:
    from models.segment.star_convex.patches import Example


@dataclass(frozen=True, slots=True)
class Tuning:
    """What suits a network, by images that it did not learn from.

    Attributes:
        probability: least of a particle.
        overlap: that two particles may share.
        calibration: what its probability is worth; None where too few particles could tell.
    """

    probability: float
    overlap: float
    calibration: Calibration | None

    def as_card(self) -> dict[str, list[float]]:
        """The same as cards of networks hold it."""
        worth = self.calibration or Calibration()
        return {
            "thresholds": [self.probability, self.overlap],
            "calibration": [worth.slope, worth.intercept],
        }


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetwork(ABC):
    """A trained network that finds particles, with what suits it.

    Attributes:
        network: of torch, in evaluation mode, with a `config` that is a dataclass.
        tuning: thresholds and calibration.
        curve: a record for each epoch, a dataclass with `epoch` from 1.
        best_epoch: whose weights these are, from 1.
        validation_images: that chose all of this.
    """

    network: Any
    tuning: Tuning
    curve: Sequence[Any]
    best_epoch: int
    validation_images: int

    CURVES: ClassVar[tuple[str, ...]]
    """Fields of the records that make curves."""

    @abstractmethod
    def labels(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Particles of an image (Y, X) as labels (Y, X) from 1, 0 is background."""

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """Thresholds and epoch."""
        return {
            "probability": self.tuning.probability,
            "overlap": self.tuning.overlap,
            "epoch": float(self.best_epoch),
        }

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Learning curves over epochs from 1."""
        epochs = tuple(float(record.epoch) for record in self.curve)
        return tuple(
            Curve(name, epochs, tuple(float(getattr(record, name)) for record in self.curve))
            for name in self.CURVES
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Who chose the thresholds, and whether confidences mean anything."""
        notes = [
            f"{self.validation_images} images, set aside by group, stopped the training and chose "
            "the thresholds"
        ]
        if self.tuning.calibration is None:
            notes.append(
                "too few particles were set aside to tell what a probability is worth: confidences "
                "are the network's own probabilities"
            )
        return tuple(notes)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The weights."""
        return {
            name: tensor.cpu().contiguous().numpy()
            for name, tensor in self.network.state_dict().items()
        }

    def settings(self) -> dict[str, Any]:
        """Configuration, thresholds and calibration, as cards of networks hold them."""
        return {"network": dataclasses.asdict(self.network.config), **self.tuning.as_card()}


def refuse_shares(learner: Any, *names: str) -> None:
    """Refuse parameters of a learner that are no shares.

    Raises:
        StarConvexError: one lies outside of 0…1.
    """
    for name in names:
        if not 0 <= getattr(learner, name) <= 1:
            raise StarConvexError(f"{name} is {getattr(learner, name)}: take a share, 0…1")


def parameters_of(learner: Any, options: type[Any]) -> dict[str, Any]:
    """Parameters of a learner that options of a training have too, by name.

    Args:
        learner: a dataclass.
        options: a dataclass.
    """
    own = {field.name for field in dataclasses.fields(options)}
    return {key: value for key, value in dataclasses.asdict(learner).items() if key in own}


class NetworkLearner(Protocol):
    """A network with the parameters of its training, not yet trained."""

    @property
    def kind(self) -> TargetKind:
        """What it predicts: particles."""
        ...

    def fit(
        self,
        examples: Sequence["Example"],
        seed: int,
        *,
        checkpoints: Path | None = None,
        progress: Progress | None = None,
    ) -> FittedNetwork:
        """Train; some groups of the examples are set aside to stop it and to tune thresholds.

        Args:
            examples: images with all their particles, of two groups or more.
            seed: of everything random; the same one gives the same network.
            checkpoints: folder to go on from where a training was interrupted.
            progress: told about epochs.

        Raises:
            CannotLearnError: these images do not allow a training; one line.
        """
        ...
