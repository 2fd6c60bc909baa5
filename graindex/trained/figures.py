"""Figures of a model: confusion matrix, predicted against measured, curves of the training.

Out of scope: the page around them (`graindex.trained.report`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graindex.pictures import COLOURS, new_figure, png
from graindex.trained.card import Card
from models.learn.learner import Curve, Floats
from models.learn.metrics import confusion_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


def result_figure(card: Card, predictions: Sequence[Record]) -> bytes:
    """Confusion matrix of classes, or predicted against measured numbers, as PNG.

    Args:
        card: card of the model.
        predictions: rows of the table `predictions`, of one evaluation.
    """
    if card.network is not None:
        return _counts(predictions)
    if card.label.classes:
        return _confusion(card, predictions)
    return _against(card, predictions)


def curves_figure(curves: Sequence[Curve], *, course: tuple[str, str] | None = None) -> bytes:
    """Curves of the training, as PNG.

    Args:
        curves: one or more.
        course: of learning curves what they lie over, and what they show; None: errors over a
            logarithmic axis of the penalty, of which the smallest is marked.
    """
    figure, axes = _figure(6.4, 3.6)
    if course is not None:
        for number, curve in enumerate(curves):
            colour = COLOURS[number % len(COLOURS)]
            name = curve.name.replace("_", " ")
            axes.plot(curve.x, curve.y, color=colour, label=name, linewidth=1.4)
        axes.set_xlabel(course[0])
        axes.set_ylabel(course[1])
        axes.legend(fontsize=7, frameon=False)
        axes.grid(alpha=0.3)
        return png(figure)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(curve.x, curve.y, color=colour, label=curve.name, linewidth=1.4)
        least = int(np.argmin(curve.y))
        axes.plot(curve.x[least], curve.y[least], "o", color=colour, markersize=5)
    axes.set_xscale("log")
    axes.set_ylabel("error on rows left out within the training")
    axes.set_xlabel("penalty, relative to the rows' mean squared length")
    axes.legend(fontsize=7, frameon=False)
    axes.grid(alpha=0.3)
    return png(figure)


def _confusion(card: Card, predictions: Sequence[Record]) -> bytes:
    names = card.label.classes
    place = {name: code for code, name in enumerate(names)}
    measured, predicted = (
        np.array([place[row[column]] for row in predictions], np.int64)
        for column in ("label_text", "predicted_text")
    )
    table = confusion_matrix(measured, predicted, len(names))
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 2.4 + 0.7 * len(names)
    figure, axes = _figure(side + 1.2, side)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        dark = share[row, column] > 0.6
        axes.text(
            column,
            row,
            f"{table[row, column]}\n{share[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("measured")
    return png(figure)


def _against(card: Card, predictions: Sequence[Record]) -> bytes:
    measured, predicted, std = (
        np.array([row[column] for row in predictions], float)
        for column in ("label_number", "predicted_number", "predicted_std")
    )
    figure, axes = _figure(5.6, 5.2)
    collections = [row["dataset"] for row in predictions]
    ends = [in_label_unit(card, values) for values in (predicted - std, predicted, predicted + std)]
    x = in_label_unit(card, measured)
    for number, name in enumerate(sorted(set(collections))):
        here = np.array([dataset == name for dataset in collections])
        low, middle, high = (values[here] for values in ends)
        axes.errorbar(
            x[here],
            middle,
            yerr=[middle - low, high - middle],
            fmt="o",
            markersize=4,
            linewidth=0.7,
            color=COLOURS[number % len(COLOURS)],
            ecolor="#99999980",
            label=name,
        )
    if card.label.transform == "log10":
        axes.set_xscale("log")
        axes.set_yscale("log")
    both = np.concatenate([x, ends[1]])
    axes.plot([both.min(), both.max()], [both.min(), both.max()], color="#666666", linewidth=0.8)
    unit = f" ({card.label.unit})" if card.label.unit else ""
    axes.set_xlabel(f"measured {card.label.name}{unit}")
    axes.set_ylabel(f"predicted, ± one standard deviation{unit}")
    axes.legend(fontsize=7, frameon=False)
    axes.grid(alpha=0.3)
    return png(figure)


def _counts(predictions: Sequence[Record]) -> bytes:
    """Particles found against particles drawn, a point for each image."""
    figure, axes = _figure(5.6, 5.2)
    drawn, found = (
        np.array([row[column] for row in predictions], float)
        for column in ("label_number", "predicted_number")
    )
    collections = [row["dataset"] for row in predictions]
    for number, name in enumerate(sorted(set(collections))):
        here = np.array([dataset == name for dataset in collections])
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(drawn[here], found[here], "o", markersize=4, color=colour, label=name)
    most = max(1.0, drawn.max(initial=0), found.max(initial=0))
    axes.plot([0, most], [0, most], color="#666666", linewidth=0.8)
    axes.set_xlabel("particles drawn in the image")
    axes.set_ylabel("particles found")
    if collections:
        axes.legend(fontsize=7, frameon=False)
    axes.grid(alpha=0.3)
    return png(figure)


def in_label_unit(card: Card, values: Floats) -> Floats:
    """Learned numbers as the label's own, its transform undone."""
    if card.label.transform == "log10":
        return np.asarray(10.0**values, float)
    return values


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    figure = new_figure(width, height)
    return figure, figure.add_subplot()
