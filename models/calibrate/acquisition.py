"""Everything that an image says about its own acquisition: content box, scale bar and databar.

Out of scope: metadata in tags and sidecars (`graindex.readers`), choosing between the sources
(`reconcile`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.calibrate.databar import Box, ContentBox, Grey, find_content_box
from models.calibrate.databar_text import (
    MIN_CONFIDENCE,
    LengthLabel,
    parse_databar,
    parse_length_labels,
)
from models.calibrate.ocr import TextBox, read_text
from models.calibrate.readings import Finding, Quantity, Reading, Source
from models.calibrate.scalebar import ScaleBar, find_scale_bar

CODE_VERSION = "2"

OVERLAY_CONFIDENCE = 0.8
"""A label on the specimen competes with texture that looks like text."""

MAX_LABEL_GAP_SHARE = 1 / 3
"""Of the image's width, between a bar and its label; JEOL leaves up to a quarter."""

DISPLAY_WIDTH_MM = (20.0, 2000.0)
"""Width of the field times magnification: 90...350 mm on instruments, more on scaled figures."""

UNREADABLE = "scale_bar_unreadable"


@dataclass(frozen=True, slots=True)
class PixelAcquisition:
    """What an image says about its acquisition.

    Attributes:
        content_box: the specimen, and the databar if there is one.
        scale_bar: the bar as measured, also where its label could not be read.
        readings: pixel size from the bar and whatever the databar says.
        findings: why there is a databar but no pixel size.
    """

    content_box: ContentBox
    scale_bar: ScaleBar | None
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]


def read_acquisition(grey: Grey, *, overlay: bool = False, threads: int = 1) -> PixelAcquisition:
    """Read the content box, the scale bar and the databar of an image.

    Args:
        grey: (Y, X) uint8.
        overlay: whether to look for a bar and label drawn on the specimen where there is no
            databar; this costs text recognition on the whole image. Without it such an image has
            no readings.
        threads: for text recognition.

    Returns:
        The acquisition; nothing in it is guessed.

    Raises:
        ValueError: `grey` is not a two-dimensional uint8 array.
    """
    content_box = find_content_box(grey)
    databar = content_box.databar
    if databar is None:
        return _read_overlay(grey, content_box, threads) if overlay else _nothing(content_box)
    strip = databar.crop(grey)
    if strip.min() == strip.max():
        return _nothing(content_box)
    texts = [_shift(text, databar) for text in read_text(strip, threads=threads)]
    readings = parse_databar(texts)
    bar = find_scale_bar(grey, databar)
    pixel_size, finding = _pixel_size(bar, parse_length_labels(texts), readings, grey.shape[1])
    return PixelAcquisition(
        content_box,
        bar,
        (*readings, *([pixel_size] if pixel_size else [])),
        (finding,) if finding else (),
    )


def scale_bar_reading(bar: ScaleBar, label: LengthLabel) -> Reading:
    """Pixel size from a measured bar and its label.

    Args:
        bar: length in pixels with its uncertainty.
        label: length in µm.

    Returns:
        µm per pixel; its uncertainty is that of the bar's length.
    """
    value = label.length_um / bar.length_px
    return Reading(
        Quantity.PIXEL_SIZE_UM,
        Source.SCALE_BAR,
        value,
        uncertainty=value * bar.uncertainty_px / bar.length_px,
        confidence=label.text.confidence,
        detail=f"bar {bar.length_px:.4g} px = {label.length_um:g} µm",
    )


def _nothing(content_box: ContentBox) -> PixelAcquisition:
    return PixelAcquisition(content_box, None, (), ())


def _read_overlay(grey: Grey, content_box: ContentBox, threads: int) -> PixelAcquisition:
    """The bar beside the one confident label on the specimen, or nothing."""
    labels = [
        label
        for label in parse_length_labels(read_text(grey, threads=threads))
        if label.text.confidence >= OVERLAY_CONFIDENCE
    ]
    if len(labels) != 1:
        return _nothing(content_box)
    bar = find_scale_bar(grey, None, labels[0].text.box)
    if bar is None:
        return _nothing(content_box)
    return PixelAcquisition(content_box, bar, (scale_bar_reading(bar, labels[0]),), ())


def _pixel_size(
    bar: ScaleBar | None, labels: Sequence[LengthLabel], readings: Sequence[Reading], columns: int
) -> tuple[Reading | None, Finding | None]:
    """The pixel size, or why there is none."""
    if bar is None:
        return None, Finding(UNREADABLE, "the databar has no scale bar that could be measured")
    near = [(_gap(bar.box, label.text.box), label) for label in labels]
    near = [(gap, label) for gap, label in near if gap <= MAX_LABEL_GAP_SHARE * columns]
    if not near:
        return None, Finding(
            UNREADABLE, f"the scale bar of {bar.length_px:.4g} px has no label that could be read"
        )
    label = min(near, key=lambda pair: pair[0])[1]
    if label.text.confidence < MIN_CONFIDENCE:
        return None, Finding(
            UNREADABLE,
            f"the label {label.text.text!r} of the scale bar was read with a confidence of only "
            f"{label.text.confidence:.2f}",
        )
    reading = scale_bar_reading(bar, label)
    for other in readings:
        if other.quantity is Quantity.MAGNIFICATION and isinstance(other.value, float):
            width_mm = label.length_um / bar.length_px * columns * other.value / 1e3
            if not DISPLAY_WIDTH_MM[0] <= width_mm <= DISPLAY_WIDTH_MM[1]:
                return None, Finding(
                    UNREADABLE,
                    f"{reading.detail} at a magnification of {other.value:g} would fill a display "
                    f"of {width_mm:.3g} mm, so label or magnification was misread",
                )
    return reading, None


def _gap(bar: Box, text: Box) -> float:
    """Distance in pixels between two boxes; 0 if they overlap."""
    rows = max(bar.y0 - text.y1, text.y0 - bar.y1, 0)
    columns = max(bar.x0 - text.x1, text.x0 - bar.x1, 0)
    return float((rows**2 + columns**2) ** 0.5)


def _shift(text: TextBox, by: Box) -> TextBox:
    box = text.box
    moved = Box(box.y0 + by.y0, box.x0 + by.x0, box.y1 + by.y0, box.x1 + by.x0)
    return TextBox(text.text, text.confidence, moved)
