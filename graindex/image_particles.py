"""Particles of a collection's images: label images, and one row for each particle.

Out of scope: volumes, and the methods themselves (`models.segment`, `models.measure`).
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.checkpoint import Checkpoint
from graindex.derive import pixels_hash
from graindex.errors import OriginalError
from graindex.files import sha256
from graindex.image_calibration import LENGTH, calibrated, changed, stale
from graindex.kept_rows import distinct, standing
from graindex.label_images import (
    LabelImage,
    confidence_of,
    decode_confidence,
    decode_labels,
    encode_labels,
    outline_picture,
    segment_content,
)
from graindex.originals import content_hash, load_content
from graindex.outcome import Outcome, Recalibration
from graindex.parallel import in_threads
from graindex.per_image import each_image, writing
from graindex.recipes import Recipe, settings_json
from graindex.records import Record
from graindex.segmentation import Options, method_of
from graindex.segmenters import method_settings, pinned
from models.measure.particles_2d import CODE_VERSION as MEASURE_VERSION
from models.measure.particles_2d import measure_particles_2d
from models.processors import processors
from models.segment.mask_rcnn.finding import CODE_VERSION as MASK_RCNN_VERSION
from models.segment.star_convex.finding import CODE_VERSION as STAR_CONVEX_VERSION
from models.segment.watershed_options import CODE_VERSION as WATERSHED_VERSION
from models.segment.watershed_options import WatershedOptions
from schemas.arrow import arrow_schema, from_columns, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

MASKS_CODE_VERSION = (
    f"1+star-convex.{STAR_CONVEX_VERSION}+mask-rcnn.{MASK_RCNN_VERSION}"
    f"+watershed.{WATERSHED_VERSION}"
)
PARTICLES_2D_CODE_VERSION = f"2+particles.{MEASURE_VERSION}"

_MASKS = "particle_masks_2d"
_PARTICLES = "particles_2d"


def refresh_masks_2d(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the label images of a collection up to date.

    Raises:
        HomeError: the store cannot be written, as when the disk is full.
    """
    dataset = recipe.dataset
    options = _options(store, recipe)
    images = _images(store, dataset)
    wanted = _mask_inputs(store, images, options)
    work = Checkpoint(store.location, _MASKS, dataset)

    def true_still(rows: pa.Table) -> dict[str, Record]:
        fitting = (
            row
            for row in rows.to_pylist()
            if row["input_hash"] == wanted.get(row["micrograph_id"])
            and row["code_version"] == MASKS_CODE_VERSION
        )
        return {str(row["micrograph_id"]): row for row in _with_files(store, fitting)}

    before = store.lake.read(_MASKS, dataset)
    kept = true_still(before)
    known = {**true_still(work.load(_MASKS)), **kept}
    fresh, refused = each_image(
        store.location,
        _MASKS,
        dataset,
        [image for key, image in images.items() if key not in known],
        lambda image: _mask_record(store, image, options),
        lambda records: from_records(TABLES[_MASKS], records),
    )
    records = [*known.values(), *fresh]
    rows = from_records(TABLES[_MASKS], records)
    snapshot = store.lake.replace(
        {_MASKS: rows}, dataset, author=author, message=f"{_MASKS} of {dataset}"
    )
    work.clear()
    dropped = len(set(before["micrograph_id"].to_pylist()) - set(images))
    return Outcome(len(records), len(records) - len(kept), len(kept), dropped, refused, snapshot)


def refresh_particles_2d(store: "Store", dataset: str, *, author: str) -> Outcome:
    """Bring the particles of a collection's images up to date; rows are counted, not images.

    Columns in µm follow from the pixel size of today in every row: a new calibration measures no
    particle again.

    Raises:
        HomeError: the store cannot be written, as when the disk is full.
    """
    images = _images(store, dataset)
    masks = _masks(store, dataset, images)
    wanted = _particle_inputs(masks)
    work = Checkpoint(store.location, _PARTICLES, dataset)
    before = store.lake.read(_PARTICLES, dataset)
    kept = _true_still(before, wanted)
    missing = _without(wanted, kept)
    saved = distinct(_true_still(work.load(_PARTICLES), missing), ["particle_id"])
    missing = _without(missing, saved)
    fresh, refused = each_image(
        store.location,
        _PARTICLES,
        dataset,
        [masks[key] for key in missing],
        lambda mask: _particle_rows(store, mask),
        pa.concat_tables,
    )
    sizes = {key: image["pixel_size_um"] for key, image in images.items()}
    rows = calibrated(pa.concat_tables([kept, saved, *fresh]), sizes)
    factors = changed(kept, rows[: kept.num_rows])
    snapshot = store.lake.replace(
        {_PARTICLES: rows}, dataset, author=author, message=f"{_PARTICLES} of {dataset}"
    )
    work.clear()
    stays = pc.sum(pc.is_in(before["micrograph_id"], value_set=pa.array(list(masks), pa.string())))
    dropped = before.num_rows - (stays.as_py() or 0)
    stand = kept.num_rows - len(factors)
    return Outcome(
        rows=rows.num_rows,
        computed=rows.num_rows - stand,
        kept=stand,
        dropped=dropped,
        refused=refused,
        snapshot=snapshot,
        recalibration=Recalibration.of(len(factors), factors[np.isfinite(factors)].tolist()),
    )


def inputs_of_masks(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the label image of each image rests on now, by `micrograph_id`."""
    return _mask_inputs(store, _images(store, recipe.dataset), _options(store, recipe))


def inputs_of_particles_2d(store: "Store", dataset: str) -> dict[str, str]:
    """What the particles of each image that has some rest on now, by `micrograph_id`."""
    return _particle_inputs(_masks(store, dataset, _images(store, dataset)))


def recalibrations_of_particles_2d(store: "Store", dataset: str) -> set[str]:
    """Images whose particles are in µm of another pixel size than today's."""
    columns = ("micrograph_id", *LENGTH)
    rows = store.lake.read(_PARTICLES, dataset, columns=columns)
    images = store.lake.read("micrographs", dataset, columns=("micrograph_id", "pixel_size_um"))
    sizes = dict(zip(*(column.to_pylist() for column in images.itercolumns()), strict=True))
    return stale(rows, sizes)


def load_mask(store: "Store", row: Mapping[str, object], *, asset: str = _MASKS) -> LabelImage:
    """Labels of an image's whole frame: (Y, X) uint16 or uint32, 0 is background and databar.

    Args:
        store: where it lies.
        row: its row of the table `particle_masks_2d`, or of another that holds masks.
        asset: what is to be materialised where the mask is gone.

    Raises:
        OriginalError: the label image is gone or damaged.
    """
    return decode_labels(_mask_file(store, row, asset))


def _mask_file(store: "Store", row: Mapping[str, object], asset: str = _MASKS) -> bytes:
    name, address = row["micrograph_id"], str(row["mask"])
    try:
        data = store.files.get(address)
    except FileNotFoundError as error:
        message = f"mask of {name} is gone; materialise {asset} again"
        raise OriginalError(message) from error
    if content_hash(data) != address:
        where = store.files.address(address)
        message = f"mask of {name} is damaged; delete {where} and materialise {asset} again"
        raise OriginalError(message)
    return data


def _options(store: "Store", recipe: Recipe) -> Options:
    """Of images: grey levels are all they have, so values of phases mean nothing."""
    options = pinned(recipe.segmentation, store)
    if isinstance(options, WatershedOptions):
        return dataclasses.replace(options, phase_values=None)
    return options


def _settings(store: "Store", options: Options) -> str:
    return settings_json(method_settings(options, store))


def _images(store: "Store", dataset: str) -> dict[str, Record]:
    rows = store.lake.read("micrographs", dataset).to_pylist()
    return {row["micrograph_id"]: row for row in rows}


def _masks(store: "Store", dataset: str, images: Mapping[str, Record]) -> dict[str, Record]:
    """Rows of the images that have a mask, together with it and the count of its particles."""
    columns = ("micrograph_id", "mask", "particle_count")
    rows = store.lake.read(_MASKS, dataset, columns=columns).to_pylist()
    return {
        row["micrograph_id"]: {**images[row["micrograph_id"]], **row}
        for row in rows
        if row["micrograph_id"] in images
    }


def _mask_inputs(store: "Store", images: Mapping[str, Record], options: Options) -> dict[str, str]:
    settings = _settings(store, options) if images else ""
    return {key: sha256(pixels_hash(image), settings) for key, image in images.items()}


def _particle_inputs(masks: Mapping[str, Record]) -> dict[str, str]:
    """Of masks that hold particles; the others need no measurement."""
    return {key: _particle_input(mask) for key, mask in masks.items() if mask["particle_count"]}


def _particle_input(mask: Record) -> str:
    return sha256(str(mask["mask"]), pixels_hash(mask))


def _corners(image: Record) -> tuple[int, int, int, int]:
    """(y0, x0, y1, x1) of the content box."""
    y0, x0, y1, x1 = (int(str(image[f"content_{edge}_px"])) for edge in ("y0", "x0", "y1", "x1"))
    return y0, x0, y1, x1


def _mask_record(store: "Store", image: Record, options: Options) -> Record:
    content = load_content(image, store.limits)
    y0, x0, y1, x1 = _corners(image)
    frame = (int(str(image["height_px"])), int(str(image["width_px"])))
    found = segment_content(
        content,
        options,
        frame_shape=frame,
        corner=(y0, x0),
        store=store,
        concurrency=processors(),
    )
    inside = found.labels[y0:y1, x0:x1]
    settings = _settings(store, options)
    picture = outline_picture(content, inside)
    mask = encode_labels(found.labels, found.confidence)
    with writing(store.location):
        mask_address, overlay = store.files.put(mask), store.files.put(picture)
    return {
        "dataset": image["dataset"],
        "micrograph_id": image["micrograph_id"],
        "mask": mask_address,
        "segmentation_method": method_of(options),
        "segmentation_source": "grey",
        "segmentation_settings": settings,
        "particle_count": int(inside.max(initial=0)),
        "particle_fraction": np.count_nonzero(inside) / inside.size,
        "overlay": overlay,
        "input_hash": sha256(pixels_hash(image), settings),
        "code_version": MASKS_CODE_VERSION,
    }


def _particle_rows(store: "Store", mask: Record) -> pa.Table:
    """Particles of one image, measured inside its content box; columns in µm are null yet."""
    y0, x0, y1, x1 = _corners(mask)
    data = _mask_file(store, mask)
    labels = decode_labels(data)[y0:y1, x0:x1]
    columns = measure_particles_2d(labels, image=load_content(mask, store.limits))
    columns["x_px"] += x0
    columns["y_px"] += y0
    columns["segmentation_confidence"] = confidence_of(columns["label"], decode_confidence(data))
    parent, address = str(mask["micrograph_id"]), str(mask["mask"])
    keys = [sha256(parent, address, str(label))[:16] for label in columns["label"].tolist()]
    same = {
        "dataset": mask["dataset"],
        "micrograph_id": parent,
        "input_hash": _particle_input(mask),
        "code_version": PARTICLES_2D_CODE_VERSION,
    }
    columns |= {name: np.full(len(keys), value, object) for name, value in same.items()}
    return from_columns(TABLES[_PARTICLES], {**columns, "particle_id": np.array(keys, object)})


def _true_still(rows: pa.Table, wanted: Mapping[str, str]) -> pa.Table:
    schema = arrow_schema(TABLES[_PARTICLES])
    kept = standing(rows, "micrograph_id", wanted, PARTICLES_2D_CODE_VERSION)
    return kept.select(schema.names).cast(schema)


def _without(wanted: Mapping[str, str], rows: pa.Table) -> dict[str, str]:
    """Inputs of images that have no row among these."""
    have = set(rows["micrograph_id"].unique().to_pylist())
    return {key: input_hash for key, input_hash in wanted.items() if key not in have}


def _with_files(store: "Store", rows: Iterable[Record]) -> list[Record]:
    """Rows of masks whose files are there; asked in threads, as object stores take their time."""

    def there(row: Record) -> bool:
        return all(store.files.has(str(row[name])) for name in ("mask", "overlay"))

    return [row for row, found in in_threads(there, rows, expected=()) if found is True]
