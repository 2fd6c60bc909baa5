"""TIFF pages to grey frames, with tifffile.

Every full-resolution plane is a frame: pages of the main chain, their depth slices, and samples
that are no colours. Pages are read rather than tifffile's series, because an OME series may
open other files that the XML names.
Out of scope: metadata (`tiff_tags`), and planes that an OME file keeps elsewhere.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from imagecodecs import tiff_decode
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffPage

from graindex.readers import grey, vendors
from graindex.readers.frame import (
    ColourMode,
    EmptyFrameError,
    Frame,
    Limits,
    UnreadableImageError,
    unreadable_on_error,
)
from graindex.readers.library_log import captured_log
from graindex.readers.tiff_tags import page_statement
from models.calibrate.readings import Finding

_BROKEN_CHAIN = ("tag list of page", "offset to page", "invalid page offset", "circular reference")
"""What tifffile logs where the chain of pages breaks off; pages behind it are lost."""

_JPEG = frozenset({COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY})

_ENDS_WITH_MARKER = frozenset(
    {
        COMPRESSION.JPEG,
        COMPRESSION.JPEG_LOSSY,
        COMPRESSION.JPEG2000,
        COMPRESSION.JPEG_2000_LOSSY,
        COMPRESSION.APERIO_JP2000_RGB,
        COMPRESSION.APERIO_JP2000_YCBC,
    }
)
_JPEG_END = b"\xff\xd9"
"""Ends JPEG and JPEG 2000 alike. Their decoders fill in what is missing before it as grey."""

_TILE_PIXELS = 4096 * 4096
"""A tile may pass the image by this much; libtiff takes a minute over a tile of 10¹⁰ pixels."""

_MIN_IS = frozenset({PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE})


@dataclass(frozen=True, slots=True)
class _Plane:
    samples: grey.Samples
    colour_mode: ColourMode


def read_tiff(data: bytes, name: str, limits: Limits) -> list[Frame]:
    """Read every full-resolution plane of a TIFF, BigTIFF, OME-TIFF or ImageJ file.

    In a file of several planes one without content (constant, all NaN, too small) is left out and
    named in a finding on the others.

    Raises:
        UnreadableImageError: damaged, truncated, too large, or no plane has content.
    """
    with captured_log() as log, unreadable_on_error(name, "TIFF"):
        with TiffFile(io.BytesIO(data), name=name) as tif:
            pages, skipped = _full_resolution(tif)
            _check_chain(log, name)
            if not pages:
                raise UnreadableImageError(name, "the TIFF has no page with an image")
            for page in pages:
                _check_header(page, name, limits, data)
            limits.check_total(
                name,
                sum(p.imagewidth * p.imagelength * p.imagedepth * p.samplesperpixel for p in pages),
            )
            frames, left_out = _read_pages(tif, pages, data, name, limits)
        logged = tuple(Finding("library_warning", message) for message in dict.fromkeys(log))
    of_file = (*skipped, *left_out, *logged)
    return [replace(frame, findings=frame.findings + of_file) for frame in frames]


def _read_pages(
    tif: TiffFile, pages: list[TiffPage], data: bytes, name: str, limits: Limits
) -> tuple[list[Frame], list[Finding]]:
    frames: list[Frame] = []
    left_out: list[Finding] = []
    empty: EmptyFrameError | None = None
    number = 0
    for page in pages:
        said = page_statement(tif, page, pages[0])
        findings = (*said.findings, *_orientation(page))
        for plane in _planes(page, name, data):
            try:
                limits.check_side(name, page.imagewidth, page.imagelength)
                done = grey.finish(plane.samples, name, _stated_bits(page))
            except EmptyFrameError as error:
                empty = error
                left_out.append(
                    Finding("frame_without_content", f"plane {number} is left out: {error.reason}")
                )
            else:
                frames.append(
                    Frame(
                        pixels=done.pixels,
                        page=number,
                        bit_depth=page.bitspersample,
                        bits_used=done.bits_used,
                        colour_mode=plane.colour_mode,
                        nonfinite_pixels=done.nonfinite_pixels,
                        readings=tuple(said.readings),
                        findings=done.findings + findings,
                    )
                )
            number += 1
    if not frames and empty is not None:
        raise empty
    return frames, left_out + _missing_planes(pages[0], number)


def _full_resolution(tif: TiffFile) -> tuple[list[TiffPage], list[Finding]]:
    """Return the pages that are images of their own: no thumbnails, masks or pyramid levels."""
    kept: list[TiffPage] = []
    skipped: list[Finding] = []
    for index in range(len(tif.pages)):
        page = tif.pages[index].aspage()
        if page.is_reduced or page.is_mask:
            continue
        if kept and _is_pyramid_level(page, kept[0]):
            skipped.append(
                Finding(
                    "pyramid_level_left_out",
                    f"page {index} of {page.imagewidth} x {page.imagelength} pixels is taken for "
                    "a reduced copy of the first page",
                )
            )
            continue
        kept.append(page)
    return kept, skipped


def _is_pyramid_level(page: TiffPage, first: TiffPage) -> bool:
    """Return whether both sides are those of the first page halved equally often, within a pixel.

    Pyramids are tiled; old software does not flag their levels.
    """
    if not page.is_tiled or page.imagewidth >= first.imagewidth:
        return False
    return any(
        abs(page.imagewidth - first.imagewidth / 2**k) < 1
        and abs(page.imagelength - first.imagelength / 2**k) < 1
        for k in range(1, 16)
    )


def _check_chain(log: list[str], name: str) -> None:
    for message in log:
        if any(sign in message for sign in _BROKEN_CHAIN):
            raise UnreadableImageError(
                name, f"truncated or damaged TIFF, the chain of pages breaks: {message}"
            )


def _check_header(page: TiffPage, name: str, limits: Limits, data: bytes) -> None:
    """Refuse a page by its header: too large, unsupported, or with pixels outside the file."""
    if min(page.imagewidth, page.imagelength) < 1 or page.dtype is None:
        raise UnreadableImageError(
            name,
            f"page {page.index} of {page.imagewidth} x {page.imagelength} pixels of "
            f"{page.bitspersample} bits cannot be read",
        )
    limits.check_area(name, page.imagewidth, page.imagelength)
    tile = page.tilewidth * page.tilelength * page.tiledepth
    if tile > page.imagewidth * page.imagelength * page.imagedepth + _TILE_PIXELS:
        raise UnreadableImageError(
            name, f"damaged TIFF: tiles of {page.tilewidth} x {page.tilelength} pixels"
        )
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise UnreadableImageError(name, f"page {page.index} does not say where its pixels are")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    for number, (offset, count) in enumerate(segments):
        end = offset + count
        if count <= 0 or offset <= 0 or end > len(data):
            raise UnreadableImageError(
                name,
                f"truncated TIFF: strip or tile {number} of {len(segments)} on page {page.index} "
                f"is bytes {offset} to {end} of a file of {len(data)}",
            )
        if page.compression in _ENDS_WITH_MARKER and data.rfind(_JPEG_END, offset, end) < 0:
            raise UnreadableImageError(
                name,
                f"truncated JPEG: strip or tile {number} of {len(segments)} on page {page.index} "
                "has no end-of-image marker",
            )
    bits = page.imagewidth * page.imagelength * page.imagedepth
    needed = bits * page.samplesperpixel * page.bitspersample // 8
    stored = sum(count for _, count in segments)
    if page.compression == COMPRESSION.NONE and not page.is_subsampled and stored < needed:
        raise UnreadableImageError(
            name, f"damaged TIFF: page {page.index} stores {stored} of {needed} bytes"
        )


def _decoded(page: TiffPage, data: bytes) -> grey.Samples:
    """Return the samples of a page in tifffile's five axes.

    LZW goes through libtiff: on a damaged LZW strip the decoder that tifffile uses reads memory
    that is not its own and can end the process (imagecodecs 2026.3.6). Where libtiff arranges the
    samples in another way, it has at least vouched for the strips.
    """
    if page.compression == COMPRESSION.LZW:
        decoded = np.asarray(tiff_decode(data, index=page.index))
        if decoded.size == math.prod(page.shaped) and decoded.dtype == page.dtype:
            return decoded.reshape(page.shaped)
    return np.asarray(page.asarray(squeeze=False, maxworkers=1)).reshape(page.shaped)


def _planes(page: TiffPage, name: str, data: bytes) -> Iterator[_Plane]:
    """Yield the grey (Y, X) planes of a page."""
    with unreadable_on_error(name, f"TIFF page {page.index}"):
        # (separate samples, Z, Y, X, interleaved samples); one of the sample axes has length 1
        stored = _decoded(page, data)
        samples = stored[..., 0] if page.shaped[0] > 1 else np.moveaxis(stored[0], -1, 0)
        planes = [
            plane
            for depth in range(samples.shape[1])
            for plane in _colour_planes(np.moveaxis(samples[:, depth], 0, -1), page)
        ]
    yield from planes


def _colour_planes(samples: grey.Samples, page: TiffPage) -> list[_Plane]:
    """Return the grey planes of (Y, X, sample): one of colours, else one of each sample."""
    photometric = page.photometric
    first = samples[..., 0]
    if photometric in _MIN_IS:
        alpha = _alpha(samples, page, colours=1)
        if alpha is not None:
            return [_Plane(grey.over_black(_levels(first, page), alpha), "grey_alpha")]
        return [_Plane(_levels(samples[..., s], page), "grey") for s in range(samples.shape[2])]
    if photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        return [_Plane(grey.from_palette(first, _palette(page.colormap)), "palette")]
    if photometric == PHOTOMETRIC.YCBCR and page.compression not in _JPEG:
        return [_Plane(first, "rgb")]  # the first sample is the luma
    if photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) and samples.shape[2] >= 3:
        plane, mode = grey.from_rgb(samples[..., :3], _alpha(samples, page, colours=3))
        return [_Plane(plane, mode)]
    if photometric == PHOTOMETRIC.SEPARATED and samples.shape[2] >= 4:
        return [_Plane(grey.from_cmyk(samples[..., :4]), "cmyk")]
    raise ValueError(f"photometric interpretation {photometric!s} is not supported")


def _levels(plane: grey.Samples, page: TiffPage) -> grey.Samples:
    """Return a grey plane with zero black and, for fewer than 8 bits, 255 white."""
    bits = page.bitspersample
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        plane = grey.inverted(plane, bits)
    if plane.dtype == np.uint8 and bits < 8:
        return grey.spread_to_8_bits(plane, bits)
    return plane


def _alpha(samples: grey.Samples, page: TiffPage, colours: int) -> grey.Samples | None:
    """Return an alpha channel still to be applied; an associated one is in the colours already."""
    extra = page.extrasamples
    if extra and samples.shape[2] > colours and extra[0] == EXTRASAMPLE.UNASSALPHA:
        return samples[..., colours]
    return None


def _palette(colormap: grey.Samples) -> grey.Samples:
    """Return (N, 3) uint8 colours of a (3, N) uint16 colour map, which some writers keep 8-bit."""
    if colormap.ndim != 2 or colormap.shape[0] != 3 or colormap.size == 0:
        raise ValueError(f"the colour map has the shape {colormap.shape}, not three rows")
    full_range = int(colormap.max()) > 255
    return (colormap.astype(np.uint16) >> (8 if full_range else 0)).astype(np.uint8).T


def _stated_bits(page: TiffPage) -> int | None:
    """Return the bits in use from BitsPerSample under 16 or MaxSampleValue (tag 281)."""
    if 8 < page.bitspersample < 16:
        return int(page.bitspersample)
    value = page.tags.valueof(281)
    top = max(value) if isinstance(value, tuple) and value else value
    return top.bit_length() if isinstance(top, int) and top > 0 else None


def _orientation(page: TiffPage) -> tuple[Finding, ...]:
    value = page.tags.valueof(274)
    if value in (None, 0, 1):
        return ()
    return (
        Finding(
            "orientation_ignored",
            f"the orientation tag is {value!s}; the pixels are kept as stored, not turned",
        ),
    )


def _missing_planes(first: TiffPage, read: int) -> list[Finding]:
    """Name the planes of an ImageJ stack that stand behind its only page without pages of own."""
    described = vendors.parse_ini(first.imagej_description or "").get("", {}).get("images", "")
    if not described.isdigit() or int(described) <= read:
        return []
    return [
        Finding("planes_not_read", f"ImageJ describes {described} images, {read} have pages here")
    ]
