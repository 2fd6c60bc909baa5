"""Training of a star-convex network: deterministic, resumable, stopped by images of other groups.

Everything random follows from the seed and the number of the step, so that a training that was
interrupted goes on to the very numbers it would have had.
Out of scope: patches (`patches`), what a step and an epoch's end do (`fitting`, `validation`).
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.fitting import Fitting
from models.segment.star_convex.network import StarConvexNetwork
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Example, prepare
from models.segment.star_convex.records import EpochRecord, epochs_of, fingerprint
from models.segment.star_convex.validation import validate, validation_patches
from models.training.loop import Kept, Stopping, Trained, run_epochs
from models.training.threads import torch_threads

Progress = Callable[[EpochRecord], None]


def hold_out(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Divide examples into training and validation so that no group is in both.

    Args:
        examples: of two groups or more.
        share: of the examples that validate, about.
        seed: of the order of the groups.

    Raises:
        StarConvexError: a single group.
    """
    groups = sorted({example.group for example in examples})
    if len(groups) < 2:
        raise StarConvexError(
            f"the {len(examples)} images are of one group: validation needs another"
        )
    order = np.random.default_rng([seed, len(groups)]).permutation(len(groups))
    held: set[str] = set()
    for index in order[:-1]:
        if sum(example.group in held for example in examples) >= share * len(examples) and held:
            break
        held.add(groups[index])
    return (
        [example for example in examples if example.group not in held],
        [example for example in examples if example.group in held],
    )


def train(
    config: NetworkConfig,
    training: Sequence[Example],
    validation: Sequence[Example],
    options: TrainingOptions,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Trained[StarConvexNetwork, EpochRecord]:
    """Train until validation has not become better for some epochs (see `best_epoch`).

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
    with torch_threads(options.threads):
        return _train(config, training, validation, options, checkpoints, progress)


def best_epoch(curve: Sequence[EpochRecord]) -> int:
    """Epoch of the best mean F1 at 0.5 and 0.75 in validation, of equals that of the lowest loss.

    The loss alone is misleading: over ten epochs on EMPS it was lowest in the fourth, from which on
    F1 at 0.75 rose from 0.48 to 0.73 (2026-11). What it weighs most, the middle values of the
    probability, is what people who outline particles differ in.
    """
    return max(curve, key=lambda record: (record.score, -record.validation_loss)).epoch


def _train(
    config: NetworkConfig,
    training: Sequence[Example],
    validation: Sequence[Example],
    options: TrainingOptions,
    checkpoints: Path | None,
    progress: Progress | None,
) -> Trained[StarConvexNetwork, EpochRecord]:
    refuse_shared_groups(training, validation)
    identity = fingerprint(config, options, training, validation)
    fitting = Fitting.start(config, options, prepare(training))
    patches = validation_patches(prepare(validation), config, options)

    def epoch(number: int) -> EpochRecord:
        loss = fitting.epoch(number)
        checked = validate(fitting.averaged(), patches)
        record = EpochRecord(number, fitting.weights.learning_rate, *loss, *checked)
        if not math.isfinite(record.loss + record.validation_loss):
            raise StarConvexError(
                f"the loss is not finite after epoch {number}: lower the learning rate"
            )
        return record

    stopping = Stopping(options.epochs, options.patience, best_epoch)
    kept = Kept(checkpoints, identity, epochs_of) if checkpoints is not None else None
    curve = run_epochs(fitting, epoch, stopping, kept=kept, progress=progress)
    return Trained(fitting.best(), tuple(curve), best_epoch(curve))


def refuse_shared_groups(training: Sequence[Example], validation: Sequence[Example]) -> None:
    """Refuse a training that is not judged by images of other groups.

    Raises:
        StarConvexError: nothing to validate with, or a group on both sides.
    """
    if not validation:
        raise StarConvexError("no images to validate with: hold some out")
    shared = {example.group for example in training} & {example.group for example in validation}
    if shared:
        raise StarConvexError(
            f"{len(shared)} groups are in training and validation, such as {min(shared)!r}: "
            "divide by group"
        )
