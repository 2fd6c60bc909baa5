"""JPEG, PNG and BMP to a grey frame, with Pillow.

Gamma and colour profiles are ignored: grey values are the instrument's. An orientation tag is not
applied either, but recorded as a finding: the stored raster is the scan, with the databar at its
foot and x as the fast direction, and label images drawn on it share its coordinates.
Out of scope: TIFF, and metadata, of which these formats carry none that instruments agree on.
"""

import io
import zlib
from collections.abc import Callable

import numpy as np
from imagecodecs import png_decode
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from graindex.readers import grey
from graindex.readers.frame import (
    LIBRARY_ERRORS,
    ColourMode,
    Frame,
    Limits,
    UnreadableImageError,
    unreadable_on_error,
)
from graindex.readers.sniff import ImageFormat
from models.calibrate.readings import Finding

# The plugins are used directly: `Image.open` has a limit of its own on the pixel count, which is
# global to the process, and would let a file of one format be read as another.
_PLUGINS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "bmp": BmpImageFile,
}

_PNG_SIGNATURE_SIZE = 8


def read_raster(data: bytes, name: str, image_format: ImageFormat, limits: Limits) -> list[Frame]:
    """Read the one image of a JPEG, PNG or BMP file.

    Raises:
        UnreadableImageError: damaged, truncated, too large or small, or without content.
    """
    what = image_format.upper()
    with unreadable_on_error(name, what):
        check_complete(data, name, image_format)
        image = _PLUGINS[image_format](io.BytesIO(data))
    limits.check_area(name, *image.size)
    limits.check_side(name, *image.size)
    with unreadable_on_error(name, what):
        bit_depth = _bit_depth(image, data)
        if _is_luma_coded(image):
            image.draft("YCbCr", None)
        image.load()
        samples, colour_mode = _samples(image, data, bit_depth)
    done = grey.finish(samples, name)
    frame = Frame(
        pixels=done.pixels,
        page=0,
        bit_depth=bit_depth,
        bits_used=done.bits_used,
        colour_mode=colour_mode,
        nonfinite_pixels=done.nonfinite_pixels,
        findings=done.findings + _orientation(image),
    )
    return [frame]


def _samples(image: Image.Image, data: bytes, bit_depth: int) -> tuple[grey.Samples, ColourMode]:
    """Return (Y, X) grey samples of a loaded image."""
    if bit_depth == 16 and image.mode not in {"I;16", "I;16B", "I"}:
        return _from_channels(png_decode(data))  # Pillow would halve 16-bit colour to 8 bits
    if image.mode == "P":
        if isinstance(image.info.get("transparency"), bytes):
            return _from_channels(np.asarray(image.convert("RGBA")))[0], "palette"
        return _from_channels(np.asarray(image.convert("RGB")))[0], "palette"
    if image.mode == "CMYK":
        return grey.from_cmyk(np.asarray(image)), "cmyk"
    if image.mode == "YCbCr":
        planes = np.asarray(image)
        return planes[..., 0], "rgb_grey" if bool((planes[..., 1:] == 128).all()) else "rgb"
    if image.mode in {"1", "L", "LA", "I", "I;16", "I;16B", "RGB", "RGBA"}:
        return _from_channels(np.asarray(image))
    raise ValueError(f"pixels of the kind {image.mode!r} are not supported")


def _is_luma_coded(image: Image.Image) -> bool:
    """Whether a file is a colour JPEG whose first plane is the luma (JFIF, Adobe transform 1).

    That plane is the grey image as it was stored; through RGB it would be rounded twice.
    """
    if not isinstance(image, JpegImageFile) or image.mode != "RGB":
        return False
    transform = image.info.get("adobe_transform")
    names = bytes(component[0] for component in image.layer)
    return transform == 1 or (transform is None and names != b"RGB")


def _from_channels(samples: grey.Samples) -> tuple[grey.Samples, ColourMode]:
    """Return the grey of (Y, X) or (Y, X, 1…4) samples: grey, grey + alpha, RGB, RGBA."""
    if samples.ndim == 2:
        return samples, "grey"
    channels = samples.shape[2]
    if channels <= 2:
        alpha = samples[..., 1] if channels == 2 else None
        plain = samples[..., 0]
        return (plain, "grey") if alpha is None else (grey.over_black(plain, alpha), "grey_alpha")
    return grey.from_rgb(samples[..., :3], samples[..., 3] if channels == 4 else None)


def _bit_depth(image: Image.Image, data: bytes) -> int:
    if isinstance(image, PngImageFile):
        return data[24]  # IHDR, which is always first: width, height, bit depth
    return 1 if image.mode == "1" else 8


def _orientation(image: Image.Image) -> tuple[Finding, ...]:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except LIBRARY_ERRORS:
        return ()  # a broken EXIF block does no harm to the pixels
    if value in (0, 1):
        return ()
    return (
        Finding(
            "orientation_ignored",
            f"the EXIF orientation is {value}; the pixels are kept as stored, not turned",
        ),
    )


def check_complete(data: bytes, name: str, image_format: ImageFormat) -> None:
    """Refuse a JPEG, PNG or BMP file that ends early or is damaged where its decoder may not say.

    Raises:
        UnreadableImageError: what is missing.
    """
    if image_format == "jpeg":
        _check_jpeg(data, name)
    elif image_format == "png":
        _check_png(data, name)
    else:
        declared = int.from_bytes(data[2:6], "little")
        if declared > len(data):
            raise UnreadableImageError(
                name, f"truncated BMP: {len(data)} of {declared} bytes are there"
            )


def _check_jpeg(data: bytes, name: str) -> None:
    """Refuse a JPEG without an end-of-image marker behind its first scan (ITU-T T.81, B.1.1).

    Pillow notices a file that ends early, but not one whose missing end was filled with zeros.
    """
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1] != 0xDA:
        fill = data[at + 1] == 0xFF
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 > len(data):
            raise UnreadableImageError(name, f"truncated JPEG: the header ends at byte {len(data)}")
    if data.find(b"\xff\xd9", at) < 0:
        raise UnreadableImageError(
            name, f"truncated JPEG: no end-of-image marker in {len(data)} bytes"
        )


def _check_png(data: bytes, name: str) -> None:
    """Refuse a PNG with a wrong checksum or without its end; Pillow skips those of the pixels."""
    at = _PNG_SIGNATURE_SIZE
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise UnreadableImageError(
                name, f"damaged PNG: the checksum of chunk {kind!r} at byte {at} is wrong"
            )
        if kind == b"IEND":
            return
        at = end + 4
    raise UnreadableImageError(name, f"truncated PNG: no end chunk in {len(data)} bytes")
