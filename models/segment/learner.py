"""What networks that find particles have in common: images with labels in, a network to keep.

Out of scope: single networks (`models.segment.star_convex.learner`), where images come from.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from models.learn.learner import Curve, TargetKind

if TYPE_CHECKING:
    from models.segment.star_convex.patches import Example

Progress = Callable[[int, int], None]
"""Told how many epochs are done, and how many there are at most."""


def set_aside(images: int, *, calibrated: bool) -> tuple[str, ...]:
    """What a person should know of the images that validated a training.

    Args:
        images: how many.
        calibrated: whether they told what a probability is worth.
    """
    notes = [f"{images} images, set aside by group, stopped the training and chose the thresholds"]
    if not calibrated:
        notes.append(
            "too few particles were set aside to tell what a probability is worth: confidences "
            "are the network's own probabilities"
        )
    return tuple(notes)


class FittedNetwork(Protocol):
    """A trained network that finds particles."""

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """What the training chose: thresholds, epoch and the like."""
        ...

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Learning curves over epochs from 1."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of this training."""
        ...

    def labels(self, grey: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Particles of an image (Y, X) as labels (Y, X) from 1, 0 is background."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The weights."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything beside the weights that finding particles needs, fit for JSON."""
        ...


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
