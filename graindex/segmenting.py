"""Image or volume file to label file, without a store.

Out of scope: the methods themselves (`models.segment`).
"""

import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from graindex.arrays import Loaded, loaded
from graindex.errors import InputError, OriginalError
from graindex.label_images import (
    Floats,
    Found,
    confidence_tags,
    label_type,
    segment_content,
    segment_grey,
)
from graindex.progress import report
from graindex.segmentation import Options, make_options, phase_values
from graindex.segmenters import by_network
from models.calibrate.databar import find_content_box
from models.measure.arrays import InvalidVolumeError
from models.measure.grey import to_uint8
from models.measure.overlays import orthogonal_sections, outline_overlay

if TYPE_CHECKING:
    from graindex.store import Store

_TIFF_SUFFIXES = (".tif", ".tiff")
_CLASSIC_TIFF_BYTES = 2 << 30


def segment_file(
    uri: str,
    output: Path,
    *,
    spacing_um: tuple[float, float, float] | None,
    settings: Mapping[str, Any],
    overlay: Path | None = None,
    store: "Store | None" = None,
) -> int:
    """Segment an image or a volume and write its labels as a TIFF; returns how many there are.

    The databar of a micrograph is left out: its rows hold no label. Confidences of labels are
    in a tag of the TIFF, where the method gives them.

    Args:
        uri: image, stack, folder of slices, Zarr, HDF5 or MRC.
        output: TIFF to write, of the same shape; it appears whole or not at all.
        spacing_um: (dz, dy, dx) of a volume; None takes what the file states, or equal spacing.
        settings: options by name, `method` among them or not (`graindex.segmentation`).
        overlay: PNG to write: the particles drawn over the image, or over three sections.
        store: whose networks the settings may name.

    Raises:
        InputError: the output is no TIFF, or the input cannot be segmented.
        OriginalError: the input cannot be read, or the output not be written.
    """
    if output.suffix.lower() not in _TIFF_SUFFIXES:
        message = f"{output}: labels are written as TIFF; name it {output.stem}.tif"
        raise InputError(message)
    with loaded(uri) as source, tempfile.TemporaryDirectory(prefix="graindex-") as scratch:
        stated = spacing_um or source.spacing_um
        kind = "micrographs" if source.array.ndim == 2 else "volumes"
        options = _options(by_network(settings, kind, store), kind)
        try:
            found = _found(source, options, stated or (1.0,) * 3, Path(scratch), store)
        except InvalidVolumeError as error:
            raise InputError(f"{uri}: {error}") from error
        labels = found.labels
        if overlay is not None:
            write_overlay(source.array, labels, overlay, spacing_um=stated)
        spacing = stated if labels.ndim == 3 else None
        write_labels(labels, output, spacing_um=spacing, confidence=found.confidence)
        return int(labels.max(initial=0))


def _options(settings: Mapping[str, Any], kind: str) -> Options:
    try:
        return make_options(settings, kind)
    except ValueError as error:
        raise InputError(str(error)) from error


def _found(
    source: Loaded,
    options: Options,
    spacing_um: tuple[float, ...],
    scratch: Path,
    store: "Store | None",
) -> Found:
    if source.array.ndim == 2:
        return _segment_micrograph(source, options, store)
    from graindex.volume_segmentation import segment_any  # noqa: PLC0415 (numba, scipy)

    return segment_any(
        source.array,
        spacing_um=spacing_um,
        options=options,
        scratch=scratch,
        progress=lambda done, total: report("segment", done, total),
        store=store,
    )


def _segment_micrograph(source: Loaded, options: Options, store: "Store | None") -> Found:
    if phase_values(options) is not None:
        return segment_grey(source.array, options)
    grey = to_uint8(source.array, source.bits_used)
    box = find_content_box(grey)
    content = np.ascontiguousarray(grey[box.y0 : box.y1, box.x0 : box.x1])
    corner = (box.y0, box.x0)
    return segment_content(content, options, frame_shape=grey.shape, corner=corner, store=store)


def write_overlay(
    grey: npt.NDArray[Any],
    labels: npt.NDArray[np.int32],
    picture: Path,
    *,
    spacing_um: tuple[float, ...] | None,
) -> None:
    """Write a PNG of particles over their image, or over three sections of their volume.

    Raises:
        OriginalError: it cannot be written.
    """
    if labels.ndim == 2:
        drawn = outline_overlay(grey, labels)
    else:
        spacing = None if spacing_um is None else (spacing_um[0], spacing_um[1], spacing_um[2])
        drawn = orthogonal_sections(grey, labels, spacing_um=spacing)
    try:
        Image.fromarray(drawn).save(picture, "PNG")
    except OSError as error:
        message = f"{picture} cannot be written: {error.strerror or error}"
        raise OriginalError(message) from error


def write_labels(
    labels: npt.NDArray[np.int32],
    output: Path,
    *,
    spacing_um: tuple[float, ...] | None,
    confidence: Floats | None = None,
) -> None:
    """Write labels as compressed TIFF in the smallest unsigned type, the spacing in OME metadata.

    Args:
        labels: (Y, X) or (Z, Y, X), 0 is background.
        output: the file.
        spacing_um: of the voxels.
        confidence: (N,) of labels 1…N, kept in a tag of its own.

    Raises:
        OriginalError: it cannot be written; nothing is left behind.
    """
    kind = label_type(labels)
    aside = output.with_name(f".{output.name}.{uuid.uuid4().hex}.part")
    told: dict[str, Any] = {"axes": "ZYX"[-labels.ndim :]}
    if spacing_um is not None:
        told |= {"PhysicalSizeZ": spacing_um[0], "PhysicalSizeZUnit": "µm"}
        told |= {"PhysicalSizeY": spacing_um[1], "PhysicalSizeYUnit": "µm"}
        told |= {"PhysicalSizeX": spacing_um[2], "PhysicalSizeXUnit": "µm"}
    try:
        tifffile.imwrite(
            aside,
            (plane.astype(kind) for plane in np.atleast_3d(labels.T).T),
            shape=labels.shape,
            dtype=kind,
            ome=True,
            metadata=told,
            compression="zlib",
            bigtiff=labels.size * np.dtype(kind).itemsize > _CLASSIC_TIFF_BYTES,
            extratags=confidence_tags(confidence),
        )
        aside.replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror or error}"
        raise OriginalError(message) from error
    finally:
        aside.unlink(missing_ok=True)
