"""Several networks, each stopped by other groups: K-fold validation within the training images.

As published (Murakami et al. 2025): the networks of a four-fold validation predict together. Their
outputs for the images that each of them did not learn from say how far off it may be.
Out of scope: the training of one of them (`training`), the outer folds (`models.learn.evaluation`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np

from models.learn.image_networks.config import NetworkConfig
from models.learn.image_networks.fitted import Member
from models.learn.image_networks.inference import outputs
from models.learn.image_networks.left_out import LeftOut
from models.learn.image_networks.levels import Equalise, Levels
from models.learn.image_networks.options import TrainingOptions
from models.learn.image_networks.records import EpochRecord
from models.learn.image_networks.scales import Prepared, Scales
from models.learn.image_networks.training import train
from models.learn.inner import inner_folds
from models.learn.learner import Bools, Rows
from models.progress import Progress
from models.training.threads import torch_threads

_HOLD_OUT_FOLDS = 4
"""Of which a single network takes the first: it sets a quarter of the groups aside."""


def folds_of(rows: Rows, classes: int, networks: int, seed: int) -> list[tuple[Bools, Bools]]:
    """Masks of training and validation images, one pair for each network, by group.

    Args:
        rows: of all images, in a fixed order.
        classes: which are spread evenly over the pairs; 0 for numbers.
        networks: how many; 1: a quarter of the groups validates; else at most one for each group.
        seed: of the draw.

    Raises:
        CannotLearnError: fewer than two groups.
    """
    folds = list(inner_folds(rows, classes, networks if networks > 1 else _HOLD_OUT_FOLDS, seed))
    return folds if networks > 1 else folds[:1]


def fit_members(
    rows: Rows,
    images: Sequence[Levels],
    config: NetworkConfig,
    options: TrainingOptions,
    *,
    equalise: Equalise,
    networks: int,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[Member, ...], LeftOut]:
    """Train every network.

    Args:
        rows: of all images.
        images: pixels of each row.
        config: of the networks.
        options: of the trainings; each has a seed of its own that follows from theirs.
        equalise: as the pixels were made.
        networks: see `folds_of`.
        checkpoints: folder with a folder for each network, gone on from; None: nothing is kept.
        progress: told how many epochs are done, and how many there are at most.

    Returns:
        The networks, and what each said of the images that it did not learn from.

    Raises:
        CannotLearnError: fewer than two groups.
        ImageNetworkError: see `train`, or a network whose images all have the same target.
        TrainingError: a checkpoint of another training, or no such device.
        EncoderUnavailableError: see `build_network`.
    """
    folds = folds_of(rows, config.classes, networks, options.seed)
    scales = [
        Scales.fit(rows.of(training), list(compress(images, training)), config.classes)
        for training, _ in folds
    ]
    members, found = [], []
    for number, ((training, validation), scale) in enumerate(zip(folds, scales, strict=True), 1):
        held = _prepared(rows, images, validation, scale, equalise)

        def told(record: EpochRecord, number: int = number) -> None:
            if progress is not None:
                done = (number - 1) * options.epochs + record.epoch
                progress(done, len(folds) * options.epochs)

        trained = train(
            config,
            _prepared(rows, images, training, scale, equalise),
            held,
            replace(options, seed=_seed(options.seed, number)),
            checkpoints=None if checkpoints is None else checkpoints / f"network-{number}",
            progress=told,
        )
        members.append(Member(trained.network, scale, trained.curve, trained.best_epoch))
        with torch_threads(options.threads):
            found.append(scale.back(outputs(trained.network, held, options.crop_px)))
    left_out = [np.flatnonzero(validation) for _, validation in folds]
    judged = np.concatenate(left_out)
    return tuple(members), LeftOut(np.concatenate(found), rows.target[judged], rows.weight[judged])


def _prepared(
    rows: Rows, images: Sequence[Levels], chosen: Bools, scales: Scales, equalise: Equalise
) -> list[Prepared]:
    some = rows.of(chosen)
    return [
        scales.prepare(image, x, equalise, float(target), float(weight))
        for image, x, target, weight in zip(
            compress(images, chosen), some.x, some.target, some.weight, strict=True
        )
    ]


def _seed(seed: int, number: int) -> int:
    """Of the network of a number, from 1."""
    return int(np.random.default_rng([seed, number]).integers(2**31))
