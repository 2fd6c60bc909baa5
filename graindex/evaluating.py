"""Predicted label files beside true ones: paired by name, compared, and written as a report.

Out of scope: the measures (`models.measure.matching`), printing them.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from graindex.arrays import loaded
from graindex.errors import InputError, OriginalError
from graindex.label_pairs import LabelPair, label_pairs
from graindex.progress import report
from models.measure.arrays import InvalidVolumeError
from models.measure.matching import Evaluation, evaluate, pooled
from models.measure.matching_overlays import comparison_overlay
from models.measure.matching_summary import image_row, pooled_row

REPORT, ROWS = "evaluation.json", "evaluation.csv"


@dataclass(frozen=True)
class Evaluated:
    """One predicted label file and what its truth says about it.

    Attributes:
        pair: the files.
        evaluation: how well they agree.
        predicted_sha256: content of the predicted labels.
        truth_sha256: content of the true labels.
    """

    pair: LabelPair
    evaluation: Evaluation
    predicted_sha256: str
    truth_sha256: str


def evaluate_files(
    predicted: str, truth: str, *, images: str | None = None, volumes: bool = False
) -> list[Evaluated]:
    """Compare label files with true ones of the same names.

    Args:
        predicted: a label file or volume, or a folder of them.
        truth: likewise; in folders, the counterpart of a file has its name up to the suffix.
        images: the micrographs or tomograms themselves, for pictures.
        volumes: whether a folder is one volume of slices rather than a collection.

    Returns:
        One for each pair, by name.

    Raises:
        InputError: a file has no counterpart or another shape, or holds no labels.
        UnreadableVolumeError: a file cannot be read as labels.
        OriginalError: a file is gone or may not be read.
    """
    pairs = label_pairs(predicted, truth, images=images, volumes=volumes)
    done = []
    for number, pair in enumerate(pairs):
        report("compare", number, len(pairs))
        done.append(_evaluated(pair))
    report("compare", len(pairs), len(pairs))
    return done


def ranked(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """From the best to the worst average precision; those without any particle come last."""

    def order(one: Evaluated) -> tuple[bool, float, str]:
        empty = one.evaluation.true_count == one.evaluation.predicted_count == 0
        return empty, -one.evaluation.average_precision, one.pair.name

    return sorted(evaluated, key=order)


def write_report(evaluated: Sequence[Evaluated], folder: Path) -> list[Path]:
    """Write all numbers as JSON and CSV, and pictures of the best, median and worst image.

    Best is the highest mean average precision. Of a volume, the middle section is drawn.

    Args:
        evaluated: as `evaluate_files` returns them, at least one.
        folder: made where it is not there.

    Returns:
        The files written.

    Raises:
        InputError: an image has another shape than its labels.
        OriginalError: a file cannot be read, or the folder not be written.
    """
    with_particles = [one for one in ranked(evaluated) if _has_particles(one)] or list(evaluated)
    shown = {
        "best": with_particles[0],
        "median": with_particles[(len(with_particles) - 1) // 2],
        "worst": with_particles[-1],
    }
    pictures = {f"{place}.png": _picture(one) for place, one in shown.items()}
    names = {place: one.pair.name for place, one in shown.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            Image.fromarray(picture).save(folder / name, "PNG")
        told = json.dumps(_report(evaluated, names), ensure_ascii=False, indent=1)
        (folder / REPORT).write_text(told, encoding="utf-8")
        _write_rows(evaluated, folder / ROWS)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}"
        raise OriginalError(message) from error
    return [folder / name for name in (REPORT, ROWS, *pictures)]


def _has_particles(one: Evaluated) -> bool:
    return one.evaluation.true_count + one.evaluation.predicted_count > 0


def _evaluated(pair: LabelPair) -> Evaluated:
    with (
        loaded(pair.predicted, labels=True) as predicted,
        loaded(pair.truth, labels=True) as truth,
    ):
        try:
            evaluation = evaluate(truth.array, predicted.array)
        except InvalidVolumeError as error:
            message = f"{pair.predicted} against {pair.truth}: {error}"
            raise InputError(message) from error
        return Evaluated(pair, evaluation, predicted.sha256, truth.sha256)


def _picture(one: Evaluated) -> npt.NDArray[np.uint8]:
    pair = one.pair
    with (
        loaded(pair.predicted, labels=True) as predicted,
        loaded(pair.truth, labels=True) as truth,
    ):
        labels = (_section(truth.array), _section(predicted.array))
        if pair.image is None:
            return comparison_overlay(*labels)
        with loaded(pair.image) as image:
            if image.array.shape != truth.array.shape:
                raise InputError(
                    f"{pair.image} has shape {image.array.shape} but its labels "
                    f"{truth.array.shape}: give the image that was segmented"
                )
            return comparison_overlay(*labels, _section(image.array))


def _section(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image itself, or the middle section of a volume."""
    return array if array.ndim == 2 else np.asarray(array[len(array) // 2])


def _report(evaluated: Sequence[Evaluated], shown: Mapping[str, str]) -> dict[str, Any]:
    evaluations = [one.evaluation for one in evaluated]
    return {
        "graindex": version("graindex"),
        "pooled": _plain(pooled_row(evaluations)),
        "by_threshold": [
            _plain(
                {
                    "threshold": counts.threshold,
                    "true_positives": counts.true_positives,
                    "false_positives": counts.false_positives,
                    "false_negatives": counts.false_negatives,
                    "precision": counts.precision,
                    "recall": counts.recall,
                    "f1": counts.f1,
                    "average_precision": counts.average_precision,
                    "mean_matched_iou": counts.mean_matched_iou,
                }
            )
            for counts in pooled(evaluations)
        ],
        "shown": dict(shown),
        "images": [
            {
                "image": one.pair.name,
                "predicted": one.pair.predicted,
                "truth": one.pair.truth,
                "predicted_sha256": one.predicted_sha256,
                "truth_sha256": one.truth_sha256,
                **_plain(image_row(one.evaluation)),
            }
            for one in evaluated
        ],
    }


def _plain(row: Mapping[str, float | int]) -> dict[str, float | int | None]:
    """What JSON can hold: what is not a number is null."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _write_rows(evaluated: Sequence[Evaluated], target: Path) -> None:
    rows = [{"image": one.pair.name, **_plain(image_row(one.evaluation))} for one in evaluated]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
