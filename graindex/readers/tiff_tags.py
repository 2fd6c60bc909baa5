"""Acquisition readings from the tags of a TIFF page: SEM makers', ImageJ's and OME's.

The resolution tags of a plain TIFF, in pixels per inch or centimetre, are for printing and are
never a pixel size.
Out of scope: pixels (`tiff`) and what the makers' fields mean (`vendors`).
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage

from graindex.readers import quantities as q
from graindex.readers import vendors
from graindex.readers.frame import LIBRARY_ERRORS, one_line
from models.calibrate.readings import Source

FEI_SFEG, FEI_HELIOS, CZ_SEM, TESCAN = 34680, 34682, 34118, 50431
_TEXT_TAGS = (270, 305, 315, 65000, 65001, 65002)

_IMAGEJ_UNITS = frozenset({"nm", "um", "µm", "\u03bcm", "micron", "microns", "mm", "angstrom", "å"})
"""Units that ImageJ states as a scale. Its inch and cm come from the print resolution."""

_OME_DEFAULT_UNIT = "µm"


def page_statement(tif: TiffFile, page: TiffPage, first: TiffPage) -> q.Statement:
    """Return what the tags of a page, or those of the first page, say about the acquisition.

    Tags that cannot be parsed become a finding ``"unreadable_tag"``.
    """
    out = q.Statement(Source.TAG)
    for reader in (_read_fei, _read_zeiss, _read_tescan, _read_jeol, _read_imagej):
        try:
            reader(page if _has_own(page) else first, out)
        except LIBRARY_ERRORS as error:
            out.finding("unreadable_tag", f"{reader.__name__[6:]}: {one_line(str(error))}")
    if tif.is_ome and first.description:
        _read_ome(first.description, page.index, out)
    return out


def _has_own(page: TiffPage) -> bool:
    return any(code in page.tags for code in (FEI_SFEG, FEI_HELIOS, CZ_SEM, TESCAN, 270))


def _read_fei(page: TiffPage, out: q.Statement) -> None:
    for code in (FEI_HELIOS, FEI_SFEG):
        sections = page.tags.valueof(code)
        if isinstance(sections, Mapping):
            vendors.read_fei(sections, out)


def _read_zeiss(page: TiffPage, out: q.Statement) -> None:
    tag = page.tags.valueof(CZ_SEM)
    if isinstance(tag, Mapping):
        vendors.read_zeiss(tag, page.imagewidth, out)


def _read_tescan(page: TiffPage, out: q.Statement) -> None:
    """Read the ini text of tag 50431, which may stand behind a binary head with a thumbnail."""
    value = page.tags.valueof(TESCAN)
    if value is None:
        return
    raw = value.encode() if isinstance(value, str) else bytes(value)
    start = max(raw.find(b"[MAIN]"), 0)
    vendors.read_tescan(vendors.parse_ini(raw[start:].decode("utf-8", "replace")), out)


def _read_jeol(page: TiffPage, out: q.Statement) -> None:
    """Read ``$CM_`` text, which JEOL software keeps in one of the text tags."""
    for code in _TEXT_TAGS:
        value: Any = page.tags.valueof(code)
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(text, str) and "$CM_" in text:
            vendors.read_jeol(vendors.parse_jeol(text), out)


def _read_imagej(page: TiffPage, out: q.Statement) -> None:
    if not page.is_imagej:
        return
    description = vendors.parse_ini(page.imagej_description or "").get("", {})
    unit = (
        description.get("unit", "")
        .replace("\\u00B5", "µ")
        .replace("\N{GREEK SMALL LETTER MU}", "µ")
    )
    if unit.lower() not in _IMAGEJ_UNITS:
        return
    x, y = (_per_pixel(page.tags.valueof(code)) for code in (282, 283))
    if x is None:
        out.finding("unreadable_tag", f"ImageJ states the unit {unit} but no XResolution")
        return
    metres = q.length_m(f"1 {unit}")
    assert metres is not None  # every unit of _IMAGEJ_UNITS is one of length_m
    out.pixel_size(
        x * metres, None if y is None else y * metres, f"ImageJ XResolution, unit {unit}", x
    )


def _per_pixel(resolution: object) -> float | None:
    """Return the length of a pixel, the inverse of a resolution tag's fraction."""
    if not isinstance(resolution, tuple) or len(resolution) != 2 or not all(resolution):
        return None
    return float(resolution[1] / resolution[0])


def _read_ome(xml: str, page_index: int, out: q.Statement) -> None:
    """Read PhysicalSizeX and the time of the OME image that a page belongs to.

    OME data model 2016-06: PhysicalSizeX is in µm unless PhysicalSizeXUnit says otherwise.
    """
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        out.finding("unreadable_tag", f"the OME-XML cannot be parsed: {one_line(str(error))}")
        return
    image, pixels = _ome_image(root, page_index)
    if pixels is None or image is None:
        return
    size = pixels.get("PhysicalSizeX")
    if size is not None:
        unit = pixels.get("PhysicalSizeXUnit", _OME_DEFAULT_UNIT)
        y = pixels.get("PhysicalSizeY")
        y_unit = pixels.get("PhysicalSizeYUnit", _OME_DEFAULT_UNIT)
        out.pixel_size(
            q.length_m(f"{size} {unit}"),
            None if y is None else q.length_m(f"{y} {y_unit}"),
            "OME PhysicalSizeX",
            f"{size} {unit}",
        )
    acquired = image.findtext("{*}AcquisitionDate") or ""
    out.moment(q.parse_date(acquired), q.parse_time(acquired), "OME AcquisitionDate", acquired)


def _ome_image(
    root: ElementTree.Element, page_index: int
) -> tuple[ElementTree.Element | None, ElementTree.Element | None]:
    """Return the Image and Pixels elements whose TiffData name a page; the only ones if one."""
    pairs = [
        (image, pixels)
        for image in root.iterfind("{*}Image")
        for pixels in image.iterfind("{*}Pixels")
    ]
    if len(pairs) == 1:
        return pairs[0]
    uuid = root.get("UUID")
    for image, pixels in pairs:
        for block in pixels.iterfind("{*}TiffData"):
            own = block.findtext("{*}UUID") in (None, uuid)
            start = _int(block.get("IFD"), 0)
            count = _int(block.get("PlaneCount"), 1 if block.get("IFD") else 1 << 31)
            if own and start <= page_index < start + count:
                return image, pixels
    return None, None


def _int(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
