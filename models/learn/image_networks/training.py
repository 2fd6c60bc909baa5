"""Training of one network: deterministic, resumable, stopped by images of other groups.

Everything random follows from the seed, the number of the step and the place in the batch, so that
a training that was interrupted goes on to the very numbers it would have had.
Out of scope: which images train and which validate (`ensemble`), what a step does (`fitting`).
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.fitting import Fitting
from models.learn.image_networks.networks import ImageNetwork
from models.learn.image_networks.options import TrainingOptions
from models.learn.image_networks.records import EpochRecord, best_epoch, epochs_of, fingerprint
from models.learn.image_networks.scales import Prepared
from models.training.loop import Kept, Stopping, Trained, run_epochs
from models.training.threads import torch_threads
from models.training.weights import BEST

Progress = Callable[[EpochRecord], None]


def train(
    config: NetworkConfig,
    training: Sequence[Prepared],
    validation: Sequence[Prepared],
    options: TrainingOptions,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Trained[ImageNetwork, EpochRecord]:
    """Train until the validation loss has not become lower for some epochs.

    Args:
        config: of the network.
        training: images to learn from, at least one.
        validation: images of other groups that decide when to stop, at least one.
        options: see there.
        checkpoints: folder for one checkpoint after each epoch, gone on from if there is one;
            None: nothing is kept.
        progress: told about each epoch, when its checkpoint is written.

    Raises:
        ImageNetworkError: a loss that is no longer finite, or see `build_network`.
        TrainingError: a checkpoint of another training, or no such device.
        EncoderUnavailableError: see `build_network`.
    """
    with torch_threads(options.threads):
        fitting = Fitting.start(config, options, training)

        def epoch(number: int) -> EpochRecord:
            loss = fitting.epoch(number)
            checked = fitting.validation_loss(validation)
            if not math.isfinite(checked):
                raise ImageNetworkError(
                    f"the validation loss is not finite after epoch {number}: lower the learning "
                    "rate"
                )
            return EpochRecord(number, fitting.weights.learning_rate, loss, checked)

        kept = None
        if checkpoints is not None:
            first = fitting.weights.copies[BEST]
            start = {name: tensor.cpu().numpy() for name, tensor in first.items()}
            identity = fingerprint(config, options, start, training, validation)
            kept = Kept(checkpoints, identity, epochs_of)
        stopping = Stopping(options.epochs, options.patience, best_epoch)
        curve = run_epochs(fitting.weights, epoch, stopping, kept=kept, progress=progress)
        return Trained(fitting.best(), tuple(curve), best_epoch(curve))
