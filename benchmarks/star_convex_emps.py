"""The star-convex network on EMPS: trained on four folds, scored on the fifth, beside watershed.

Validation images, which stop the training and choose the thresholds, are of papers of the four
folds that are not trained on. One run does one fold with one seed; `--pool` puts together what
runs have written. Out of scope: folds (`emps_folds.py`), other methods (`emps.py`).
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, Record, publish, real_data
from emps import SHOWN
from emps_folds import FOLDS, Scene, read_scenes

HELD_OUT = 0.12  # of the training images, for validation
SPENT_ON_STEPS = 0.93  # of the minutes; the rest goes into validation
STEPS = 50
LEARNING_RATE = 1e-3  # for trainings of under an hour; 3e-4 as published takes longer
NAME = "star_convex_emps_fold{fold}_seed{seed}"
SUMS = ("true_positives", "false_positives", "false_negatives")

Segment = Callable[[Scene], Any]


def main() -> None:
    """Train, score and publish; or pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=25, help="of training")
    parser.add_argument("--epochs", type=int, help="of 50 steps, instead of minutes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kind", choices=("encoder", "unet"), default="encoder")
    parser.add_argument(
        "--folder", type=Path, help="for checkpoints and the network; one there is scored"
    )
    parser.add_argument("--pool", action="store_true", help="pool the folds in results/")
    arguments = parser.parse_args()
    if arguments.pool:
        pool()
        return
    torch.set_num_threads(arguments.threads)
    scenes = read_scenes(real_data() / "emps")
    network, told = kept(arguments.folder) or learn(scenes, arguments)
    tested = [scene for scene in scenes if scene.fold == arguments.fold]
    rows, images = score(tested, methods(network, tuple(told["thresholds"])))
    told["images"] = images
    title = f"EMPS, fold {arguments.fold} of {FOLDS}, seed {arguments.seed}: {len(tested)} images"
    publish(NAME.format(fold=arguments.fold, seed=arguments.seed), title, rows, told)


def learn(scenes: Sequence[Scene], arguments: argparse.Namespace) -> tuple[Any, Record]:
    """The trained network, and what to tell about it: thresholds, options, curve."""
    from dataclasses import asdict

    from models.segment.star_convex.artefact import save_artefact
    from models.segment.star_convex.config import PUBLISHED, NetworkConfig
    from models.segment.star_convex.options import TrainingOptions
    from models.segment.star_convex.patches import Example, prepare
    from models.segment.star_convex.torch_runtime import torch_forward
    from models.segment.star_convex.training import hold_out, train
    from models.segment.star_convex.validation import choose_thresholds, validation_patches

    examples = [
        Example(scene.grey, scene.truth, scene.paper)
        for scene in scenes
        if scene.fold != arguments.fold
    ]
    config = PUBLISHED if arguments.kind == "unet" else NetworkConfig()
    training, validation = hold_out(examples, HELD_OUT, arguments.seed)
    options = TrainingOptions(
        epochs=arguments.epochs or 1,
        steps=STEPS,
        learning_rate=LEARNING_RATE,
        seed=arguments.seed,
        threads=arguments.threads,
    )
    if not arguments.epochs:
        options = _for_minutes(arguments.minutes, config, options, prepare(training))
    start = time.perf_counter()
    checkpoints = arguments.folder / "checkpoints" if arguments.folder else None
    trained = train(config, training, validation, options, checkpoints=checkpoints, progress=say)
    minutes = (time.perf_counter() - start) / 60
    patches = validation_patches(prepare(validation), config, options)
    overlap = choose_thresholds(trained.network, patches)[1]
    whole = torch_forward(trained.network), config
    told: Record = {
        "network": config.name,
        "options": asdict(options),
        "training images": len(training),
        "validation images": len(validation),
        "minutes of training": minutes,
        "best epoch": trained.best_epoch,
        **tuned(whole, validation, overlap),
        "curve": [asdict(record) for record in trained.curve],
    }
    if arguments.folder:
        card = {key: value for key, value in told.items() if key != "network"}
        save_artefact(arguments.folder / "network", trained.network, card)
    return trained.network, told


def tuned(network: tuple[Any, Any], validation: Sequence[Any], overlap: float) -> Record:
    """Thresholds and calibration, by whole images that were not learnt from."""
    from models.segment.star_convex.finding import PredictionOptions
    from models.segment.star_convex.validation import calibration, choose_probability

    probability = choose_probability(*network, validation, overlap)
    lower = PredictionOptions(probability=probability - 0.1, overlap=overlap)
    worth = calibration(*network, validation, lower)
    return {
        "thresholds": [probability, overlap],
        "calibration": [worth.slope, worth.intercept],
    }


def kept(folder: Path | None) -> tuple[Any, Record] | None:
    """The network that an earlier run left in a folder, with what it told; None without one."""
    from models.segment.star_convex.artefact import load_artefact

    if folder is None or not (folder / "network").is_dir():
        return None
    network, card = load_artefact(folder / "network")
    return network, {key: card[key] for key in card if key not in ("kind", "format")} | {
        "network": network.config.name
    }


def methods(network: Any, thresholds: tuple[float, float]) -> dict[str, Segment]:
    """Ways to segment an image, by name."""
    from dataclasses import replace

    from models.segment.star_convex.finding import PredictionOptions
    from models.segment.star_convex.prediction import segment_image
    from models.segment.star_convex.targets import typical_diameter_px
    from models.segment.star_convex.torch_runtime import torch_forward
    from models.segment.watershed import segment_image as watershed

    forward = torch_forward(network)
    chosen = PredictionOptions(probability=thresholds[0], overlap=thresholds[1])

    def found(scene: Scene, options: PredictionOptions) -> Any:
        return segment_image(forward, network.config, scene.grey, options=options).labels

    return {
        "star-convex": lambda scene: found(scene, chosen),
        "star-convex, refined": lambda scene: found(scene, replace(chosen, refine=True)),
        "star-convex, diameter told": lambda scene: found(
            scene, replace(chosen, diameter_px=typical_diameter_px(scene.truth))
        ),
        "watershed": lambda scene: watershed(scene.grey),
    }


def score(
    scenes: Sequence[Scene], by_name: dict[str, Segment]
) -> tuple[list[Record], dict[str, list[Record]]]:
    """A row for each method, and a row for each image of each."""
    from models.measure.matching import evaluate
    from models.measure.matching_summary import image_row, pooled_row

    rows, images = [], {}
    for name, segment in by_name.items():
        evaluations, seconds = [], []
        for scene in scenes:
            start = time.perf_counter()
            labels = segment(scene)
            seconds.append(time.perf_counter() - start)
            evaluations.append(evaluate(scene.truth, labels))
        row = pooled_row(evaluations)
        shown = {heading: row[key] for key, heading in SHOWN.items()}
        rows.append({"method": name, **shown, "ms": 1e3 * float(np.median(seconds))})
        images[name] = [
            {"image": scene.name, **image_row(evaluation)}
            for scene, evaluation in zip(scenes, evaluations, strict=True)
        ]
    return rows, images


def pool() -> None:
    """Sum the counts of all folds that were run, for each seed and method."""
    runs = [
        (path.stem.rsplit("_seed", 1)[1], json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(RESULTS.glob(NAME.format(fold="*", seed="*") + ".json"))
    ]
    rows = []
    for seed in sorted({seed for seed, _ in runs}):
        of_seed = [run for number, run in runs if number == seed]
        for method in of_seed[0]["images"]:
            images = [image for run in of_seed for image in run["images"][method]]
            rows.append({"seed": seed, "method": method, **_pooled(images)})
    publish("star_convex_emps", f"EMPS pooled over {len(runs)} runs", rows)


def _pooled(images: Sequence[Record]) -> Record:
    row: Record = {"images": len(images)}
    for percent in (50, 75):
        true, spurious, missed = (
            sum(image[f"{name}_{percent}"] for image in images) for name in SUMS
        )
        row[f"precision {percent}"] = true / max(true + spurious, 1)
        row[f"recall {percent}"] = true / max(true + missed, 1)
        row[f"F1 {percent}"] = 2 * true / max(2 * true + spurious + missed, 1)
    judged = [image["d50_error"] for image in images if image["true_particles"] >= 10]
    row["D50 in 10 %"] = float(np.mean(np.abs(judged) <= 0.1)) if judged else None
    return row


def _for_minutes(minutes: float, config: Any, options: Any, examples: Any) -> Any:
    """As many epochs as fit, by the time that a few steps take."""
    from dataclasses import replace

    from models.segment.star_convex.fitting import Fitting

    fitting = Fitting.start(config, replace(options, steps=6), examples)
    fitting.epoch(1)
    start = time.perf_counter()
    fitting.epoch(2)
    seconds = (time.perf_counter() - start) / 6
    epochs = max(round(60 * minutes * SPENT_ON_STEPS / (seconds * options.steps)), 1)
    return replace(options, epochs=epochs, patience=max(epochs // 2, 8))


def say(record: Any) -> None:
    """Print an epoch as soon as it is done."""
    print(
        f"epoch {record.epoch}: loss {record.loss:.3f}, validation {record.validation_loss:.3f}, "
        f"F1 {record.f1_50:.3f} at 0.5, {record.f1_75:.3f} at 0.75",
        flush=True,
    )


if __name__ == "__main__":
    main()
