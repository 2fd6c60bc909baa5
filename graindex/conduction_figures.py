"""The paths of conduction through a particle, drawn in three sections with units and scale bar.

Out of scope: finding them (`models.measure.conduction_map`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graindex.pictures import COLOURS, GREY, jpeg, new_figure
from models.measure.conduction_map import ConductionMap, contact_faces
from models.measure.overlays import scale_bar_um
from models.measure.particle_faces import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SURROUNDINGS = {
    Kind.OPEN: "#ffffff",
    Kind.CRACK: "#ffffff",
    Kind.OTHER: "#d9d9d9",
    Kind.BINDER: "#4d4d4d",
    Kind.OUTSIDE: "#f2e6d9",
}
_CONTACT = COLOURS[1]
_ARROW = "#aaaaaa"  # white lines, in the legend
_LEVELS = 8
_STREAMS = 0.5  # how densely lines follow the shortest way


def conduction_figure(found: ConductionMap, *, title: str, row: Mapping[str, Any]) -> bytes:
    """Three sections of a particle as JPEG: colour is the length of the shortest way to binder.

    Thin lines are of equal length, white ones with arrows go the shortest way as far as it lies in
    the section, thick ones are faces that touch binder.

    Args:
        found: the particle in its box.
        title: what it is called.
        row: its `detachment`, `conduction_path_mean_um` and `conduction_path_max_um`.
    """
    figure = new_figure(11, 4.2)
    panels = figure.subplots(1, 3)
    reached = found.distance_um[np.isfinite(found.distance_um)]
    longest = float(reached.max()) if reached.size else 1.0
    z, y, x = found.centre
    sections: tuple[tuple[Any, tuple[int, int]], ...] = (
        (np.s_[z, :, :], (1, 2)),
        (np.s_[:, y, :], (0, 2)),
        (np.s_[:, :, x], (0, 1)),
    )
    for axes, (cut, (down, across)) in zip(panels, sections, strict=True):
        steps = (found.spacing_um[down], found.spacing_um[across])
        image = _section(axes, found.kinds[cut], found.distance_um[cut], steps, longest)
        axes.set_xlabel(f"{'zyx'[across]} (µm)")
        axes.set_ylabel(f"{'zyx'[down]} (µm)")
    bar = figure.colorbar(image, ax=panels, shrink=0.8, pad=0.01)
    bar.set_label("shortest way to the binder (µm)")
    figure.suptitle(
        f"{title}: detachment {row['detachment']:.2f}, "
        f"mean way {row['conduction_path_mean_um']:.2f} µm, "
        f"longest {row['conduction_path_max_um']:.2f} µm",
        fontsize=11,
    )
    _legend(figure)
    return jpeg(figure)


def _section(
    axes: "Axes",
    kinds: Any,
    distance: Any,
    steps: tuple[float, float],
    longest: float,
) -> Any:
    """One section; returns the coloured image."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415
    from matplotlib.colors import to_rgb  # noqa: PLC0415

    around = np.ones((*kinds.shape, 3))
    for kind, colour in _SURROUNDINGS.items():
        around[kinds == kind] = to_rgb(colour)
    height, width = (n * step for n, step in zip(kinds.shape, steps, strict=True))
    extent = (-steps[1] / 2, width - steps[1] / 2, height - steps[0] / 2, -steps[0] / 2)
    axes.imshow(around, extent=extent, interpolation="nearest")
    inside = np.ma.masked_invalid(distance)
    image = axes.imshow(inside, extent=extent, cmap="viridis", vmin=0, vmax=longest)
    down, across = (np.arange(n) * step for n, step in zip(kinds.shape, steps, strict=True))
    if inside.count() > 1 and np.ptp(inside.compressed()) > 0:
        levels = np.linspace(0, longest, _LEVELS + 1)[1:-1]
        axes.contour(across, down, inside, levels, colors="black", linewidths=0.6)
        _streams(axes, across, down, inside, steps)
    touching = contact_faces(kinds == Kind.BODY, kinds == Kind.BINDER) * steps
    axes.add_collection(LineCollection(list(touching[..., ::-1]), colors=_CONTACT, linewidths=2.2))
    _scale_bar(axes, width, extent)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    return image


def _streams(axes: "Axes", across: Any, down: Any, inside: Any, steps: tuple[float, float]) -> None:
    """Lines that run against the gradient, where both its parts are known."""
    slopes = np.gradient(inside.filled(np.nan), *steps)
    to_binder = [np.ma.masked_invalid(-slope) for slope in slopes]
    if min(part.count() for part in to_binder) > _LEVELS:
        axes.streamplot(
            across, down, to_binder[1], to_binder[0],
            color="white", linewidth=0.8, arrowsize=0.7, density=_STREAMS,
        )  # fmt: skip


def _scale_bar(axes: "Axes", width_um: float, extent: tuple[float, ...]) -> None:
    length = scale_bar_um(width_um)
    left, foot = extent[0] + 0.05 * width_um, extent[2] - 0.05 * (extent[2] - extent[3])
    ends = [left, left + length]
    axes.plot(ends, [foot, foot], color="black", linewidth=4, solid_capstyle="butt")
    axes.annotate(
        f"{length:g} µm",
        (left + length / 2, foot),
        (0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        bbox={
            "boxstyle": "round,pad=0.15",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.8,
        },
    )


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    figure.legend(
        handles=[
            Line2D([], [], color=_CONTACT, linewidth=2.2, label="face that touches binder"),
            Patch(facecolor=_SURROUNDINGS[Kind.BINDER], label="carbon-binder"),
            Patch(facecolor=_SURROUNDINGS[Kind.OTHER], edgecolor=GREY, label="other particle"),
            Patch(facecolor="white", edgecolor=GREY, label="pore or crack"),
            Line2D([], [], color="black", linewidth=0.6, label="equal way"),
            Line2D([], [], color=_ARROW, linewidth=0.8, marker=">", ms=4, label="shortest way"),
        ],
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=9,
    )
