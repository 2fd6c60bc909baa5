"""A small collection with specimens, images, quality, particles and vectors of known numbers."""

import numpy as np
import pyarrow as pa

from graindex.store import Store
from graindex.vector_history import index_rows
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES
from tests.graindex.particle_rows import MADE, mask
from tests.graindex.rows import DIMENSION, key, micrograph

VECTOR_TABLE = "micrographs"
# image: specimen; the last one was never segmented, and belongs to none
IMAGES = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "lone": None}
SEGMENTED = ("a1", "a2", "b1", "b2")
# image: (diameter, touches the border, confidence) of its particles; b2 has none
PARTICLES = {
    "a1": [(1.0, False, 0.9), (2.0, False, 0.2), (6.0, True, 0.9)],
    "a2": [(4.0, False, None)],
    "b1": [(5.0, False, 0.8), (np.nan, False, 0.8)],
    "b2": [],
}
NOISE = {"a1": 1.0, "a2": 3.0, "b1": 5.0, "b2": 5.0, "lone": 7.0}
TEMPERATURE = {"a": 900.0, "b": 1000.0}
COOLING = {"a": "Q", "b": "AR"}


def specimens(dataset: str = "d") -> pa.Table:
    return from_records(
        TABLES["samples"],
        [
            {
                "dataset": dataset,
                "sample_id": key(name),
                "sample": name,
                "code_version": "1",
                "temperature": TEMPERATURE[name],
                "cooling": COOLING[name],
            }
            for name in TEMPERATURE
        ],
    )


def images(dataset: str = "d", names=IMAGES) -> pa.Table:
    records = [
        micrograph(dataset, name, sample_id=names[name] and key(names[name])) for name in names
    ]
    return from_records(TABLES["micrographs"], records)


def quality(dataset: str = "d", noise=NOISE) -> pa.Table:
    table = TABLES["image_quality"]
    zeros = dict.fromkeys(table.required, 0.0)
    return from_records(
        table,
        [
            zeros | {"dataset": dataset, "micrograph_id": key(name), "noise_std": value, **MADE}
            for name, value in noise.items()
        ],
    )


def particle(dataset: str, name: object, label: int, **more: object) -> dict[str, object]:
    return {
        "dataset": dataset,
        "micrograph_id": key(name),
        "particle_id": key(f"{dataset} {name} {label}"),
        "label": label,
        "pixels": 10,
        "x_px": 1.0,
        "y_px": 1.0,
        "area_px2": 10.0,
        "touches_border": False,
        "neighbours": 0,
        **MADE,
        **more,
    }


def particles(dataset: str = "d", found=PARTICLES) -> pa.Table:
    records = [
        particle(
            dataset,
            name,
            label,
            equivalent_diameter_um=diameter,
            area_px2=10.0 * label,
            touches_border=touches,
            segmentation_confidence=confidence,
        )
        for name, listed in found.items()
        for label, (diameter, touches, confidence) in enumerate(listed, start=1)
    ]
    return from_records(TABLES["particles_2d"], records)


def vector_rows(dataset: str, names, seed: int = 0, encoder: str = "test") -> pa.Table:
    rng = np.random.default_rng(seed)
    records = []
    for name in names:
        vector = rng.normal(size=DIMENSION)
        records.append(
            {
                "micrograph_id": key(name),
                "dataset": dataset,
                "encoder_id": encoder,
                "vector": (vector / np.linalg.norm(vector)).astype(np.float32).tolist(),
                "vector_norm": float(rng.uniform(1, 5)),
                **MADE,
            }
        )
    schema = arrow_schema(TABLES["micrograph_vectors"], DIMENSION)
    return pa.Table.from_pylist(sorted(records, key=lambda r: r["micrograph_id"]), schema)


def write_vectors(store: Store, rows: pa.Table, dataset: str = "d") -> int:
    store.vectors.upsert(VECTOR_TABLE, rows, DIMENSION)
    before = store.read("vector_index", dataset)
    index = index_rows(VECTOR_TABLE, rows, store.vectors.version(VECTOR_TABLE), before)
    return write(store, {"vector_index": index}, dataset)


def write(store: Store, tables, dataset: str = "d") -> int:
    return store.lake.replace(tables, dataset, author="test", message="test")


def fill(store: Store, dataset: str = "d") -> int:
    """Write everything but vectors; returns the snapshot."""
    masks = [mask(dataset, name, len(PARTICLES[name])) for name in SEGMENTED]
    return write(
        store,
        {
            "samples": specimens(dataset),
            "micrographs": images(dataset),
            "image_quality": quality(dataset),
            "particle_masks_2d": from_records(TABLES["particle_masks_2d"], masks),
            "particles_2d": particles(dataset),
        },
        dataset,
    )
