"""Methods side by side on EMPS: 162 micrographs of particles outlined by hand, in five folds.

A method is a function `image, image_number -> labels`, made once from all scenes; the number says
which fold the image is in, so that a method that learns can use what it learnt from the other four.
To add one, write the function that makes it and name it in `METHODS`.

Particles are pooled over all images, measured by `models.measure.matching`. Methods get the whole
image without a look for a databar: masks cover all of it, and print within is part of the task.
Out of scope: training (the folds are in `emps_folds.py`).
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import Record, publish, real_data
from emps_folds import FOLDS, Grey, Scene, read_scenes

Labels = npt.NDArray[np.int32]
Method = Callable[[Grey, int], Labels]

THRESHOLDS = ("otsu", "multi-otsu", "adaptive")
MIN_DIAMETERS_PX = (8.0, 12.0, 20.0)
NECKS = (0.4, 0.5, 0.6, 0.7)

SHOWN = {
    "images": "images",
    "precision_50": "precision",
    "recall_50": "recall",
    "f1_50": "F1 0.5",
    "f1_75": "F1 0.75",
    "average_precision": "AP",
    "mean_matched_iou_50": "IoU",
    "d50_images": "judged",
    "d50_abs_error_median": "D50 error",
    "d50_within_10_percent": "in 10 %",
    "d50_area_within_10_percent": "by area",
}
"""Columns of `pooled_row` and their headings in the table."""


def watershed(scenes: Sequence[Scene], told: Record) -> Method:
    """The watershed with its defaults, which were once chosen on these very images."""
    from models.segment.watershed import segment_image

    return lambda grey, _: segment_image(grey)


def tuned_watershed(scenes: Sequence[Scene], told: Record) -> Method:
    """The watershed with, for each fold, the options that are best on the other four."""
    from models.segment.watershed import segment_image
    from models.segment.watershed_options import WatershedOptions

    tried = [
        WatershedOptions(threshold=threshold, min_diameter_px=diameter, neck=neck)
        for threshold, diameter, neck in product(THRESHOLDS, MIN_DIAMETERS_PX, NECKS)
    ]
    counts = np.array([[_counts(scene, options) for scene in scenes] for options in tried])
    fold_of = np.array([scene.fold for scene in scenes])
    chosen = {}
    for fold in range(FOLDS):
        matched, found, true = np.moveaxis(counts[:, fold_of != fold].sum(axis=1), -1, 0)
        f1 = 2 * matched / np.maximum(found + true, 1)
        chosen[fold] = tried[int(f1.argmax())]
    told["chosen options by fold"] = {
        fold: [options.threshold, options.min_diameter_px, options.neck]
        for fold, options in chosen.items()
    }
    number_to_fold = {scene.number: scene.fold for scene in scenes}
    return lambda grey, number: segment_image(grey, options=chosen[number_to_fold[number]])


METHODS: dict[str, Callable[[Sequence[Scene], Record], Method]] = {
    "watershed": watershed,
    "watershed, tuned": tuned_watershed,
}
"""Makers of methods; what a method tells about itself goes into the JSON."""


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", action="append", choices=list(METHODS), help="only this one")
    parser.add_argument("--labels", type=Path, help="folder to write labels to, for evaluate")
    arguments = parser.parse_args()
    scenes = read_scenes(real_data() / "emps")
    rows: list[Record] = []
    more: Record = {"folds": {scene.name: scene.fold for scene in scenes}, "methods": {}}
    for name in arguments.method or METHODS:
        told: Record = {}
        method = METHODS[name](scenes, told)
        done, details = compare(name, method, scenes, arguments.labels)
        rows += done
        more["methods"][name] = told | details
    publish("emps", f"EMPS: {len(scenes)} images in {FOLDS} folds by source paper", rows, more)


def compare(
    name: str, method: Method, scenes: Sequence[Scene], folder: Path | None = None
) -> tuple[list[Record], Record]:
    """A row of all images and one of each fold; everything else for the JSON."""
    from models.measure.matching import evaluate
    from models.measure.matching_summary import image_row, pooled_row

    evaluations, details, seconds = [], [], []
    for scene in scenes:
        start = time.perf_counter()
        labels = method(scene.grey, scene.number)
        seconds.append(time.perf_counter() - start)
        evaluations.append(evaluate(scene.truth, labels))
        told = {"image": scene.name, "fold": scene.fold, "seconds": seconds[-1]}
        details.append(told | image_row(evaluations[-1]))
        if folder is not None:
            _write(labels, folder / name / f"{scene.name}.tif")
    whole = pooled_row(evaluations)
    rows: list[Record] = [{"method": name, "fold": "all", **_shown(whole)}]
    rows[0]["ms"] = 1e3 * float(np.median(seconds))
    for fold in range(FOLDS):
        pairs = zip(evaluations, scenes, strict=True)
        part = [evaluation for evaluation, scene in pairs if scene.fold == fold]
        rows.append({"method": name, "fold": fold, **_shown(pooled_row(part))})
    return rows, {"pooled": whole, "images": details}


def _shown(row: Record) -> Record:
    return {heading: row[name] for name, heading in SHOWN.items()}


def _counts(scene: Scene, options: object) -> tuple[int, int, int]:
    """Matched, predicted and true particles at an overlap over union of 0.5."""
    from models.measure.matching import match_counts
    from models.measure.matching_overlap import label_overlap
    from models.segment.watershed import segment_image

    overlap = label_overlap(scene.truth, segment_image(scene.grey, options=options))
    matched = match_counts(overlap, 0.5).true_positives
    return matched, len(overlap.predicted_labels), len(overlap.true_labels)


def _write(labels: Labels, target: Path) -> None:
    from graindex.segmenting import write_labels

    target.parent.mkdir(parents=True, exist_ok=True)
    write_labels(labels, target, spacing_um=None)


if __name__ == "__main__":
    main()
