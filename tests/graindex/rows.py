"""Rows that keep every rule of the dictionary, for tests of the store."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES

SHA = "ab" * 32
DIMENSION = 4


def key(text: object) -> str:
    """A key of the form that the dictionary asks for."""
    return hashlib.sha256(str(text).encode()).hexdigest()[:16]


def samples(
    dataset: str, names: Iterable[object], own: Mapping[str, object] | None = None
) -> pa.Table:
    """Specimens of a collection, with labels of its own where given."""
    records = [
        {
            "dataset": dataset,
            "sample_id": key(name),
            "sample": str(name),
            "code_version": "1",
            **(own or {}),
        }
        for name in names
    ]
    return from_records(TABLES["samples"], records)


def micrograph(dataset: str, name: object, **more: object) -> dict[str, object]:
    """One image as a record."""
    return {
        "dataset": dataset,
        "micrograph_id": key(name),
        "path": f"{name}.tif",
        "uri": f"/images/{name}.tif",
        "page": 0,
        "content_hash": hashlib.sha256(str(name).encode()).hexdigest(),
        "file_size_bytes": 100,
        "file_modified_at": datetime(2026, 11, 21, 10, 0, tzinfo=UTC),
        "file_format": "tiff",
        "modality": "SEM",
        "width_px": 64,
        "height_px": 48,
        "bit_depth": 8,
        "bits_used": 8,
        "content_x0_px": 0,
        "content_y0_px": 0,
        "content_x1_px": 64,
        "content_y1_px": 40,
        "thumbnail": SHA,
        "input_hash": SHA,
        "code_version": "1",
        **more,
    }


def micrographs(dataset: str, names: Iterable[object], **more: object) -> pa.Table:
    """Images of a collection."""
    return from_records(TABLES["micrographs"], [micrograph(dataset, n, **more) for n in names])


def vectors(dataset: str, names: Iterable[object], code_version: str = "1") -> pa.Table:
    """Vectors of images: the unit vector that the name's hash gives."""
    records = []
    for name in names:
        seed = int(key(name), 16) % 2**32
        vector = np.random.default_rng(seed).normal(size=DIMENSION)
        records.append(
            {
                "micrograph_id": key(name),
                "dataset": dataset,
                "encoder_id": "test",
                "vector": (vector / np.linalg.norm(vector)).tolist(),
                "vector_norm": 1.0,
                "input_hash": SHA,
                "code_version": code_version,
            }
        )
    return pa.Table.from_pylist(records, arrow_schema(TABLES["micrograph_vectors"], DIMENSION))
