"""Originals of a bundle into a home, and the recipe that registers them.

Out of scope: writing the recipe (`graindex.training.importing`).
"""

import hashlib
import uuid
from pathlib import Path

import fsspec

from graindex.errors import BundleError, CollectionError
from graindex.location import Location
from graindex.recipes import Recipe, make_recipe
from graindex.training.bundle_reading import IMAGES, SAMPLES, BundledCollection, OpenBundle
from graindex.volume_unfinished import refusals_of_the_home

_NOT_OF_RECIPES = {"dataset", "has_samples", "specimens_renamed", "image_count"}


def place(
    location: Location, path: Path, bundle: OpenBundle, collection: BundledCollection, dataset: str
) -> Recipe:
    """Copy a collection's originals into a home.

    Args:
        location: the home.
        path: the bundle, for messages.
        bundle: the bundle, opened.
        collection: one of its collections.
        dataset: name that it gets.

    Returns:
        The recipe of the collection, which is not written yet.

    Raises:
        CollectionError: the recipe is wrong, or other files lie where the originals would.
        BundleError: a file changed since it was checked.
        HomeError: the home cannot be written.
    """
    target = location.under("originals", dataset)
    table = location.under("originals", f"{dataset}.samples.csv")
    recipe = make_recipe(
        **collection.model_dump(exclude=_NOT_OF_RECIPES),
        dataset=dataset,
        location_uri=target,
        samples_uri=table if collection.has_samples else None,
    )
    start = f"{IMAGES}/{collection.dataset}"
    files = {f"{start}/{name}": f"{target}/{name}" for name in bundle.names(start)}
    _refuse_others(path, target, set(files.values()))
    if collection.has_samples:
        files[f"{SAMPLES}/{collection.dataset}.csv"] = table
    for name, there in files.items():
        _copy(path, bundle, name, there)
    return recipe


def _refuse_others(path: Path, target: str, files: set[str]) -> None:
    """Raise CollectionError where a folder holds other files, which would become originals too."""
    fs, root = fsspec.core.url_to_fs(target)
    wanted = {fsspec.core.url_to_fs(there)[1] for there in files}
    strange = sorted(set(fs.find(root)) - wanted) if fs.exists(root) else []
    if strange:
        message = f"{strange[0]} lies where {path} would be copied: take another name (--dataset)"
        raise CollectionError(message)


def _copy(path: Path, bundle: OpenBundle, name: str, target: str) -> None:
    """Copy a file whose bytes are checked once more, since a folder may change meanwhile."""
    if name not in bundle.checksums:
        message = f"{path}: {name!r} is missing"
        raise BundleError(message)
    data = (bundle.folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != bundle.checksums[name]:
        message = f"{path}: {name!r} changed while it was imported"
        raise BundleError(message)
    fs, there = fsspec.core.url_to_fs(target)
    aside = f"{there}.{uuid.uuid4().hex}.part"
    with refusals_of_the_home(target):
        fs.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
        try:
            fs.pipe_file(aside, data)
            fs.mv(aside, there)
        finally:
            if fs.exists(aside):
                fs.rm(aside)
