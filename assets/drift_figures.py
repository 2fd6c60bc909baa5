"""Figures of drift: cumulative shares of what differs most between two parts.

Out of scope: figures of particles (`assets.figures`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graindex.drift import Compared
from graindex.pictures import new_figure, png
from models.measure.distribution_shift import Shift

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 100
_PANEL_IN = (4.5, 3.2)
_COLUMNS = 2
_PART, _REFERENCE = "#D55E00", "#0072B2"  # Okabe and Ito


def drift_panels(found: Sequence[tuple[Compared, Shift]]) -> bytes:
    """Cumulative shares of each pair of parts, one panel each, as PNG; (N,) panels, N ≥ 1."""
    rows = -(-len(found) // _COLUMNS)
    figure = new_figure(_PANEL_IN[0] * _COLUMNS, _PANEL_IN[1] * rows, _DPI)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes, (compared, shift) in zip(grid.flat, found, strict=False):
        _draw(axes, compared, shift)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    return png(figure)


def _draw(axes: "Axes", compared: Compared, shift: Shift) -> None:
    sides = (
        (compared.others, _REFERENCE, compared.parts.reference),
        (compared.values, _PART, compared.parts.compared),
    )
    for values, colour, name in sides:
        ordered = np.sort(values)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        label = f"{name} ({len(ordered)})"
        axes.plot(ordered, share, drawstyle="steps-post", color=colour, lw=2, label=label)
    told = f"PSI {shift.stability_index:.2f}, KS {shift.ks_statistic:.2f}"
    axes.set_title(told, fontsize=11, loc="left")
    axes.set_xlabel(compared.variable, fontsize=11)
    axes.set_ylabel("share of images")
    axes.set_ylim(0, 1.4)  # room for the names
    axes.set_yticks(np.linspace(0, 1, 5))
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
