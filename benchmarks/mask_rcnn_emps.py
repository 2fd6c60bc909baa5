"""Mask R-CNN on EMPS: trained on four folds, scored on the fifth, beside watershed.

Validation images, which stop the training and choose the thresholds, are of papers of the four
folds that are not trained on, as for the star-convex network. One run does one fold with one seed;
`--pool` puts together what runs have written.
Out of scope: folds (`emps_folds.py`), scores (`emps_networks.py`), other methods (`emps.py`).
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from common import Record, real_data
from emps_folds import Scene, read_scenes
from emps_networks import (
    Segment,
    divided,
    epochs_that_fit,
    network_arguments,
    pool,
    publish_fold,
)

STEPS, TRIED = 50, 6
PATCH_PX = 192  # as for the star-convex network: most micrographs are smaller than 256 px
LEARNING_RATES = 3e-2, 3e-3  # for trainings of under an hour; 1e-3 to 1e-4 as published take longer
NAME = "mask_rcnn_emps"


def main() -> None:
    """Train, score and publish; or pool."""
    arguments = network_arguments(__doc__).parse_args()
    if arguments.pool:
        pool(NAME)
        return
    torch.set_num_threads(arguments.threads)
    scenes = read_scenes(real_data() / "emps")
    network, told = kept(arguments.folder) or learn(scenes, arguments)
    publish_fold(NAME, arguments, scenes, told, methods(network, tuple(told["thresholds"])))


def learn(scenes: Sequence[Scene], arguments: argparse.Namespace) -> tuple[Any, Record]:
    """The trained network, and what to tell about it: thresholds, options, curve."""
    from models.segment.mask_rcnn.artefact import save_artefact
    from models.segment.mask_rcnn.config import NetworkConfig
    from models.segment.mask_rcnn.options import TrainingOptions
    from models.segment.mask_rcnn.training import train
    from models.segment.mask_rcnn.validation import tune
    from models.segment.star_convex.patches import prepare

    config = NetworkConfig()
    training, validation = divided(scenes, arguments.fold, arguments.seed)
    options = TrainingOptions(
        epochs=arguments.epochs or 1,
        steps=STEPS,
        patch_px=PATCH_PX,
        learning_rate=LEARNING_RATES[0],
        final_learning_rate=LEARNING_RATES[1],
        seed=arguments.seed,
        threads=arguments.threads,
    )
    if not arguments.epochs:
        options = _for_minutes(arguments.minutes, config, options, prepare(training))
    options = replace(options, patience=max(options.epochs // 2, 8))
    start = time.perf_counter()
    checkpoints = arguments.folder / "checkpoints" if arguments.folder else None
    trained = train(config, training, validation, options, checkpoints=checkpoints, progress=say)
    minutes = (time.perf_counter() - start) / 60
    told: Record = {
        "network": config.name,
        "options": asdict(options),
        "training images": len(training),
        "validation images": len(validation),
        "minutes of training": minutes,
        "best epoch": trained.best_epoch,
        **tune(trained.network, validation).as_card(),
        "curve": [asdict(record) for record in trained.curve],
    }
    if arguments.folder:
        card = {key: value for key, value in told.items() if key != "network"}
        save_artefact(arguments.folder / "network", trained.network, card)
    return trained.network, told


def kept(folder: Path | None) -> tuple[Any, Record] | None:
    """The network that an earlier run left in a folder, with what it told; None without one."""
    from models.segment.mask_rcnn.artefact import load_artefact

    if folder is None or not (folder / "network").is_dir():
        return None
    network, card = load_artefact(folder / "network")
    return network, {key: card[key] for key in card if key not in ("kind", "format")} | {
        "network": network.config.name
    }


def methods(network: Any, thresholds: tuple[float, float]) -> dict[str, Segment]:
    """Ways to segment an image, by name."""
    from models.segment.mask_rcnn.detection import finder
    from models.segment.mask_rcnn.finding import PredictionOptions
    from models.segment.mask_rcnn.openvino_parts import openvino_parts
    from models.segment.mask_rcnn.prediction import segment_image
    from models.segment.star_convex.targets import typical_diameter_px
    from models.segment.watershed import segment_image as watershed

    chosen = PredictionOptions(probability=thresholds[0], overlap=thresholds[1])
    find = finder(openvino_parts(network, torch.get_num_threads()))

    def found(scene: Scene, options: PredictionOptions) -> Any:
        return segment_image(find, network.config, scene.grey, options)[0]

    def told(scene: Scene) -> PredictionOptions:
        return replace(chosen, diameter_px=typical_diameter_px(scene.truth))

    return {
        "Mask R-CNN": lambda scene: found(scene, chosen),
        "Mask R-CNN, diameter told": lambda scene: found(scene, told(scene)),
        "watershed": lambda scene: watershed(scene.grey),
    }


def _for_minutes(minutes: float, config: Any, options: Any, examples: Any) -> Any:
    """As many epochs as fit, by the time that a few steps take."""
    from models.segment.mask_rcnn.fitting import Fitting

    fitting = Fitting.start(config, replace(options, steps=TRIED), examples)
    epochs = epochs_that_fit(minutes, options.steps, fitting.epoch, TRIED)
    return replace(options, epochs=epochs)


def say(record: Any) -> None:
    """Print an epoch as soon as it is done."""
    print(
        f"epoch {record.epoch}: loss {record.loss:.3f} (proposals {record.proposal_loss:.3f}, "
        f"regions {record.region_loss:.3f}, masks {record.mask_loss:.3f}), "
        f"F1 {record.f1_50:.3f} at 0.5, {record.f1_75:.3f} at 0.75",
        flush=True,
    )


if __name__ == "__main__":
    main()
