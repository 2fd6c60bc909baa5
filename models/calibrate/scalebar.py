"""The length in pixels of a burnt-in scale bar, by image analysis.

Out of scope: what the label beside the bar says (`databar_text`) and the pixel size that follows
from both (`acquisition`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from models.calibrate.databar import Box, Grey

Mask = NDArray[np.bool_]

MIN_LENGTH_PX = 20
MIN_LENGTH_SHARE = 0.03
MAX_LENGTH_SHARE = 0.8
MIN_ASPECT = 4.0
MIN_FILL = 0.9
MIN_CONTRAST = 60
"""Grey levels between a bar and what it lies on."""

OVERLAY_CONTRAST = 40
OVERLAY_SPREAD = 12
"""An overlaid bar is drawn in one level: standard deviation in grey levels at most."""

END_WINDOW_PX = 3
FRAME_SHARE = 0.9
MIN_TICKS = 6
MAX_GAP_SHARE = 0.6


class BarKind(StrEnum):
    """How a scale bar is drawn."""

    SOLID = "solid"
    """A plain line or block; its length is from edge to edge."""
    TICKED = "ticked"
    """A line with end ticks, or a ruler."""
    BROKEN = "broken"
    """A line interrupted by its label."""
    TICKS = "ticks"
    """A row of ticks without a line; from the first to the last."""


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A scale bar.

    Attributes:
        length_px: between the points that the label refers to.
        uncertainty_px: at least 1; half a tick's width where the ends could mean either the outer
            edges or the middles of the end ticks, `length_px` being the mean of both.
        box: pixels of the image.
        kind: how it is drawn.
    """

    length_px: float
    uncertainty_px: float
    box: Box
    kind: BarKind


def find_scale_bar(grey: Grey, databar: Box | None, label: Box | None = None) -> ScaleBar | None:
    """Find the scale bar in the databar or, without one, beside a label on the image.

    Solid blocks, thin lines, lines with end ticks, rulers, lines broken by their label and rows of
    separate ticks are measured, bright on dark and dark on bright. Lines that belong to a frame or
    a table are left out; the longest that remains is taken.

    Args:
        grey: (Y, X) uint8, the whole image.
        databar: where to look; see `databar.find_content_box`.
        label: where a length was read with confidence on an image without a databar. The bar must
            lie next to it, be drawn in one level and be the only such line.

    Returns:
        The bar; None where there is none, or no databar and no label, or more than one candidate
        beside the label.
    """
    if databar is not None:
        return _in_databar(databar.crop(grey), databar)
    if label is not None:
        return _beside_label(grey, label)
    return None


def _in_databar(strip: Grey, databar: Box) -> ScaleBar | None:
    background = int(np.bincount(strip.ravel(), minlength=256).argmax())
    distance = cv2.absdiff(strip, np.full_like(strip, background))
    marks = distance[distance > MIN_CONTRAST]
    if marks.size == 0:
        return None
    level = float(np.percentile(marks, 90))
    mask = distance > level / 2
    relative = np.clip(distance / level, 0.0, 1.0)
    lines = [box for box in _lines(mask) if not _is_frame(mask, box)]
    bars = [_measure_line(mask, relative, box) for box in lines]
    bars += _broken(mask, lines) + _tick_rows(mask)
    best = max(bars, key=lambda bar: bar.length_px, default=None)
    return None if best is None else _shift(best, databar.y0, databar.x0)


def _beside_label(grey: Grey, label: Box) -> ScaleBar | None:
    """The one line near a label that is at least half as long and no thicker."""
    rows, columns = grey.shape
    reach_y, reach_x = 2 * label.height, 2 * label.width
    window = Box(
        max(0, label.y0 - reach_y),
        max(0, label.x0 - reach_x),
        min(rows, label.y1 + reach_y),
        min(columns, label.x1 + reach_x),
    )
    part = window.crop(grey).astype(np.float64)
    ground = float(np.median(part))
    bright, dark = max(ground + OVERLAY_CONTRAST, 200), min(ground - OVERLAY_CONTRAST, 55)
    bars = [
        _shift(_measure_line(mask, _relative(part, ground, box), box), window.y0, window.x0)
        for mask in (part >= bright, part <= dark)
        for box in _lines(mask)
        if box.height <= label.height and box.width >= label.width / 2 and _stands_out(part, box)
    ]
    return bars[0] if len(bars) == 1 else None


def _relative(part: NDArray[np.float64], ground: float, bar: Box) -> NDArray[np.float64]:
    """Grey levels as shares of the step from the ground to a bar, 0...1."""
    level = float(np.median(bar.crop(part)))
    return np.clip((part - ground) / (level - ground), 0.0, 1.0)


def _stands_out(part: NDArray[np.float64], bar: Box) -> bool:
    """Whether a bar is drawn in one level with an edge all along: at two pixels it is over."""
    level = float(np.median(bar.crop(part)))
    if bar.height < 2 or bar.y0 < 2 or bar.y1 + 2 > part.shape[0]:
        return False
    beside = part[[bar.y0 - 2, bar.y1 + 1], bar.x0 : bar.x1]
    edged = (np.abs(beside - level) > OVERLAY_CONTRAST).mean(axis=1)
    return bool(np.std(bar.crop(part)) <= OVERLAY_SPREAD and edged.min() >= FRAME_SHARE)


def _lines(mask: Mask) -> Iterator[Box]:
    """Filled horizontal rectangles, long and flat, clear of the lower and both side borders."""
    rows, columns = mask.shape
    # An even kernel would shift what remains by a pixel.
    shortest = max(MIN_LENGTH_PX, round(MIN_LENGTH_SHARE * columns)) | 1
    opened = cv2.morphologyEx(
        mask.astype(np.uint8),
        cv2.MORPH_OPEN,
        np.ones((1, shortest), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    for x, y, width, height, area in stats[1:].tolist():
        inside = x > 0 and x + width < columns and width <= MAX_LENGTH_SHARE * columns
        flat = width >= MIN_ASPECT * height and area >= MIN_FILL * width * height
        if inside and flat and y + height < rows - 1:
            yield Box(y, x, y + height, x + width)


def _is_frame(mask: Mask, line: Box) -> bool:
    """Whether a line ends on a vertical rule of the strip's whole height."""
    for x in (line.x0, line.x1 - 1):
        columns = mask[:, max(0, x - 1) : x + 2]
        if columns.mean(axis=0).max() >= FRAME_SHARE:
            return True
    return False


def _measure_line(mask: Mask, relative: NDArray[np.float64], line: Box) -> ScaleBar:
    """Length of a line to a fraction of a pixel, with its end ticks if it has any."""
    left, right = _tick_width(mask, line), _tick_width(mask[:, ::-1], _mirror(line, mask))
    start = max(0, line.x0 - END_WINDOW_PX)
    stop = min(mask.shape[1], line.x1 + END_WINDOW_PX)
    body = relative[line.y0 : line.y1, start:stop]
    core = body[len(body) // 4 : len(body) - len(body) // 4] if len(body) > 3 else body
    profile = np.median(core, axis=0)
    profile = profile / np.median(profile)
    outer = _crossing(profile[::-1], stop, -1) - _crossing(profile, start, 1)
    if left and right:
        tick = (left + right) / 2
        return ScaleBar(outer - tick / 2, max(1.0, tick / 2), line, BarKind.TICKED)
    return ScaleBar(outer, 1.0, line, BarKind.SOLID)


def _crossing(profile: NDArray[np.float64], origin: int, step: int) -> float:
    """Where a profile first rises through one half; pixel k covers origin + step * [k, k + 1)."""
    first = int((profile >= 0.5).argmax())
    if first == 0:
        return float(origin)
    partial = float(np.clip(profile[first - 1], 0.0, 1.0) + np.clip(profile[first], 0.0, 1.0))
    return origin + step * (first + 1 - partial)


def _tick_width(mask: Mask, line: Box) -> int:
    """Width of the tick at the left end of a line; 0 if there is none."""
    reach = max(2, line.height)
    above = mask[max(0, line.y0 - reach) : line.y0]
    below = mask[line.y1 : line.y1 + reach]
    widest = max(3, (line.x1 - line.x0) // 10)
    width = 0
    for side in (above, below):
        if len(side) < 2:
            continue
        column = side[:, line.x0 : line.x0 + widest + 2].mean(axis=0) > 0.7
        column = column[int(not column[0]) :]
        width = max(width, 0 if column.all() else int(column.argmin()))
    return width


def _mirror(line: Box, mask: Mask) -> Box:
    columns = mask.shape[1]
    return Box(line.y0, columns - line.x1, line.y1, columns - line.x0)


def _broken(mask: Mask, lines: list[Box]) -> list[ScaleBar]:
    """Pairs of equally long thin lines in one row with a label between them."""
    bars = []
    for left, right in combinations(sorted(lines, key=lambda line: line.x0), 2):
        whole = Box(min(left.y0, right.y0), left.x0, max(left.y1, right.y1), right.x1)
        level = abs(left.y0 + left.y1 - right.y0 - right.y1) <= 2
        even = abs(left.width - right.width) <= max(3, 0.15 * left.width)
        gap = right.x0 - left.x1
        if level and even and 0 < gap <= MAX_GAP_SHARE * whole.width:
            tick = (_tick_width(mask, left) + _tick_width(mask[:, ::-1], _mirror(right, mask))) / 2
            length = whole.width - tick / 2
            bars.append(ScaleBar(length, max(1.0, tick / 2), whole, BarKind.BROKEN))
    return bars


def _tick_rows(mask: Mask) -> list[ScaleBar]:
    """Rows of at least six upright ticks, equally wide and equally spaced."""
    count, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    marks = [
        (float(centres[i][0]), Box(y, x, y + height, x + width))
        for i in range(1, count)
        for x, y, width, height in [stats[i, :4].tolist()]
        if height >= width
    ]
    bars = []
    for middle in sorted({(box.y0 + box.y1) // 2 for _, box in marks}):
        row = [(c, box) for c, box in marks if box.y0 <= middle < box.y1]
        runs = _even_runs(sorted(row, key=itemgetter(0)))
        bars += [_ticks(run) for run in runs if _is_whole(run, mask.shape[1])]
    return bars


def _is_whole(run: list[tuple[float, Box]], columns: int) -> bool:
    """Enough ticks, and room for one more at the right: a row cut by the border is none."""
    if len(run) < MIN_TICKS:
        return False
    spacing = (run[-1][0] - run[0][0]) / (len(run) - 1)
    return run[-1][0] + spacing / 2 < columns - 1


def _even_runs(row: list[tuple[float, Box]]) -> list[list[tuple[float, Box]]]:
    """Split marks at every change of spacing; ticks are narrow against it and one width."""
    runs = [row[:2]]
    for mark in row[2:]:
        run = runs[-1]
        spacing = (run[-1][0] - run[0][0]) / (len(run) - 1)
        even = abs(mark[0] - run[-1][0] - spacing) <= max(1.0, 0.06 * spacing)
        narrow = mark[1].width <= 0.35 * spacing and abs(mark[1].width - run[-1][1].width) <= 2
        if even and narrow:
            run.append(mark)
        else:
            runs.append([run[-1], mark])
    return runs


def _ticks(run: list[tuple[float, Box]]) -> ScaleBar:
    first, last = run[0][1], run[-1][1]
    box = Box(first.y0, first.x0, max(tick.y1 for _, tick in run), last.x1)
    return ScaleBar(run[-1][0] - run[0][0], 1.0, box, BarKind.TICKS)


def _shift(bar: ScaleBar, rows: int, columns: int) -> ScaleBar:
    box = Box(bar.box.y0 + rows, bar.box.x0 + columns, bar.box.y1 + rows, bar.box.x1 + columns)
    return ScaleBar(bar.length_px, bar.uncertainty_px, box, bar.kind)
