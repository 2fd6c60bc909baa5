"""JSON of the VGG Image Annotator, versions 1 and 2, to the particles of each image.

Out of scope: VIA 3, and annotations of whole files.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from graindex.errors import AnnotationError
from graindex.files import sha256
from graindex.readers.annotations_shapes import (
    Ellipse,
    ImageAnnotation,
    Polygons,
    Region,
    Shape,
    ring_of,
)
from graindex.readers.frame import one_line
from graindex.settings import first_problem

_PROJECT = "_via_img_metadata"
CLASS_ATTRIBUTES = ("class", "label", "type", "category", "name")
"""Names under which a class is looked for, where a region has several attributes."""

Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class _Outline(BaseModel):
    name: Literal["polygon", "polyline"]
    all_points_x: list[Coordinate]
    all_points_y: list[Coordinate]


class _Circle(BaseModel):
    name: Literal["circle"]
    cx: Coordinate
    cy: Coordinate
    r: Coordinate


class _Ellipse(BaseModel):
    name: Literal["ellipse"]
    cx: Coordinate
    cy: Coordinate
    rx: Coordinate
    ry: Coordinate
    theta: Coordinate = 0.0


class _Rectangle(BaseModel):
    name: Literal["rect"]
    x: Coordinate
    y: Coordinate
    width: Coordinate
    height: Coordinate


_Drawn = Annotated[_Outline | _Circle | _Ellipse | _Rectangle, Field(discriminator="name")]
_DRAWN: TypeAdapter[_Outline | _Circle | _Ellipse | _Rectangle] = TypeAdapter(_Drawn)


def is_via(document: object) -> bool:
    """Whether a parsed file is a project or an annotation file of VIA 1 or 2."""
    if not isinstance(document, dict):
        return False
    entries = document.get(_PROJECT, document)
    return isinstance(entries, dict) and all(
        isinstance(entry, dict) and {"filename", "regions"} <= entry.keys()
        for entry in entries.values()
    )


def read_via(document: Mapping[str, Any], name: str) -> list[ImageAnnotation]:
    """What a VIA file says of each image that it names.

    Raises:
        AnnotationError: an entry states no file name.
    """
    entries = list(document.get(_PROJECT, document).values())
    for entry in entries:
        file_name = entry["filename"]
        if not isinstance(file_name, str) or not file_name or not file_name.isprintable():
            message = f"{name} is not of VIA: an entry has no file name that can be read"
            raise AnnotationError(message)
    times = Counter(entry["filename"] for entry in entries)
    return [_of_image(entry, times[entry["filename"]]) for entry in entries]


def _of_image(entry: Mapping[str, Any], times: int) -> ImageAnnotation:
    file_name, regions = entry["filename"], entry["regions"]
    digest = sha256(json.dumps([file_name, regions], sort_keys=True))
    if times > 1:
        fault = f"{file_name!r} is annotated {times} times"
        return ImageAnnotation(file_name, digest, fault=one_line(fault))
    try:
        found = tuple(_region(region, f"region {key}") for key, region in _numbered(regions))
    except AnnotationError as error:
        return ImageAnnotation(file_name, digest, fault=one_line(str(error)))
    return ImageAnnotation(file_name, digest, found)


def _numbered(regions: object) -> list[tuple[object, object]]:
    """Regions with their number: a list in VIA 2, by number in VIA 1."""
    if isinstance(regions, dict):
        return list(regions.items())
    if isinstance(regions, list):
        return list(enumerate(regions))
    message = "its `regions` are neither a list nor numbered"
    raise AnnotationError(message)


def _region(region: object, name: str) -> Region:
    if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
        message = f"{name} has no outline: its `shape_attributes` are missing"
        raise AnnotationError(message)
    drawn = region["shape_attributes"]
    if drawn.get("name") == "point":
        message = f"{name} has no area, it is a point: outline the particle, or delete it"
        raise AnnotationError(message)
    try:
        shape = _shape(_DRAWN.validate_python(drawn), name)
    except ValidationError as error:
        message = f"{name} is no shape of VIA: {first_problem(error)}"
        raise AnnotationError(message) from error
    return Region(name, shape, _class_of(region.get("region_attributes"), name))


def _shape(drawn: _Outline | _Circle | _Ellipse | _Rectangle, name: str) -> Shape:
    if isinstance(drawn, _Outline):
        x, y = drawn.all_points_x, drawn.all_points_y
        if len(x) != len(y):
            message = f"{name} has {len(x)} x and {len(y)} y"
            raise AnnotationError(message)
        pairs = [value for corner in zip(x, y, strict=True) for value in corner]
        return Polygons((ring_of(pairs, name),))
    if isinstance(drawn, _Circle):
        return Ellipse(drawn.cx, drawn.cy, drawn.r, drawn.r)
    if isinstance(drawn, _Ellipse):
        return Ellipse(drawn.cx, drawn.cy, drawn.rx, drawn.ry, drawn.theta % (2 * math.pi))
    left, top, right, bottom = drawn.x, drawn.y, drawn.x + drawn.width, drawn.y + drawn.height
    return Polygons((((left, top), (right, top), (right, bottom), (left, bottom)),))


def _class_of(attributes: object, name: str) -> str:
    """The class that a region's attributes state; "" where they state none."""
    stated = {
        str(key): told
        for key, value in (attributes.items() if isinstance(attributes, dict) else ())
        if (told := _value(value, name))
    }
    if len(stated) <= 1:
        return next(iter(stated.values()), "")
    for key in CLASS_ATTRIBUTES:
        if key in stated:
            return stated[key]
    message = (
        f"{name} has the attributes {', '.join(stated)}: call the one that is the class `class`"
    )
    raise AnnotationError(message)


def _value(value: object, name: str) -> str:
    """An attribute's text; of a check box, the one option that is ticked."""
    if isinstance(value, dict):
        ticked = [str(option) for option, is_on in value.items() if is_on]
        if len(ticked) > 1:
            message = f"{name} is of several classes: {', '.join(ticked)}"
            raise AnnotationError(message)
        return one_line(ticked[0]) if ticked else ""
    return "" if value is None else one_line(str(value))
