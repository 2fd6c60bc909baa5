"""Annotated images as they are used: labels and classes of an image, and examples to learn from.

Out of scope: bringing them into the store (`graindex.annotations`).
"""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graindex.errors import CollectionError
from graindex.image_particles import load_mask
from graindex.label_images import LabelImage
from graindex.originals import Grey8, load_content
from graindex.records import Record

if TYPE_CHECKING:
    from graindex.store import Store

ANNOTATIONS = "particle_annotations"


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedExample:
    """An annotated image without its databar.

    Attributes:
        micrograph_id: the image.
        sample_id: its specimen, by which examples are split.
        content: (Y, X) uint8 grey levels inside the content box.
        labels: (Y, X) uint16 or uint32 of the same pixels, 0 is background; all zero where the
            annotation says that the image has no particles.
    """

    micrograph_id: str
    sample_id: str
    content: Grey8
    labels: LabelImage


def annotated_examples(
    store: "Store",
    dataset: str,
    *,
    only: Container[str] | None = None,
    as_of: int | None = None,
) -> Iterator[AnnotatedExample]:
    """Annotated images of a collection, in the order of `micrograph_id`, one read at a time.

    Particles of every class are among the labels; `classes_of` tells them apart.

    Args:
        store: where they lie.
        dataset: the collection.
        only: images by `micrograph_id`; all that are annotated when None.
        as_of: snapshot of the tables; as they stand at the call when None.

    Returns:
        The examples.

    Raises:
        CollectionError: no such collection, or no image of it has an annotation.
        OriginalError: an image or its labels are gone, or no longer what was materialised; when
            its turn comes.
    """
    store.recipe(dataset)
    images = {
        row["micrograph_id"]: row
        for row in store.lake.read("micrographs", dataset, as_of=as_of).to_pylist()
    }
    rows = [
        {**images[row["micrograph_id"]], **row}
        for row in store.lake.read(ANNOTATIONS, dataset, as_of=as_of).to_pylist()
        if row["micrograph_id"] in images
    ]
    if not rows:
        message = (
            f"dataset {dataset!r} has no annotated image: name its annotations by "
            f"`graindex add --masks`, then materialise {ANNOTATIONS}"
        )
        raise CollectionError(message)
    rows.sort(key=lambda row: str(row["micrograph_id"]))
    return (_example(store, row) for row in rows if only is None or row["micrograph_id"] in only)


def load_annotation(store: "Store", row: Mapping[str, object]) -> LabelImage:
    """Annotated labels of an image's whole frame: (Y, X) uint16 or uint32, 0 is background.

    Args:
        store: where it lies.
        row: its row of the table `particle_annotations`.

    Raises:
        OriginalError: the label image is gone or damaged.
    """
    return load_mask(store, row, asset=ANNOTATIONS)


def classes_of(row: Mapping[str, object]) -> dict[str, list[int]]:
    """Labels of each class of an annotated image.

    Args:
        row: its row of the table `particle_annotations`.
    """
    found: dict[str, list[int]] = json.loads(str(row["annotation_classes"]))
    return found


def content_of(labels: LabelImage, image: Mapping[str, object]) -> LabelImage:
    """Labels inside the content box of an image.

    Args:
        labels: (Y, X) of the whole frame.
        image: its row of the table `micrographs`.
    """
    y0, x0, y1, x1 = (int(str(image[f"content_{edge}_px"])) for edge in ("y0", "x0", "y1", "x1"))
    return labels[y0:y1, x0:x1]


def _example(store: "Store", row: Record) -> AnnotatedExample:
    return AnnotatedExample(
        micrograph_id=str(row["micrograph_id"]),
        sample_id=str(row["sample_id"]),
        content=load_content(row, store.limits),
        labels=content_of(load_annotation(store, row), row),
    )
