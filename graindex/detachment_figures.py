"""Figures of detachment: by group and size, against electron density, peaks of phases.

Out of scope: what they show (`graindex.detachment`, `graindex.phase_peaks`); maps of paths.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graindex.detachment import CORRELATIONS, GROUPS
from graindex.detachment_particles import (
    BY_VOLUME,
    DENSITY,
    DETACHMENT,
    SIZE,
    GroupedVolumes,
    grouped_volumes,
)
from graindex.pictures import COLOURS, GREY, new_figure, nothing, plain, png, short
from graindex.recipes import Recipe
from graindex.trained.units import spoken
from models.measure.group_statistics import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from graindex.store import Store

Record = dict[str, Any]

GROUP_FIGURE = "detachment by group and size"
DENSITY_FIGURE = "electron density against detachment"
PEAK_FIGURE = "peaks of phases"
_MOST = len(COLOURS)
_POINTS = 400  # of a group that are drawn
_LETTERS, _TITLE_LETTERS = 22, 80


def detachment_figures(store: "Store", recipe: Recipe) -> dict[str, bytes]:
    """The figures of a collection as PNG, by caption; what is unknown is said in words."""
    grouped = grouped_volumes(store, recipe)
    rows = {
        name: store.lake.read(name, recipe.dataset).to_pylist()
        for name in (GROUPS, CORRELATIONS, "phase_peaks", "phase_histograms")
    }
    if not grouped.volumes or not len(grouped.whole.volume):
        words = nothing("no whole particle with a known detachment")
        return {GROUP_FIGURE: words, DENSITY_FIGURE: words}
    return {
        GROUP_FIGURE: _group_figure(grouped, rows[GROUPS]),
        DENSITY_FIGURE: _density_figure(grouped, rows),
    }


def peak_figure(store: "Store", dataset: str, paths: Mapping[str, str]) -> bytes:
    """Histograms of grey values by phase, with position and width of each peak, as PNG.

    Args:
        store: where they are.
        dataset: the collection.
        paths: of its volumes by `volume_id`; the first four that have peaks are drawn.
    """
    peaks = store.lake.read("phase_peaks", dataset).to_pylist()
    classes = store.lake.read("phase_histograms", dataset).to_pylist()
    drawn = [key for key in paths if any(row["volume_id"] == key for row in peaks)][:4]
    if not drawn:
        return nothing("no volume with grey values and phases")
    figure = new_figure(10, 0.6 + 2.2 * len(drawn))
    panels = figure.subplots(len(drawn), 1, squeeze=False, sharex=True)[:, 0]
    for axes, key in zip(panels, drawn, strict=True):
        own = [row for row in peaks if row["volume_id"] == key]
        for colour, row in zip(COLOURS, own, strict=False):
            grey, share = _curve(classes, key, row["phase"])
            axes.plot(grey, share, color=colour, linewidth=1.8, label=_told(row))
            axes.fill_between(grey, share, color=colour, alpha=0.15, linewidth=0)
            axes.plot(_half_height(grey, share, row), [0.5, 0.5], color=colour, linewidth=3)
        axes.set_title(short(paths[key], _TITLE_LETTERS), fontsize=10, loc="left")
        axes.set_ylabel("voxels per highest class")
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        plain(axes)
    panels[-1].set_xlabel("grey value, electron density in the unit of the volume")
    return png(figure)


def _told(row: Record) -> str:
    if row["fwhm_grey"] is None:
        return f"{row['phase_name']}: no width"
    return f"{row['phase_name']}: {row['peak_grey']:.5g}, FWHM {row['fwhm_grey']:.4g}"


def _curve(classes: Sequence[Record], volume: str, phase: int) -> tuple[Any, Any]:
    """Middle of each class, and its voxels over those of the highest."""
    own = [r for r in classes if r["volume_id"] == volume and r["phase"] == phase]
    grey = np.array([(r["bin_lower"] + r["bin_upper"]) / 2 for r in own])
    count = np.array([r["count"] for r in own], float)
    return grey, count / max(count.max(initial=0), 1)


def _half_height(grey: Any, share: Any, row: Record) -> Any:
    """Ends of a bar as long as the width, where the curve is at half its height; NaN without."""
    if row["fwhm_grey"] is None:
        return np.full(2, np.nan)
    top = int(np.argmax(share))
    low = np.flatnonzero(share[:top] < 0.5)
    high = np.flatnonzero(share[top:] < 0.5)
    ends = (low[-1] + 0.5 if low.size else 0, top + high[0] - 0.5 if high.size else len(grey) - 1)
    middle = np.interp(ends, np.arange(len(grey)), grey).mean()
    return middle + np.array([-0.5, 0.5]) * row["fwhm_grey"]


def _group_figure(grouped: GroupedVolumes, rows: Sequence[Record]) -> bytes:
    """Violins with points and means: groups in all sizes, then by size class."""
    whole = grouped.whole
    names = grouped.groups[:_MOST]
    classes = (0, *whole.classes)
    figure = new_figure(3.0 + 1.9 * len(classes), 4.4)
    panels = figure.subplots(1, len(classes), sharey=True, squeeze=False)[0]
    for axes, size_class in zip(panels, classes, strict=True):
        inside = (whole.size_class == size_class) | (size_class == 0)
        for place, name in enumerate(names):
            values = whole.values[DETACHMENT][inside & (whole.group == place)]
            (row,) = [r for r in rows if (r["group_name"], r["size_class"]) == (name, size_class)]
            _violin(axes, place, values, row)
        low, high = whole.sizes_um(size_class)
        title = f"{low:.3g}–{high:.3g} µm" if size_class else "all sizes"
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(len(names)), [_counted(grouped, rows, n, size_class) for n in names])
        axes.tick_params(axis="x", labelsize=8)
        plain(axes)
    by = "volume" if grouped.group_by == BY_VOLUME else spoken(grouped.group_by)
    told = "bars: mean ± standard error, over volumes where there are several"
    figure.supxlabel(f"{by}; n particles, v volumes; {told}", fontsize=9)
    panels[0].set_ylabel("detachment (share of the outer surface)")
    panels[0].set_ylim(0, min(1, 1.1 * whole.values[DETACHMENT].max() + 0.01))
    return png(figure)


def _violin(axes: "Axes", place: int, values: Any, row: Record) -> None:
    colour = COLOURS[place]
    if len(values) > 2 and np.ptp(values) > 0:
        drawn = axes.violinplot([values], [place], widths=0.8, showextrema=False)
        for body in drawn["bodies"]:  # type: ignore[attr-defined]
            body.set_facecolor(colour)
            body.set_alpha(0.25)
    rng = np.random.default_rng(place)
    shown = values if len(values) <= _POINTS else rng.choice(values, _POINTS, replace=False)
    axes.plot(
        place + rng.uniform(-0.18, 0.18, len(shown)), shown, "o", color=colour, markersize=2.5,
        alpha=0.6, markeredgewidth=0,
    )  # fmt: skip
    if row["detachment_mean"] is not None:
        error = row["detachment_standard_error_volumes"] or row["detachment_standard_error"] or 0
        axes.errorbar(
            place, row["detachment_mean"], error, fmt="_", color="black", markersize=16, capsize=4
        )


def _counted(grouped: GroupedVolumes, rows: Sequence[Record], name: str, size_class: int) -> str:
    (row,) = [r for r in rows if (r["group_name"], r["size_class"]) == (name, size_class)]
    told = short(grouped.spoken(name), _LETTERS)
    return f"{told}\nn {row['whole_particle_count']}, v {row['volume_count']}"


def _density_figure(grouped: GroupedVolumes, rows: Mapping[str, Sequence[Record]]) -> bytes:
    """Particles by detachment and density, a line for each group; beside them, peaks of phases.

    The band among the peaks is what the axis of the particles shows.
    """
    whole = grouped.whole
    known = np.isfinite(whole.values[DENSITY])
    if not known.any():
        return nothing("no electron density: the volumes have no grey values")
    figure = new_figure(9.5, 5)
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    size = whole.values[SIZE]
    for place, name in enumerate(grouped.groups[:_MOST]):
        own = known & (whole.group == place)
        x, y = whole.values[DETACHMENT][own], whole.values[DENSITY][own]
        area = 14 * (size[own] / np.median(size)) ** 2
        left.scatter(x, y, s=area, color=COLOURS[place], alpha=0.55, linewidth=0)
        row = _correlation(rows[CORRELATIONS], grouped, name)
        if row is not None and row["slope"] is not None:
            ends = np.array([x.min(), x.max()])
            line = row["intercept"] + row["slope"] * ends
            left.plot(
                ends,
                line,
                color=COLOURS[place],
                linewidth=2,
                label=_line(grouped.spoken(name), row),
            )
    total = _correlation(rows[CORRELATIONS], grouped, ALL)
    left.set_title(_line("all", total) if total else "", fontsize=9, loc="left")
    left.set_xlabel(
        "detachment (share of the outer surface); area of a point: that of the particle"
    )
    left.set_ylabel("electron density of the body (grey value of the volume)")
    left.xaxis.label.set_fontsize(9)
    if left.lines:
        left.legend(fontsize=8, frameon=False)
    plain(left)
    _peaks_beside(right, rows)
    right.axhspan(*left.get_ylim(), color=GREY, alpha=0.12, linewidth=0)
    return png(figure)


def _correlation(rows: Sequence[Record], grouped: GroupedVolumes, name: str) -> Record | None:
    of = "volume" if grouped.group_by == BY_VOLUME else "group"
    wanted = ("all" if name == ALL else of, name, DETACHMENT)
    keys = ("correlated_of", "group_name", "x_attribute")
    return next((r for r in rows if tuple(r[key] for key in keys) == wanted), None)


def _line(name: str, row: Record) -> str:
    if row["pearson"] is None:
        return f"{short(name, _LETTERS)}: n {row['whole_particle_count']}"
    return (
        f"{short(name, _LETTERS)}: r {row['pearson']:.2f} ({row['pearson_lower']:.2f} to "
        f"{row['pearson_upper']:.2f}), ρ {row['spearman']:.2f}, n {row['whole_particle_count']}"
    )


def _peaks_beside(axes: "Axes", rows: Mapping[str, Sequence[Record]]) -> None:
    """Histograms of the phases of the first volume, on their side, with their widths."""
    peaks = rows["phase_peaks"]
    axes.set_xlabel("voxels per highest class")
    plain(axes)
    if not peaks:
        axes.set_title("no peaks by phase", fontsize=9)
        return
    first = peaks[0]["volume_id"]
    for colour, row in zip(
        COLOURS[2:], [r for r in peaks if r["volume_id"] == first], strict=False
    ):
        grey, share = _curve(rows["phase_histograms"], first, row["phase"])
        axes.plot(share, grey, color=colour, linewidth=1.6)
        axes.plot([0.5, 0.5], _half_height(grey, share, row), color=colour, linewidth=3)
        if row["peak_grey"] is not None:
            told = _told(row).replace(": ", "\n")
            axes.text(1.02, row["peak_grey"], told, fontsize=7, color=colour, va="center")
    axes.set_xlim(0, 2.1)
    axes.set_xticks([0, 0.5, 1])
