"""Vectors of images as a refresh leaves them, without an encoder."""

import hashlib
import json

import numpy as np
import pyarrow as pa

from graindex.derive import write_vector_index
from graindex.vector_history import as_column, as_matrix, vectors_as_of
from schemas.arrow import arrow_schema
from schemas.tables import TABLES
from tests.graindex.rows import DIMENSION, SHA, key, micrographs

TABLE = "micrographs"


def vector(*seed):
    """The unit vector that some numbers give, and a length."""
    drawn = np.random.default_rng([abs(int(one)) for one in seed]).normal(size=DIMENSION + 1)
    unit = drawn[:DIMENSION] / np.linalg.norm(drawn[:DIMENSION])
    return unit.astype(np.float32), float(1 + drawn[DIMENSION] ** 2)


def vector_rows(dataset, vectors, encoder_id="test"):
    """Rows of a Lance table from vectors and lengths by name."""
    names = list(vectors)
    units = np.stack([vectors[name][0] for name in names])
    columns = {
        "micrograph_id": [key(name) for name in names],
        "dataset": [dataset] * len(names),
        "encoder_id": [encoder_id] * len(names),
        "vector": as_column(units),
        "vector_norm": [vectors[name][1] for name in names],
        "input_hash": [SHA] * len(names),
        "code_version": ["1"] * len(names),
    }
    return pa.table(columns).cast(arrow_schema(TABLES["micrograph_vectors"], DIMENSION))


def catalogue(store, dataset, names):
    """Make a collection hold these images; returns the snapshot."""
    rows = {"micrographs": micrographs(dataset, names)}
    return store.lake.replace(rows, dataset, author="test", message="images")


def encode(store, dataset, vectors, encoder_id="test", table=TABLE):
    """Give images new vectors, as a refresh does; returns the snapshot."""
    store.vectors.upsert(table, vector_rows(dataset, vectors, encoder_id), DIMENSION)
    write_vector_index(store, dataset, table, author="test")
    return store.snapshot()


def as_dict(rows):
    """Vectors as bytes, and their lengths, by id."""
    return {
        row["micrograph_id"]: (np.float32(row["vector"]).tobytes(), row["vector_norm"])
        for row in rows.to_pylist()
    }


def expected(vectors):
    """The same of what was encoded."""
    return {key(name): (unit.tobytes(), norm) for name, (unit, norm) in vectors.items()}


def digest(store, dataset, as_of):
    """Hash of all that is known of a collection's vectors as of a snapshot."""
    rows = vectors_as_of(store, dataset, as_of)
    told = [rows[name].to_pylist() for name in rows.column_names if name != "vector"]
    data = json.dumps(told).encode() + as_matrix(rows["vector"]).tobytes()
    return hashlib.sha256(data).hexdigest()
