"""Annotations of a collection: what there is, by its bytes, and which image each belongs to.

Out of scope: drawing them and keeping what was drawn (`graindex.annotations`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError

from graindex.annotation_settings import AnnotationSettings
from graindex.errors import AnnotationError, CollectionError
from graindex.originals import content_hash, read_bytes
from graindex.parallel import in_threads
from graindex.readers.annotations import ImageAnnotation, read_annotations
from graindex.records import Record
from graindex.scan import Listing, Original, list_collection
from graindex.settings import first_problem

Format = Literal["label_image", "coco", "via"]
Stamps = Mapping[str, tuple[object, object, str]]
"""Size, time of change and hash of annotation files that were read before, by URI."""

_JSON = ".json"
_NO_IMAGE = "no catalogued image is called like this: name it like its image, or take it out"


@dataclass(frozen=True, slots=True)
class AnnotationSource:
    """What annotates one image.

    Attributes:
        name: path of a label image below its folder, or the image's name in a JSON file.
        file: the file that it stands in.
        format: of that file.
        file_hash: SHA-256 of its bytes.
        digest: hash of what of it is about this image.
        described: what a JSON file says; None for a label image, which is read when it is needed.
    """

    name: str
    file: Original
    format: Format
    file_hash: str
    digest: str
    described: ImageAnnotation | None = None


@dataclass(frozen=True)
class Sources:
    """All annotations of a collection.

    Attributes:
        found: those that can be read.
        refused: why the others cannot, by name.
    """

    found: tuple[AnnotationSource, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paired:
    """Annotations with their images.

    Attributes:
        sources: annotation of each image that has one, by `micrograph_id`.
        unpaired: why other annotations belong to no image, by name.
    """

    sources: Mapping[str, AnnotationSource]
    unpaired: Mapping[str, str]


def annotation_signature(settings: AnnotationSettings) -> str:
    """Hash that changes when annotations or how they are read do; "" where there are none.

    Raises:
        CollectionError: they are gone.
    """
    if settings.uri is None:
        return ""
    return _listed(settings, settings.uri).signature(settings.model_dump_json())


def annotation_sources(settings: AnnotationSettings, stamps: Stamps | None = None) -> Sources:
    """Everything that annotates images, read far enough to know when it changes.

    Args:
        settings: where it lies.
        stamps: files that need not be hashed again unless their size or time changed.

    Raises:
        CollectionError: the folder or file is gone, or holds no annotations; or several classes are
            declared of label images.
        AnnotationError: a JSON file cannot be used at all.
    """
    if settings.uri is None:
        return Sources()
    listing = _listed(settings, settings.uri)
    if _is_json(settings.uri):
        (file,) = listing.others.values()
        return Sources(tuple(_described(file)))
    return _label_images(listing, stamps or {})


def survey(annotations: Mapping[str, object], location_uri: str) -> list[str]:
    """What annotates a collection that is being registered, in words.

    Args:
        annotations: fields of its `AnnotationSettings`.
        location_uri: where its images lie.

    Raises:
        CollectionError: a field is wrong, or the annotations are not there.
        AnnotationError: a JSON file cannot be used at all.
    """
    try:
        settings = AnnotationSettings.model_validate(annotations)
    except ValidationError as error:
        raise CollectionError(f"annotations: {first_problem(error)}") from error
    if settings.uri is None:
        return []
    if _is_json(settings.uri):
        sources = annotation_sources(settings)
    else:  # names alone tell which image each is of
        listing = _listed(settings, settings.uri)
        sources = _label_images(
            listing, {one.uri: (one.size_bytes, one.modified_at, "") for one in listing.images}
        )
    place = location_uri if "://" in location_uri else str(Path(location_uri).expanduser())
    paths = [image.path for image in list_collection(place).images]
    paired = pair(sources.found, [{"micrograph_id": path, "path": path} for path in paths])
    lines = [f"annotations of {len(paired.sources)} of {len(paths)} images"]
    for name, why in [*paired.unpaired.items()][:1]:
        lines.append(f"{len(paired.unpaired)} annotations are of no image, as {name!r}: {why}")
    return lines


def pair(sources: Iterable[AnnotationSource], images: Sequence[Record]) -> Paired:
    """Find the image of each annotation: by its path, else without suffix or folder or both.

    Args:
        sources: annotations.
        images: rows of `micrographs`.
    """
    lookups = [(key, _by_key(images, key)) for key in _KEYS]
    claims: dict[str, list[AnnotationSource]] = defaultdict(list)
    unpaired: dict[str, str] = {}
    for source in {source.name: source for source in sources}.values():
        candidates = _candidates(source.name, lookups)
        if len(candidates) == 1:
            claims[str(candidates[0]["micrograph_id"])].append(source)
        else:
            unpaired[source.name] = _no_one_image(source, candidates)
    for rivals in claims.values():
        if len(rivals) > 1:
            names = ", ".join(source.name for source in rivals)
            told = f"several annotations are of one image: {names}: keep one"
            unpaired |= {source.name: told for source in rivals}
    sources_of = {key: found[0] for key, found in claims.items() if len(found) == 1}
    return Paired(sources_of, unpaired)


def _listed(settings: AnnotationSettings, uri: str) -> Listing:
    listing = list_collection(uri)
    if not _is_json(uri) and len(settings.classes) > 1:
        names = ", ".join(settings.classes)
        message = f"label images at {uri} name no class: declare one by --class, not {names}"
        raise CollectionError(message)
    if _is_json(uri) and (listing.images or len(listing.others) != 1):
        message = f"{uri} is a folder: name the JSON file in it, or a folder of label images"
        raise CollectionError(message)
    if not _is_json(uri) and not listing.images:
        message = (
            f"{uri} holds no label image (looked for .png .bmp .tif); "
            "for COCO or VIA name the JSON file itself"
        )
        raise CollectionError(message)
    return listing


def _is_json(uri: str) -> bool:
    return uri.lower().endswith(_JSON)


def _described(file: Original) -> list[AnnotationSource]:
    try:
        data = read_bytes(file.uri)
    except OSError as error:
        message = f"{file.uri} cannot be read: {error.strerror or error}"
        raise AnnotationError(message) from error
    form, images = read_annotations(data, file.uri)
    file_hash = content_hash(data)
    return [
        AnnotationSource(image.name, file, form, file_hash, image.digest, image) for image in images
    ]


def _label_images(listing: Listing, stamps: Stamps) -> Sources:
    refused = {refusal.path: refusal.reason for refusal in listing.refusals}
    found = []

    def digest(file: Original) -> str:
        size, changed, known = stamps.get(file.uri, (None, None, ""))
        if (size, changed) == (file.size_bytes, file.modified_at):
            return known
        return content_hash(read_bytes(file.uri))

    for file, result in in_threads(digest, listing.images, expected=(OSError,)):
        if isinstance(result, OSError):
            refused[file.path] = f"cannot be read: {result.strerror or result}"
        elif isinstance(result, str):
            found.append(AnnotationSource(file.path, file, "label_image", result, result))
    return Sources(tuple(sorted(found, key=lambda source: source.name)), refused)


def _path(name: str) -> str:
    return name


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / path.stem)


def _file_name(name: str) -> str:
    return PurePosixPath(name).name


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


Key = Callable[[str], str]
_KEYS: tuple[Key, ...] = (_path, _without_suffix, _file_name, _stem)


def _by_key(images: Sequence[Record], key: Key) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for image in images:
        found[key(str(image["path"]))].append(image)
    return found


def _candidates(
    name: str, lookups: Sequence[tuple[Key, Mapping[str, list[Record]]]]
) -> list[Record]:
    """Images that fit a name in the narrowest way that any fits it."""
    plain = name.replace("\\", "/").removeprefix("./")
    for key, images in lookups:
        if found := images.get(key(plain) if plain else "", ()):
            return list(found)
    return []


def _no_one_image(source: AnnotationSource, candidates: Sequence[Record]) -> str:
    if not candidates:
        own = source.described.fault if source.described else ""
        return own or _NO_IMAGE
    paths = sorted({str(image["path"]) for image in candidates})
    if len(paths) == 1:
        return f"{paths[0]} holds {len(candidates)} images, an annotation is of one"
    return f"it fits several images: {', '.join(paths[:3])}{', …' if len(paths) > 3 else ''}"
