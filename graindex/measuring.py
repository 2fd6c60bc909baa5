"""Label file to attribute table, without a store.

Out of scope: the attributes themselves (`models.measure`).
"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from graindex.arrays import Loaded, Raw, loaded
from graindex.errors import InputError
from graindex.label_images import Floats, confidence_of, read_confidence
from graindex.progress import report
from models.measure.arrays import InvalidVolumeError
from models.measure.electrode_statistics import electrode_statistics
from models.measure.particles_2d import measure_particles_2d
from models.measure.particles_3d import Measured3D, MeasureOptions, measure_particles_3d
from schemas.arrow import from_columns
from schemas.measured import MEASURED

METADATA_KEY = b"graindex"


@dataclass(frozen=True)
class Measured:
    """Tables of one label file; what they were made from travels in their metadata.

    Attributes:
        particles: `particles_2d` of an image, `particles_3d` of a volume.
        contacts: `contacts` of a volume.
        statistics: `electrode_statistics` of a volume.
    """

    particles: pa.Table
    contacts: pa.Table | None = None
    statistics: pa.Table | None = None


def measure_file(
    labels_uri: str,
    *,
    spacing_um: tuple[float, ...] | None = None,
    grey_uri: str | None = None,
    phases_uri: str | None = None,
    raw: Raw | None = None,
    options: MeasureOptions | None = None,
) -> Measured:
    """Measure every particle of a label image or volume.

    Args:
        labels_uri: integers, 0 is background.
        spacing_um: one number for equal spacing, or (dy, dx), or (dz, dy, dx); None takes what the
            file states. An image without either is measured in pixels alone.
        grey_uri: grey values on the same grid.
        phases_uri: phases on the same grid, for detachment and conduction paths.
        raw: how labels without a header are to be read.
        options: of volumes.

    Raises:
        InputError: the files do not fit each other, or a volume's spacing is nowhere stated.
        UnreadableVolumeError: a file holds no usable volume.
        OriginalError: a file is gone or may not be read.
    """
    options = options or MeasureOptions()
    with ExitStack() as opened:
        labels = opened.enter_context(loaded(labels_uri, raw, labels=True))
        grey = opened.enter_context(loaded(grey_uri)) if grey_uri else None
        phases = opened.enter_context(loaded(phases_uri, labels=True)) if phases_uri else None
        try:
            confidence = read_confidence(labels_uri)
            if labels.array.ndim == 2:
                return _image(labels, grey, phases, spacing_um, confidence)
            return _volume(labels, grey, phases, spacing_um, options, confidence)
        except InvalidVolumeError as error:
            raise InputError(f"{labels_uri}: {error}") from error


def _image(
    labels: Loaded,
    grey: Loaded | None,
    phases: Loaded | None,
    spacing_um: tuple[float, ...] | None,
    confidence: Floats | None,
) -> Measured:
    if phases is not None:
        raise InvalidVolumeError("an image has no detachment: phases go with volumes alone")
    spacing = spacing_um or (labels.spacing_um[1:] if labels.spacing_um else None)
    if spacing is not None and len(set(spacing)) != 1:
        raise InvalidVolumeError(f"pixels of {spacing} µm: only square pixels are measured")
    size = spacing[0] if spacing else None
    columns = measure_particles_2d(
        labels.array, pixel_size_um=size, image=None if grey is None else grey.array
    )
    columns["segmentation_confidence"] = confidence_of(columns["label"], confidence)
    made = {"pixel_size_um": size, **_hashes(labels=labels, grey=grey)}
    return Measured(_table("particles_2d", columns, made))


def _volume(
    labels: Loaded,
    grey: Loaded | None,
    phases: Loaded | None,
    spacing_um: tuple[float, ...] | None,
    options: MeasureOptions,
    confidence: Floats | None,
) -> Measured:
    spacing = spacing_um or labels.spacing_um or (grey.spacing_um if grey else None)
    if spacing is None:
        raise InvalidVolumeError(
            "no file states the voxel size: give it as --spacing-um Z,Y,X (one number when equal)"
        )
    if len(spacing) == 1:
        spacing *= 3
    measured = measure_particles_3d(
        labels.array,
        spacing_um=spacing,
        grey=None if grey is None else grey.array,
        phases=None if phases is None else phases.array,
        options=options,
        progress=lambda done, total: report("particles", done, total),
    )
    label = measured.particles["label"]
    measured.particles["segmentation_confidence"] = confidence_of(label, confidence)
    made = {
        "spacing_um": list(spacing),
        "options": asdict(options),
        **_hashes(labels=labels, grey=grey, phases=phases),
    }
    return Measured(
        _table("particles_3d", measured.particles, made),
        _table("contacts", measured.contacts, made),
        _table("electrode_statistics", _statistics(measured, spacing, options, phases), made),
    )


def _statistics(
    measured: Measured3D,
    spacing_um: tuple[float, ...],
    options: MeasureOptions,
    phases: Loaded | None,
) -> dict[str, npt.NDArray[Any]]:
    """Statistics of the whole volume; without phases there are labels and the rest."""
    sweep = measured.sweep
    if phases is None:
        body = int(sweep.voxels.sum())
        voxels, names = {0: sweep.background_voxels, 1: body}, {0: "background", 1: "particles"}
    else:
        voxels, names = sweep.phase_voxels, {options.phase_binder: "carbon_binder"}
    return electrode_statistics(
        measured.particles,
        voxels,
        spacing_um=spacing_um,
        phase_names=names,
        pore_phase=0 if phases is not None and 0 in voxels else None,
    )


def _hashes(**files: Loaded | None) -> dict[str, str]:
    return {f"{name}_sha256": file.sha256 for name, file in files.items() if file is not None}


def _table(
    name: str, columns: Mapping[str, npt.NDArray[Any]], made: Mapping[str, object]
) -> pa.Table:
    rows = from_columns(MEASURED[name], columns)
    return rows.replace_schema_metadata({METADATA_KEY: json.dumps(made).encode()})
