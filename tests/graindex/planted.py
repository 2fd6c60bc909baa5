"""Faults planted into homes: labels by somebody, images of another collection, other brightness."""

import hashlib
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.derive import write_vector_index
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph

VECTOR_TABLE = "micrographs"


def state(store, dataset, name, values, *, kind="micrograph", labeller="somebody", **more):
    """State a label of some entities, by id."""
    records = [
        {
            "dataset": dataset,
            "label_id": key(f"{entity} {name} {labeller}"),
            "entity_kind": kind,
            "entity_id": entity,
            "label_name": name,
            "label_number": value if isinstance(value, float) else None,
            "label_text": value if isinstance(value, str) else None,
            "labeller": labeller,
            "recorded_at": datetime.now(UTC),
            **more,
        }
        for entity, value in values.items()
    ]
    rows = {"labels": from_records(TABLES["labels"], records)}
    store.lake.put(rows, author="test", message="labels")


def collection(store, dataset, vectors, *, specimens, own=None, **more):
    """A collection of images with these vectors (N, D), if any, and specimens by name.

    `own` are columns of samples by specimen; `more` are columns of micrographs, (N,) each.
    """
    names = [f"{dataset} {number}" for number in range(len(specimens))]
    images = [
        micrograph(
            dataset,
            name,
            sample_id=specimen_key(dataset, specimen),
            **{column: values[i] for column, values in more.items()},
        )
        for i, (name, specimen) in enumerate(zip(names, specimens, strict=True))
    ]
    records = [
        {
            "dataset": dataset,
            "sample_id": specimen_key(dataset, specimen),
            "sample": specimen,
            "code_version": "1",
            **(own or {}).get(specimen, {}),
        }
        for specimen in dict.fromkeys(specimens)
    ]
    tables = {
        "samples": from_records(TABLES["samples"], records),
        "micrographs": from_records(TABLES["micrographs"], images),
    }
    store.lake.replace(tables, dataset, author="test", message="collection")
    if vectors is not None:
        encode(store, dataset, [key(name) for name in names], np.asarray(vectors))
    return [key(name) for name in names]


def specimen_key(dataset, name):
    """Key of a specimen with a name of its own, as the catalogue makes it."""
    from graindex.files import sha256

    return sha256(dataset, "sample", name)[:16]


def encode(store, dataset, ids, vectors, encoder_id="test"):
    """Give images vectors (N, D) of any length."""
    lengths = np.linalg.norm(vectors, axis=1)
    units = (vectors / lengths[:, None]).astype(np.float32)
    columns = {
        "micrograph_id": ids,
        "dataset": [dataset] * len(ids),
        "encoder_id": [encoder_id] * len(ids),
        "vector": list(units),
        "vector_norm": lengths,
        "input_hash": [SHA] * len(ids),
        "code_version": ["1"] * len(ids),
    }
    dimension = vectors.shape[1]
    rows = pa.table(columns, arrow_schema(TABLES["micrograph_vectors"], dimension))
    store.vectors.upsert(VECTOR_TABLE, rows, dimension)
    write_vector_index(store, dataset, VECTOR_TABLE, author="test")


def move(store, ids, source, target, sample_id=None):
    """Put images of one collection into another as well, vectors included; returns new ids."""
    rows = store.read("micrographs", source).filter(
        pc.is_in(store.read("micrographs", source)["micrograph_id"], value_set=pa.array(ids))
    )
    records = rows.to_pylist()
    new = {one: hashlib.sha256(f"{target} {one}".encode()).hexdigest()[:16] for one in ids}
    for record in records:
        record |= {
            "dataset": target,
            "micrograph_id": new[record["micrograph_id"]],
            "path": f"planted/{record['path']}",
            "sample_id": sample_id,
        }
    replace(store, target, "micrographs", store.read("micrographs", target).to_pylist() + records)
    columns = TABLES["micrograph_vectors"].columns
    found = store.vectors.read(VECTOR_TABLE, source, columns).to_pylist()
    by_id = {row["micrograph_id"]: row for row in found}
    vectors = np.array([by_id[one]["vector"] for one in ids])
    encode(store, target, [new[one] for one in ids], vectors, by_id[ids[0]]["encoder_id"])
    return [new[one] for one in ids]


def replace(store, dataset, table, records):
    """Write a collection's rows of a table."""
    rows = {table: from_records(TABLES[table], records)}
    store.lake.replace(rows, dataset, author="test", message=table)
