"""What must hold of annotated images, and the images and annotations where it does not.

Out of scope: rules on single columns, which the data dictionary implies (`graindex.validation`).
"""

from collections.abc import Sequence

from graindex.annotations import NO_IMAGE, REFUSED
from graindex.check_rows import problem, read
from graindex.checking import Check, Problem
from graindex.store import Store

_TABLE, _FINDINGS = "particle_annotations", "annotation_findings"


def images_without_annotation(store: Store, dataset: str) -> Sequence[Problem]:
    """Images of an annotated collection that have no annotation, or none that can be used."""
    if store.recipe(dataset).annotations.uri is None:
        return []
    have = set(read(store, _TABLE, dataset, "micrograph_id")["micrograph_id"].to_pylist())
    images = read(store, "micrographs", dataset, "micrograph_id", "path").to_pylist()
    found = read(store, _FINDINGS, dataset, "finding", "micrograph_id", "detail").to_pylist()
    why = {row["micrograph_id"]: row["detail"] for row in found if row["finding"] == REFUSED}
    missing = [row for row in images if row["micrograph_id"] not in have]
    return problem(
        "images have an annotation",
        (
            (row["micrograph_id"], f"{row['path']}: {why.get(row['micrograph_id'], 'none')}")
            for row in sorted(missing, key=lambda row: row["path"])
        ),
    )


def annotations_without_image(store: Store, dataset: str) -> Sequence[Problem]:
    """Annotations that belong to no image of the collection, or cannot be read."""
    found = read(store, _FINDINGS, dataset, "annotation", "finding", "micrograph_id", "detail")
    return problem(
        "annotations are of an image",
        (
            (row["annotation"], row["detail"])
            for row in found.to_pylist()
            if row["finding"] in (NO_IMAGE, REFUSED) and row["micrograph_id"] is None
        ),
    )


ANNOTATION_CHECKS = (
    Check(
        _TABLE,
        "images_annotated",
        images_without_annotation,
        "Every image of an annotated collection has an annotation that can be used.",
        "Annotate it, or correct what the reason is about; then run `graindex materialize`.",
    ),
    Check(
        _TABLE,
        "annotations_of_images",
        annotations_without_image,
        "Every annotation is of an image of the collection.",
        "Name it like its image, or take it out; then run `graindex materialize`.",
    ),
)
