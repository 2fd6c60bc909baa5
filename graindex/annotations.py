"""Annotated images of a collection: a label image for each, with the class of every label.

What could not be used, and what was settled, stands in `annotation_findings`.
Out of scope: using them (`graindex.annotated_images`), and finding particles without
annotations (`graindex.image_particles`).
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from graindex.annotated_images import ANNOTATIONS as _TABLE
from graindex.annotation_reading import read_labels
from graindex.annotation_settings import AnnotationSettings
from graindex.annotation_sources import (
    AnnotationSource,
    Paired,
    Stamps,
    annotation_sources,
    pair,
)
from graindex.checkpoint import Checkpoint
from graindex.derive import pixels_hash
from graindex.errors import AnnotationError, CollectionError
from graindex.files import sha256
from graindex.label_images import encode_labels, outline_picture
from graindex.originals import load_content
from graindex.outcome import Outcome
from graindex.parallel import in_threads
from graindex.per_image import each_image, writing
from graindex.recipes import Recipe
from graindex.records import Record
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

ANNOTATIONS_CODE_VERSION = "1"
NO_IMAGE, REFUSED, OVERLAP = "no_image", "refused", "overlap_settled"
"""What is found: an annotation of no image, one that cannot be used, pixels given to one of two."""

_FINDINGS = "annotation_findings"


def refresh_annotations(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the annotated images of a collection up to date.

    An image is drawn again when what annotates it, its own pixels, the settings or the code
    changed. One that cannot be used is refused with its reason; the others go on.

    Raises:
        CollectionError: the annotations are gone.
        AnnotationError: a JSON file cannot be used at all.
        HomeError: the store cannot be written, as when the disk is full.
    """
    dataset, settings = recipe.dataset, recipe.annotations
    images = _images(store, dataset)
    before = store.lake.read(_TABLE, dataset)
    sources = annotation_sources(settings, _stamps(before))
    paired = pair(sources.found, list(images.values()))
    wanted = _inputs(paired, images, settings)
    work = Checkpoint(store.location, _TABLE, dataset)
    kept = _standing(store, before, wanted)
    saved = {**_standing(store, work.load(_TABLE), wanted), **kept}
    known = [{**row, **_stamp_of(paired.sources[key])} for key, row in saved.items()]
    fresh, refused = each_image(
        store.location,
        _TABLE,
        dataset,
        [image for key, image in images.items() if key in wanted and key not in saved],
        lambda image: _record(store, image, paired, settings, wanted),
        lambda records: from_records(TABLES[_TABLE], records),
    )
    records = [*known, *fresh]
    findings = [
        *(_finding(dataset, name, NO_IMAGE, why) for name, why in paired.unpaired.items()),
        *(_finding(dataset, name, REFUSED, why) for name, why in sources.refused.items()),
        *_refused_findings(dataset, refused, paired, wanted),
        *(_overlap_finding(row) for row in records if row["overlap_px"]),
    ]
    tables = {
        _TABLE: from_records(TABLES[_TABLE], records),
        _FINDINGS: from_records(TABLES[_FINDINGS], findings),
    }
    snapshot = store.lake.replace(tables, dataset, author=author, message=f"{_TABLE} of {dataset}")
    work.clear()
    gone = set(before["micrograph_id"].to_pylist()) - {row["micrograph_id"] for row in records}
    return Outcome(
        rows=len(records),
        computed=len(records) - len(kept),
        kept=len(kept),
        dropped=len(gone),
        refused={**paired.unpaired, **sources.refused, **_told(refused, paired)},
        snapshot=snapshot,
    )


def inputs_of_annotations(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the labels of each annotated image rest on now, by `micrograph_id`.

    Images whose annotation was refused and has not changed since are left out.
    """
    images = _images(store, recipe.dataset)
    try:
        sources = annotation_sources(
            recipe.annotations, _stamps(store.lake.read(_TABLE, recipe.dataset))
        )
    except (CollectionError, AnnotationError):
        return {}
    paired = pair(sources.found, list(images.values()))
    wanted = _inputs(paired, images, recipe.annotations)
    known = {
        row["micrograph_id"]: row["input_hash"]
        for row in store.lake.read(_FINDINGS, recipe.dataset).to_pylist()
        if row["finding"] == REFUSED and row["code_version"] == ANNOTATIONS_CODE_VERSION
    }
    return {key: found for key, found in wanted.items() if known.get(key) != found}


def _images(store: "Store", dataset: str) -> dict[str, Record]:
    rows = store.lake.read("micrographs", dataset).to_pylist()
    return {row["micrograph_id"]: row for row in rows}


def _frame(image: Record) -> tuple[int, int]:
    return int(str(image["height_px"])), int(str(image["width_px"]))


def _inputs(
    paired: Paired, images: Mapping[str, Record], settings: AnnotationSettings
) -> dict[str, str]:
    how = settings.model_dump_json(exclude={"uri"})
    return {
        key: sha256(source.digest, pixels_hash(images[key]), str(_frame(images[key])), how)
        for key, source in paired.sources.items()
    }


def _stamps(rows: pa.Table) -> Stamps:
    names = ("annotation_uri", "file_size_bytes", "file_modified_at", "annotation_hash")
    return {
        row[names[0]]: (row[names[1]], row[names[2]], row[names[3]])
        for row in rows.select(list(names)).to_pylist()
    }


def _stamp_of(source: AnnotationSource) -> Record:
    """Columns that say which file an annotation stands in, as it is now."""
    return {
        "annotation": source.name,
        "annotation_uri": source.file.uri,
        "annotation_format": source.format,
        "annotation_hash": source.file_hash,
        "file_size_bytes": source.file.size_bytes,
        "file_modified_at": source.file.modified_at,
    }


def _standing(store: "Store", rows: pa.Table, wanted: Mapping[str, str]) -> dict[str, Record]:
    """Rows that would be made again as they are, and whose files are there."""
    fitting: Iterable[Record] = [
        row
        for row in rows.to_pylist()
        if row["input_hash"] == wanted.get(row["micrograph_id"])
        and row["code_version"] == ANNOTATIONS_CODE_VERSION
    ]

    def there(row: Record) -> bool:
        return all(store.files.has(str(row[name])) for name in ("mask", "overlay"))

    found = in_threads(there, fitting, expected=())
    return {str(row["micrograph_id"]): row for row, is_there in found if is_there is True}


def _record(
    store: "Store",
    image: Record,
    paired: Paired,
    settings: AnnotationSettings,
    wanted: Mapping[str, str],
) -> Record:
    key = str(image["micrograph_id"])
    source = paired.sources[key]
    found = read_labels(source, _frame(image), settings, store.limits)
    content = load_content(image, store.limits)
    y0, x0, y1, x1 = (int(str(image[f"content_{edge}_px"])) for edge in ("y0", "x0", "y1", "x1"))
    inside = found.labels[y0:y1, x0:x1]
    picture = outline_picture(content, inside)
    with writing(store.location):
        mask = store.files.put(encode_labels(found.labels))
        overlay = store.files.put(picture)
    return {
        "dataset": image["dataset"],
        "micrograph_id": key,
        **_stamp_of(source),
        "mask": mask,
        "particle_count": sum(len(labels) for labels in found.classes.values()),
        "particle_fraction": np.count_nonzero(inside) / inside.size,
        "annotation_classes": json.dumps(found.classes, ensure_ascii=False),
        "overlap_px": found.overlap_px,
        "overlay": overlay,
        "input_hash": wanted[key],
        "code_version": ANNOTATIONS_CODE_VERSION,
    }


def _finding(dataset: str, name: str, what: str, detail: str, **more: object) -> Record:
    return {
        "dataset": dataset,
        "annotation": name,
        "finding": what,
        "detail": detail,
        "code_version": ANNOTATIONS_CODE_VERSION,
        **more,
    }


def _refused_findings(
    dataset: str, refused: Mapping[str, str], paired: Paired, wanted: Mapping[str, str]
) -> list[Record]:
    return [
        _finding(
            dataset,
            paired.sources[key].name,
            REFUSED,
            why,
            micrograph_id=key,
            input_hash=wanted[key],
        )
        for key, why in refused.items()
    ]


def _told(refused: Mapping[str, str], paired: Paired) -> dict[str, str]:
    """Reasons with the annotation that each is about, and the file where many stand in one."""
    sources = {key: paired.sources[key] for key in refused}
    names = {
        key: one.name if one.described is None else f"{one.name} in {one.file.path}"
        for key, one in sources.items()
    }
    return {key: f"{names[key]}: {why}" for key, why in refused.items()}


def _overlap_finding(row: Record) -> Record:
    detail = f"{row['overlap_px']} pixels that several annotations claimed went to the smallest"
    return _finding(
        str(row["dataset"]),
        str(row["annotation"]),
        OVERLAP,
        detail,
        micrograph_id=row["micrograph_id"],
        input_hash=row["input_hash"],
    )
