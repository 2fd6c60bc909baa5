"""Pictures of what drives a model: Shapley values of rows, importance with its spread.

Out of scope: finding it out (`graindex.trained.drivers`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graindex.pictures import COLOURS, new_figure, png
from graindex.trained.drivers import Drivers
from graindex.trained.units import spoken
from models.learn.learner import Floats
from models.learn.metrics import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = dict[str, Any]
Measure = Literal["importance_share", "pearson_r"]

_SHOWN = 15
_MARKERS = {"draws": "^", "seeds": "s"}
_TOLD = {"draws": "rows drawn by chance", "seeds": "other random numbers"}
_MEASURES: dict[Measure, str] = {
    "importance_share": "share of Σ|SHAP|",
    "pearson_r": "Pearson correlation with the label",
}


def driver_figures(drivers: Drivers, unit: str) -> list[tuple[str, bytes]]:
    """Captions with PNGs; none where nothing is known.

    Args:
        drivers: what drives the model.
        unit: of what is learned.
    """
    if not drivers.importances:
        return []
    figures = []
    parts = [part for part in drivers.parts if part != ALL] or [ALL]
    for part in parts:
        rows = "all rows" if part == ALL else part
        caption = f"What each feature adds to each prediction, {rows}. A point is a row."
        figures.append((caption, summary_figure(drivers, part, unit)))
    caption = "Importance of features" + (
        f": bars are of the kept models, points of {_repeats(drivers)}."
        if _repeats(drivers)
        else "."
    )
    figures.append((caption, importance_figure(drivers, parts, "importance_share")))
    caption = "Correlation of each feature alone with the label, for comparison."
    figures.append((caption, importance_figure(drivers, parts, "pearson_r")))
    return figures


def summary_figure(drivers: Drivers, part: str, unit: str) -> bytes:
    """Shapley values of rows, a line of points for each feature, coloured by its value."""
    names = drivers.ranked([part])[:_SHOWN]
    figure, (axes,) = _figure(6.6, 0.8 + 0.32 * len(names))
    for line, name in enumerate(reversed(names)):
        own = [row for row in drivers.shap if row["part"] == part and row["feature"] == name]
        values = np.array([row["shap_value"] for row in own])
        told = np.array([np.nan if (v := row["feature_value"]) is None else v for row in own])
        height = line + _spread_out(values)
        colours = axes.scatter(
            values, height, c=_rank_share(told), cmap="cividis", vmin=0, vmax=1, s=7, linewidth=0
        )
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_yticks(range(len(names)), [spoken(name) for name in reversed(names)], fontsize=8)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel("adds to the prediction" + (f" ({unit})" if unit != "1" else ""))
    axes.grid(axis="x", alpha=0.3)
    bar = figure.colorbar(colours, ax=axes, ticks=[0, 1], aspect=40, pad=0.01)
    bar.ax.set_yticklabels(["low", "high"], fontsize=7)
    bar.set_label("value of the feature", fontsize=8)
    return png(figure)


def importance_figure(drivers: Drivers, parts: Sequence[str], measure: Measure) -> bytes:
    """Features side by side for parts, with repeats, and the difference of the first two parts."""
    names = drivers.ranked(parts)[:_SHOWN]
    compared = len(parts) > 1 and bool(_repeats(drivers))
    figure, axes = _figure(6.6 + 2.6 * compared, 0.9 + 0.4 * len(names), panels=1 + compared)
    height = 0.8 / len(parts)
    places = np.arange(len(names))[::-1]
    for number, part in enumerate(parts):
        colour = COLOURS[number % len(COLOURS)]
        shift = 0.4 - height * (number + 0.5)
        bars = [_of(drivers, part, "model", name, measure)[0] for name in names]
        axes[0].barh(places + shift, bars, height * 0.9, color=colour, alpha=0.55, label=part)
        for strategy, marker in _MARKERS.items():
            for place, name in zip(places, names, strict=True):
                found = _of(drivers, part, strategy, name, measure)
                at = np.full(len(found), place + shift)
                axes[0].plot(found, at, marker, color=colour, markersize=3, markeredgewidth=0)
    for strategy, marker in _MARKERS.items():
        if any(row["strategy"] == strategy for row in drivers.importances):
            axes[0].plot([], [], marker, color="#444444", markersize=4, label=_TOLD[strategy])
    axes[0].set_yticks(places, [spoken(name) for name in names], fontsize=8)
    axes[0].set_xlabel(_MEASURES[measure])
    if parts != [ALL] or _repeats(drivers):
        axes[0].legend(fontsize=7, frameon=False, loc="best")
    if compared:
        _difference(axes[1], drivers, parts, names, measure)
    for panel in axes:
        panel.grid(axis="x", alpha=0.3)
        panel.axvline(0, color="#666666", linewidth=0.8)
    return png(figure)


def differences(
    drivers: Drivers, parts: Sequence[str], name: str, measure: Measure
) -> tuple[float, float]:
    """Mean and standard deviation of a feature's measure in the second part less the first.

    Over all pairs of repeats, which are independent of each other.
    """
    first, second = (
        np.concatenate([_of(drivers, part, strategy, name, measure) for strategy in _MARKERS])
        for part in parts[:2]
    )
    deviation = np.sqrt(first.var() + second.var())
    return float(second.mean() - first.mean()), float(deviation)


def _difference(
    axes: "Axes", drivers: Drivers, parts: Sequence[str], names: Sequence[str], measure: Measure
) -> None:
    found = [differences(drivers, parts, name, measure) for name in names]
    places = np.arange(len(names))[::-1]
    mean, deviation = np.array(found).T
    axes.errorbar(mean, places, xerr=deviation, fmt="o", color="#444444", markersize=4, capsize=2)
    axes.set_yticks(places, [""] * len(names))
    axes.set_xlabel(f"{parts[1]} less {parts[0]}, ± 1 sd")


def _of(drivers: Drivers, part: str, strategy: str, name: str, measure: Measure) -> Floats:
    """A measure of a feature in each fit of a strategy; NaN where it has none."""
    return np.array(
        [
            np.nan if row[measure] is None else row[measure]
            for row in drivers.importances
            if row["part"] == part and row["strategy"] == strategy and row["feature"] == name
        ],
        float,
    )


def _repeats(drivers: Drivers) -> str:
    kinds = dict.fromkeys(row["strategy"] for row in drivers.importances)
    return " and of ".join(f"models of {_TOLD[kind]}" for kind in kinds if kind in _TOLD)


def _spread_out(values: Floats, bins: int = 60) -> Floats:
    """Heights that keep points of like values apart, within ± 0.4."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.linspace(-0.4, 0.4, len(values))
    cell = np.minimum((bins * (values - low) / (high - low)).astype(int), bins - 1)
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=bins)
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    centred = np.where(rank % 2 == 0, rank / 2, -(rank + 1) / 2)
    return np.asarray(0.8 * centred / max(int(counts.max()), 20))


def _rank_share(values: Floats) -> Floats:
    """Rank of each value among all, 0…1: a few extreme values do not wash out the colours."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)
    return np.where(np.isfinite(values), rank / max(len(values) - 1, 1), np.nan)


def _figure(width: float, height: float, panels: int = 1) -> "tuple[Figure, Sequence[Axes]]":
    figure = new_figure(width, max(height, 2.2))
    ratios = [2.2, 1.0][:panels]
    return figure, figure.subplots(1, panels, width_ratios=ratios, squeeze=False)[0]
