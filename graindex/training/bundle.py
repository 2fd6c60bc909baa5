"""A training set as a bundle: images, tables, licences and checksums for another store.

Out of scope: importing one (`graindex.training.importing`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import BundleError, InputError, OriginalError
from graindex.features.registry import RegisteredFeatureSet, registered_feature_set
from graindex.originals import content_hash, read_bytes
from graindex.progress import report
from graindex.training.bundle_reading import (
    CHECKSUMS,
    FORMAT,
    IMAGES,
    MANIFEST,
    SAMPLES,
    TABLES,
    BundledCollection,
    Manifest,
)
from graindex.training.bundled_samples import bundled_samples
from graindex.training.packing import Packing, packing
from graindex.training.reading import rows_as_of
from graindex.training.table_files import parquet_bytes
from graindex.training.training_set import TrainingSet
from graindex.training.unpacking import checked_name

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, object]
_TERMS = ("description", "source", "licence", "citation")
_OF_THIS_PLACE = ("uri", "sidecar_uri", "thumbnail")
"""Columns of `micrographs` that mean nothing elsewhere, or say too much."""


@dataclass(frozen=True)
class WrittenBundle:
    """What was written.

    Attributes:
        path: where.
        files: how many.
        images: how many of them are originals.
        size_bytes: of all files.
        warnings: what whoever passes it on should know.
    """

    path: Path
    files: int
    images: int
    size_bytes: int
    warnings: tuple[str, ...]


def write_bundle(
    store: "Store", training_set: TrainingSet, path: Path, *, images: bool = True
) -> WrittenBundle:
    """Write a training set with all that another store needs to build it again.

    Args:
        store: the store that it is of.
        training_set: the set.
        path: a new folder, or a file `.zip`, `.tar`, `.tar.gz` or `.tgz`.
        images: whether originals go along; without them it can be read, but not imported.

    Raises:
        OriginalError: an original is gone, or not the one that was catalogued.
        InputError: the rows are volumes, or the bundle cannot be written.
    """
    if training_set.kind == "volume" and images:
        message = (
            "a bundle holds images, and these rows are of volumes: leave them out (--no-images)"
        )
        raise InputError(message)
    catalogued = _images(store, training_set)
    tables = _tables(store, training_set, catalogued)
    with packing(path) as packed:
        for name, rows in tables.items():
            packed.add(f"{TABLES}/{name}.parquet", parquet_bytes(rows))
        packed.add(f"{TABLES}/training_set.parquet", training_set.parquet())
        collections = [
            _pack_collection(store, packed, training_set, dataset, catalogued, images)
            for dataset in sorted(set(training_set.rows["dataset"].to_pylist()))
        ]
        manifest = _manifest(store, training_set, collections, images)
        text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
        packed.add(MANIFEST, text.encode())
        packed.add(CHECKSUMS, packed.checksum_lines())
    count = sum(collection.image_count for collection in collections) if images else 0
    files, size = len(packed.checksums), packed.size_bytes
    return WrittenBundle(path, files, count, size, manifest.warnings)


def _images(store: "Store", training_set: TrainingSet) -> pa.Table:
    """Rows of `micrographs` whose images the features and labels are of."""
    rows = store.lake.read("micrographs", as_of=training_set.lake_snapshot)
    column = {"micrograph": "micrograph_id", "sample": "sample_id"}.get(
        training_set.kind, "content_hash"
    )
    of = "content_hash" if column == "content_hash" else "entity_id"
    wanted = pc.is_in(rows[column], value_set=training_set.rows[of].combine_chunks())
    datasets = training_set.rows["dataset"].combine_chunks()
    return rows.filter(pc.and_(wanted, pc.is_in(rows["dataset"], value_set=datasets)))


def _tables(store: "Store", training_set: TrainingSet, images: pa.Table) -> dict[str, pa.Table]:
    """What is known of the images, their specimens and labels, for readers without a store."""
    as_of = training_set.lake_snapshot
    specimens = pa.concat_arrays(
        [
            images["sample_id"].combine_chunks(),
            training_set.rows["sample_id"].combine_chunks().cast(pa.string()),
        ]
    )
    entities = training_set.rows["entity_id"].combine_chunks().cast(pa.string())
    pictures = images["micrograph_id"].combine_chunks().cast(pa.string())
    keys = {
        "samples": ("sample_id", specimens),
        "image_quality": ("micrograph_id", pictures),
        "labels": ("entity_id", pa.concat_arrays([entities, pictures, specimens])),
    }
    found = {name: store.lake.read(name, as_of=as_of) for name in ("samples", "image_quality")}
    labels = rows_as_of(store, "labels", (), as_of)
    is_asked = pc.equal(labels["label_name"], training_set.request.label.name)
    found["labels"] = labels.filter(is_asked)
    tables = {
        name: found[name].filter(pc.is_in(found[name][column], value_set=values))
        for name, (column, values) in keys.items()
    }
    tables["micrographs"] = images.drop_columns(list(_OF_THIS_PLACE))
    return {name: tables[name] for name in sorted(tables)}


def _pack_collection(
    store: "Store",
    packed: Packing,
    training_set: TrainingSet,
    dataset: str,
    images: pa.Table,
    with_images: bool,
) -> BundledCollection:
    """Write the originals and labels of one collection; returns what registers it again."""
    as_of = training_set.lake_snapshot
    rows = images.filter(pc.equal(images["dataset"], dataset)).to_pylist()
    declared = store.lake.read("datasets", dataset, as_of=as_of).to_pylist()[0]
    samples = bundled_samples(store, declared, rows, as_of)
    if samples.table is not None:
        packed.add(f"{SAMPLES}/{dataset}.csv", samples.table)
    if with_images:
        _pack_images(packed, dataset, rows)
    # Its terms are those of today, and not what was known of them at the snapshot.
    known = store.recipe(dataset).model_dump() if dataset in store.datasets() else declared
    terms = {name: known[name] for name in _TERMS}
    return BundledCollection(
        dataset=dataset,
        kind=declared["kind"],
        **terms,
        modality=str(rows[0]["modality"]) if rows else "SEM",
        label_pattern=samples.label_pattern,
        declared_pixel_size_um=samples.declared_pixel_size_um,
        segmentation=json.loads(declared["segmentation_settings"] or "{}"),
        measurement=json.loads(declared["measurement_settings"] or "{}"),
        has_samples=samples.table is not None,
        specimens_renamed=samples.renamed,
        image_count=len({row["path"] for row in rows}),
    )


def _pack_images(packed: Packing, dataset: str, rows: list[Record]) -> None:
    by_path = {str(row["path"]): row for row in rows}
    report("images", 0, len(by_path))
    for done, (path, row) in enumerate(sorted(by_path.items()), start=1):
        name = _file_name(dataset, path)
        packed.add(name, _original(row))
        if row["sidecar_uri"] is not None:
            beside = str(row["sidecar_uri"])
            folder = name.rsplit("/", 1)[0]
            packed.add(f"{folder}/{beside.rsplit('/', 1)[-1]}", _read(beside))
        report("images", done, len(by_path))


def _file_name(dataset: str, path: str) -> str:
    try:
        return checked_name(Path(dataset), f"{IMAGES}/{dataset}/{path}")
    except BundleError as error:
        message = f"{dataset}/{path} has a name that not every system can hold; rename it"
        raise InputError(message) from error


def _original(row: Record) -> bytes:
    """Bytes of an image as it was catalogued.

    Raises:
        OriginalError: it is gone, or another by now.
    """
    data = _read(str(row["uri"]))
    if content_hash(data) != row["content_hash"]:
        message = (
            f"{row['uri']} is not the file that the training set is of; put that back, or ask for "
            "a training set of now"
        )
        raise OriginalError(message)
    return data


def _read(uri: str) -> bytes:
    try:
        return read_bytes(uri)
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error


def _manifest(
    store: "Store",
    training_set: TrainingSet,
    collections: list[BundledCollection],
    with_images: bool,
) -> Manifest:
    vectors = rows_as_of(
        store, "vector_index", ("micrograph_id", "encoder_id"), training_set.lake_snapshot
    )
    ids = training_set.rows["entity_id"].combine_chunks().cast(pa.string())
    encoders = vectors.filter(pc.is_in(vectors["micrograph_id"], value_set=ids))["encoder_id"]
    return Manifest(
        format=FORMAT,
        graindex=version("graindex"),
        training_set_id=training_set.training_set_id,
        fingerprint=training_set.fingerprint,
        lake_snapshot=training_set.lake_snapshot,
        request=training_set.request.model_dump(mode="json"),
        feature_sets=tuple(_feature_sets(store, training_set.feature_set)),
        encoder_ids=tuple(sorted(set(encoders.to_pylist()))),
        has_images=with_images,
        collections=tuple(collections),
        warnings=tuple(_warnings(collections)),
    )


def _feature_sets(store: "Store", one: RegisteredFeatureSet) -> Iterator[dict[str, object]]:
    """The definition of a feature set, after those of the sets that it includes."""
    for reference in one.definition.include:
        yield from _feature_sets(store, registered_feature_set(store, reference))
    fields = json.loads(one.definition.canonical()) | {"description": one.definition.description}
    yield {"reference": one.reference, "definition": fields}


def _warnings(collections: list[BundledCollection]) -> Iterator[str]:
    for collection in collections:
        if not collection.licence:
            yield (
                f"collection {collection.dataset!r} states no licence: ask its source before "
                "passing it on"
            )
        if collection.specimens_renamed:
            yield (
                f"the samples table of collection {collection.dataset!r} is no more what it was: "
                "specimens get other ids where the bundle is imported"
            )
