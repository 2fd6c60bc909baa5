"""Train the star-convex network for tomograms on phantoms alone, and save it.

Training and validation volumes are drawn from different seeds; nothing real is seen. Out of scope:
how good it is on volumes (`view_fusion.py`).
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from common import REPOSITORY, Record, publish
from star_convex_emps import say

SIZES = {"default": {}, "small": {"decoder_filters": (64, 48, 32)}}
VALIDATION = range(10_000, 10_008)
STEPS = 50
LEARNING_RATE = 1e-3

SHIPPED = REPOSITORY / "models" / "segment" / "weights" / "sections"
TOLD: Record = {
    "title": "Particles in sections of X-ray tomograms of electrodes",
    "use": "Instance labels of active-material particles, cracked ones whole, in sections of "
    "tomograms, and by view fusion in volumes. Not for electron micrographs.",
    "training_data": [
        {
            "name": "phantom electrodes",
            "licence": "made by this project: cracked and touching particles, binder of a similar "
            "grey, noise, low contrast, rings, current collector, edge of the reconstruction",
        }
    ],
    "backbone": "tf_efficientnet_lite0 with ImageNet weights (Apache-2.0)",
    "licence": "Apache-2.0",
    "limits": [
        "No real tomogram was learnt from. On the one real slice looked at, outlines are rounder "
        "than the particles and a few small ragged ones are missed.",
        "One typical size is assumed of a volume: give diameter_px where the estimate fails.",
        "Particles that the edge of the reconstruction cuts may come out in pieces.",
    ],
}


def main() -> None:
    """Train, choose thresholds, save, publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for the network")
    parser.add_argument("--volumes", type=int, default=48, help="to learn from")
    parser.add_argument("--epochs", type=int, default=24, help=f"of {STEPS} steps")
    parser.add_argument("--size", choices=tuple(SIZES), default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ship", action="store_true", help="write what is in --folder to --out")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.ship:
        ship(arguments.folder / "network", arguments.out)
        return
    trained, told = learn(arguments)
    size = save(arguments.folder, trained.network, told)
    best = trained.curve[trained.best_epoch - 1]
    row = {
        "network": trained.network.config.name,
        "minutes": told["minutes of training"],
        "epoch": trained.best_epoch,
        "F1 50": best.f1_50,
        "F1 75": best.f1_75,
        "probability": told["thresholds"][0],
        "overlap": told["thresholds"][1],
        "MB": size / 1e6,
    }
    publish("train_slices", "Sections of phantom volumes, validation", [row], told)


def learn(arguments: argparse.Namespace) -> tuple[Any, Record]:
    """The training's outcome, and what to tell about it."""
    from models.segment.star_convex.config import NetworkConfig
    from models.segment.star_convex.options import TrainingOptions
    from models.segment.star_convex.patches import Augmentation, prepare
    from models.segment.star_convex.slices import slice_examples
    from models.segment.star_convex.training import train
    from models.segment.star_convex.validation import choose_thresholds, validation_patches

    config = NetworkConfig(**SIZES[arguments.size])
    start = time.perf_counter()
    training = slice_examples(range(arguments.volumes), count=6)
    validation = slice_examples(VALIDATION, count=2)
    drawn = time.perf_counter()
    print(f"{len(training)} sections to learn from, drawn in {drawn - start:.0f} s", flush=True)
    options = TrainingOptions(
        epochs=arguments.epochs,
        steps=STEPS,
        patch_px=160,
        learning_rate=LEARNING_RATE,
        patience=arguments.epochs,
        validation_patches=1,
        augmentation=Augmentation(scale=1.8, phantoms=0, print=0, background=0.05, invert=0.1),
        seed=arguments.seed,
        threads=arguments.threads,
    )
    checkpoints = arguments.folder / "checkpoints"
    trained = train(config, training, validation, options, checkpoints=checkpoints, progress=say)
    minutes = (time.perf_counter() - drawn) / 60
    patches = validation_patches(prepare(validation), config, options)
    return trained, {
        "training": f"{len(training)} sections of {arguments.volumes} phantom electrodes",
        "validation": f"{len(validation)} sections of {len(VALIDATION)} others",
        "options": asdict(options),
        "minutes of training": minutes,
        "best epoch": trained.best_epoch,
        "thresholds": choose_thresholds(trained.network, patches),
        "curve": [asdict(record) for record in trained.curve],
    }


def ship(folder: Path, out: Path) -> None:
    """Write a trained network with the card that comes along, tuned on validation sections.

    What confidences in volumes are worth belongs to the weights before, and goes with them.
    """
    from models.segment.star_convex.artefact import load_artefact, save_artefact
    from models.segment.star_convex.slices import slice_examples
    from models.segment.star_convex.validation import tune_probability

    network, card = load_artefact(folder)
    validation = slice_examples(VALIDATION, count=2)
    worth = tune_probability(network, validation, card["thresholds"][1]).as_card()
    told = {key: card[key] for key in card if key not in ("kind", "format", "network")}
    save_artefact(out, network, {**TOLD, **told, **worth}, half=True)
    print(f"written to {out}; calibrate its volumes: calibrate_volumes.py --network {out} --ship")


def save(folder: Path, network: Any, told: Record) -> int:
    """Write the network in half precision; returns the bytes of its weights."""
    from models.segment.star_convex.artefact import save_artefact
    from models.segment.star_convex.card import WEIGHTS_NAME

    save_artefact(folder / "network", network, told, half=True)
    return (folder / "network" / WEIGHTS_NAME).stat().st_size


if __name__ == "__main__":
    main()
