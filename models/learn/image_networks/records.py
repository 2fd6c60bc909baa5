"""What a training says about itself: a record for each epoch, and what it was made from.

Out of scope: training.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.learn.image_networks.config import TRAINING_CODE_VERSION, NetworkConfig
from models.learn.image_networks.options import TrainingOptions
from models.learn.image_networks.scales import Prepared


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of a learning curve.

    Attributes:
        epoch: from 1.
        learning_rate: at its end.
        loss: mean squared error of the standardised target, or mean cross-entropy of the class,
            over the training views.
        validation_loss: the same over the middles of the validation images.
    """

    epoch: int
    learning_rate: float
    loss: float
    validation_loss: float


def epochs_of(records: Sequence[Mapping[str, Any]]) -> list[EpochRecord]:
    """Records read back from JSON."""
    return [EpochRecord(**record) for record in records]


def best_epoch(curve: Sequence[EpochRecord]) -> int:
    """Epoch of the lowest validation loss, of equals the first."""
    return min(curve, key=lambda record: record.validation_loss).epoch


def fingerprint(
    config: NetworkConfig,
    options: TrainingOptions,
    start: Mapping[str, npt.NDArray[Any]],
    training: Sequence[Prepared],
    validation: Sequence[Prepared],
) -> str:
    """SHA-256 in hex over all that decides a training's outcome.

    Args:
        config: of the network.
        options: of the training.
        start: the network's tensors before the first step, a backbone's weights among them.
        training: images to learn from.
        validation: images that decide when to stop.
    """
    settings = (TRAINING_CODE_VERSION, asdict(config), asdict(options))
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in start.items():
        _add(digest, name, tensor)
    for name, images in (("training", training), ("validation", validation)):
        for image in images:
            numbers = (image.mean, image.deviation, image.target, image.weight)
            _add(digest, f"{name} {numbers}", image.pixels)
            _add(digest, "descriptors", image.descriptors)
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, array: npt.NDArray[Any]) -> None:
    digest.update(f"{name} {array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
