"""Learners of images as learners of rows: a row is the place of its image, then its descriptors.

So folds, metrics, predictions and artefacts of models that look at pixels are those of all models.
Out of scope: the networks (`models.learn.image_networks`), reading images (`.over_images`).
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graindex.originals import Grey8
from graindex.progress import report
from models.learn.image_networks.config import ImageNetworkError
from models.learn.image_networks.fitted import FittedImageNetworks
from models.learn.image_networks.learner import ImageExample, ImageRegression
from models.learn.learner import Curve, Floats, Prediction, Rows, TargetKind

_SETTINGS = "settings"


@dataclass(frozen=True, slots=True, eq=False)
class FittedOverImages:
    """Trained networks, and the images that rows may name.

    Attributes:
        networks: they predict together.
        images: N images (Y, X); none where the networks were just restored.
    """

    networks: FittedImageNetworks
    images: Sequence[Grey8] = ()

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """Architecture, networks, noise and epochs."""
        return self.networks.chosen

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Losses over epochs."""
        return self.networks.curves

    def seeing(self, images: Sequence[Grey8]) -> "FittedOverImages":
        """The same for rows that name these images."""
        return dataclasses.replace(self, images=images)

    def predict(self, x: Floats) -> Prediction:
        """Predictions for rows (N, 1 + D): place of an image, and descriptors."""
        own = [self.images[int(place)] for place in x[:, 0]]
        return self.networks.predict(own, x[:, 1:])

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and scales, and beside them the settings as bytes of JSON."""
        text = json.dumps(self.networks.settings(), sort_keys=True)
        settings = np.frombuffer(text.encode(), np.uint8)
        return {**self.networks.tensors(), _SETTINGS: settings}


@dataclass(frozen=True, slots=True, eq=False)
class OverImages:
    """A learner of images, and the images that rows name.

    Attributes:
        learner: learns from images.
        images: N images (Y, X).
        checkpoints: folder to go on from where a training was interrupted; None: none.
        name: of the model, for its progress.
    """

    learner: ImageRegression
    images: Sequence[Grey8] = ()
    checkpoints: Path | None = None
    name: str = ""

    @property
    def kind(self) -> TargetKind:
        """What the images are to tell."""
        return self.learner.kind

    def fit(self, rows: Rows, classes: int = 0, seed: int = 0) -> FittedOverImages:
        """Train on rows (N, 1 + D): place of an image, and descriptors.

        Raises:
            CannotLearnError: images or descriptors that nothing can be learned from.
        """
        examples = [
            ImageExample(self.images[int(row[0])], row[1:], target, str(group), weight)
            for row, target, group, weight in zip(
                rows.x,
                rows.target.tolist(),
                rows.groups.tolist(),
                rows.weight.tolist(),
                strict=True,
            )
        ]
        folder = None
        if self.checkpoints is not None:
            which = np.ascontiguousarray(rows.x[:, 0]).tobytes()
            folder = self.checkpoints / hashlib.sha256(which).hexdigest()[:16]
        told = partial(report, f"train {self.name} on {len(examples)} images")
        fitted = self.learner.fit(
            examples, seed, classes=classes, checkpoints=folder, progress=told
        )
        return FittedOverImages(fitted, self.images)

    def restore(self, tensors: Mapping[str, npt.NDArray[Any]]) -> FittedOverImages:
        """The networks whose `tensors()` these are; `seeing` gives them images.

        Raises:
            KeyError: a tensor is missing.
        """
        settings = json.loads(tensors[_SETTINGS].tobytes())
        own = {name: tensor for name, tensor in tensors.items() if name != _SETTINGS}
        try:
            return FittedOverImages(FittedImageNetworks.restore(own, settings))
        except ImageNetworkError as error:
            raise KeyError(str(error)) from error


def placed(descriptors: Floats) -> Floats:
    """(N, 1 + D) places 0, 1, … before descriptors (N, D)."""
    return np.column_stack([np.arange(len(descriptors), dtype=float), descriptors])
