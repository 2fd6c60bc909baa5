"""Annotations of particles in one JSON file, COCO or VIA: what it says of each image.

Out of scope: label images (`annotations_labels`), which pixels a shape covers
(`annotations_shapes`), and whether the images are there (`graindex.annotation_sources`).
"""

import json
from typing import Any, Literal

from graindex.errors import AnnotationError
from graindex.readers.annotations_coco import is_coco, read_coco
from graindex.readers.annotations_shapes import ImageAnnotation, Region
from graindex.readers.annotations_via import is_via, read_via

JsonFormat = Literal["coco", "via"]

__all__ = ["ImageAnnotation", "JsonFormat", "Region", "read_annotations"]


def read_annotations(data: bytes, name: str) -> tuple[JsonFormat, list[ImageAnnotation]]:
    """Read a COCO file, or an annotation file or project of VIA 1 or 2.

    What is wrong with the annotations of one image is the `fault` of that image.

    Args:
        data: the file.
        name: what messages call it.

    Raises:
        AnnotationError: it is empty, neither of the two, or holds no annotation at all.
    """
    document = _parsed(data, name)
    if is_coco(document):
        form: JsonFormat = "coco"
        found = read_coco(document, name)
    elif is_via(document):
        form, found = "via", read_via(document, name)
    else:
        message = (
            f"{name} is neither COCO (lists `images` and `annotations`) nor an annotation file or "
            "project of VIA 1 or 2 (`_via_img_metadata`): export it as one of these"
        )
        raise AnnotationError(message)
    if not any(image.regions or image.fault for image in found):
        message = f"{name} holds no annotation: {len(found)} images are named, no particle in any"
        raise AnnotationError(message)
    return form, found


def _parsed(data: bytes, name: str) -> Any:
    if not data.strip():
        message = f"{name} is empty: export the annotations again"
        raise AnnotationError(message)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        message = f"{name} is not JSON, as when an export broke off: {' '.join(str(error).split())}"
        raise AnnotationError(message) from error
