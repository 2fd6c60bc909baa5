"""Whether a model says the same of several images of one specimen: metrics, and a section.

Held-out predictions alone, of specimens with one measured number and two images or more.
Out of scope: the metrics themselves (`models.learn.specimen_metrics`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graindex.pictures import new_figure, png
from graindex.trained.learning import Learning
from graindex.trained.scores import Scored
from graindex.trained.sections import Section
from graindex.training.assembling import with_samples
from models.learn.learner import Bools, Floats, Ints
from models.learn.metrics import Metric
from models.learn.specimen_metrics import specimen_metrics

if TYPE_CHECKING:
    from graindex.store import Store

_MOST_LISTED = 60
_MOST_NAMED = 40
_IMAGE, _MEASURED = "#0072B2", "#222222"  # Okabe and Ito; black
_NOTE = (
    "Images of one specimen share what was measured on it, so that predictions of them differ for "
    "what the model sees, and not for the label. Where the spread within specimens is much smaller "
    "than the error between them, more images of each would not help; where it is as large, their "
    "mean would. 'stated' is the standard deviation that comes with each prediction, which holds "
    "the error as well. Numbers are in {unit}."
)


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """Held-out images of specimens that have several.

    Attributes:
        rows: (N,) which rows of the training set they are.
        specimens: (R,) number of the specimen of each of the R rows.
        scored: their predictions with metrics.
    """

    rows: Bools
    specimens: Ints
    scored: Scored


def repeated_images(learning: Learning, left_out: Scored, seed: int) -> Repeated | None:
    """The held-out images of specimens that have several, with metrics of their spread.

    Args:
        learning: a training set.
        left_out: predictions of rows by models that never saw their specimen.
        seed: of the intervals.

    Returns:
        None for classes, for rows that are no images, or fewer than two such specimens.
    """
    found = learning.training_set
    if learning.kind != "number" or found.kind != "micrograph":
        return None
    specimen = _specimens(learning)
    rows = left_out.rows & _of_several(specimen, learning.target, left_out.rows)
    specimens = specimen[rows]
    if len(np.unique(specimens)) < 2:
        return None
    number, std = left_out.prediction.number, left_out.prediction.std
    assert number is not None
    assert std is not None
    metrics = specimen_metrics(
        learning.target[rows], number[rows], std[rows], specimens, learning.groups[rows], seed=seed
    )
    return Repeated(rows, specimens, replace(left_out, rows=rows, metrics=tuple(metrics)))


def spread_section(store: "Store", learning: Learning, repeated: Repeated, unit: str) -> Section:
    """Every predicted number against the measured one of its specimen, and a table of specimens.

    Args:
        store: where names of specimens lie.
        learning: the training set.
        repeated: of `repeated_images`.
        unit: of what is learned.
    """
    specimens = sorted(_told(store, learning, repeated), key=lambda one: one["measured"])
    listed = sorted(specimens, key=lambda one: -abs(one["off"]))[:_MOST_LISTED]
    note = _NOTE.format(unit=unit)
    if len(listed) < len(specimens):
        note += f" Listed are the {len(listed)} specimens that are farthest off."
    caption = (
        f"Held-out predictions of every image (points) and their mean (dash), beside what was "
        f"measured (line); {len(specimens)} specimens in order of it."
    )
    picture = (caption, _strip(specimens, unit))
    table = [_whole(repeated, len(specimens)), *(_line(one) for one in listed)]
    return Section("Images of one specimen", note, (picture,), table)


def _specimens(learning: Learning) -> Ints:
    """(N,) number of the specimen of each row; -1 where it has none."""
    rows = learning.training_set.rows
    keys = list(zip(rows["dataset"].to_pylist(), rows["sample_id"].to_pylist(), strict=True))
    place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([-1 if key[1] is None else place[key] for key in keys], np.int64)


def _of_several(specimen: Ints, target: Floats, held: Bools) -> Bools:
    """(N,) rows of specimens with two held-out images or more, all of one label."""
    chosen = np.zeros(len(specimen), bool)
    for number in np.unique(specimen[held & (specimen >= 0)]):
        own = held & (specimen == number)
        chosen[own] = own.sum() > 1 and np.ptp(target[own]) == 0
    return chosen


def _told(store: "Store", learning: Learning, repeated: Repeated) -> list[dict[str, Any]]:
    """What there is to say of each specimen."""
    found = learning.training_set
    named = with_samples(store, found.rows, ("sample",), found.lake_snapshot)
    names = np.array(named["sample"].to_pylist(), object)[repeated.rows]
    prediction = repeated.scored.prediction
    assert prediction.number is not None
    assert prediction.std is not None
    target, number, std = (
        values[repeated.rows] for values in (learning.target, prediction.number, prediction.std)
    )
    told = []
    for specimen in np.unique(repeated.specimens):
        own = repeated.specimens == specimen
        mean = float(number[own].mean())
        told.append(
            {
                "specimen": str(names[own][0]),
                "numbers": number[own],
                "measured": float(target[own][0]),
                "predicted": mean,
                "sd": float(number[own].std(ddof=1)),
                "stated": float(np.sqrt((std[own] ** 2).mean())),
                "off": mean - float(target[own][0]),
            }
        )
    return told


def _whole(repeated: Repeated, count: int) -> dict[str, object]:
    """The metrics as the first line of the table."""
    within, stated, between = (_with_ends(metric) for metric in repeated.scored.metrics)
    return {
        "specimen": f"all {count}",
        "images": int(repeated.rows.sum()),
        "measured": "",
        "predicted, mean": "",
        "sd of images": within,
        "stated": stated,
        "off": f"{between} rms",
    }


def _with_ends(metric: Metric) -> str:
    if not np.isfinite(metric.lower):
        return f"{metric.value:.3g}"
    return f"{metric.value:.3g} ({metric.lower:.3g} to {metric.upper:.3g})"


def _line(one: Mapping[str, Any]) -> dict[str, object]:
    return {
        "specimen": one["specimen"],
        "images": len(one["numbers"]),
        "measured": f"{one['measured']:.4g}",
        "predicted, mean": f"{one['predicted']:.4g}",
        "sd of images": f"{one['sd']:.2g}",
        "stated": f"{one['stated']:.2g}",
        "off": f"{one['off']:+.2g}",
    }


def _strip(specimens: Sequence[Mapping[str, Any]], unit: str) -> bytes:
    places = np.arange(len(specimens))
    width = min(max(5.6, 0.22 * len(specimens)), 14.0)
    figure = new_figure(width, 3.8)
    axes = figure.add_subplot()
    for place, one in zip(places, specimens, strict=True):
        at = np.full(len(one["numbers"]), place)
        axes.plot(at, one["numbers"], "o", color=_IMAGE, markersize=3.5, alpha=0.7)
    means = [one["predicted"] for one in specimens]
    axes.plot(places, means, "_", color=_IMAGE, markersize=9, label="predicted")
    measured = [one["measured"] for one in specimens]
    axes.plot(places, measured, color=_MEASURED, linewidth=1, label="measured")
    names = [one["specimen"] for one in specimens] if len(specimens) <= _MOST_NAMED else []
    axes.set_xticks(places[: len(names)], names, rotation=90, fontsize=6)
    axes.set_xlabel("specimens, in order of the measured number")
    axes.set_ylabel(unit if unit != "1" else "learned number")
    axes.legend(fontsize=7, frameon=False)
    axes.grid(axis="y", alpha=0.3)
    return png(figure)
