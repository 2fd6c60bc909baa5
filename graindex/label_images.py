"""Labels of images: in the frame of their micrograph, as TIFF, and drawn as a picture.

Out of scope: the method that finds them (`models.segment`), label volumes
(`graindex.volume_store`).
"""

import io
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from graindex.originals import Grey8
from models.measure.overlays import outline_overlay
from models.segment.watershed import Labels, WatershedOptions, segment_image

LabelImage = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

PICTURE_SIDE_PX = 640
_PICTURE_QUALITY = 75


def segment_content(
    content: Grey8,
    options: WatershedOptions,
    *,
    frame_shape: tuple[int, int],
    corner: tuple[int, int],
) -> Labels:
    """Segment a micrograph without its databar, whose pixels hold no label.

    Args:
        content: (Y, X) grey levels inside the content box.
        options: of the watershed.
        frame_shape: (Y, X) of the whole frame.
        corner: (y0, x0) of the content box in it.

    Returns:
        (Y, X) int32 of the whole frame, 0 is background and databar.

    Raises:
        InvalidVolumeError: the content cannot be segmented.
    """
    labels: Labels = np.zeros(frame_shape, np.int32)
    (y0, x0), (rows, columns) = corner, content.shape
    labels[y0 : y0 + rows, x0 : x0 + columns] = segment_image(content, options=options)
    return labels


def label_type(labels: npt.NDArray[np.integer[Any]]) -> type[np.uint16] | type[np.uint32]:
    """The smaller unsigned type that holds all labels."""
    return np.uint16 if labels.max(initial=0) < 1 << 16 else np.uint32


def encode_labels(labels: npt.NDArray[np.integer[Any]]) -> bytes:
    """A (Y, X) label image as compressed TIFF; equal labels give equal bytes.

    OME metadata would carry an identifier drawn at random, and so change the content's address.
    """
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        labels.astype(label_type(labels)),
        photometric="minisblack",
        compression="zlib",
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def decode_labels(data: bytes) -> LabelImage:
    """The (Y, X) label image that `encode_labels` wrote."""
    labels: LabelImage = tifffile.imread(io.BytesIO(data))
    return labels


def outline_picture(content: Grey8, labels: Labels) -> bytes:
    """A JPEG of particles over their image whose longer side is 640 px at most.

    Image and labels are shrunk before the outlines are drawn, so that these stay a pixel wide.

    Args:
        content: (Y, X) grey levels.
        labels: (Y, X) integers, 0 is background.
    """
    share = PICTURE_SIDE_PX / max(content.shape)
    if share < 1:
        rows, columns = (max(round(side * share), 1) for side in content.shape)
        content = np.asarray(cv2.resize(content, (columns, rows), interpolation=cv2.INTER_AREA))
        labels = _nearest(labels, (rows, columns))
    buffer = io.BytesIO()
    # Without full resolution of colour, JPEG blurs outlines of one pixel.
    picture = Image.fromarray(outline_overlay(content, labels))
    picture.save(buffer, "JPEG", quality=_PICTURE_QUALITY, subsampling=0)
    return buffer.getvalue()


def _nearest(labels: Labels, shape: tuple[int, int]) -> Labels:
    """Labels at the middles of fewer pixels."""
    rows, columns = (
        ((np.arange(fewer) + 0.5) * (side / fewer)).astype(np.int64)
        for side, fewer in zip(labels.shape, shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]
