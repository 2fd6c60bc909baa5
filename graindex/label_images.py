"""Labels of images: in the frame of their micrograph, as TIFF, and drawn as a picture.

Out of scope: the method that finds them (`models.segment`), label volumes
(`graindex.volume_store`).
"""

import io
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import cv2
import fsspec
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from graindex.originals import Grey8
from graindex.readers.library_log import captured_log
from graindex.segmentation import MaskRcnnOptions, Options, StarConvexOptions
from graindex.segmenters import load_mask_rcnn, load_segmenter
from models.measure.arrays import InvalidVolumeError
from models.measure.overlays import outline_overlay
from models.segment.star_convex.confidence import Calibration
from models.segment.star_convex.config import StarConvexError
from models.segment.watershed_options import WatershedOptions

if TYPE_CHECKING:
    from graindex.store import Store

LabelImage = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
ExtraTag = tuple[int, str, int, bytes, bool]

CONFIDENCE_TAG = 65_100
"""Of the range that TIFF leaves to private use."""

PICTURE_SIDE_PX = 640
_PICTURE_QUALITY = 75
_DECIMALS = 4  # of confidences: the last bits of a network differ between processors


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Particles of an image or a volume.

    Attributes:
        labels: (Y, X) or (Z, Y, X) int32, 0 is background, particles from 1; may be a memory map.
        confidence: (N,) float32 of labels 1…N, 0…1; None where the method gives none.
    """

    labels: Labels
    confidence: Floats | None


def segment_content(
    content: Grey8,
    options: Options,
    *,
    frame_shape: tuple[int, int],
    corner: tuple[int, int],
    store: "Store | None" = None,
    concurrency: int = 1,
) -> Found:
    """Segment a micrograph without its databar, whose pixels hold no label.

    Args:
        content: (Y, X) grey levels inside the content box.
        options: of the method.
        frame_shape: (Y, X) of the whole frame.
        corner: (y0, x0) of the content box in it.
        store: whose networks the options may name.
        concurrency: images that are segmented side by side.

    Raises:
        InvalidVolumeError: the content cannot be segmented.
        ModelError: the network that the options name is not there.
    """
    found = segment_grey(content, options, store=store, concurrency=concurrency)
    labels: Labels = np.zeros(frame_shape, np.int32)
    (y0, x0), (rows, columns) = corner, content.shape
    labels[y0 : y0 + rows, x0 : x0 + columns] = found.labels
    return Found(labels, found.confidence)


def segment_grey(
    grey: npt.NDArray[Any],
    options: Options,
    *,
    store: "Store | None" = None,
    concurrency: int = 1,
) -> Found:
    """Find the particles of an image.

    Args:
        grey: (Y, X) grey levels; with phases named in the options, phases.
        options: of the method.
        store: whose networks the options may name.
        concurrency: images that are segmented side by side.

    Raises:
        InvalidVolumeError: the image cannot be segmented.
        ModelError: the network that the options name is not there.
    """
    if isinstance(options, WatershedOptions):
        # here and below: what is imported for one method takes longer than an image by another
        from models.segment.watershed import segment_image  # noqa: PLC0415

        return Found(segment_image(grey, options=options), None)
    try:
        if isinstance(options, MaskRcnnOptions):
            return _by_mask_rcnn(grey, options, store, concurrency)
        assert isinstance(options, StarConvexOptions)  # the other method of images
        return _by_star_convex(grey, options, store, concurrency)
    except StarConvexError as error:
        raise InvalidVolumeError(str(error)) from error


def _by_star_convex(
    grey: npt.NDArray[Any], options: StarConvexOptions, store: "Store | None", concurrency: int
) -> Found:
    from models.segment.star_convex.prediction import (  # noqa: PLC0415 (see above)
        segment_image as find_star_convex,
    )

    segmenter = load_segmenter(options.model, store, concurrency=concurrency)
    chosen = segmenter.prediction(options)
    found = find_star_convex(segmenter.forward, segmenter.config, grey, options=chosen)
    return Found(found.labels, calibrated(segmenter.calibration, found.confidence))


def _by_mask_rcnn(
    grey: npt.NDArray[Any], options: MaskRcnnOptions, store: "Store | None", concurrency: int
) -> Found:
    from models.segment.mask_rcnn.prediction import (  # noqa: PLC0415 (see above)
        segment_image as find_by_mask_rcnn,
    )

    segmenter = load_mask_rcnn(options.model, store, concurrency=concurrency)
    chosen = segmenter.prediction(options)
    labels, probability = find_by_mask_rcnn(segmenter.find, segmenter.config, grey, chosen)
    return Found(labels, calibrated(segmenter.calibration, probability))


def calibrated(calibration: Calibration | None, probability: Floats) -> Floats | None:
    """(N,) confidences as they are kept, from a network's probabilities; None: nothing is known."""
    if calibration is None:
        return None
    return np.round(calibration.confidence(probability), _DECIMALS).astype(np.float32)


def label_type(labels: npt.NDArray[np.integer[Any]]) -> type[np.uint16] | type[np.uint32]:
    """The smaller unsigned type that holds all labels."""
    return np.uint16 if labels.max(initial=0) < 1 << 16 else np.uint32


def encode_labels(labels: npt.NDArray[np.integer[Any]], confidence: Floats | None = None) -> bytes:
    """A (Y, X) label image as compressed TIFF; equal labels and confidences give equal bytes.

    OME metadata would carry an identifier drawn at random, and so change the content's address.

    Args:
        labels: integers, 0 is background.
        confidence: (N,) of labels 1…N, 0…1, kept in a tag of its own (`confidence_tags`).
    """
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        labels.astype(label_type(labels)),
        photometric="minisblack",
        compression="zlib",
        metadata=None,
        software=False,
        extratags=confidence_tags(confidence),
    )
    return buffer.getvalue()


def decode_labels(data: bytes) -> LabelImage:
    """The (Y, X) label image that `encode_labels` wrote."""
    labels: LabelImage = tifffile.imread(io.BytesIO(data))
    return labels


def decode_confidence(data: bytes) -> Floats | None:
    """(N,) float32 of labels 1…N of a file with `confidence_tags`; None where there is none."""
    return _tagged_confidence(io.BytesIO(data))


def read_confidence(uri: str) -> Floats | None:
    """As `decode_confidence`, of a file of any size: pixels are not read.

    Raises:
        OSError: it may not be read.
    """
    try:
        with fsspec.open(uri, "rb") as file:
            return _tagged_confidence(file)
    except (FileNotFoundError, IsADirectoryError):  # slices or chunks in a folder have no tag
        return None


def _tagged_confidence(file: IO[bytes]) -> Floats | None:
    try:
        with captured_log(), tifffile.TiffFile(file) as tiff:
            tag = tiff.pages.first.tags.get(CONFIDENCE_TAG)
    except tifffile.TiffFileError:
        return None
    return None if tag is None else np.atleast_1d(np.asarray(tag.value, dtype=np.float32))


def confidence_of(labels: npt.NDArray[Any], confidence: Floats | None) -> npt.NDArray[np.float64]:
    """(M,) confidences of M labels from those of labels 1…N; NaN where there is none."""
    given = np.zeros(0, np.float32) if confidence is None else confidence
    known = (labels >= 1) & (labels <= len(given))
    values = np.full(len(labels), np.nan)
    values[known] = given[labels[known] - 1]
    return values


def confidence_tags(confidence: Floats | None) -> list[ExtraTag]:
    """Confidences of labels 1…N as a private tag of a TIFF, which other programs pass over."""
    if confidence is None or not len(confidence):
        return []
    values = confidence.astype("<f4").tobytes()
    return [(CONFIDENCE_TAG, "f", len(confidence), values, True)]


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
