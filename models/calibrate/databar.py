"""Where the specimen ends and the instrument databar begins, by image analysis.

Out of scope: reading what the databar says (`ocr`, `databar_text`) and measuring its scale bar.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

MIN_WIDTH_PX = 64
MIN_HEIGHT_PX = 10
MIN_HEIGHT_SHARE = 0.015
MAX_HEIGHT_SHARE = 0.25

TAIL_ROWS = (8, 24)
"""Rows at the border whose commonest grey level is tried as the strip's background."""

BORDER_ROWS = 6
"""Frame lines and resampling artefacts tolerated between the strip and the image border."""

RULE_ROWS = 3
"""Separator lines tolerated inside a strip, in rows."""

STRIP_QUIET = 0.15
CONTENT_QUIET = 0.12
"""Share of a row in quiet runs (see `_quiet_share`). Measured on 135 strips of eight makers: 0.20
and more in the rows of a strip, rules apart; at most 0.03 on average over the eight rows beyond."""

RINGING_LEVELS = 6
"""Compression noise about the text of a strip stays within; detector noise rarely does."""

BLANK_LEVELS = 2
BACKGROUND_LEVELS = 12
TEXT_LEVELS = 60
MIN_GLYPHS = 2
"""Marks wholly inside the strip; debris on a dark edge of the specimen touches its rim."""

CLEAN_BACKGROUND = 0.97
EDGE_BACKGROUND = 0.7
EDGE_DROP = 0.3
"""Of the share of background from the strip to the specimen; measured: 0.62 and more."""

COLUMN_BACKGROUND = 0.15
COLUMN_SHARE = 0.9
EDGE_BLUR_ROWS = 2
CONTEXT_ROWS = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, half-open: rows ``y0 <= y < y1``, columns ``x0 <= x < x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    def crop(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of a (Y, X) array inside the box, as a view."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


@dataclass(frozen=True, slots=True)
class ContentBox:
    """What of an image is specimen, in half-open pixels, and the databar that was cut off.

    Attributes:
        y0: first row of the specimen.
        x0: first column.
        y1: one past the last row.
        x1: one past the last column.
        databar: the strip, up to the image border; None if there is none.
    """

    y0: int
    x0: int
    y1: int
    x1: int
    databar: Box | None

    def crop(self, image: NDArray[Any]) -> NDArray[Any]:
        """The specimen part of a (Y, X) array, as a view."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


def find_content_box(grey: Grey) -> ContentBox:
    """Find the databar at the foot or, failing that, at the head of an image.

    A databar is a strip across the full width with a background of one grey level, sharp text on
    it and a sharp straight edge to the specimen. A strip that was blanked with any one grey level
    is found at the same row as the strip with its text, so that what is cropped does not depend on
    what is printed; only where the specimen next to it is free of noise and of that very level, as
    saturated white is, nothing shows where it ends. An image of one grey level has no databar.

    Args:
        grey: (Y, X) uint8.

    Returns:
        The content box; the whole image where there is no databar.

    Raises:
        ValueError: `grey` is not a two-dimensional uint8 array.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        message = f"a (Y, X) uint8 image is needed, not {grey.dtype} of shape {grey.shape}"
        raise ValueError(message)
    rows, columns = grey.shape
    height = _strip_height(grey[::-1])
    if height:
        cut = rows - height
        return ContentBox(0, 0, cut, columns, Box(cut, 0, rows, columns))
    height = _strip_height(grey)
    if height:
        return ContentBox(height, 0, rows, columns, Box(0, 0, height, columns))
    return ContentBox(0, 0, rows, columns, None)


def _strip_height(grey: Grey) -> int:
    """Rows of the strip at row 0 of a (Y, X) image; 0 if there is none."""
    rows = grey.shape[0]
    most = int(rows * MAX_HEIGHT_SHARE)
    least = max(MIN_HEIGHT_PX, round(rows * MIN_HEIGHT_SHARE))
    if most < least or grey.shape[1] < MIN_WIDTH_PX:
        return 0
    part = grey[: most + EDGE_BLUR_ROWS + CONTEXT_ROWS]
    blank = _uniform_rows(part)
    if not least <= blank <= most or not _is_abrupt(part, blank):
        blank = 0
    if blank and np.median(_quiet_above(part, blank)) < CONTENT_QUIET:
        return blank
    for tail in TAIL_ROWS:
        background = int(np.bincount(part[:tail].ravel(), minlength=256).argmax())
        height = _printed_height(part, background, most)
        if height >= least:
            return height
    return blank if blank and _is_sharp(part == part[0, 0], blank) else 0


def _uniform_rows(part: Grey) -> int:
    """How many rows from row 0 on hold exactly the grey level of the first pixel."""
    uniform = (part == part[0, 0]).all(axis=1)
    return part.shape[0] if uniform.all() else int(uniform.argmin())


def _is_abrupt(part: Grey, blank: int) -> bool:
    """Whether the row next to a uniform one is unlike it; a fade ends level by level."""
    distance = _distance(part[blank : blank + 1], part[0, 0])
    return bool((distance <= BLANK_LEVELS).mean() <= 1 - EDGE_DROP)


def _quiet_above(part: Grey, blank: int) -> NDArray[np.float64]:
    """Quiet share of the rows next to a blank strip: high if these are rows of text on it."""
    return _quiet_share(_distance(part[blank : blank + CONTEXT_ROWS], part[0, 0]), BLANK_LEVELS)


def _distance(part: Grey, level: int | np.uint8) -> Grey:
    """Absolute difference of every pixel from a grey level."""
    return np.asarray(cv2.absdiff(part, np.full_like(part, level)), dtype=np.uint8)


def _quiet_share(distance: Grey, tolerance: int) -> NDArray[np.float64]:
    """Share of each row in long horizontal runs that stay within a tolerance.

    The gaps between the texts of a strip are such runs; detector noise breaks them.

    Args:
        distance: (Y, X) uint8, distance from the background in grey levels.
        tolerance: in grey levels.

    Returns:
        (Y,) shares, 0...1.
    """
    run = max(12, distance.shape[1] // 40) | 1
    within = (distance <= tolerance).astype(np.uint8)
    kernel = np.ones((1, run), np.uint8)
    runs = cv2.morphologyEx(
        within, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(runs.mean(axis=1), dtype=np.float64)


def _printed_height(part: Grey, background: int, most: int) -> int:
    """Rows of a strip with text on one background that begins at row 0; 0 if it is not one."""
    distance = _distance(part, background)
    within = distance <= BACKGROUND_LEVELS
    quiet = _quiet_share(distance, RINGING_LEVELS)
    noisy = _quiet_end(quiet, within.mean(axis=1))
    context = quiet[noisy + EDGE_BLUR_ROWS : noisy + EDGE_BLUR_ROWS + CONTEXT_ROWS]
    if not (context.size and context.mean() <= CONTENT_QUIET):
        noisy = 0
    for height in (noisy, _clean_end(within[:most].mean(axis=1))):
        if 0 < height <= most and _is_sharp(within, height) and _is_printed(distance[:height]):
            return height
    return 0


def _is_sharp(within: NDArray[np.bool_], height: int) -> bool:
    """Whether the share of background falls at once where a strip from row 0 on ends."""
    beyond = within[height + EDGE_BLUR_ROWS : height + EDGE_BLUR_ROWS + CONTEXT_ROWS]
    return bool(beyond.size and beyond.mean() <= within[height - 1].mean() - EDGE_DROP)


def _quiet_end(quiet: NDArray[np.float64], on_background: NDArray[np.float64]) -> int:
    """Where quiet rows that begin at row 0 end, but for rules; the last is mostly background."""
    rows = np.flatnonzero(quiet >= STRIP_QUIET)
    if rows.size == 0 or rows[0] > BORDER_ROWS:
        return 0
    breaks = np.flatnonzero(np.diff(rows) > RULE_ROWS + 1)
    last = int(rows[breaks[0]] if breaks.size else rows[-1])
    clean = np.flatnonzero(on_background[: last + 1] >= EDGE_BACKGROUND)
    if clean.size == 0:
        return 0
    end = int(clean[-1]) + 1
    blurred = on_background[end : end + EDGE_BLUR_ROWS] >= COLUMN_SHARE
    return end + (blurred.size if blurred.all() else int(blurred.argmin()))


def _clean_end(on_background: NDArray[np.float64]) -> int:
    """Where the last two rows end that are background throughout: the strip's inner margin.

    This finds a black strip below a specimen that is black in large parts, hence quiet as well.
    """
    clean = on_background >= CLEAN_BACKGROUND
    pairs = np.flatnonzero(clean[1:] & clean[:-1])
    return int(pairs[-1]) + 2 if pairs.size else 0


def _is_printed(distance: Grey) -> bool:
    """Whether the background reaches across the width and something like text stands on it."""
    across = (distance <= BACKGROUND_LEVELS).mean(axis=0) >= COLUMN_BACKGROUND
    marks = (distance > TEXT_LEVELS).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(marks)
    top = boxes[1:, cv2.CC_STAT_TOP]
    bottom = top + boxes[1:, cv2.CC_STAT_HEIGHT]
    glyphs = np.count_nonzero((top > 0) & (bottom < distance.shape[0]))
    return bool(across.mean() >= COLUMN_SHARE and glyphs >= MIN_GLYPHS)
