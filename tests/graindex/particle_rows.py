"""Rows of volumes, images and their particles as refreshes would write them, for tests."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from graindex.files import sha256
from graindex.store import Store
from models.measure.particles_2d import measure_particles_2d
from models.measure.particles_3d import Measured3D
from schemas.arrow import from_columns, from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph

Rows = dict[str, pa.Table]
MADE = {"input_hash": SHA, "code_version": "1"}
FOUND = {
    "segmentation_method": "watershed",
    "segmentation_source": "grey",
    "segmentation_settings": "{}",
    "overlay": SHA,
    **MADE,
}


def digest(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def volume(dataset: str, name: object, shape, spacing_um, **more: object) -> dict[str, object]:
    return {
        "dataset": dataset,
        "volume_id": key(name),
        "path": f"{name}.tif",
        "uri": f"/volumes/{name}.tif",
        "labels_hash": digest(name),
        "listing_hash": SHA,
        "file_size_bytes": 1,
        "file_format": "tiff",
        **{f"size_{axis}_voxels": n for axis, n in zip("zyx", shape, strict=True)},
        **{f"voxel_size_{axis}_um": d for axis, d in zip("zyx", spacing_um, strict=True)},
        "voxel_size_source": "user",
        "voxel_type": "uint8",
        "nonfinite_voxels": 0,
        "thumbnail": SHA,
        **MADE,
        **more,
    }


def phases(dataset: str, name: object, voxels: Mapping[int, int]) -> list[dict[str, object]]:
    total = sum(voxels.values())
    return [
        {
            "dataset": dataset,
            "volume_id": key(name),
            "phase": phase,
            "phase_voxels": count,
            "phase_fraction": count / total,
        }
        for phase, count in voxels.items()
    ]


def label_volume(dataset: str, name: object, count: int) -> dict[str, object]:
    return {
        "dataset": dataset,
        "volume_id": key(name),
        "label_volume": digest(name),
        "particle_count": count,
        "particle_fraction": 0.1,
        **FOUND,
    }


def mask(dataset: str, name: object, count: int) -> dict[str, object]:
    return {
        "dataset": dataset,
        "micrograph_id": key(name),
        "mask": digest(name),
        "particle_count": count,
        "particle_fraction": 0.1,
        **FOUND,
    }


def particle_ids(parent: str, address: str, labels: np.ndarray) -> np.ndarray:
    return np.array([sha256(parent, address, str(n))[:16] for n in labels.tolist()], object)


def in_table(
    table: str, dataset: str, parent: Mapping[str, str], columns: Mapping[str, Any], **more: object
) -> pa.Table:
    """Columns with the same dataset, parent and origin in every row."""
    count = len(next(iter(columns.values())))
    same = {"dataset": dataset, **parent, **MADE, **more}
    told = {name: np.full(count, value, object) for name, value in same.items()}
    return from_columns(TABLES[table], {**columns, **told})


def particles_3d(dataset: str, name: object, columns: Mapping[str, Any], **more: object):
    ids = particle_ids(key(name), digest(name), columns["label"])
    parent = {"volume_id": key(name)}
    columns = {**columns, "particle_id": ids}
    return in_table("particles_3d", dataset, parent, columns, **more)


def contacts(dataset: str, name: object, columns: Mapping[str, Any]) -> pa.Table:
    ends = {
        f"particle_{side}_id": particle_ids(key(name), digest(name), columns[f"label_{side}"])
        for side in "ab"
    }
    return in_table("contacts", dataset, {"volume_id": key(name)}, {**columns, **ends})


def particles_2d(dataset: str, name: object, columns: Mapping[str, Any], **more: object):
    ids = particle_ids(key(name), digest(name), columns["label"])
    parent = {"micrograph_id": key(name)}
    return in_table("particles_2d", dataset, parent, {**columns, "particle_id": ids}, **more)


def measured_volume(dataset: str, name: object, shape, spacing_um, found: Measured3D) -> Rows:
    """Rows of a volume that was measured."""
    count = len(found.particles["label"])
    return {
        "volumes": from_records(TABLES["volumes"], [volume(dataset, name, shape, spacing_um)]),
        "particle_labels_3d": from_records(
            TABLES["particle_labels_3d"], [label_volume(dataset, name, count)]
        ),
        "particles_3d": particles_3d(dataset, name, found.particles, calibration_um=spacing_um[0]),
        "contacts": contacts(dataset, name, found.contacts),
    }


def measured_image(
    dataset: str, name: object, labels: np.ndarray, pixel_size_um: float | None, **more: object
) -> Rows:
    """Rows of an image whose whole frame is content, with its particles."""
    height, width = labels.shape
    edges = {"content_x1_px": width, "content_y1_px": height}
    row = micrograph(dataset, name, pixel_size_um=pixel_size_um, **edges, **more)
    columns = measure_particles_2d(labels, pixel_size_um=pixel_size_um)
    row |= {"width_px": width, "height_px": height}
    return {
        "micrographs": from_records(TABLES["micrographs"], [row]),
        "particle_masks_2d": from_records(
            TABLES["particle_masks_2d"], [mask(dataset, name, len(columns["label"]))]
        ),
        "particles_2d": particles_2d(dataset, name, columns),
    }


def write(store: Store, dataset: str, *parts: Rows) -> None:
    """Replace the collection's rows of the tables that the parts speak of."""
    tables = {
        name: pa.concat_tables([part[name] for part in parts if name in part])
        for name in {name for part in parts for name in part}
    }
    store.lake.replace(tables, dataset, author="test", message="test")
