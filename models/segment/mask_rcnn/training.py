"""Training of a Mask R-CNN: deterministic, resumable, stopped by images of other groups.

Everything random follows from the seed and the number of the step, so that a training that was
interrupted goes on to the very numbers it would have had.
Out of scope: what a step and an epoch's end do (`fitting`, `validation`).
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from models.segment.mask_rcnn.config import MaskRcnnError, NetworkConfig
from models.segment.mask_rcnn.fitting import Fitting
from models.segment.mask_rcnn.network import MaskRcnn
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.mask_rcnn.records import EpochRecord, best_epoch, epochs_of, fingerprint
from models.segment.mask_rcnn.validation import validate, validation_views
from models.segment.star_convex.patches import Example, prepare
from models.segment.star_convex.training import refuse_shared_groups
from models.training.loop import Kept, Stopping, Trained, run_epochs
from models.training.threads import torch_threads

Progress = Callable[[EpochRecord], None]


def train(
    config: NetworkConfig,
    training: Sequence[Example],
    validation: Sequence[Example],
    options: TrainingOptions,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Trained[MaskRcnn, EpochRecord]:
    """Train until F1 in validation has not become better for some epochs.

    Args:
        config: of the network; its backbone starts from ImageNet weights.
        training: images to learn from; none: phantoms alone.
        validation: images that decide when to stop, of groups that are not in `training`.
        options: see there.
        checkpoints: folder for one checkpoint after each epoch, gone on from if there is one;
            None: nothing is kept.
        progress: told about each epoch.

    Raises:
        StarConvexError: images that cannot be used, a group on both sides, or a loss that is no
            longer finite.
        TrainingError: a checkpoint of another training, or no such device.
        EncoderUnavailableError: see `build_network`.
    """
    refuse_shared_groups(training, validation)
    with torch_threads(options.threads):
        fitting = Fitting.start(config, options, prepare(training))
        views = validation_views(prepare(validation), config, options)

        def epoch(number: int) -> EpochRecord:
            losses = fitting.epoch(number)
            if not math.isfinite(losses[0]):
                raise MaskRcnnError(
                    f"the loss is not finite after epoch {number}: lower the learning rate"
                )
            checked = validate(fitting.network.eval(), views)
            return EpochRecord(number, fitting.weights.learning_rate, *losses, *checked)

        kept = None
        if checkpoints is not None:
            identity = fingerprint(config, options, training, validation)
            kept = Kept(checkpoints, identity, epochs_of)
        stopping = Stopping(options.epochs, options.patience, best_epoch)
        curve = run_epochs(fitting.weights, epoch, stopping, kept=kept, progress=progress)
        return Trained(fitting.best(), tuple(curve), best_epoch(curve))
