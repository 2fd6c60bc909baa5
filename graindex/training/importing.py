"""Bundles into a store: images, labels and feature sets, so that the set can be built again.

Out of scope: checking bundles (`graindex.training.bundle_reading`) and computing anything: that
is what materialising does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from graindex.catalogue import label_paths, refresh_samples
from graindex.errors import BundleError, CollectionError
from graindex.features.files import make_feature_set
from graindex.features.registry import register_feature_set
from graindex.recipes import Recipe
from graindex.records import micrograph_key
from graindex.registration import register_collection
from graindex.training.bundle_reading import (
    IMAGES,
    TABLES,
    OpenBundle,
    opened_bundle,
)
from graindex.training.placing import place
from graindex.training.request import TrainingSetRequest, parse_request
from graindex.training.statements import statement_key
from graindex.volume_unfinished import refusals_of_the_home
from schemas.arrow import arrow_schema
from schemas.tables import TABLES as SCHEMAS

if TYPE_CHECKING:
    from graindex.store import Store

_IDENTITY = ("dataset", "micrograph_id", "sample_id", "path", "page", "content_hash")


@dataclass(frozen=True)
class ImportedBundle:
    """What a bundle brought.

    Attributes:
        datasets: collections that were registered.
        images: originals that were copied into the home.
        labels: statements of the label.
        request: builds the training set here, once the collections are materialised.
        fingerprint: of the training set where it comes from.
        notes: what a person should know.
    """

    datasets: tuple[str, ...]
    images: int
    labels: int
    request: TrainingSetRequest
    fingerprint: str
    notes: tuple[str, ...]


def import_bundle(
    store: "Store", path: Path, dataset: str | None = None, *, author: str
) -> ImportedBundle:
    """Register what a bundle holds as a collection of this store; nothing is computed yet.

    Originals are copied into the home and get the same content hashes when they are materialised.

    Args:
        store: where to.
        path: the bundle: a folder or an archive.
        dataset: name for its collection; its own when None.
        author: who imports.

    Raises:
        BundleError: it is damaged, holds no images, or holds what no bundle may hold.
        CollectionError: a collection of this name is registered already.
        HomeError: the home cannot be written.
    """
    work = _work(store)
    with opened_bundle(path, work=work) as bundle:
        names = _names(store, path, bundle, dataset)
        images = _catalogued(path, bundle)
        notes = list(bundle.manifest.warnings)
        recipes = [
            place(store.location, path, bundle, collection, names[collection.dataset])
            for collection in bundle.manifest.collections
        ]
        ids = {key: new for recipe in recipes for key, new in _new_ids(recipe, names, images)}
        labels = _labels(path, bundle, names, ids, notes)
        registered = [_register(store, recipe, author) for recipe in recipes]
        request = _request(store, bundle, names, ids, author)
        message = f"labels of bundle {path.name}"
        store.lake.put({"labels": labels}, author=author, message=message)
        count = sum(collection.image_count for collection in bundle.manifest.collections)
        return ImportedBundle(
            tuple(recipe.dataset for recipe in registered),
            count,
            labels.num_rows,
            request,
            bundle.manifest.fingerprint,
            tuple(notes),
        )


def _work(store: "Store") -> Path | None:
    """Where to unpack: in the home, whose disk must hold the images anyway."""
    folder = store.location.folder
    if folder is None:
        return None
    with refusals_of_the_home(str(folder)):
        (folder / "work").mkdir(exist_ok=True)
    return folder / "work"


def _names(
    store: "Store", path: Path, bundle: OpenBundle, dataset: str | None
) -> Mapping[str, str]:
    """Names that the collections get, by those they have in the bundle.

    Raises:
        BundleError: there are no images, or images of a collection that is not described.
        CollectionError: a name is taken, or one name is to be that of several collections.
    """
    collections = bundle.manifest.collections
    if not bundle.manifest.has_images or not collections:
        message = f"{path} holds no images, so that nothing can be imported; read its tables"
        raise BundleError(message)
    described = {collection.dataset for collection in collections}
    others = sorted({name.split("/")[0] for name in bundle.names(IMAGES)} - described)
    if others:
        message = f"{path}: images of {others[0]!r}, which bundle.json does not describe"
        raise BundleError(message)
    if dataset is not None and len(collections) > 1:
        message = f"{path} holds {len(collections)} collections, which keep their names"
        raise CollectionError(message)
    names = {name: dataset or name for name in described}
    taken = sorted(set(names.values()) & set(store.datasets()))
    if taken:
        message = f"dataset {taken[0]!r} is registered already; take another name (--dataset)"
        raise CollectionError(message)
    return names


def _catalogued(path: Path, bundle: OpenBundle) -> list[dict[str, Any]]:
    """What the bundle says of its images, each of which is there with the bytes that it says.

    Raises:
        BundleError: an image is missing or another.
    """
    rows: list[dict[str, Any]] = _table(path, bundle, "micrographs").select(_IDENTITY).to_pylist()
    for row in rows:
        name = f"{IMAGES}/{row['dataset']}/{row['path']}"
        if bundle.checksums.get(name) != row["content_hash"]:
            message = f"{path}: {name!r} is not the image that its tables describe"
            raise BundleError(message)
    return rows


def _table(path: Path, bundle: OpenBundle, name: str) -> pa.Table:
    file = f"{TABLES}/{name}.parquet"
    try:
        rows = pq.read_table(bundle.folder / file)
        columns = [column for column in SCHEMAS[name].columns if column in rows.column_names]
        schema = arrow_schema(SCHEMAS[name])
        return rows.select(columns).cast(pa.schema([schema.field(column) for column in columns]))
    except (OSError, pa.ArrowException, KeyError) as error:
        message = f"{path}: {file} is not the table {name}: {' '.join(str(error).split())}"
        raise BundleError(message) from error


def _new_ids(
    recipe: Recipe, names: Mapping[str, str], images: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Keys that images and specimens get here, by those they have in the bundle."""
    own = [row for row in images if names[row["dataset"]] == recipe.dataset]
    specimens = label_paths(recipe, [row["path"] for row in own]).sample_ids
    for row in own:
        key = micrograph_key(recipe.dataset, row["content_hash"], row["page"])
        yield row["micrograph_id"], key
        if row["sample_id"] is not None and row["path"] in specimens:
            yield row["sample_id"], specimens[row["path"]]


def _labels(
    path: Path,
    bundle: OpenBundle,
    names: Mapping[str, str],
    ids: Mapping[str, str],
    notes: list[str],
) -> pa.Table:
    """Statements of entities as they are called here."""
    rows = _table(path, bundle, "labels")
    records: list[dict[str, Any]] = []
    dropped = 0
    for row in rows.to_pylist():
        dataset = names.get(row["dataset"])
        if dataset is None:
            message = f"{path}: labels of {row['dataset']!r}, which bundle.json does not describe"
            raise BundleError(message)
        entity = ids.get(row["entity_id"])
        if entity is None and dataset == row["dataset"]:
            entity = row["entity_id"]  # a particle keeps its key in a collection of the same name
        if entity is None:
            dropped += 1
            continue
        about = (dataset, row["entity_kind"], entity, row["label_name"], row["labeller"])
        own = {"dataset": dataset, "entity_id": entity}
        own["label_id"] = statement_key(*about, row["measured_at"])
        records.append({**row, **own})
    if dropped:
        notes.append(
            f"{dropped} labels of particles were left out: under another name of the "
            "collection particles have other keys"
        )
    return pa.Table.from_pylist(records, arrow_schema(SCHEMAS["labels"]))


def _request(
    store: "Store",
    bundle: OpenBundle,
    names: Mapping[str, str],
    ids: Mapping[str, str],
    author: str,
) -> TrainingSetRequest:
    """The request as it reads here; registers the feature sets that it needs."""
    request = parse_request(bundle.manifest.request)
    references: dict[str, str] = {}
    for entry in bundle.manifest.feature_sets:
        definition = make_feature_set(entry["definition"], f"feature set {entry['reference']}")
        include = tuple(references.get(name, name) for name in definition.include)
        done = register_feature_set(
            store, definition.model_copy(update={"include": include}), author=author
        )
        references[entry["reference"]] = done.reference
    return request.model_copy(
        update={
            "feature_set": references.get(request.feature_set, request.feature_set),
            "datasets": tuple(sorted(names.values())),
            "entities": tuple(ids.get(key, key) for key in request.entities),
            "as_of": None,
        }
    )


def _register(store: "Store", recipe: Recipe, author: str) -> Recipe:
    """Write the recipe, and the specimens, whose columns feature sets may name."""
    fields = recipe.model_dump(exclude={"location_uri", "registered_at"})
    registered = register_collection(store, recipe.location_uri, **fields).recipe
    refresh_samples(store, registered, author=author)
    return registered
