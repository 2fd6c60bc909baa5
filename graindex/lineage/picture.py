"""Picture of a lineage: one box a kind, from the files at the left to what rests on them.

Out of scope: where the boxes stand (`graindex.lineage.layers`).
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from graindex.errors import InputError
from graindex.lineage.kinds import KINDS, Node, spoken
from graindex.lineage.layers import Layout, layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from graindex.lineage.lineage import Lineage

_SUFFIXES = (".svg", ".png")
_BOX = (2.6, 1.0)  # width and height in inches
_PITCH = (3.15, 1.25)  # the same with the room between
_MARGIN = 0.35
_DPI = 150
_LETTERS = 32
# What these are called says more than their keys.
_CALLED = frozenset({"file", "dataset", "sample", "micrograph", "volume"})
_LINK, _FRAME, _FILL, _START = "#888888", "#333333", "#f4f6f8", "#fde8c8"


def write_picture(lineage: "Lineage", target: Path) -> None:
    """Write a picture of a lineage: an SVG or a PNG by the file's suffix.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix not in _SUFFIXES:
        message = f"{target}: draw into a .svg or .png file"
        raise InputError(message)
    try:
        target.write_bytes(picture(lineage, suffix.removeprefix(".")))
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror or error}"
        raise InputError(message) from error


def picture(lineage: "Lineage", file_format: str = "png") -> bytes:
    """A picture of a lineage as a file.

    Args:
        lineage: what to draw.
        file_format: png or svg.
    """
    present = {lineage.start.kind, *lineage.counts}
    kinds = [kind for kind in KINDS if kind in present]
    pairs = lineage.edges.group_by(["upstream_kind", "downstream_kind"]).aggregate([]).to_pylist()
    links = sorted(
        (pair["upstream_kind"], pair["downstream_kind"])
        for pair in pairs
        if pair["upstream_kind"] != pair["downstream_kind"]
    )
    return _render(_drawn(lineage, layout(kinds, links)), file_format)


def _drawn(lineage: "Lineage", places: Layout) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415

    width = places.layer_count * _PITCH[0] - (_PITCH[0] - _BOX[0]) + 2 * _MARGIN
    height = places.height * _PITCH[1] + 2 * _MARGIN
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_BOX[0] / 2 - _MARGIN, width - _BOX[0] / 2 - _MARGIN)
    axes.set_ylim(-height / 2, height / 2)
    axes.set_axis_off()
    for route in places.routes.values():
        _draw_link(axes, [(x * _PITCH[0], y * _PITCH[1]) for x, y in route])
    for kind, (layer, row) in places.place.items():
        _draw_box(axes, lineage, kind, (layer * _PITCH[0], row * _PITCH[1]))
    return figure


def _draw_link(axes: "Axes", points: list[tuple[float, float]]) -> None:
    """A curve from the right side of the first box to the left side of the last."""
    from matplotlib.patches import FancyArrowPatch  # noqa: PLC0415
    from matplotlib.path import Path as Curve  # noqa: PLC0415

    half = _BOX[0] / 2
    vertices = [(points[0][0] + half, points[0][1])]
    codes = [Curve.MOVETO]
    for place, (x, y) in enumerate(points[1:], start=1):
        is_last = place == len(points) - 1
        start, end = vertices[-1], (x - half, y)
        bend = (end[0] - start[0]) / 2
        vertices += [(start[0] + bend, start[1]), (end[0] - bend, end[1]), end]
        codes += [Curve.CURVE4] * 3
        if not is_last:  # straight past the boxes of a layer
            vertices.append((x + half, y))
            codes.append(Curve.LINETO)
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=11,
            color=_LINK,
            linewidth=1.1,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )


def _draw_box(axes: "Axes", lineage: "Lineage", kind: str, centre: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

    is_start = kind == lineage.start.kind
    x, y = centre
    axes.add_patch(
        FancyBboxPatch(
            (x - _BOX[0] / 2, y - _BOX[1] / 2),
            *_BOX,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=_START if is_start else _FILL,
            edgecolor=_FRAME,
            linewidth=1.0,
            zorder=2,
        )
    )
    count = lineage.counts.get(kind, 0)
    title = spoken(kind) if is_start and count == 0 else spoken(kind, count)
    axes.text(x, y + 0.3, title, ha="center", va="center", fontsize=12, weight="bold", zorder=3)
    below = "\n".join(_lines(lineage, kind))
    axes.text(x, y - 0.13, below, ha="center", va="center", fontsize=8.5, zorder=3, linespacing=1.3)


def _lines(lineage: "Lineage", kind: str) -> list[str]:
    """What stands in a box under its title: one or two of its things, and their code versions."""
    called = lineage.described if kind in _CALLED else {}
    names = [lineage.start.id] if kind == lineage.start.kind else []
    names += [node.id for node in called if node.kind == kind]
    names += lineage.nodes.filter(pc.equal(lineage.nodes["kind"], kind))["id"][:2].to_pylist()
    told = [called.get(Node(kind, name)) or name for name in list(dict.fromkeys(names))[:2]]
    rest = lineage.counts.get(kind, 0) - (2 if kind != lineage.start.kind else 1)
    made = lineage.edges.filter(pc.equal(lineage.edges["downstream_kind"], kind))
    versions = [one for one in pc.unique(made["code_version"]).to_pylist() if one is not None]
    lines = [_short(text) for text in told]
    if rest > 0 and lines:
        lines[-1] += " …"
    if versions:
        lines.append(_short(f"code version {', '.join(sorted(versions))}"))
    return lines


def _short(text: str) -> str:
    """A text that fits into a box; of a long one the end, which tells paths apart."""
    return text if len(text) <= _LETTERS else f"…{text[1 - _LETTERS :]}"


def _render(figure: "Figure", file_format: str) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415

    buffer = io.BytesIO()
    # Without a date and random names the same lineage gives the same file.
    metadata = {"Date": None} if file_format == "svg" else None
    with mpl.rc_context({"svg.hashsalt": "lineage"}):
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()
