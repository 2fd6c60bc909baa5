"""Label images as people save them: PNG, BMP or TIFF, one value for each particle.

Values are taken as they are stored; the index of a palette is its value.
Out of scope: outlines in JSON (`annotations`).
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from cv2 import connectedComponents
from PIL.BmpImagePlugin import BmpImageFile
from PIL.PngImagePlugin import PngImageFile
from tifffile import TiffFile

from graindex.annotation_settings import MaskValues
from graindex.errors import AnnotationError
from graindex.readers.annotations_drawing import AnnotatedLabels, Labels
from graindex.readers.frame import Limits, UnreadableImageError, unreadable_on_error
from graindex.readers.library_log import captured_log
from graindex.readers.raster import check_complete
from graindex.readers.sniff import ImageFormat, sniff

_PLUGINS = {"png": PngImageFile, "bmp": BmpImageFile}
_PNG_DEPTH, _PNG_COLOURS, _PNG_GREY = 24, 25, 0
"""Where a PNG states its bits a channel and its kind of colours, and the kind that is grey."""
_TOP = np.iinfo(np.int32).max


def read_label_image(data: bytes, name: str, limits: Limits) -> npt.NDArray[np.integer[Any]]:
    """(Y, X) integers of a label image, as they are stored.

    Raises:
        AnnotationError: it is empty, damaged, too large, of colours, or not of whole numbers.
    """
    try:
        kind = sniff(data, name)
        if kind in _PLUGINS:
            values = _raster(data, name, kind, limits)
        elif kind == "tiff":
            values = _tiff(data, name, limits)
        else:
            message = f"{name} is {kind.upper()}, which keeps no labels: save it as PNG or TIFF"
            raise AnnotationError(message)
    except UnreadableImageError as error:
        raise AnnotationError(f"{name} cannot be read: {error.reason}") from error
    return _whole_numbers(_one_channel(values, name), name)


def label_particles(
    values: npt.NDArray[np.integer[Any]], name: str, class_name: str, mask_values: MaskValues
) -> AnnotatedLabels:
    """Particles of a label image.

    Args:
        values: (Y, X), 0 is background.
        name: of the file, for messages.
        class_name: class of all its particles.
        mask_values: ``instances``: each value is a particle and stays its label; ``binary``: each
            connected piece, by edges and corners, is one; ``auto``: instances, but an image of
            one value in several pieces is refused, since it may be either.

    Raises:
        AnnotationError: it may be either, or is of several values where it should be of one.
    """
    numbers = np.unique(values[values > 0])
    labels: Labels = values.astype(np.int32)
    if mask_values != "instances" and len(numbers) == 1:
        count, pieces = connectedComponents((values > 0).astype(np.uint8), connectivity=8)
        if mask_values == "auto" and count > 2:
            message = (
                f"{name} holds one value, {numbers[0]}, in {count - 1} pieces: say whether each is "
                "a particle (--mask-values binary) or all are one (--mask-values instances)"
            )
            raise AnnotationError(message)
        if mask_values == "binary":
            labels, numbers = np.asarray(pieces, np.int32), np.arange(1, count)
    elif mask_values == "binary" and len(numbers) > 1:
        message = f"{name} holds {len(numbers)} values besides 0, a binary mask holds one"
        raise AnnotationError(message)
    classes = {class_name: tuple(int(n) for n in numbers)} if len(numbers) else {}
    return AnnotatedLabels(labels, classes)


def _raster(data: bytes, name: str, kind: ImageFormat, limits: Limits) -> npt.NDArray[Any]:
    with unreadable_on_error(name, kind.upper()):
        check_complete(data, name, kind)
        image = _PLUGINS[kind](io.BytesIO(data))
    limits.check_area(name, *image.size)
    with unreadable_on_error(name, kind.upper()):
        image.load()
    values = np.asarray(image)
    return _unscaled(values, data, name) if kind == "png" else values


def _unscaled(values: npt.NDArray[Any], data: bytes, name: str) -> npt.NDArray[Any]:
    """Values as a PNG stores them: Pillow spreads 2 and 4 bits over 8, and cuts 16-bit colours."""
    depth, is_grey = data[_PNG_DEPTH], data[_PNG_COLOURS] == _PNG_GREY
    if is_grey and depth in (2, 4):
        unscaled: npt.NDArray[Any] = values // (255 // (2**depth - 1))
        return unscaled
    if depth == 16 and not is_grey:
        message = f"{name} is a colour image of 16 bits a channel: save labels as 16-bit grey"
        raise AnnotationError(message)
    return values


def _tiff(data: bytes, name: str, limits: Limits) -> npt.NDArray[Any]:
    with captured_log(), unreadable_on_error(name, "TIFF"), TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) != 1:
            message = f"{name} holds {len(tiff.pages)} pages: a label image has one"
            raise AnnotationError(message)
        page = tiff.pages[0].aspage()
        limits.check_area(name, page.imagewidth, page.imagelength)
        return np.asarray(page.asarray(maxworkers=1))


def _one_channel(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """(Y, X) of an image that may have been saved with equal colours and without transparency."""
    if values.ndim == 2:
        return values
    if values.ndim == 3 and values.shape[2] in (2, 3, 4):
        has_alpha = values.shape[2] != 3
        colours, last = (values[..., :-1], values[..., -1]) if has_alpha else (values, None)
        opaque = last is None or bool((last == last.max()).all())
        if opaque and bool((colours == colours[..., :1]).all()):
            return np.ascontiguousarray(colours[..., 0])
    message = f"{name} is a colour image: labels are one integer a pixel; save them as 16-bit TIFF"
    raise AnnotationError(message)


def _whole_numbers(values: npt.NDArray[Any], name: str) -> npt.NDArray[np.integer[Any]]:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            message = f"{name} holds fractions: labels are whole numbers"
            raise AnnotationError(message)
    elif values.dtype.kind not in "iu":
        message = f"{name} holds values of type {values.dtype}: labels are whole numbers"
        raise AnnotationError(message)
    if values.size and (values.min() < 0 or values.max() > _TOP):
        message = f"{name} holds labels from {values.min():g} to {values.max():g}, not 0 to {_TOP}"
        raise AnnotationError(message)
    return values.astype(np.int32) if values.dtype.kind == "f" else values
