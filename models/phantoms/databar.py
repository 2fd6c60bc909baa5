"""The strip at the foot of a micrograph: text and a scale bar, laid out as on tabletop instruments.

Out of scope: what the text says, which is `models.phantoms.sem`; reading it back.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

DATABAR_ROWS = 64
DATABAR_MIN_WIDTH_PX = 720

_FONT_SIZE = 20
_MARGIN_PX = 16
_FIRST_LINE, _SECOND_LINE = 6, 34  # top of the text
_VOLTAGE_X, _DETECTOR_X, _MAGNIFICATION_X, _DISTANCE_X = 160, 250, 305, 250
_BAR_ROWS = (12, 22)  # half open
_BAR_LONGEST_PX = 300


@dataclass(frozen=True, slots=True)
class DatabarText:
    """What the strip says, as printed."""

    voltage: str
    magnification: str
    acquired_at: str
    working_distance: str
    maker: str = "GRAINDEX"
    detector: str = "SE"


def scale_bar(pixel_size_um: float) -> tuple[int, float]:
    """The longest bar of 1, 2 or 5 × 10ⁿ µm that is at most 300 pixels; it is at least 120.

    Returns:
        Length in whole pixels and the length in µm that the label states.
    """
    longest_um = _BAR_LONGEST_PX * pixel_size_um
    decade = 10.0 ** math.floor(math.log10(longest_um))
    length_um = max(step * decade for step in (1, 2, 5) if step * decade <= longest_um)
    return round(length_um / pixel_size_um), length_um


def length_label(length_um: float) -> str:
    """``"500 nm"``, ``"20 um"`` or ``"1 mm"``: ASCII, as on instruments."""
    if length_um < 1:
        return f"{length_um * 1000:g} nm"
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} um"


def draw_databar(
    width_px: int, text: DatabarText, bar_px: int, bar_um: float
) -> npt.NDArray[np.uint8]:
    """Draw white text and a solid white bar on black.

    Returns:
        (64, `width_px`) uint8; the bar is exactly `bar_px` columns of 255.
    """
    strip = Image.new("L", (width_px, DATABAR_ROWS), 0)
    draw = ImageDraw.Draw(strip)
    for x, y, words in (
        (_MARGIN_PX, _FIRST_LINE, text.maker),
        (_VOLTAGE_X, _FIRST_LINE, text.voltage),
        (_DETECTOR_X, _FIRST_LINE, text.detector),
        (_MAGNIFICATION_X, _FIRST_LINE, text.magnification),
        (_MARGIN_PX, _SECOND_LINE, text.acquired_at),
        (_DISTANCE_X, _SECOND_LINE, text.working_distance),
    ):
        draw.text((x, y), words, fill=255, font=_font())
    bar_end = width_px - _MARGIN_PX
    label_x = bar_end - bar_px / 2
    draw.text((label_x, _SECOND_LINE), length_label(bar_um), fill=255, font=_font(), anchor="ma")
    pixels = np.array(strip)
    pixels[slice(*_BAR_ROWS), bar_end - bar_px : bar_end] = 255
    return pixels


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_FONT_SIZE)
