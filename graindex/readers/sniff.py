"""What a file is, from its first bytes and never from its name.

Out of scope: decoding.
"""

from pathlib import PurePath
from typing import Literal

from graindex.readers.frame import UnreadableImageError

ImageFormat = Literal["jpeg", "png", "bmp", "tiff", "dm3", "dm4"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".dm3", ".dm4"})

_MAGIC: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00\x08\x00", "tiff"),
    (b"MM\x00+\x00\x08", "tiff"),
    (b"\x00\x00\x00\x03", "dm3"),
    (b"\x00\x00\x00\x04", "dm4"),
)

_OTHER: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF container (WebP, AVI)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)

_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def is_image_name(name: str) -> bool:
    """Return whether a file name has the suffix of a readable image, in either case."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def sniff(data: bytes, name: str = "file") -> ImageFormat:
    """Return the format of a file.

    Args:
        data: the file, or at least its first 64 bytes.
        name: for the message.

    Raises:
        UnreadableImageError: the file is empty or none of the formats; says what it looks like.
    """
    if not data:
        raise UnreadableImageError(name, "the file is empty (0 bytes)")
    for magic, image_format in _MAGIC:
        if data.startswith(magic) and (image_format != "bmp" or _is_bmp(data)):
            return image_format
    raise UnreadableImageError(name, f"not an image that can be read: looks like {_looks(data)}")


def _is_bmp(data: bytes) -> bool:
    """Return whether the header after ``BM`` has one of the known sizes; text may start so too."""
    return len(data) < 18 or int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES


def _looks(data: bytes) -> str:
    for magic, what in _OTHER:
        if data[:64].lstrip().lower().startswith(magic.lower()):
            return what
    head = data[:512]
    if not any(head):
        return "zeros"
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return f"binary data that starts with {head[:8].hex(' ')}"
        text = head[: error.start].decode("utf-8")
    if all(c.isprintable() or c.isspace() for c in text):
        return f"text: {text.strip()[:40]!r}"
    return f"binary data that starts with {head[:8].hex(' ')}"
