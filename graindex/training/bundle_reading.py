"""Bundles from elsewhere: every file listed and intact, and what the bundle says of itself.

Out of scope: unpacking archives (`graindex.training.unpacking`) and registering what is in them
(`graindex.training.importing`).
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graindex.errors import BundleError
from graindex.settings import first_problem
from graindex.training.unpacking import UnpackingLimits, checked_name, is_archive, unpack

FORMAT = 1
MANIFEST, CHECKSUMS = "bundle.json", "checksums.sha256"
TABLES, IMAGES, SAMPLES = "tables", "images", "samples"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundledCollection(_Section):
    """What registers a collection again; see `graindex.recipes.Recipe`.

    Attributes:
        has_samples: whether `samples/DATASET.csv` labels its images.
        specimens_renamed: whether its specimens have other ids than in the store it comes from,
            since the table that named them is no more what it was.
        image_count: images that the bundle holds.
    """

    dataset: str
    kind: Literal["micrographs", "volumes"] = "micrographs"
    description: str | None = None
    source: str | None = None
    licence: str | None = None
    citation: str | None = None
    modality: str = "SEM"
    label_pattern: str | None = None
    declared_pixel_size_um: float | None = None
    segmentation: dict[str, Any] = Field(default_factory=dict)
    measurement: dict[str, Any] = Field(default_factory=dict)
    has_samples: bool = False
    specimens_renamed: bool = False
    image_count: int


class Manifest(_Section):
    """The file `bundle.json`.

    Attributes:
        format: version of the layout.
        graindex: version of the program that wrote it.
        training_set_id: key of the training set.
        fingerprint: SHA-256 over its names, types and values.
        lake_snapshot: snapshot of the store it was read at.
        request: what was asked for, a `TrainingSetRequest`.
        feature_sets: definitions by reference, those they include before them.
        encoder_ids: encoders of its vectors.
        has_images: whether originals are in it.
        collections: what its images belong to.
        warnings: what whoever uses it should know.
    """

    format: int
    graindex: str
    training_set_id: str
    fingerprint: str
    lake_snapshot: int
    request: dict[str, Any]
    feature_sets: tuple[dict[str, Any], ...]
    encoder_ids: tuple[str, ...] = ()
    has_images: bool
    collections: tuple[BundledCollection, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenBundle:
    """A bundle whose files are all listed, there, and of their checksum.

    Attributes:
        folder: where its files lie.
        manifest: what it says of itself.
        checksums: SHA-256 of every file by its name.
    """

    folder: Path
    manifest: Manifest
    checksums: Mapping[str, str]

    def names(self, below: str) -> list[str]:
        """Names of the files below one of its folders, relative to that."""
        start = f"{below}/"
        return sorted(n.removeprefix(start) for n in self.checksums if n.startswith(start))


@contextmanager
def opened_bundle(
    path: Path, *, work: Path | None = None, limits: UnpackingLimits | None = None
) -> Iterator[OpenBundle]:
    """A bundle, checked; archives are unpacked into a folder that is removed at the end.

    Args:
        path: a folder, or an archive `.zip`, `.tar`, `.tar.gz` or `.tgz`.
        work: where to unpack; the system's folder for such things when None.
        limits: what is too much to unpack.

    Raises:
        BundleError: it is not there, is damaged, or holds what no bundle may hold.
    """
    if not path.exists():
        message = f"{path} is not there; give a bundle: a folder, or a file {' '.join(_endings())}"
        raise BundleError(message)
    if path.is_dir():
        yield _checked(path, path)
        return
    if not is_archive(path):
        message = f"{path} is no bundle; give a folder, or a file {' '.join(_endings())}"
        raise BundleError(message)
    with tempfile.TemporaryDirectory(prefix="graindex-bundle-", dir=work) as folder:
        unpack(path, Path(folder), limits)
        yield _checked(path, _top(Path(folder)))


def _endings() -> tuple[str, ...]:
    return (".zip", ".tar", ".tar.gz")


def _top(folder: Path) -> Path:
    """The folder of the bundle itself, where an archive holds it as its only folder."""
    inside = list(folder.iterdir())
    alone = len(inside) == 1 and inside[0].is_dir()
    return inside[0] if alone else folder


def _checked(path: Path, folder: Path) -> OpenBundle:
    found = set(_files(path, folder))
    checksums = _listed(path, folder) if CHECKSUMS in found else {}
    if not checksums or MANIFEST not in found:
        message = f"{path} is no bundle: it lacks {CHECKSUMS if not checksums else MANIFEST}"
        raise BundleError(message)
    missing, unlisted = sorted(set(checksums) - found), sorted(found - set(checksums))
    unlisted.remove(CHECKSUMS)
    for names, what in ((missing, "is listed, but missing"), (unlisted, "is not listed")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            message = f"{path}: {names[0]!r}{more} {what} in {CHECKSUMS}; get the bundle again"
            raise BundleError(message)
    for name, digest in checksums.items():
        if file_sha256(folder / name) != digest:
            message = f"{path}: {name!r} is not what its checksum says; get the bundle again"
            raise BundleError(message)
    return OpenBundle(folder, _manifest(path, folder), checksums)


def _files(path: Path, folder: Path) -> Iterator[str]:
    """Names of all files, relative to the folder.

    Raises:
        BundleError: a link, a device, or a name that is no plain path.
    """
    for where, folders, names in os.walk(folder):
        for name in (*folders, *names):
            there = Path(where, name)
            relative = checked_name(path, there.relative_to(folder).as_posix())
            mode = there.lstat().st_mode
            if stat.S_ISREG(mode):
                yield relative
            elif not stat.S_ISDIR(mode):
                kind = "a link" if stat.S_ISLNK(mode) else "a device"
                message = f"{path}: {relative!r} is {kind}, where only files may be"
                raise BundleError(message)


def _listed(path: Path, folder: Path) -> dict[str, str]:
    """SHA-256 by name, as the list of checksums says.

    Raises:
        BundleError: a line is no checksum of a file in the bundle, or names one twice.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        message = f"{path}: {CHECKSUMS} is not UTF-8 text"
        raise BundleError(message) from error
    checksums: dict[str, str] = {}
    for number, line in enumerate(filter(None, lines), start=1):
        match = _LINE.fullmatch(line)
        name = checked_name(path, match[2]) if match else ""
        if match is None or name in checksums or name == CHECKSUMS:
            message = f"{path}: {CHECKSUMS} line {number} is no checksum of one more file"
            raise BundleError(message)
        checksums[name] = match[1]
    return checksums


def _manifest(path: Path, folder: Path) -> Manifest:
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        form = told.get("format") if isinstance(told, dict) else None
        if isinstance(form, int) and form > FORMAT:
            message = (
                f"{path} has format {form}, and this Graindex reads {FORMAT} and older; update it"
            )
            raise BundleError(message)
        return Manifest.model_validate(told)
    except ValidationError as error:
        message = f"{path}: {MANIFEST}: {first_problem(error)}"
        raise BundleError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path}: {MANIFEST} is not JSON: {' '.join(str(error).split())}"
        raise BundleError(message) from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
