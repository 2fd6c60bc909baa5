"""One TIFF page as one slice: what its header promises, its samples as stored, its voxel size.

Samples are handed over as they are stored: a colour table, "zero is white" or an orientation is
named in a finding and not applied, because the values of a label volume mean what they are.
Out of scope: how pages make a volume (`volume_tiff`, `volume_slices`).
"""

import math
import mmap
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from imagecodecs import tiff_decode
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from graindex.readers import vendors
from graindex.readers.frame import one_line
from graindex.readers.volume_scale import UNKNOWN, VoxelSize, stated
from graindex.readers.volume_source import UnreadableVolumeError, Voxels
from models.calibrate.readings import Finding

_BROKEN_CHAIN = ("tag list of page", "offset to page", "invalid page offset", "circular reference")
"""What tifffile logs where the chain of pages breaks off; pages behind it are lost."""

_COLOURS = frozenset(
    {PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR, PHOTOMETRIC.SEPARATED, PHOTOMETRIC.CIELAB}
)
_TILE_PIXELS = 4096 * 4096
"""A tile may pass the image by this much; libtiff takes a minute over a tile of 10¹⁰ pixels."""


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the header of a page promises: (Y, X), the stored type, and what else it says."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    findings: tuple[Finding, ...]


def full_resolution_pages(tif: TiffFile, log: list[str], name: str) -> list[TiffPage]:
    """Return the pages that are slices: no thumbnails, masks or pyramid levels.

    Args:
        tif: open file.
        log: what tifffile has logged since it was opened.
        name: the file, for messages.

    Raises:
        UnreadableVolumeError: there is none, or the chain of pages breaks off.
    """
    pages = [tif.pages[index].aspage() for index in range(len(tif.pages))]
    for message in log:
        if any(sign in message for sign in _BROKEN_CHAIN):
            raise UnreadableVolumeError(
                name, f"truncated or damaged TIFF, the chain of pages breaks: {message}"
            )
    kept = [page for page in pages if not (page.is_reduced or page.is_mask)]
    if not kept:
        raise UnreadableVolumeError(name, "the TIFF has no page with an image")
    return kept


def page_facts(page: TiffPage, file_bytes: int, name: str) -> PageFacts:
    """Check a page by its header.

    Raises:
        UnreadableVolumeError: it is empty, in colour, of an unsupported type, or its samples are
            not all within the file.
    """
    where = f"page {page.index}"
    shape = (page.imagelength, page.imagewidth)
    if min(shape) < 1 or page.dtype is None:
        raise UnreadableVolumeError(
            name, f"{where} of {shape[0]} x {shape[1]} pixels of {page.bitspersample} bits"
        )
    if page.photometric in _COLOURS:
        raise UnreadableVolumeError(
            name,
            f"{where} is in colour ({PHOTOMETRIC(page.photometric).name}): "
            "a volume has one grey channel",
        )
    if page.samplesperpixel != 1 or page.imagedepth != 1:
        raise UnreadableVolumeError(
            name,
            f"{where} has {page.samplesperpixel} samples a pixel and {page.imagedepth} planes: "
            "a slice has one of each",
        )
    _check_segments(page, file_bytes, name, where)
    return PageFacts(shape, np.dtype(page.dtype), _as_stored(page))


def _check_segments(page: TiffPage, file_bytes: int, name: str, where: str) -> None:
    if page.tilewidth * page.tilelength > page.imagewidth * page.imagelength + _TILE_PIXELS:
        raise UnreadableVolumeError(
            name, f"damaged TIFF: tiles of {page.tilewidth} x {page.tilelength} pixels"
        )
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise UnreadableVolumeError(name, f"{where} does not say where its pixels are")
    for number, (offset, count) in enumerate(
        zip(page.dataoffsets, page.databytecounts, strict=True)
    ):
        if count <= 0 or offset <= 0 or offset + count > file_bytes:
            raise UnreadableVolumeError(
                name,
                f"truncated TIFF: strip or tile {number} of {len(page.dataoffsets)} on {where} "
                f"is bytes {offset} to {offset + count} of a file of {file_bytes}",
            )
    needed = -(-page.imagewidth * page.bitspersample // 8) * page.imagelength
    kept = sum(page.databytecounts)
    if page.compression == COMPRESSION.NONE and kept < needed:
        raise UnreadableVolumeError(name, f"damaged TIFF: {where} stores {kept} of {needed} bytes")


def _as_stored(page: TiffPage) -> tuple[Finding, ...]:
    out: list[Finding] = []
    if page.photometric == PHOTOMETRIC.PALETTE:
        out.append(
            Finding("palette_ignored", "the values are kept as stored, without the colour table")
        )
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        out.append(
            Finding("zero_is_white", "the values are kept as stored; the file shows zero as white")
        )
    turned = page.tags.valueof(274)
    if turned not in (None, 0, 1):
        out.append(
            Finding("orientation_ignored", f"the orientation tag is {turned!s}; nothing is turned")
        )
    return tuple(out)


def decode_page(page: TiffPage, data: bytes | mmap.mmap) -> Voxels:
    """Return the samples of a page: (Y, X).

    LZW goes through libtiff: on a damaged LZW strip the decoder that tifffile uses reads memory
    that is not its own and can end the process (imagecodecs 2026.3.6). Where libtiff arranges the
    samples in another way, it has at least vouched for the strips.

    Args:
        page: of an open file.
        data: the whole file, in memory or mapped.
    """
    shape = (page.imagelength, page.imagewidth)
    if page.compression == COMPRESSION.LZW and isinstance(page.index, int):
        decoded = np.asarray(tiff_decode(data, index=page.index))
        if decoded.size == math.prod(shape) and decoded.dtype == page.dtype:
            return decoded.reshape(shape)
    return np.asarray(page.asarray(maxworkers=1)).reshape(shape)


def imagej_voxel_size(page: TiffPage) -> VoxelSize:
    """Return what ImageJ states: lengths along x and y by the resolution tags, z as `spacing`.

    Without `spacing` there is none: ImageJ then shows 1, which nobody has measured.
    """
    if not page.is_imagej:
        return UNKNOWN
    fields = vendors.parse_ini(page.imagej_description or "").get("", {})
    z = _number(fields.get("spacing"))
    x, y = (_per_pixel(page.tags.valueof(code)) for code in (282, 283))
    return stated((z, y, x), fields.get("unit"), "ImageJ unit, spacing and resolution")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else abs(float(text))
    except ValueError:
        return None


def _per_pixel(resolution: object) -> float | None:
    """Return the length of a pixel, the inverse of a resolution tag's fraction."""
    if not isinstance(resolution, tuple) or len(resolution) != 2 or not all(resolution):
        return None
    return float(resolution[1] / resolution[0])


def ome_voxel_size(xml: str) -> VoxelSize:
    """Return PhysicalSizeZ, Y and X of the first image; OME data model 2016-06, µm by default."""
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        detail = f"the OME-XML cannot be parsed: {one_line(str(error))}"
        return VoxelSize(findings=(Finding("unreadable_tag", detail),))
    pixels = root.find("{*}Image/{*}Pixels")
    if pixels is None or not any(pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"):
        return UNKNOWN
    return stated(
        [_number(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"],
        [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"],
        "OME PhysicalSize",
    )
