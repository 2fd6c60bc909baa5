"""Registering a collection: what is there, what its labels would be, and the recipe.

Out of scope: reading any image or volume.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec

from graindex.catalogue import label_paths
from graindex.errors import CollectionError
from graindex.examine import find_sidecar
from graindex.labels import check_label_names
from graindex.location import Location
from graindex.recipes import Content, Recipe, make_recipe, recipe_names, save_recipe
from graindex.sample_table import read_sample_table
from graindex.scan import Listing, Original, Refusal, list_collection
from graindex.segmenters import by_network, method_settings
from graindex.volume_groups import CONTENTS
from graindex.volume_scan import LOOKED_FOR, VolumeListing, list_volumes
from graindex.volume_unfinished import refusals_of_the_home

if TYPE_CHECKING:
    from graindex.store import Store

_COPIED_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Registered:
    """What registering found.

    Attributes:
        recipe: as written.
        images: files named like images, in a collection of micrographs.
        sidecars: images with an instrument's text file beside them.
        volumes: volumes, in a collection of them.
        contents: how many of the volumes have grey values, phases and labels.
        ignored: other files that are not sidecars.
        samples: specimens.
        labels: names of the specimens' labels.
        unjoined: rows of the samples table that fit no image or volume.
        unlabelled: images or volumes that no label pattern or table row fits.
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
    volumes: int = 0
    contents: tuple[tuple[Content, int], ...] = ()

    def lines(self) -> list[str]:
        """The same for people."""
        labels = f" labelled by {', '.join(self.labels)}" if self.labels else ""
        if self.recipe.kind == "volumes":
            contents = ", ".join(f"{count} with {content}" for content, count in self.contents)
            things, what = "volumes", f"{self.volumes} volumes ({contents})"
        else:
            things, what = "images", f"{self.images} images, {self.sidecars} with sidecars"
        lines = [
            f"{self.recipe.dataset}: {what}, {self.samples} specimens{labels}; "
            f"{self.ignored} other files ignored"
        ]
        if self.unlabelled:
            first = self.unlabelled[0]
            lines.append(f"no label fits {len(self.unlabelled)} {things}, the first {first!r}")
        if self.unjoined:
            first = self.unjoined[0]
            rows = len(self.unjoined)
            lines.append(f"{rows} rows of the table fit no {things[:-1]}, as {first!r}")
        return [*lines, *(f"refused {refusal}" for refusal in self.refusals)]


def register_collection(
    store: "Store", path: str, *, copy: bool = False, force: bool = False, **fields: object
) -> Registered:
    """Check a collection and write its recipe.

    Args:
        store: where to register it.
        path: its folder, the URL of a bucket prefix, or one file.
        copy: copy the originals into the store first.
        force: let a known name point to another place.
        fields: further fields of `Recipe`.

    Raises:
        CollectionError: nothing is there, no image or volume is in it, or a field is wrong.
        ModelError: the network that is to find its particles is not there, or of another method.
        HomeError: the originals cannot be copied into the store.
    """
    location = path if "://" in path else str(Path(path).expanduser().absolute())
    said = fields.get("segmentation")
    if isinstance(said, Mapping):
        kind = str(fields.get("kind") or "micrographs")
        fields = {**fields, "segmentation": by_network(said, kind, store)}
    given = make_recipe(location_uri=location, **fields)
    method_settings(given.segmentation, store)  # a network that is not there is a wrong command
    listing = list_collection(location)
    if given.kind == "volumes":
        volumes = list_volumes(location, listing, given.volumes)
        summary, files = _summary_of_volumes(given, volumes, path), _files_of(volumes)
    else:
        summary = _summary_of_images(given, listing, path)
        files = [*listing.images, *listing.others.values()]
    recipe = given
    if copy:
        recipe = given.model_copy(update=_copied_uris(store.location, given))
    recipe = _succeeding(store, recipe, force=force)
    if copy:
        _copy(files, recipe.location_uri)
        if given.samples_uri and recipe.samples_uri:
            _copy_file(given.samples_uri, recipe.samples_uri)
    save_recipe(store.location, recipe)
    return replace(summary, recipe=recipe)


def _files_of(volumes: VolumeListing) -> list[Original]:
    """All files of all volumes, by paths that keep a volume in a folder of its own together."""
    members = [member for group in volumes.groups for member in group.members.values()]
    return [file for member in members for file in member.files]


def _succeeding(store: "Store", recipe: Recipe, *, force: bool) -> Recipe:
    """The recipe with the registration time of the one it replaces, if it replaces one."""
    if recipe.dataset not in recipe_names(store.location):
        return recipe
    before = store.recipe(recipe.dataset)
    if before.kind != recipe.kind:
        message = f"dataset {recipe.dataset!r} holds {before.kind}; take another name"
        raise CollectionError(message)
    if before.location_uri != recipe.location_uri and not force:
        message = (
            f"dataset {recipe.dataset!r} is registered at {before.location_uri}; "
            "take another name, or --force to move it"
        )
        raise CollectionError(message)
    return recipe.model_copy(update={"registered_at": before.registered_at})


def _summary_of_images(recipe: Recipe, listing: Listing, path: str) -> Registered:
    if not listing.images:
        message = f"{path} holds no image (looked for .jpg .png .bmp .tif .dm3 .dm4 and the like)"
        raise CollectionError(message)
    paths = [original.path for original in listing.images]
    sidecars = [find_sidecar(image, listing.others) for image in paths]
    beside = {sidecar.path for sidecar in sidecars if sidecar}
    return replace(
        _labelled(recipe, paths, listing.refusals),
        images=len(paths),
        sidecars=sum(sidecar is not None for sidecar in sidecars),
        ignored=len(set(listing.others) - beside),
    )


def _summary_of_volumes(recipe: Recipe, volumes: VolumeListing, path: str) -> Registered:
    if not volumes.groups:
        told = [f"; {refusal.path} is {refusal.reason}" for refusal in volumes.refusals[:1]]
        message = f"{path} holds no volume (looked for {LOOKED_FOR}){''.join(told)}"
        raise CollectionError(message)
    held = {c: sum(c in group.members for group in volumes.groups) for c in CONTENTS}
    return replace(
        _labelled(recipe, [group.path for group in volumes.groups], volumes.refusals),
        volumes=len(volumes.groups),
        contents=tuple((content, count) for content, count in held.items() if count),
        ignored=len(volumes.ignored),
    )


def _labelled(recipe: Recipe, paths: Sequence[str], refusals: Iterable[Refusal]) -> Registered:
    """What the labels of images or volumes come to, with nothing counted yet.

    Raises:
        CollectionError: the label pattern fits no path, or the table of samples is wrong.
    """
    if recipe.samples_uri:
        table = read_sample_table(recipe.samples_uri)
        check_label_names({name for row in table.rows.values() for name in row})
    labelling = label_paths(recipe, paths)
    fixed = {"dataset", "sample_id", "sample"}
    labels = tuple(dict.fromkeys(n for s in labelling.samples for n in s if n not in fixed))
    check_label_names(labels)
    unlabelled = tuple(path for path in paths if labelling.findings.get(path))
    if recipe.label_pattern and len(unlabelled) == len(paths):
        message = f"the label pattern fits none of {len(paths)} paths, such as {paths[0]!r}"
        raise CollectionError(message)
    return Registered(
        recipe,
        images=0,
        sidecars=0,
        ignored=0,
        samples=len(labelling.samples),
        labels=labels,
        unjoined=labelling.unjoined,
        unlabelled=unlabelled,
        refusals=tuple(f"{refusal.path}: {refusal.reason}" for refusal in refusals),
    )


def _copied_uris(location: Location, recipe: Recipe) -> dict[str, str]:
    """Where a collection and its table lie once they are copied into the store."""
    uris = {"location_uri": location.under("originals", recipe.dataset)}
    if recipe.samples_uri:
        uris["samples_uri"] = location.under("originals", f"{recipe.dataset}.samples.csv")
    return uris


def _copy(files: Iterable[Original], target: str) -> None:
    """Copy files below `target`, where they are not there in this size already."""
    fs, root = fsspec.core.url_to_fs(target)
    for original in files:
        there = f"{root}/{original.path}"
        if not fs.exists(there) or fs.size(there) != original.size_bytes:
            _copy_file(original.uri, f"{target}/{original.path}")


def _copy_file(uri: str, target: str) -> None:
    """Copy a file of any size.

    Raises:
        CollectionError: it cannot be opened.
        HomeError: the copy cannot be written; nothing of it stays.
    """
    source_fs, source = fsspec.core.url_to_fs(uri)
    target_fs, there = fsspec.core.url_to_fs(target)
    try:
        original = source_fs.open(source, "rb")
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise CollectionError(message) from error
    with original, refusals_of_the_home(target):
        target_fs.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
        try:
            with target_fs.open(there, "wb") as copied:
                shutil.copyfileobj(original, copied, _COPIED_AT_ONCE)
        except BaseException:
            if target_fs.exists(there):
                target_fs.rm(there)
            raise
