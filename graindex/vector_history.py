"""Which vector stood when: vectors as of a snapshot, found wherever they lie by now.

The lake table `vector_index` names each image's vector by its hash. The vector itself lies in the
Lance table of today, among the kept ones, or in an older version of the Lance table; wherever it
is found, its hash is checked.

Out of scope: making vectors (`graindex.derive`), and what may be removed
(`graindex.history.garbage`).
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import QueryError
from graindex.lake import AsOf
from graindex.vectors import VectorStore, VersionGoneError
from schemas.arrow import arrow_schema
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

Vectors = npt.NDArray[np.float32]

INDEX = "vector_index"
_NAMED = 3  # ids in an error message
_TRIES = 4
_PAUSE_S = 0.2


def vector_hash(vector: Vectors) -> str:
    """SHA-256 of a vector's float32 numbers, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(vector, "<f4").tobytes()).hexdigest()


def vector_hashes(vectors: pa.ChunkedArray) -> list[str]:
    """Hash of each vector of an Arrow column."""
    return [vector_hash(row) for row in as_matrix(vectors)]


def as_matrix(vectors: pa.ChunkedArray) -> Vectors:
    """An Arrow column of vectors as (N, D)."""
    if len(vectors) == 0:
        return np.empty((0, 0), np.float32)
    flat: Vectors = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(vectors), -1).astype(np.float32, copy=False)


def as_column(vectors: Vectors) -> pa.FixedSizeListArray:
    """(N, D) as an Arrow column."""
    kind = pa.list_(pa.float32(), vectors.shape[1])
    if not len(vectors):
        return pa.array([], kind)
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind)


def index_rows(name: str, rows: pa.Table, version: int, before: pa.Table) -> pa.Table:
    """Rows of `vector_index` for one collection's rows of a Lance table.

    Args:
        name: the Lance table.
        rows: all columns of the collection's rows.
        version: version of the Lance table that they were read from.
        before: rows of the index so far; an image with the same vector as before keeps the
            version it had.
    """
    hashes = vector_hashes(rows["vector"])
    known = {
        (row["vector_table"], row["micrograph_id"], row["vector_hash"]): row["vector_version"]
        for row in before.to_pylist()
    }
    ids = rows["micrograph_id"].to_pylist()
    versions = [known.get((name, *pair), version) for pair in zip(ids, hashes, strict=True)]
    own = {
        "vector_table": pa.repeat(name, rows.num_rows),
        "vector_hash": pa.array(hashes, pa.string()),
        "vector_version": pa.array(versions, pa.int64()),
    }
    schema = arrow_schema(TABLES[INDEX])
    columns = [own[column] if column in own else rows[column] for column in schema.names]
    return pa.table(columns, names=schema.names).cast(schema)


def vectors_as_of(
    store: "Store", dataset: str, as_of: AsOf | None = None, vector_table: str | None = None
) -> pa.Table:
    """Vectors of a collection's images as they stood.

    Args:
        store: the store.
        dataset: the collection.
        as_of: snapshot or time; now when None.
        vector_table: Lance table; without, the one of the settings' backbone, or the only one that
            the collection had vectors in.

    Returns:
        Columns `micrograph_id, encoder_id, vector_hash, vector, vector_norm` in the order of the
        first; `vector` has length 1, and `vector × vector_norm` are the features. No rows where
        there were no vectors.

    Raises:
        QueryError: vectors are gone; or no snapshot is as old as `as_of`.
    """
    index = index_as_of(store, dataset, as_of, vector_table)
    vectors, gone = find_vectors(store.vectors, index) if index.num_rows else (_none(), [])
    if gone:
        when = "" if as_of is None else f" as of {as_of}"
        told = ", ".join(gone[:_NAMED]) + (", …" if len(gone) > _NAMED else "")
        message = (
            f"{len(gone)} of {index.num_rows} vectors of {dataset!r}{when} are gone ({told}): ask "
            "for a snapshot that is kept (graindex snapshots), or materialise micrograph_vectors"
        )
        raise QueryError(message)
    names = ("micrograph_id", "encoder_id", "vector_hash", "vector_norm")
    result = index.select(names).combine_chunks()
    return result.add_column(3, "vector", as_column(vectors))


def index_as_of(
    store: "Store", dataset: str, as_of: AsOf | None, vector_table: str | None = None
) -> pa.Table:
    """Rows of `vector_index` for one collection and Lance table, in the order of `micrograph_id`.

    Raises:
        QueryError: the collection's vectors are older than the index, so that nothing is known of
            them; or they are in several tables, none of which the settings name.
    """
    index = store.lake.read(INDEX, dataset, as_of=as_of)
    found = index["vector_table"].unique().to_pylist()
    name = vector_table or store.settings.encoder.vector_table
    if vector_table is None and name not in found and len(found) > 1:
        message = f"{dataset!r} has vectors in {', '.join(sorted(found))}: name one of these tables"
        raise QueryError(message)
    if vector_table is None and len(found) == 1:
        name = found[0]
    if not found and _never_indexed(store, dataset, name):
        message = (
            f"the vectors of {dataset!r} were made before their history was kept; "
            f"run: graindex materialize --dataset {dataset}"
        )
        raise QueryError(message)
    return index.filter(pc.equal(index["vector_table"], name)).sort_by("micrograph_id")


def _never_indexed(store: "Store", dataset: str, name: str) -> bool:
    known = store.lake.read(INDEX, dataset, columns=("vector_table",)).num_rows
    return not known and store.vectors.count(name, dataset) > 0


def find_vectors(vectors: VectorStore, index: pa.Table) -> tuple[Vectors, list[str]]:
    """Vectors that rows of the index name.

    Args:
        vectors: where they lie.
        index: rows of one Lance table.

    Returns:
        (N, D) in the order of `index`, and the ids of the images whose vector is nowhere.
    """
    located = locate_vectors(vectors, index)
    if located.missing:
        return _none(), located.missing
    everything = located.found | located.old
    return np.stack([everything[one] for one in index["vector_hash"].to_pylist()]), []


@dataclass
class Located:
    """Where vectors were found.

    Attributes:
        found: vectors that lie in today's table or among the kept ones, by their hash.
        old: those that lie in an old version only, by their hash.
        missing: images whose vector is nowhere.
    """

    found: dict[str, Vectors] = field(default_factory=dict)
    old: dict[str, Vectors] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def locate_vectors(vectors: VectorStore, index: pa.Table) -> Located:
    """Look for vectors that rows of the index name, again where another process cleans up."""
    located = Located()
    for turn in range(_TRIES):
        try:
            located = _located(vectors, index)
        except VersionGoneError:  # removed while it was read; what is needed is kept now
            time.sleep(_PAUSE_S * 2**turn)
            continue
        if not located.missing:
            break
    return located


def _located(vectors: VectorStore, index: pa.Table) -> Located:
    """Look among today's vectors, the kept ones, and old versions.

    A vector that is no more may be in any version from the one recorded until it was replaced, so
    that the oldest of these that is left is the likeliest.
    """
    result = Located()
    if not index.num_rows:
        return result
    name = index["vector_table"][0].as_py()
    columns = ("micrograph_id", "vector_hash", "vector_version")
    rows: list[tuple[str, str, int]] = list(
        zip(*(index[column].to_pylist() for column in columns), strict=True)
    )
    images = vectors.read_images(name, _images(rows))
    hashes = vector_hashes(images["vector"])
    today = dict(zip(hashes, as_matrix(images["vector"]), strict=True))
    own = set(zip(images["micrograph_id"].to_pylist(), hashes, strict=True))
    kept = _by_hash(vectors.read_kept(name, sorted({r[1] for r in rows if r[:2] not in own})))
    result.found |= today | kept
    rows = [row for row in rows if row[:2] not in own and row[1] not in kept]
    # Another image's vector of today: whoever asks for this image alone does not look there.
    result.old |= {row[1]: today[row[1]] for row in rows if row[1] in today}
    rows = [row for row in rows if row[1] not in today]
    for version in vectors.versions(name) if rows else ():
        there = [row for row in rows if row[2] <= version]
        if there:
            wanted = {row[1] for row in there}
            old = _by_hash(vectors.read_images(name, _images(there), version))
            result.old |= {one: vector for one, vector in old.items() if one in wanted}
            rows = [row for row in rows if row[1] not in result.old]
    result.missing = _images(rows)
    return result


def _images(rows: Iterable[tuple[str, str, int]]) -> list[str]:
    return list(dict.fromkeys(row[0] for row in rows))


def _by_hash(rows: pa.Table) -> dict[str, Vectors]:
    return {vector_hash(vector): vector for vector in as_matrix(rows["vector"])}


def _none() -> Vectors:
    return np.empty((0, 0), np.float32)
