"""What benchmarks of networks on EMPS have in common: images to learn from, scores, pooling.

Out of scope: networks (`star_convex_emps.py`, `mask_rcnn_emps.py`), folds (`emps_folds.py`).
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, Record, publish
from emps import SHOWN
from emps_folds import FOLDS, Scene

HELD_OUT = 0.12  # of the training images, for validation
SPENT_ON_STEPS = 0.93  # of the minutes; the rest goes into validation
SUMS = ("true_positives", "false_positives", "false_negatives")

Segment = Callable[[Scene], Any]


def network_arguments(description: str | None) -> argparse.ArgumentParser:
    """What every such benchmark is asked."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=25, help="of training")
    parser.add_argument("--epochs", type=int, help="of 50 steps, instead of minutes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="for checkpoints and the network; one there is scored"
    )
    parser.add_argument("--pool", action="store_true", help="pool the folds in results/")
    return parser


def divided(scenes: Sequence[Scene], fold: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Examples to learn from and to validate with, none of the fold, no paper on both sides."""
    from models.segment.star_convex.patches import Example
    from models.segment.star_convex.training import hold_out

    examples = [
        Example(scene.grey, scene.truth, scene.paper) for scene in scenes if scene.fold != fold
    ]
    return hold_out(examples, HELD_OUT, seed)


def epochs_that_fit(minutes: float, steps: int, epoch: Callable[[int], Any], tried: int) -> int:
    """As many epochs as fit, by the time that a few steps take.

    Args:
        minutes: of training and validation.
        steps: of an epoch.
        epoch: trains for an epoch of `tried` steps.
        tried: steps, after as many to warm up.
    """
    epoch(1)
    start = time.perf_counter()
    epoch(2)
    seconds = (time.perf_counter() - start) / tried
    return max(round(60 * minutes * SPENT_ON_STEPS / (seconds * steps)), 1)


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


def publish_fold(
    name: str, arguments: argparse.Namespace, scenes: Sequence[Scene], told: Record, by_name: Any
) -> None:
    """Score methods on the images of a fold and write what they say."""
    tested = [scene for scene in scenes if scene.fold == arguments.fold]
    rows, images = score(tested, by_name)
    fold, seed = arguments.fold, arguments.seed
    title = f"EMPS, fold {fold} of {FOLDS}, seed {seed}: {len(tested)} images"
    publish(f"{name}_fold{fold}_seed{seed}", title, rows, told | {"images": images})


def pool(name: str) -> None:
    """Sum the counts of all folds that were run, for each seed and method."""
    runs = [
        (path.stem.rsplit("_seed", 1)[1], json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(RESULTS.glob(f"{name}_fold*_seed*.json"))
    ]
    rows = []
    for seed in sorted({seed for seed, _ in runs}):
        of_seed = [run for number, run in runs if number == seed]
        for method in of_seed[0]["images"]:
            images = [image for run in of_seed for image in run["images"][method]]
            rows.append({"seed": seed, "method": method, **_pooled(images)})
    publish(name, f"EMPS pooled over {len(runs)} runs", rows)


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
