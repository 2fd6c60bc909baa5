"""COCO JSON to the particles of each image: polygons and masks of run lengths.

`iscrowd` and `bbox` are not looked at: some tools set the first for every mask.

Out of scope: key points, captions, panoptic masks.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from graindex.errors import AnnotationError
from graindex.files import sha256
from graindex.readers.annotations_shapes import (
    ImageAnnotation,
    Polygons,
    Region,
    RunLengths,
    Shape,
    ring_of,
)
from graindex.readers.frame import one_line
from graindex.settings import first_problem

Key = int | str
Coordinate = Annotated[float, Field(allow_inf_nan=False)]

_BITS, _MORE, _SIGN, _FIRST = 0x1F, 0x20, 0x10, 48
_SIX_BITS, _STEP, _LONGEST = 64, 5, 40


class _Image(BaseModel):
    id: Key
    file_name: Annotated[str, Field(min_length=1)]
    width: int | None = None
    height: int | None = None


class _Category(BaseModel):
    id: Key
    name: Annotated[str, Field(min_length=1)]


class _Runs(BaseModel):
    counts: list[Annotated[int, Field(ge=0)]] | str
    size: tuple[int, int]


class _Annotation(BaseModel):
    image_id: Key
    category_id: Key | None = None
    segmentation: list[list[Coordinate]] | _Runs


_IMAGES, _CATEGORIES = TypeAdapter(list[_Image]), TypeAdapter(list[_Category])


def is_coco(document: object) -> bool:
    """Whether a parsed file is laid out as COCO."""
    return isinstance(document, dict) and {"images", "annotations"} <= document.keys()


def read_coco(document: Mapping[str, Any], name: str) -> list[ImageAnnotation]:
    """What a COCO file says of each image that it names.

    Annotations of an image that it does not name are one of their own, with that fault.

    Raises:
        AnnotationError: its lists of images, categories or annotations are not as COCO has them.
    """
    try:
        images = _IMAGES.validate_python(document["images"])
        categories = _CATEGORIES.validate_python(document.get("categories") or [])
    except ValidationError as error:
        message = f"{name} is not COCO: {one_line(first_problem(error))}"
        raise AnnotationError(message) from error
    if len({category.id for category in categories}) < len(categories):
        message = f"{name} is not COCO: an id is listed twice in `categories`"
        raise AnnotationError(message)
    by_image = _by_image(document["annotations"], name)
    classes = {category.id: one_line(category.name) for category in categories}
    names = Counter(image.file_name for image in images)
    ids = Counter(image.id for image in images)
    found = []
    for image in images:
        records = by_image.get(image.id, [])
        if names[image.file_name] > 1:
            fault = f"{image.file_name!r} is listed {names[image.file_name]} times in `images`"
        elif ids[image.id] > 1:
            fault = f"{ids[image.id]} entries of `images` have the id {image.id!r}"
        else:
            fault = ""
        found.append(_of_image(image, records, classes, one_line(fault)))
    strays = {key: records for key, records in by_image.items() if key not in ids}
    return [*found, *(_of_none(key, records) for key, records in strays.items())]


def _by_image(annotations: object, name: str) -> dict[object, list[dict[str, Any]]]:
    if not isinstance(annotations, list):
        message = f"{name} is not COCO: `annotations` is no list"
        raise AnnotationError(message)
    found: dict[object, list[dict[str, Any]]] = defaultdict(list)
    for place, record in enumerate(annotations):
        if not isinstance(record, dict) or not isinstance(record.get("image_id"), int | str):
            message = f"{name} is not COCO: entry {place} of `annotations` states no image_id"
            raise AnnotationError(message)
        found[record["image_id"]].append(record)
    return found


def _of_image(
    image: _Image, records: Sequence[dict[str, Any]], classes: Mapping[Key, str], fault: str
) -> ImageAnnotation:
    stated = None if image.width is None or image.height is None else (image.height, image.width)
    said = [image.model_dump(), records, sorted((str(key), told) for key, told in classes.items())]
    digest = sha256(json.dumps(said, sort_keys=True))
    if fault:
        return ImageAnnotation(image.file_name, digest, size=stated, fault=fault)
    try:
        regions = tuple(_region(record, classes) for record in records)
    except AnnotationError as error:
        return ImageAnnotation(image.file_name, digest, size=stated, fault=one_line(str(error)))
    return ImageAnnotation(image.file_name, digest, regions, stated)


def _of_none(key: object, records: Sequence[dict[str, Any]]) -> ImageAnnotation:
    digest = sha256(json.dumps(records, sort_keys=True))
    fault = (
        f"{len(records)} annotations are of image_id {key!r}, which `images` does not list: name "
        "the image there, or delete them"
    )
    return ImageAnnotation(one_line(f"image_id {key}"), digest, fault=one_line(fault))


def _region(record: dict[str, Any], classes: Mapping[Key, str]) -> Region:
    name = f"annotation {record.get('id', 'without id')}"
    if not record.get("segmentation"):
        message = f"{name} has no outline, `segmentation` is missing or empty: draw or delete it"
        raise AnnotationError(message)
    try:
        stated = _Annotation.model_validate(record)
    except ValidationError as error:
        message = f"{name} is not COCO: {first_problem(error)}"
        raise AnnotationError(message) from error
    if stated.category_id is not None and stated.category_id not in classes:
        message = (
            f"{name} is of category {stated.category_id!r}, which `categories` does not list: name "
            "it there"
        )
        raise AnnotationError(message)
    class_name = "" if stated.category_id is None else classes[stated.category_id]
    return Region(name, _shape(stated.segmentation, name), class_name)


def _shape(segmentation: list[list[float]] | _Runs, name: str) -> Shape:
    if isinstance(segmentation, list):
        return Polygons(tuple(ring_of(ring, name) for ring in segmentation))
    counts = segmentation.counts
    lengths = counts if isinstance(counts, list) else unpacked_counts(counts, name)
    return RunLengths(tuple(lengths), segmentation.size)


def unpacked_counts(text: str, name: str) -> list[int]:
    """Lengths of runs from COCO's compressed text.

    Five bits a character, least ones first; from the fourth length on, what is written is the
    difference to the length before the last.

    Args:
        text: as pycocotools writes it.
        name: of the annotation, for messages.

    Raises:
        AnnotationError: the text is damaged.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - _FIRST
        if not 0 <= bits < _SIX_BITS or shift > _LONGEST:
            message = f"{name} has damaged run lengths: {character!r} is not expected in `counts`"
            raise AnnotationError(message)
        value |= (bits & _BITS) << shift
        shift += _STEP
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        message = f"{name} has damaged run lengths: `counts` ends too early"
        raise AnnotationError(message)
    return lengths
