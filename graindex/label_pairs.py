"""Which predicted label file belongs to which true one, and to which image.

Out of scope: reading them (`graindex.arrays`) and comparing them (`graindex.evaluating`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graindex.errors import InputError
from graindex.readers.sniff import IMAGE_SUFFIXES
from graindex.readers.zarr_files import METADATA_FILES

_VOLUME_SUFFIXES = frozenset({".h5", ".hdf5", ".mrc", ".rec", ".map", ".zarr"})
_LISTED = 20


@dataclass(frozen=True, slots=True)
class LabelPair:
    """Files of one scene.

    Attributes:
        name: of the scene: the file's name up to the suffix.
        predicted: label file of the segmentation.
        truth: label file of the truth.
        image: what was segmented, where it was given.
    """

    name: str
    predicted: str
    truth: str
    image: str | None = None


def label_pairs(
    predicted: str, truth: str, *, images: str | None = None, volumes: bool = False
) -> list[LabelPair]:
    """Pair two files, or the files of two folders by name.

    Args:
        predicted: file, Zarr or folder.
        truth: the same kind.
        images: file or folder; of a folder, those that have labels must all be there.
        volumes: whether a folder is one volume of slices rather than a collection.

    Returns:
        By name; at least one.

    Raises:
        InputError: a folder meets a file, two files of a folder have one name, a folder holds no
            labels, or something has no counterpart, which is listed.
    """
    if volumes or not (_is_collection(predicted) or _is_collection(truth)):
        pair = LabelPair(_stem(predicted), predicted, truth)
        return [_with_image(pair, images, volumes=volumes)]
    for one, other in ((predicted, truth), (truth, predicted)):
        if not _is_collection(one):
            message = f"{one} is no folder but {other} is one: give two files or two folders"
            raise InputError(message)
    found, true = _members(Path(predicted)), _members(Path(truth))
    _refuse_missing(true, found, predicted)
    _refuse_missing(found, true, truth)
    pictures: Mapping[str, str] = {}
    if images is not None:
        if not _is_collection(images):
            message = f"{images} is no folder: give the folder of the images"
            raise InputError(message)
        pictures = _members(Path(images))
        _refuse_missing(true, pictures, images)
    return [LabelPair(name, found[name], true[name], pictures.get(name)) for name in sorted(true)]


def _with_image(pair: LabelPair, images: str | None, *, volumes: bool) -> LabelPair:
    """A single pair with its image: the file that is given, or the one of its name in a folder."""
    if images is None or volumes or not _is_collection(images):
        return LabelPair(pair.name, pair.predicted, pair.truth, images)
    members = _members(Path(images))
    for name in (pair.name, _stem(pair.truth)):
        if name in members:
            return LabelPair(pair.name, pair.predicted, pair.truth, members[name])
    message = f"{images} holds no image {pair.name}: give the image itself"
    raise InputError(message)


def _is_collection(uri: str) -> bool:
    folder = Path(uri)
    return folder.is_dir() and not _is_zarr(folder)


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).exists() for name in METADATA_FILES)


def _members(folder: Path) -> dict[str, str]:
    """Label files, images and volumes of a folder, by their names."""
    members: dict[str, str] = {}
    suffixes = IMAGE_SUFFIXES | _VOLUME_SUFFIXES
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        name = _stem(path.name)
        if name in members:
            message = f"{members[name]} and {path} have one name: keep one of them"
            raise InputError(message)
        members[name] = str(path)
    if not members:
        raise InputError(f"{folder} holds no label files: TIFF, PNG, BMP, Zarr, HDF5 or MRC")
    return members


def _stem(uri: str) -> str:
    """Name up to the suffix; `.ome` before it is part of the suffix."""
    return Path(uri.rstrip("/")).stem.removesuffix(".ome")


def _refuse_missing(wanted: Mapping[str, str], there: Mapping[str, str], where: str) -> None:
    missing = [name for name in sorted(wanted) if name not in there]
    if missing:
        raise InputError(
            f"{where} has no counterpart of {_listing(missing)}: every file needs one of its name"
        )


def _listing(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    listed = ", ".join(names[:_LISTED])
    return f"{listed} and {more} more" if more > 0 else listed
