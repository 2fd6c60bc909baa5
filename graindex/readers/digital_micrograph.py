"""Gatan DM3 and DM4 images to grey frames, with RosettaSciIO.

Out of scope: spectra, spectrum images and stacks, which are refused with their shape.
"""

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graindex.readers import grey
from graindex.readers import quantities as q
from graindex.readers.frame import (
    ColourMode,
    Frame,
    Limits,
    UnreadableImageError,
    unreadable_on_error,
)
from graindex.readers.library_log import captured_log
from models.calibrate.readings import Finding, Quantity, Source


def read_digital_micrograph(
    data: bytes, name: str, image_format: str, limits: Limits
) -> list[Frame]:
    """Read the images of a DM3 or DM4 file, thumbnails left out.

    Raises:
        UnreadableImageError: damaged, truncated, too large or small, without content, or an
            image in it is not two-dimensional and real.
    """
    # It brings Dask along: a third of a second that only these files need.
    from rsciio.digitalmicrograph import file_reader  # noqa: PLC0415

    what = image_format.upper()
    # RosettaSciIO opens paths only
    with tempfile.NamedTemporaryFile(suffix=f".{image_format}") as file:
        file.write(data)
        file.flush()
        with captured_log() as log, unreadable_on_error(name, what):
            images = file_reader(file.name)
    if not images:
        raise UnreadableImageError(name, f"the {what} file has no image")
    logged = tuple(Finding("library_warning", message) for message in dict.fromkeys(log))
    limits.check_total(name, sum(image["data"].size for image in images))
    return [_frame(image, number, name, limits, logged) for number, image in enumerate(images)]


def _frame(
    image: Mapping[str, Any], number: int, name: str, limits: Limits, logged: tuple[Finding, ...]
) -> Frame:
    stored = image["data"]
    if stored.ndim != 2 or stored.dtype.kind == "c":
        raise UnreadableImageError(
            name,
            f"data of shape {' x '.join(map(str, stored.shape))} and type {stored.dtype}: only "
            "two-dimensional real images are read",
        )
    height, width = stored.shape
    limits.check_area(name, width, height)
    limits.check_side(name, width, height)
    samples, mode, depth = _samples(stored)
    done = grey.finish(samples, name)
    said = _statement(image)
    return Frame(
        pixels=done.pixels,
        page=number,
        bit_depth=depth,
        bits_used=done.bits_used,
        colour_mode=mode,
        nonfinite_pixels=done.nonfinite_pixels,
        readings=tuple(said.readings),
        findings=(*done.findings, *said.findings, *logged),
    )


def _samples(stored: npt.NDArray[Any]) -> tuple[grey.Samples, ColourMode, int]:
    """Return grey samples, how they were stored and the bits of one sample."""
    if stored.dtype.names is None:
        return stored, "grey", 8 * stored.dtype.itemsize
    rgb = np.stack([stored[channel] for channel in "RGB"], axis=-1)
    return *grey.from_rgb(rgb), 8  # its fourth byte is padding, not alpha


def _statement(image: Mapping[str, Any]) -> q.Statement:
    """Return what the axes and the microscope's tags say: volts; lengths with their unit."""
    out = q.Statement(Source.TAG)
    y, x = image["axes"]
    unit = str(x.get("units") or "")
    if q.length_m(f"1 {unit}") is not None:  # reciprocal units are diffraction, "" uncalibrated
        out.pixel_size(
            q.length_m(f"{x['scale']} {unit}"),
            q.length_m(f"{y['scale']} {y.get('units') or ''}"),
            "DM axis calibration",
            f"{x['scale']} {unit}",
        )
    tags = _branch(image["original_metadata"], "ImageList", "TagGroup0", "ImageTags")
    tags = _branch(tags, "source", "Tags at creation") or tags
    info = _branch(tags, "Microscope Info")
    for key, quantity, scale in (
        ("Voltage", Quantity.ACCELERATING_VOLTAGE_KV, 1e-3),
        ("Indicated Magnification", Quantity.MAGNIFICATION, 1.0),
    ):
        value = info.get(key)
        if isinstance(value, int | float):
            out.number(quantity, value * scale, f"Microscope Info.{key}", value)
    for branch, key in (("Session Info", "Microscope"), ("Microscope Info", "Name")):
        out.text(Quantity.INSTRUMENT, _text(_branch(tags, branch), key), f"{branch}.{key}")
    bar = _branch(tags, "DataBar")
    day, clock = _text(bar, "Acquisition Date"), _text(bar, "Acquisition Time")
    out.text(Quantity.DETECTOR, _text(bar, "Device Name"), "DataBar.Device Name")
    month_first = True if q.is_twelve_hour(clock) else None
    out.moment(
        q.parse_date(day, month_first=month_first),
        q.parse_time(clock),
        "DataBar.Acquisition Date, Time",
        f"{day} {clock}",
    )
    return out


def _branch(tags: object, *path: str) -> Mapping[str, Any]:
    for key in path:
        tags = tags.get(key) if isinstance(tags, Mapping) else None
    return tags if isinstance(tags, Mapping) else {}


def _text(tags: Mapping[str, Any], key: str) -> str:
    value = tags.get(key)
    return value if isinstance(value, str) and value != "[]" else ""
