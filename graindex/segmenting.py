"""Image or volume file to label file, without a store.

Out of scope: the methods themselves (`models.segment`).
"""

import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from graindex.arrays import Loaded, loaded
from graindex.errors import InputError, OriginalError
from graindex.label_images import label_type, segment_content
from graindex.progress import report
from graindex.volume_segmentation import segment_any
from models.calibrate.databar import find_content_box
from models.measure.arrays import InvalidVolumeError
from models.measure.grey import to_uint8
from models.measure.overlays import orthogonal_sections, outline_overlay
from models.segment.watershed import WatershedOptions, segment_image

_TIFF_SUFFIXES = (".tif", ".tiff")
_CLASSIC_TIFF_BYTES = 2 << 30


def segment_file(
    uri: str,
    output: Path,
    *,
    spacing_um: tuple[float, float, float] | None,
    options: WatershedOptions,
    overlay: Path | None = None,
) -> int:
    """Segment an image or a volume and write its labels as a TIFF; returns how many there are.

    The databar of a micrograph is left out: its rows hold no label.

    Args:
        uri: image, stack, folder of slices, Zarr, HDF5 or MRC.
        output: TIFF to write, of the same shape; it appears whole or not at all.
        spacing_um: (dz, dy, dx) of a volume; None takes what the file states, or equal spacing.
        options: of the watershed.
        overlay: PNG to write: the particles drawn over the image, or over three sections.

    Raises:
        InputError: the output is no TIFF, or the input cannot be segmented.
        OriginalError: the input cannot be read, or the output not be written.
    """
    if output.suffix.lower() not in _TIFF_SUFFIXES:
        message = f"{output}: labels are written as TIFF; name it {output.stem}.tif"
        raise InputError(message)
    with loaded(uri) as source, tempfile.TemporaryDirectory(prefix="graindex-") as scratch:
        stated = spacing_um or source.spacing_um
        try:
            if source.array.ndim == 2:
                labels = _segment_micrograph(source, options)
            else:
                labels = segment_any(
                    source.array,
                    spacing_um=stated or (1.0,) * 3,
                    options=options,
                    scratch=Path(scratch),
                    progress=lambda done, total: report("segment", done, total),
                )
        except InvalidVolumeError as error:
            raise InputError(f"{uri}: {error}") from error
        if overlay is not None:
            write_overlay(source.array, labels, overlay, spacing_um=stated)
        write_labels(labels, output, spacing_um=stated if labels.ndim == 3 else None)
        return int(labels.max(initial=0))


def _segment_micrograph(source: Loaded, options: WatershedOptions) -> npt.NDArray[np.int32]:
    if options.phase_values is not None:
        return segment_image(source.array, options=options)
    grey = to_uint8(source.array, source.bits_used)
    box = find_content_box(grey)
    content = np.ascontiguousarray(grey[box.y0 : box.y1, box.x0 : box.x1])
    corner = (box.y0, box.x0)
    return segment_content(content, options, frame_shape=grey.shape, corner=corner)


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
    labels: npt.NDArray[np.int32], output: Path, *, spacing_um: tuple[float, ...] | None
) -> None:
    """Write labels as compressed TIFF in the smallest unsigned type, the spacing in OME metadata.

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
        )
        aside.replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror or error}"
        raise OriginalError(message) from error
    finally:
        aside.unlink(missing_ok=True)
