"""Registering a collection: what is there, what its labels would be, and the recipe.

Out of scope: reading any image.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec

from graindex.catalogue import label_collection
from graindex.errors import CollectionError
from graindex.examine import find_sidecar
from graindex.labels import check_label_names
from graindex.location import Location
from graindex.recipes import Recipe, make_recipe, recipe_names, save_recipe
from graindex.sample_table import read_sample_table
from graindex.scan import Listing, list_collection

if TYPE_CHECKING:
    from graindex.store import Store


@dataclass(frozen=True)
class Registered:
    """What registering found.

    Attributes:
        recipe: as written.
        images: files named like images.
        sidecars: images with an instrument's text file beside them.
        ignored: other files that are not sidecars.
        samples: specimens.
        labels: names of the specimens' labels.
        unjoined: rows of the samples table that fit no image.
        unlabelled: images that no label pattern or table row fits.
        refusals: what could not be listed, with the reason.
    """

    recipe: Recipe
    images: int
    sidecars: int
    ignored: int
    samples: int
    labels: tuple[str, ...]
    unjoined: tuple[str, ...]
    unlabelled: tuple[str, ...]
    refusals: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same for people."""
        labels = f" labelled by {', '.join(self.labels)}" if self.labels else ""
        lines = [
            f"{self.recipe.dataset}: {self.images} images, {self.sidecars} with sidecars, "
            f"{self.samples} specimens{labels}; {self.ignored} other files ignored"
        ]
        if self.unlabelled:
            first = self.unlabelled[0]
            lines.append(f"no label fits {len(self.unlabelled)} images, the first {first!r}")
        if self.unjoined:
            first = self.unjoined[0]
            lines.append(f"{len(self.unjoined)} rows of the table fit no image, as {first!r}")
        return [*lines, *(f"refused {refusal}" for refusal in self.refusals)]


def register_collection(
    store: "Store", path: str, *, copy: bool = False, force: bool = False, **fields: object
) -> Registered:
    """Check a collection and write its recipe.

    Args:
        store: where to register it.
        path: its folder, or the URL of a bucket prefix.
        copy: copy the originals into the store first.
        force: let a known name point to another place.
        fields: further fields of `Recipe`.

    Raises:
        CollectionError: nothing is there, no image is in it, or a field is wrong.
    """
    location = path if "://" in path else str(Path(path).expanduser().absolute())
    given = make_recipe(location_uri=location, **fields)
    listing = list_collection(location)
    if not listing.images:
        message = f"{path} holds no image (looked for .jpg .png .bmp .tif .dm3 .dm4 and the like)"
        raise CollectionError(message)
    recipe = given
    if copy:
        recipe = given.model_copy(update=_copied_uris(store.location, given))
    recipe = _succeeding(store, recipe, force=force)
    summary = replace(_summary(given, listing), recipe=recipe)
    if copy:
        _copy(listing, recipe.location_uri)
        if given.samples_uri and recipe.samples_uri:
            _copy_file(given.samples_uri, recipe.samples_uri)
    save_recipe(store.location, recipe)
    return summary


def _succeeding(store: "Store", recipe: Recipe, *, force: bool) -> Recipe:
    """The recipe with the registration time of the one it replaces, if it replaces one."""
    if recipe.dataset not in recipe_names(store.location):
        return recipe
    before = store.recipe(recipe.dataset)
    if before.location_uri != recipe.location_uri and not force:
        message = (
            f"dataset {recipe.dataset!r} is registered at {before.location_uri}; "
            "take another name, or --force to move it"
        )
        raise CollectionError(message)
    return recipe.model_copy(update={"registered_at": before.registered_at})


def _summary(recipe: Recipe, listing: Listing) -> Registered:
    if recipe.samples_uri:
        table = read_sample_table(recipe.samples_uri)
        check_label_names({name for row in table.rows.values() for name in row})
    labelling = label_collection(recipe, listing)
    fixed = {"dataset", "sample_id", "sample"}
    labels = tuple(dict.fromkeys(n for s in labelling.samples for n in s if n not in fixed))
    check_label_names(labels)
    unlabelled = tuple(o.path for o in listing.images if labelling.findings.get(o.path))
    if recipe.label_pattern and len(unlabelled) == len(listing.images):
        message = (
            f"the label pattern fits none of {len(listing.images)} paths, "
            f"such as {listing.images[0].path!r}"
        )
        raise CollectionError(message)
    sidecars = [find_sidecar(original.path, listing.others) for original in listing.images]
    beside = {sidecar.path for sidecar in sidecars if sidecar}
    return Registered(
        recipe,
        len(listing.images),
        sum(sidecar is not None for sidecar in sidecars),
        len(set(listing.others) - beside),
        len(labelling.samples),
        labels,
        labelling.unjoined,
        unlabelled,
        tuple(f"{refusal.path}: {refusal.reason}" for refusal in listing.refusals),
    )


def _copied_uris(location: Location, recipe: Recipe) -> dict[str, str]:
    """Where a collection and its table lie once they are copied into the store."""
    uris = {"location_uri": location.under("originals", recipe.dataset)}
    if recipe.samples_uri:
        uris["samples_uri"] = location.under("originals", f"{recipe.dataset}.samples.csv")
    return uris


def _copy(listing: Listing, target: str) -> None:
    """Copy every listed file below `target`, where it is not there in this size already."""
    fs, root = fsspec.core.url_to_fs(target)
    for original in (*listing.images, *listing.others.values()):
        there = f"{root}/{original.path}"
        if not fs.exists(there) or fs.size(there) != original.size_bytes:
            _copy_file(original.uri, f"{target}/{original.path}")


def _copy_file(uri: str, target: str) -> None:
    source_fs, source = fsspec.core.url_to_fs(uri)
    target_fs, there = fsspec.core.url_to_fs(target)
    target_fs.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
    target_fs.pipe_file(there, source_fs.cat_file(source))
