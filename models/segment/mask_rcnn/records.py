"""What a training says about itself: a record for each epoch, and what it was made from.

Out of scope: training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.segment.fingerprints import examples_fingerprint
from models.segment.mask_rcnn.config import TRAINING_CODE_VERSION, NetworkConfig
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.star_convex.patches import Example


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of a learning curve.

    Attributes:
        epoch: from 1.
        learning_rate: at its end.
        loss: of the training patches, mean of the epoch: the sum of the following.
        proposal_loss: of objectness and boxes of proposals.
        region_loss: of class and boxes of regions.
        mask_loss: binary cross-entropy of the masks.
        f1_50: particles of the validation views found at an overlap over union of 0.5.
        f1_75: likewise at 0.75.
    """

    epoch: int
    learning_rate: float
    loss: float
    proposal_loss: float
    region_loss: float
    mask_loss: float
    f1_50: float
    f1_75: float

    @property
    def score(self) -> float:
        """Mean of F1 at 0.5 and 0.75."""
        return (self.f1_50 + self.f1_75) / 2


def epochs_of(records: Sequence[Mapping[str, Any]]) -> list[EpochRecord]:
    """Records read back from JSON."""
    return [EpochRecord(**record) for record in records]


def best_epoch(curve: Sequence[EpochRecord]) -> int:
    """Epoch of the best mean F1 at 0.5 and 0.75 in validation, of equals the lowest loss."""
    return max(curve, key=lambda record: (record.score, -record.loss)).epoch


def fingerprint(
    config: NetworkConfig,
    options: TrainingOptions,
    training: Sequence[Example],
    validation: Sequence[Example],
) -> str:
    """SHA-256 in hex over all that decides a training's outcome."""
    settings = (TRAINING_CODE_VERSION, asdict(config), asdict(options))
    return examples_fingerprint(settings, training, validation)
