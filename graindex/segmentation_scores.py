"""Segmentations of annotated images beside what people drew: a row for each image and method.

Compared are the masks of the collection, the methods of images as they are by default, and the
networks of the store that were trained on the collection.
Out of scope: the measures (`models.measure.matching`), label files (`graindex.evaluating`).
"""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from graindex.annotated_images import ANNOTATIONS, content_of, load_annotation
from graindex.checkpoint import Checkpoint
from graindex.derive import pixels_hash
from graindex.ducklake import CATALOG
from graindex.files import sha256
from graindex.image_particles import MASKS_CODE_VERSION, load_mask
from graindex.label_images import PICTURE_SIDE_PX, segment_grey
from graindex.originals import load_content
from graindex.outcome import Outcome
from graindex.per_image import each_image, writing
from graindex.recipes import Recipe, settings_json
from graindex.records import Record
from graindex.segmentation import (
    MaskRcnnOptions,
    Options,
    StarConvexOptions,
    make_options,
    method_of,
    settings_record,
)
from graindex.segmenters import method_settings, pinned
from models.measure.matching import evaluate
from models.measure.matching_overlays import comparison_overlay
from models.measure.matching_pixels import PIXEL_MEASURES
from models.measure.matching_sizes import LEAST_PARTICLES, TOLERANCE
from models.measure.matching_summary import image_row
from models.processors import processors
from models.segment.watershed_options import WatershedOptions
from schemas.arrow import from_records
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

SCORES_CODE_VERSION = f"1+masks.{MASKS_CODE_VERSION}"

_SCORES, _MASKS = "segmentation_scores", "particle_masks_2d"
_QUALITY = 80
Side = Literal["train", "test", "cross-validation"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One segmentation.

    Attributes:
        name: for people; each once.
        options: of the method.
        settings: everything that decides its labels.
        masks: rows of the collection's masks by image, which are these; None where they are not.
        sides: what images were to the training of its network, by content hash.
    """

    name: str
    options: Options
    settings: str
    masks: Mapping[str, Record] | None
    sides: Mapping[str, Side]


def refresh_scores(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Compare what finds particles in the annotated images of a collection.

    An image is compared again when its pixels, its annotation, the method or the code changed.

    Raises:
        ModelError: the network that the collection names is not there.
        HomeError: the store cannot be written, as when the disk is full.
    """
    dataset = recipe.dataset
    wanted = {str(one["score_id"]): one for one in _wanted(store, recipe)}
    work = Checkpoint(store.location, _SCORES, dataset)

    def true_still(rows: Sequence[Record]) -> dict[str, Record]:
        return {
            str(row["score_id"]): row
            for row in rows
            if row["score_id"] in wanted
            and row["input_hash"] == wanted[row["score_id"]]["input_hash"]
            and row["code_version"] == SCORES_CODE_VERSION
            and store.files.has(str(row["overlay"]))
        }

    before = store.lake.read(_SCORES, dataset).to_pylist()
    kept = true_still(before)
    known = {**true_still(work.load(_SCORES).to_pylist()), **kept}
    fresh, refused = each_image(
        store.location,
        _SCORES,
        dataset,
        [one for key, one in wanted.items() if key not in known],
        lambda one: _score(store, one),
        lambda records: from_records(TABLES[_SCORES], records),
    )
    records = [*known.values(), *fresh]
    rows = from_records(TABLES[_SCORES], records)
    snapshot = store.lake.replace(
        {_SCORES: rows}, dataset, author=author, message=f"{_SCORES} of {dataset}"
    )
    work.clear()
    dropped = len({row["score_id"] for row in before} - wanted.keys())
    return Outcome(len(records), len(records) - len(kept), len(kept), dropped, refused, snapshot)


def inputs_of_scores(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What each comparison rests on now, by `score_id`."""
    return {str(one["score_id"]): str(one["input_hash"]) for one in _wanted(store, recipe)}


def side_by_side(store: "Store", dataset: str) -> pa.Table:
    """Each segmentation over all annotated images of a collection, apart by what it learned from.

    Particles are pooled over images; measures by pixel are means ± standard deviations over
    images; D50 is judged in images with ten particles or more, as by `graindex evaluate`.
    """
    at = ", ".join(
        f"""
        sum(true_positives_{n}) / nullif(sum(true_positives_{n} + false_positives_{n}), 0)
            AS precision_{n},
        sum(true_positives_{n}) / nullif(sum(true_positives_{n} + false_negatives_{n}), 0)
            AS recall_{n},
        2 * sum(true_positives_{n}) / nullif(
            sum(2 * true_positives_{n} + false_positives_{n} + false_negatives_{n}), 0
        ) AS f1_{n}
        """
        for n in (50, 75)
    )
    pixels = ", ".join(
        f"printf('%.3f ± %.3f', avg({name}), stddev_samp({name})) AS {name}"
        for name in (f"pixel_{measure}" for measure in PIXEL_MEASURES)
    )
    return store.table(
        f"""
        SELECT segmentation, coalesce(learned_side, 'never seen') AS images_are,
               count(*) AS images, sum(true_particles)::BIGINT AS particles, {at},
               avg(average_precision) AS average_precision,
               sum((abs(d50_error) <= {TOLERANCE})::INT) FILTER (
                   true_particles >= {LEAST_PARTICLES}
               ) / nullif(count(*) FILTER (true_particles >= {LEAST_PARTICLES}), 0)
                   AS d50_within_10_percent,
               {pixels}
        FROM segmentation_scores WHERE dataset = {literal(dataset)}
        GROUP BY ALL ORDER BY f1_50 DESC NULLS LAST, segmentation, images_are
        """
    )


def _wanted(store: "Store", recipe: Recipe) -> Iterator[Record]:
    """Rows of annotated images, one for each segmentation, with its own columns."""
    dataset = recipe.dataset
    annotations = store.lake.read(ANNOTATIONS, dataset).to_pylist()
    if not annotations:
        return
    images = {
        row["micrograph_id"]: row for row in store.lake.read("micrographs", dataset).to_pylist()
    }
    for compared in _segmentations(store, recipe):
        for drawn in annotations:
            image = images.get(drawn["micrograph_id"])
            key = str(drawn["micrograph_id"])
            if image is None or (compared.masks is not None and key not in compared.masks):
                continue
            side = compared.sides.get(str(image["content_hash"]))
            found = "" if compared.masks is None else str(compared.masks[key]["mask"])
            basis = (pixels_hash(image), str(drawn["mask"]), compared.settings, found, str(side))
            yield {
                **image,
                "annotated": drawn,
                "compared": compared,
                "learned_side": side,
                "score_id": sha256(key, compared.name)[:16],
                "input_hash": sha256(*basis),
            }


def _segmentations(store: "Store", recipe: Recipe) -> list[_Compared]:
    own = pinned(recipe.segmentation, store)
    rows = store.lake.read(_MASKS, recipe.dataset).to_pylist()
    masks = {row["micrograph_id"]: row for row in rows}
    trained = _trained_here(store, recipe.dataset)
    others: list[Options] = [WatershedOptions(), StarConvexOptions(), MaskRcnnOptions(), *trained]
    found = [_compared(store, own, masks)]
    for options in others:
        one = _compared(store, options, None)
        if one.settings != found[0].settings:
            found.append(one)
    return found


def _compared(store: "Store", options: Options, masks: Mapping[str, Record] | None) -> _Compared:
    name: str = method_of(options)
    usual: Options = WatershedOptions()
    sides: Mapping[str, Side] = {}
    if not isinstance(options, WatershedOptions):
        if options.model != type(options)().model:
            name = f"{name} {options.model}"
        usual = type(options)(model=options.model)
        sides = _sides(store, options.model)
    if options != usual:
        name = f"{name}, collection"
    settings = settings_json({"method": method_of(options), **method_settings(options, store)})
    return _Compared(name, options, settings, masks, sides)


def _trained_here(store: "Store", dataset: str) -> list[Options]:
    """Newest versions of the networks whose training set holds images of the collection."""
    rows = store.lake.query(
        f"""
        SELECT model, max(model_version) AS version, max_by(method, model_version) AS method
        FROM {CATALOG}.model_runs m
        WHERE method IN ('star-convex', 'mask-rcnn') AND training_set_id IN (
            SELECT training_set_id FROM {CATALOG}.training_rows WHERE dataset = {literal(dataset)}
        ) GROUP BY model ORDER BY model
        """
    ).to_pylist()
    return [
        make_options(
            {"method": row["method"], "model": f"{row['model']}@{row['version']}"}, "micrographs"
        )
        for row in rows
    ]


def _sides(store: "Store", model: str) -> dict[str, Side]:
    """What images were to the training of a network of the store, by content hash."""
    name, _, version = model.partition("@")
    if not version.isdigit():
        return {}
    rows = store.lake.query(
        f"""
        SELECT r.content_hash, r.side FROM {CATALOG}.training_rows r
        JOIN {CATALOG}.model_runs m USING (training_set_id)
        WHERE m.model = {literal(name)} AND m.model_version = {int(version)} AND side <> 'gap'
        """
    ).to_pylist()
    return {row["content_hash"]: row["side"] for row in rows}


def _score(store: "Store", one: Record) -> Record:
    compared: Any = one["compared"]
    drawn: Any = one["annotated"]
    content = load_content(one, store.limits)
    truth = content_of(load_annotation(store, drawn), one)
    if compared.masks is not None:
        mask = load_mask(store, compared.masks[one["micrograph_id"]])
        labels: npt.NDArray[Any] = content_of(mask, one)
    else:
        labels = segment_grey(
            content, compared.options, store=store, concurrency=processors()
        ).labels
    picture = _picture(comparison_overlay(truth, labels, content))
    with writing(store.location):
        overlay = store.files.put(picture)
    own = TABLES[_SCORES].columns
    row = image_row(evaluate(truth, labels))
    return {
        **{name: value for name, value in row.items() if name in own and math.isfinite(value)},
        "dataset": one["dataset"],
        "micrograph_id": one["micrograph_id"],
        "score_id": one["score_id"],
        "segmentation": compared.name,
        "segmentation_method": method_of(compared.options),
        "segmentation_settings": json.dumps(settings_record(compared.options), sort_keys=True),
        "of_collection": compared.masks is not None,
        "learned_side": one["learned_side"],
        "overlay": overlay,
        "input_hash": one["input_hash"],
        "code_version": SCORES_CODE_VERSION,
    }


def _picture(drawn: npt.NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(drawn)
    image.thumbnail((2 * PICTURE_SIDE_PX, 2 * PICTURE_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
