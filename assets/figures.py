"""Figures for asset metadata: sizes, damage by depth and size, contacts.

Out of scope: pictures of images and volumes (`assets.previews`).
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.pictures import COLOURS, new_figure, nothing, png, short
from models.measure.size_distribution import log_edges, weighted_quantiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

_DPI = 100
_WIDTH_PX = 900
_CLASSES = (6, 24)  # of histograms, with few and with many rows
_LETTERS = 36
_POINTS = 500  # of a cumulative curve: more than there are pixels to show them


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows drawn in one colour."""

    label: str
    colour: str
    rows: pa.Table


def as_markdown(png: bytes, caption: str = "preview") -> dg.MetadataValue:
    """A picture as metadata that Dagster shows."""
    encoded = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![{caption}](data:image/png;base64,{encoded})")


def size_distribution(
    table: pa.Table,
    *,
    column: str = "equivalent_diameter_um",
    by: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> bytes:
    """Number of particles by size, and the share of volume, or area, in smaller ones, as PNG.

    Particles that the edge cuts are left out.

    Args:
        table: particles, with `column`, `touches_border`, and `volume_um3` of volumes.
        column: a diameter; its ending tells the unit.
        by: column whose values are told apart; with more than six all are drawn as one.
        labels: what to call those values.
    """
    whole = pc.and_(pc.invert(table["touches_border"]), pc.greater(table[column], 0))
    table = table.filter(whole)
    if not table.num_rows:
        return nothing("no whole particles")
    unit = "µm" if column.endswith("_um") else "px"
    solid = "volume_um3" in table.column_names
    figure, (left, right) = _panels()
    edges = _edges(_numbers(table, column))
    for group in _groups(table, by, labels):
        size = _numbers(group.rows, column)
        weight = _numbers(group.rows, "volume_um3") if solid else size**2
        _steps(left, size, edges, group)
        order = np.argsort(size)
        share = np.cumsum(weight[order]) / weight.sum()
        drawn = np.unique(np.linspace(0, len(size) - 1, _POINTS).round().astype(int))
        (middle,) = weighted_quantiles(size, weight, (0.5,))
        told = f"{group.label}: " if group.label else ""
        right.plot(
            np.append(size[order[0]], size[order[drawn]]),
            np.append(0, share[drawn]),
            drawstyle="steps-post",
            color=group.colour,
            lw=2,
            label=f"{told}D50 {middle:.3g} {unit}",
        )
        right.plot([middle, middle], [0, 0.5], "--", color=group.colour, lw=1.2)
        right.plot(middle, 0.5, "o", color=group.colour, ms=6)
    kind = "volume" if solid else "area"
    _finish(left, f"{table.num_rows:,} whole particles", "particles per class")
    _finish(right, f"Share of the {kind}", f"{kind} in smaller ones")
    right.set_ylim(0, 1.02)
    for axes in (left, right):
        _log_x(axes, edges[0], edges[-1])
        axes.set_xlabel(f"equivalent diameter ({unit})")
    _legend(figure, right)
    return png(figure)


def profile(table: pa.Table, *, names: Mapping[str, str]) -> bytes:
    """Damage against depth and against size, mean and standard deviation by class, as PNG.

    Args:
        table: rows of `electrode_statistics`.
        names: what to call each volume, by `entity_id`; the first six of them are drawn.
    """
    drawn = list(names)[: len(COLOURS)]
    known = pc.and_(
        pc.is_in(table["entity_id"], value_set=pa.array(drawn, pa.string())),
        pc.and_(pc.is_valid(table["value"]), pc.greater(table["bin"], 0)),
    )
    table = table.filter(known)
    told = {"damage_against_depth": "depth", "damage_against_size": "size"}
    if not table.filter(pc.is_in(table["statistic"], value_set=pa.array(list(told)))).num_rows:
        return nothing("no damage by depth or size")
    figure = new_figure(_WIDTH_PX / _DPI, 4.6, _DPI)
    grid = figure.subplots(2, 2, sharex="col", height_ratios=(3, 1))
    for column, (statistic, word) in enumerate(told.items()):
        upper, lower = grid[:, column]
        _draw_profile(upper, lower, table.filter(pc.equal(table["statistic"], statistic)), names)
        _finish(upper, f"Damage against {word}", "damage (1)")
        _finish(lower, "", "particles")
        upper.set_ylim(bottom=0)
        lower.set_ylim(bottom=0)
    grid[1, 0].set_xlim(0, 1)
    grid[1, 0].set_xlabel("depth: 0 collector, 1 separator")
    grid[1, 1].set_xlabel("equivalent diameter (µm)")
    size = table.filter(pc.equal(table["statistic"], "damage_against_size"))
    if size.num_rows:
        _log_x(grid[1, 1], pc.min(size["bin_lower"]).as_py(), pc.max(size["bin_upper"]).as_py())
    _legend(figure, grid[0, 0] if grid[0, 0].lines else grid[0, 1])
    return png(figure)


def contact_histogram(table: pa.Table, *, labels: Mapping[str, str] | None = None) -> bytes:
    """Areas of contacts, and how many of them particles have that touch another, as PNG.

    Args:
        table: rows of `contacts`.
        labels: what to call each volume, by `volume_id`.
    """
    table = table.filter(pc.greater(table["contact_area_um2"], 0))
    if not table.num_rows:
        return nothing("no contacts")
    figure, (left, right) = _panels()
    edges = _edges(_numbers(table, "contact_area_um2"))
    for group in _groups(table, "volume_id", labels):
        _steps(left, _numbers(group.rows, "contact_area_um2"), edges, group)
        ends = pa.chunked_array(
            [*group.rows["particle_a_id"].chunks, *group.rows["particle_b_id"].chunks]
        )
        counts = np.bincount(ends.value_counts().field("counts").to_numpy())
        right.plot(
            np.arange(1, len(counts)),
            counts[1:],
            "o-",
            color=group.colour,
            lw=1.8,
            ms=4,
            label=group.label or None,
        )
    _finish(left, f"{table.num_rows:,} contacts", "contacts per class")
    _finish(right, "Contacts of a particle that touches others", "particles")
    _log_x(left, edges[0], edges[-1])
    left.set_xlabel("contact area (µm²)")
    right.set_xlabel("contacts")
    right.set_ylim(bottom=0)
    right.locator_params(integer=True)
    _legend(figure, right)
    return png(figure)


def _draw_profile(upper: "Axes", lower: "Axes", table: pa.Table, names: Mapping[str, str]) -> None:
    """Mean with a band of ± one standard deviation, and the counts below, for each volume."""
    for (key, name), colour in zip(names.items(), COLOURS, strict=False):
        rows = table.filter(pc.equal(table["entity_id"], key)).sort_by("bin")
        if not rows.num_rows:
            continue
        low, high, mean = (_numbers(rows, n) for n in ("bin_lower", "bin_upper", "value"))
        std = np.nan_to_num(_numbers(rows, "std"))
        middle = (low + high) / 2
        upper.plot(middle, mean, "o-", color=colour, lw=2, ms=5, label=short(name, _LETTERS))
        upper.fill_between(
            middle, np.maximum(mean - std, 0), mean + std, color=colour, alpha=0.18, lw=0
        )
        lower.plot(middle, _numbers(rows, "count"), "o-", color=colour, lw=1.2, ms=3)


def _groups(table: pa.Table, by: str | None, labels: Mapping[str, str] | None) -> Iterator[_Group]:
    """Rows by a column's values; all as one where there is no column, or too many values."""
    names = labels or {}
    keys = [] if by is None else table[by].unique().to_pylist()
    keys.sort(key=lambda key: names.get(key, str(key)))
    if by is None or not 1 < len(keys) <= len(COLOURS):
        yield _Group("" if len(keys) < 2 else f"all {len(keys)}", COLOURS[0], table)
        return
    for key, colour in zip(keys, COLOURS, strict=False):
        label = short(names.get(key, str(key)), _LETTERS)
        yield _Group(label, colour, table.filter(pc.equal(table[by], key)))


def _edges(values: Floats) -> Floats:
    """Limits of about √N classes that rise by a constant factor."""
    return log_edges(values, int(np.clip(np.sqrt(len(values)), *_CLASSES)))


def _steps(axes: "Axes", values: Floats, edges: Floats, group: _Group) -> None:
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts, edges, color=group.colour, fill=True, alpha=0.22, lw=0)
    axes.stairs(counts, edges, color=group.colour, lw=2)
    axes.locator_params(axis="y", integer=True)


def _panels() -> "tuple[Figure, Sequence[Axes]]":
    figure = new_figure(_WIDTH_PX / _DPI, 3.8, _DPI)
    return figure, figure.subplots(1, 2)


def _legend(figure: "Figure", axes: "Axes") -> None:
    """What the colours mean, below both panels; nothing where there is one without a name."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=11
        )
        rows = (len(handles) + 1) // 2
        figure.set_figheight(figure.get_figheight() + 0.22 * rows)


def _finish(axes: "Axes", title: str, ylabel: str) -> None:
    axes.set_title(title, fontsize=13, loc="left")
    axes.set_ylabel(ylabel)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
    axes.tick_params(labelsize=11)
    axes.grid(visible=True, axis="y", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _log_x(axes: "Axes", low: float, high: float) -> None:
    """A logarithmic axis with plain numbers: 1, 2 and 5 of each decade where there are few."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.05, high * 1.05)
    wide = high > 50 * low
    steps = (1,) if high > 5000 * low else (1, 3) if wide else (1, 2, 5)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = [step * decade for decade in decades for step in steps]
    ticks = [tick for tick in ticks if low / 1.05 <= tick <= high * 1.05]
    if len(ticks) < 2:  # less than an octave
        ticks = [float(f"{tick:.3g}") for tick in np.linspace(low, high, 4)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _numbers(rows: pa.Table, column: str) -> Floats:
    return np.asarray(rows[column].to_numpy(), dtype=np.float64)
