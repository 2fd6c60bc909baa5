"""What follows from the pixels of catalogued images: quality and vectors, row by row.

Out of scope: the catalogue itself (`graindex.catalogue`).
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from graindex.checkpoint import Checkpoint
from graindex.errors import OriginalError
from graindex.files import sha256
from graindex.originals import load_content
from graindex.outcome import Outcome
from graindex.parallel import in_threads
from graindex.progress import report
from graindex.records import Record
from graindex.vector_history import INDEX, index_rows
from models.encode.config import PREPROCESSING_VERSION
from models.measure.image_quality import QUALITY_CODE_VERSION, image_quality
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

VECTORS_CODE_VERSION = f"1+encode.{PREPROCESSING_VERSION}"
_SAVE_EVERY = 500
_PIXELS = (
    "content_hash", "page", "bits_used",
    "content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px",
)  # fmt: skip


def pixels_hash(row: Mapping[str, object]) -> str:
    """Hash of all that decides the grey values of an image's content."""
    return sha256(*(str(row[name]) for name in _PIXELS))


def inputs_of_images(store: "Store", dataset: str) -> dict[str, str]:
    """What quality figures and vectors of each image rest on, by `micrograph_id`."""
    return {str(key): pixels_hash(row) for key, row in _images(store, dataset).items()}


def refresh_quality(store: "Store", dataset: str, *, author: str) -> Outcome:
    """Bring the quality figures of a collection's images up to date."""
    images = _images(store, dataset)
    before = store.lake.read("image_quality", dataset)
    work = Checkpoint(store.location, "image_quality", dataset)
    known = {
        row["micrograph_id"]: row
        for row in (*before.to_pylist(), *work.load("image_quality").to_pylist())
        if row["code_version"] == QUALITY_CODE_VERSION
    }
    wanted = {key: pixels_hash(row) for key, row in images.items()}
    records = {k: known[k] for k, h in wanted.items() if k in known and known[k]["input_hash"] == h}
    kept = sum(key in set(before["micrograph_id"].to_pylist()) for key in records)
    todo = [key for key in images if key not in records]
    limits = store.limits

    def measure(key: object) -> Record:
        quality = image_quality(load_content(images[key], limits))
        return {
            "dataset": dataset,
            "micrograph_id": key,
            **asdict(quality),
            "input_hash": wanted[key],
            "code_version": QUALITY_CODE_VERSION,
        }

    refused: dict[str, str] = {}
    unsaved: list[Record] = []
    report("image_quality", 0, len(todo))
    results = in_threads(measure, todo, expected=(OriginalError,))
    for done, (key, result) in enumerate(results, start=1):
        if isinstance(result, Exception):
            refused[str(key)] = str(result)
        else:
            records[key] = result
            unsaved.append(result)
        if len(unsaved) >= _SAVE_EVERY:
            work.save({"image_quality": unsaved})
            unsaved = []
        report("image_quality", done, len(todo))
    rows = from_records(TABLES["image_quality"], list(records.values()))
    snapshot = store.lake.replace(
        {"image_quality": rows}, dataset, author=author, message=f"image_quality of {dataset}"
    )
    work.clear()
    dropped = len(set(before["micrograph_id"].to_pylist()) - set(images))
    return Outcome(len(records), len(records) - kept, kept, dropped, refused, snapshot)


def refresh_vectors(store: "Store", dataset: str, *, author: str) -> Outcome:
    """Bring the vectors of a collection's images up to date, and the index that says which stood.

    Finished batches stay when a run is cut short: each row carries the hash of its input, so
    the next run goes on where this one stopped. The index is written when all are there; until
    then it names the vectors of before.

    Returns:
        Counts of vectors, one for each image and encoder; the version is that of the table which
        images are searched by.
    """
    images = _images(store, dataset)
    outcomes = [_refresh_table(store, dataset, images, table, author) for table in store.encoders]
    return Outcome(
        sum(one.rows for one in outcomes),
        sum(one.computed for one in outcomes),
        sum(one.kept for one in outcomes),
        sum(one.dropped for one in outcomes),
        {key: why for one in outcomes for key, why in one.refused.items()},
        outcomes[0].snapshot,
    )


def _refresh_table(
    store: "Store", dataset: str, images: dict[object, Record], name: str, author: str
) -> Outcome:
    wanted = {key: pixels_hash(row) for key, row in images.items()}
    encoder_id = store.encoders[name].encoder_id
    before = {row["micrograph_id"]: row for row in store.vectors.read(name, dataset).to_pylist()}
    kept = {
        key
        for key, row in before.items()
        if (row["input_hash"], row["encoder_id"], row["code_version"])
        == (wanted.get(key), encoder_id, VECTORS_CODE_VERSION)
    }
    todo = [key for key in images if key not in kept]
    refused = _encode(store, dataset, name, {key: (images[key], wanted[key]) for key in todo})
    gone = [str(key) for key in before if key not in images or str(key) in refused]
    store.vectors.delete(name, gone)
    computed = len(todo) - len(refused)
    if computed or gone:
        store.vectors.compact(name)
    version = write_vector_index(store, dataset, name, author=author)
    return Outcome(len(kept) + computed, computed, len(kept), len(gone), refused, version)


def write_vector_index(store: "Store", dataset: str, name: str, *, author: str) -> int | None:
    """Say in the lake which vectors a collection has in a Lance table.

    Rows of other tables stay for the images that are still there.

    Returns:
        Version of the Lance table; None where there is none.
    """
    before = store.lake.read(INDEX, dataset)
    images = store.lake.read("micrographs", dataset, columns=("micrograph_id",))
    elsewhere = before.filter(
        pc.and_(
            pc.not_equal(before["vector_table"], name),
            pc.is_in(before["micrograph_id"], images["micrograph_id"].combine_chunks()),
        )
    )
    version = store.vectors.version(name)
    parts = [elsewhere]
    if version is not None:
        columns = TABLES["micrograph_vectors"].columns
        rows = store.vectors.read(name, dataset, columns, version)
        parts.append(index_rows(name, rows, version, before))
    index = pa.concat_tables(parts, promote_options="permissive")
    message = f"vectors of {dataset}"
    store.lake.replace({INDEX: index}, dataset, author=author, message=message)
    return version


def _encode(
    store: "Store", dataset: str, name: str, todo: dict[object, tuple[Record, str]]
) -> dict[str, str]:
    """Encode and upsert in batches; returns what could not be read, with the reason."""
    refused: dict[str, str] = {}
    batch: list[Record] = []
    limits = store.limits
    report("micrograph_vectors", 0, len(todo))
    if not todo:
        return refused
    encoder = store.encoders[name]

    def flush() -> None:
        if batch:
            store.vectors.upsert(name, pa.Table.from_pylist(batch), encoder.dimension)
            batch.clear()

    stream = encoder.encode_stream(todo, lambda key: load_content(todo[key][0], limits))
    for done, (key, result) in enumerate(stream, start=1):
        if isinstance(result, OriginalError):
            refused[str(key)] = str(result)
        elif isinstance(result, BaseException):
            raise result
        else:
            norm = float((result.astype("float64") ** 2).sum() ** 0.5)
            batch.append(
                {
                    "micrograph_id": key,
                    "dataset": dataset,
                    "encoder_id": encoder.encoder_id,
                    "vector": (result / norm).tolist(),
                    "vector_norm": norm,
                    "input_hash": todo[key][1],
                    "code_version": VECTORS_CODE_VERSION,
                }
            )
        if len(batch) >= _SAVE_EVERY:
            flush()
        report("micrograph_vectors", done, len(todo))
    flush()
    return refused


def _images(store: "Store", dataset: str) -> dict[object, Record]:
    rows = store.lake.read("micrographs", dataset).to_pylist()
    return {row["micrograph_id"]: row for row in rows}
