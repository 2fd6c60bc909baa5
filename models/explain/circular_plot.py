"""Figures of correlations for print: circular plot and matrix, Figs. S9 and S10 of Li et al.

Signs stand on the links and in the cells, so that both can be read without colour.
Out of scope: the correlations themselves (`models.explain.correlations`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.explain.circular_links import (
    NEGATIVE,
    OUTERMOST,
    POSITIVE,
    RING,
    SIGN_PT,
    THICKEST_PT,
    Link,
    draw_link,
    draw_signs,
    placed_links,
)
from models.explain.correlations import links
from models.learn.learner import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GROUP_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#000000")  # Okabe and Ito

_POINT_MM = 25.4 / 72
_NAME_PT, _LEGEND_PT = 6.5, 6.0
_NAMES_AT = 102.0  # radius, where the ring ends at 100
_LEAST_RADIUS_PT = 45.0


def circular_plot(
    correlations: Floats,
    names: Sequence[str],
    *,
    threshold: float = 0.3,
    other: Floats | None = None,
    groups: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    width_mm: float = 90.0,
) -> "Figure":
    """Names round a circle, a curve between every two that are correlated, as wide as |r|.

    Args:
        correlations: (D, D).
        names: of the columns.
        threshold: least |r| of a link.
        other: (D, D) of the same columns in a second electrode: links that it has as well, with
            the same sign, are pale.
        groups: group of each name; names stand by group, in order of first appearance.
        labels: what is written for each name; None: the name.
        width_mm: of the figure; the height follows.

    Raises:
        KeyError: a name has no group or label.
        ValueError: sizes disagree, a name comes twice, or the names leave no room for the circle.
    """
    _check(correlations, names, other)
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context():  # importing pycirclize changes how every figure is saved
        from pycirclize import Circos  # noqa: PLC0415

    written = dict(zip(names, _written(names, labels), strict=True))
    of = groups or dict.fromkeys(names, "")
    order = list(dict.fromkeys(of[name] for name in names))
    ring = sorted(names, key=lambda name: order.index(of[name]))
    colours = dict(zip(order, _GROUP_COLOURS * len(order), strict=False))
    wide = 10.0 if len(order) > 1 else 2.0
    following = ring[1:] + ring[:1]
    gaps = [2.0 if of[a] == of[b] else wide for a, b in zip(ring, following, strict=True)]
    circos = Circos(dict.fromkeys(ring, 1.0), space=gaps)
    for sector in circos.sectors:
        sector.add_track(RING).axis(fc=colours[of[sector.name]], ec="none")
        sector.text(written[sector.name], r=_NAMES_AT, orientation="vertical", size=_NAME_PT)
    edges = {sector.name: sector.rad_lim for sector in circos.sectors}
    drawn = placed_links(correlations, names, edges, threshold, other)
    for link in drawn:
        draw_link(circos, link, edges)
    figure, axes = _page(
        {name: float(np.mean(limits)) for name, limits in edges.items()},
        written,
        _handles(colours, threshold, compared=other is not None),
        width_mm,
    )
    circos.plotfig(ax=axes)
    draw_signs(axes, drawn)
    return figure


def matrix_figure(
    correlations: Floats,
    names: Sequence[str],
    *,
    threshold: float = 0.3,
    labels: Mapping[str, str] | None = None,
    width_mm: float = 90.0,
) -> "Figure":
    """Correlation matrix as a heat map, with the sign in every cell of a link.

    Args:
        correlations: (D, D).
        names: of the columns, from the top and from the left.
        threshold: least |r| that is given a sign.
        labels: what is written for each name; None: the name.
        width_mm: of the figure; the height follows.

    Raises:
        KeyError: a name has no label.
        ValueError: sizes disagree, or a name comes twice.
    """
    _check(correlations, names, None)
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    written = _written(names, labels)
    side = width_mm / 25.4
    figure = Figure(figsize=(side, side), dpi=300, layout="constrained")
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("sign", [NEGATIVE, "#FFFFFF", POSITIVE], N=257)
    image = axes.imshow(correlations, cmap=colours, vmin=-1, vmax=1)
    strong = links(correlations, threshold)
    for marker, where in (("+", strong & (correlations > 0)), ("_", strong & (correlations < 0))):
        rows, columns = np.nonzero(where)
        axes.scatter(columns, rows, s=5, marker=marker, c="black", linewidths=0.5)
    places = range(len(names))
    axes.set_xticks(places, written, rotation=90, fontsize=_LEGEND_PT)
    axes.set_yticks(places, written, fontsize=_LEGEND_PT)
    axes.tick_params(length=0, pad=2)
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("Pearson correlation", fontsize=_LEGEND_PT)
    bar.ax.tick_params(labelsize=_LEGEND_PT, width=0.5, length=2)
    for spine in (*axes.spines.values(), *bar.ax.spines.values()):
        spine.set_linewidth(0.5)
    figure.draw_without_rendering()
    figure.set_size_inches(side, figure.get_tightbbox().height + 0.1)
    return figure


def _page(
    angles: Mapping[str, float],
    written: Mapping[str, str],
    handles: Mapping[str, Any],
    width_mm: float,
) -> tuple["Figure", Any]:
    """Figure with its legend, and axes as large as the names leave room for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.legend_handler import HandlerTuple  # noqa: PLC0415

    width = width_mm / _POINT_MM
    figure = Figure(figsize=(width / 72, width / 72), dpi=300)
    FigureCanvasAgg(figure)
    beyond = np.array([_length(written[name]) for name in angles]) + 2
    sine, cosine = np.sin(list(angles.values())), np.cos(list(angles.values()))
    rim = float(np.min((width / 2 - 3) / np.maximum(np.abs(sine), 0.02) - beyond))
    rim = min(rim, width / 2 - 12)
    if rim < _LEAST_RADIUS_PT:
        raise ValueError(f"the longest name leaves no room for a circle in {width_mm:g} mm")
    above, below = (
        float(np.max((rim + beyond) * side, initial=rim)) + 3 for side in (cosine, -cosine)
    )
    legend = figure.legend(
        handles=list(handles.values()),
        labels=list(handles),
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="lower center",
        ncols=2,
        fontsize=_LEGEND_PT,
        frameon=False,
        handlelength=2.2,
        columnspacing=1.6,
        labelspacing=0.35,
        borderpad=0.2,
    )
    height = above + below + legend.get_window_extent().height * 72 / figure.dpi + 6
    figure.set_size_inches(width / 72, height / 72)
    radius = rim * OUTERMOST / _NAMES_AT
    corner = (width / 2 - radius) / width, (height - above - radius) / height
    size = 2 * radius / width, 2 * radius / height
    return figure, figure.add_axes((*corner, *size), projection="polar")


def _handles(colours: Mapping[str, str], threshold: float, *, compared: bool) -> dict[str, Any]:
    """What the legend says, and the lines that it says it of."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    handles: dict[str, Any] = {
        group: Line2D([], [], linewidth=4, color=colour)
        for group, colour in colours.items()
        if group
    }
    handles[f"|r| from {threshold:g} to 1"] = tuple(
        Line2D([], [], linewidth=THICKEST_PT * strength, color="#777777")
        for strength in (threshold, 1.0)
    )
    for strength, word in ((1.0, "positive"), (-1.0, "negative")):
        for pale in (False, True) if compared else (False,):
            which = "" if not compared else ", in both" if pale else ", not in the other"
            handles[word + which] = Line2D(
                [],
                [],
                color=Link(("", ""), (0.0, 0.0), strength, pale).colour,
                linewidth=0.6 * THICKEST_PT,
                marker="$+$" if strength > 0 else "$-$",
                markersize=SIGN_PT,
                markerfacecolor="black",
                markeredgecolor="black",
                markeredgewidth=0.2,
            )
    return handles


def _written(names: Sequence[str], labels: Mapping[str, str] | None) -> list[str]:
    return list(names) if labels is None else [labels[name] for name in names]


def _check(correlations: Floats, names: Sequence[str], other: Floats | None) -> None:
    size = (len(names), len(names))
    for matrix in (correlations, *(() if other is None else (other,))):
        if matrix.shape != size:
            raise ValueError(f"{len(names)} names for a matrix of {matrix.shape}")
    if len(set(names)) < len(names) or len(names) < 2:
        raise ValueError("take two names or more, each once")


def _length(text: str) -> float:
    """Of a name in print, in points."""
    from matplotlib.textpath import TextPath  # noqa: PLC0415

    return float(TextPath((0, 0), text, size=_NAME_PT).get_extents().width)
