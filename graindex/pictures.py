"""Figures made and turned into bytes: one look, PNG for lines, JPEG for sections.

Out of scope: what is drawn.
"""

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
GREY = "#666666"

_DPI = 110
_PALETTE = 128  # colours that are kept of a PNG: a third of the bytes
_QUALITY = 88


def new_figure(width_in: float, height_in: float, dpi: float = _DPI) -> "Figure":
    """An empty figure of a size in inches."""
    # Half a second to import, and it looks into the user's cache for fonts: only to draw.
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width_in, height_in), dpi=dpi, layout="constrained")


def plain(axes: "Axes") -> None:
    """Axes without a frame at the top and right, with a light grid along y."""
    axes.grid(visible=True, axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def nothing(words: str) -> bytes:
    """A PNG that says why there is no figure."""
    figure = new_figure(0.6 + 0.1 * len(words), 0.7)
    figure.text(0.5, 0.5, words, ha="center", va="center", fontsize=11, color=GREY)
    return png(figure)


def png(figure: "Figure", *, all_colours: bool = False, dpi: float | None = None) -> bytes:
    """The figure as a PNG, of few colours unless all are wanted.

    Args:
        figure: what was drawn.
        all_colours: whether all are kept.
        dpi: of the picture; None for the figure's own.
    """
    if all_colours:
        return _drawn(figure, dpi)
    kept = io.BytesIO()
    _pixels(figure, dpi).quantize(_PALETTE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def jpeg(figure: "Figure") -> bytes:
    """The figure as a JPEG."""
    kept = io.BytesIO()
    # Without full resolution of colour, JPEG blurs thin lines.
    _pixels(figure).save(kept, "JPEG", quality=_QUALITY, subsampling=0)
    return kept.getvalue()


def short(name: str, letters: int) -> str:
    """The end of a name, which tells files of one folder apart."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _pixels(figure: "Figure", dpi: float | None = None) -> Image.Image:
    return Image.open(io.BytesIO(_drawn(figure, dpi))).convert("RGB")


def _drawn(figure: "Figure", dpi: float | None) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi="figure" if dpi is None else dpi)
    return drawn.getvalue()
