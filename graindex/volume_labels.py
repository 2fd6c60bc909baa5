"""Particles of a collection's volumes as label volumes: given ones, or a watershed.

Out of scope: what is measured of them (`graindex.volume_particles`), images
(`graindex.image_particles`) and the watershed itself (`models.segment`).
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.checkpoint import Checkpoint
from graindex.label_images import Floats, label_type
from graindex.label_plans import LABELS_CODE_VERSION, LabelPlan, label_plans, plan_labels
from graindex.label_survey import survey
from graindex.outcome import Outcome, Recalibration
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.records import Record
from graindex.section_pictures import sections_jpeg
from graindex.segmentation import Options
from graindex.stored_volumes import CONFIDENCE, EXPECTED, reason, spacing_of, written
from graindex.volume_segmentation import FiniteVolume, segment_any
from models.measure.arrays import InvalidVolumeError, Sliceable
from models.progress import Progress
from models.segment.watershed_options import WatershedOptions
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.volume_store import StoredVolume

__all__ = [
    "LABELS_CODE_VERSION",
    "inputs_of_labels",
    "recalibrations_of_labels",
    "refresh_labels_3d",
]

_TABLE = "particle_labels_3d"
_PICTURE_SIDE_PX = 900


def refresh_labels_3d(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the label volumes of a collection up to date.

    A volume is segmented when its voxels, the ratios of its spacing, the options or the code
    changed, or its label volume is gone. Where it is the voxel size alone, labels stay and the
    scale bar in their picture follows. Label volumes that no row needs any more stay: older
    snapshots do.

    Raises:
        HomeError: the store cannot be written, as when the disk is full.
    """
    dataset = recipe.dataset
    volumes = store.lake.read("volumes", dataset).to_pylist()
    before = store.lake.read(_TABLE, dataset).to_pylist()
    work = Checkpoint(store.location, _TABLE, dataset)
    committed, saved = _by_input(before), _by_input(work.load(_TABLE).to_pylist())
    records: list[Record] = []
    refused: dict[str, str] = {}
    kept = slices = recalibrated = 0
    labelled = {_labels_of(row) for row in before}
    total = sum(volume["size_z_voxels"] for volume in volumes)
    for volume in volumes:
        report(_TABLE, slices, total)
        share = _share(slices, volume, total)
        slices += volume["size_z_voxels"]
        made = None
        try:
            plan = plan_labels(store, volume, recipe)
            made = plan.label_volume
            known = committed.get(plan.key) or saved.get(plan.key)
            if known is None or not store.volume_store.has("labels", made):
                recalibrated += plan.labels in labelled and store.volume_store.has("labels", made)
                known = _label(store, volume, plan, share)
                with written(store, "work"):
                    work.save({_TABLE: [known]})
            else:
                kept += plan.key in committed
            records.append(known)
        except EXPECTED as error:
            refused[volume["path"]] = reason(store, volume, error, label_volume=made)
    report(_TABLE, total, total)
    rows = from_records(TABLES[_TABLE], records)
    snapshot = store.lake.replace(
        {_TABLE: rows}, dataset, author=author, message=f"{_TABLE} of {dataset}"
    )
    work.clear()
    dropped = len({row["volume_id"] for row in before} - {row["volume_id"] for row in records})
    return Outcome(
        rows=len(records),
        computed=len(records) - kept,
        kept=kept,
        dropped=dropped,
        refused=refused,
        snapshot=snapshot,
        recalibration=Recalibration.of(recalibrated, ()),
    )


def inputs_of_labels(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the label volume of each volume rests on, by `volume_id`; without refused volumes."""
    return {plan.volume_id: plan.input_hash for plan in label_plans(store, recipe)}


def recalibrations_of_labels(store: "Store", recipe: Recipe) -> set[str]:
    """Volumes whose labels are as they would be found, but for the scale bar in their picture."""
    rows = store.lake.read(_TABLE, recipe.dataset).to_pylist()
    inputs, labelled = _by_input(rows), {_labels_of(row) for row in rows}
    return {
        plan.volume_id
        for plan in label_plans(store, recipe)
        if plan.key not in inputs and plan.labels in labelled
    }


def _labels_of(row: Record) -> tuple[str, str, str]:
    return str(row["volume_id"]), str(row["label_volume"]), str(row["code_version"])


def _by_input(rows: list[Record]) -> dict[tuple[str, str], Record]:
    """Rows of this code by volume and input."""
    return {
        (str(row["volume_id"]), str(row["input_hash"])): row
        for row in rows
        if row["code_version"] == LABELS_CODE_VERSION
    }


def _share(begin: int, volume: Mapping[str, Any], total: int) -> Progress:
    """Report the work on one volume as slices of all volumes."""
    return lambda done, of: report(_TABLE, begin + volume["size_z_voxels"] * done // of, total)


def _label(
    store: "Store", volume: Mapping[str, Any], plan: LabelPlan, progress: Progress
) -> Record:
    if plan.options is not None and not store.volume_store.has("labels", plan.label_volume):
        _segment(store, volume, plan, plan.options, progress)
    labels = store.volume_store.open("labels", plan.label_volume)
    found = survey(labels)
    return {
        "dataset": volume["dataset"],
        "volume_id": plan.volume_id,
        "label_volume": plan.label_volume,
        "segmentation_method": plan.method,
        "segmentation_source": plan.source,
        "segmentation_settings": plan.settings,
        "particle_count": found.count,
        "particle_fraction": found.voxels / math.prod(labels.shape),
        "overlay": _draw(store, volume, labels, found.fullest),
        "input_hash": plan.input_hash,
        "code_version": LABELS_CODE_VERSION,
    }


def _segment(
    store: "Store",
    volume: Mapping[str, Any],
    plan: LabelPlan,
    options: Options,
    progress: Progress,
) -> None:
    """Put the labels of a volume into the store; no voxel that is not finite is particle."""
    source = store.volume_store.open(plan.source, plan.source_hash)
    gaps = plan.source == "grey" and volume["nonfinite_voxels"] > 0
    with tempfile.TemporaryDirectory(prefix="graindex-") as scratch:
        found = segment_any(
            _filled(source, volume, options) if gaps else source,
            spacing_um=plan.ratios,
            options=options,
            scratch=Path(scratch),
            progress=progress,
            store=store,
        )
        store.volume_store.put(
            "labels",
            plan.label_volume,
            _slabs(found.labels, source if gaps else None, source.chunks[0]),
            shape=source.shape,
            dtype=label_type(found.labels),
            voxel_size_um=plan.spacing_um,
            attributes={
                "segmentation_method": plan.method,
                "segmentation_source": plan.source,
                "segmentation_settings": plan.settings,
                "source_hash": plan.source_hash,
                "input_hash": plan.found_in,
                "code_version": LABELS_CODE_VERSION,
                **_beside(found.confidence),
            },
        )


def _beside(confidence: Floats | None) -> dict[str, Floats]:
    """What is kept beside the labels; an array of nothing cannot be."""
    return {} if confidence is None or not len(confidence) else {CONFIDENCE: confidence}


def _filled(source: Sliceable, volume: Mapping[str, Any], options: Options) -> FiniteVolume:
    """Grey values with the background's end of their range where they are not finite."""
    dark = isinstance(options, WatershedOptions) and options.polarity == "dark"
    level = volume["grey_max" if dark else "grey_min"]
    if level is None:
        raise InvalidVolumeError("no grey value is finite: nothing can be told apart")
    return FiniteVolume(source, level)


def _slabs(
    labels: npt.NDArray[np.int32], grey: Sliceable | None, depth: int
) -> Callable[[int], Iterator[npt.NDArray[Any]]]:
    """Labels slab by slab from any slice on, 0 where `grey` is not finite."""
    kind = label_type(labels)

    def slabs(start: int) -> Iterator[npt.NDArray[Any]]:
        for z in range(start, len(labels), depth):
            slab = labels[z : z + depth].astype(kind)
            if grey is not None:
                slab[~np.isfinite(grey[z : z + depth])] = 0
            yield slab

    return slabs


def _draw(
    store: "Store",
    volume: Mapping[str, Any],
    labels: "StoredVolume",
    centre: tuple[int, int, int] | None,
) -> str:
    """Keep a picture of the labels over the grey values, or what else there is."""
    kind = next((kind for kind in ("grey", "phases") if volume[f"{kind}_hash"]), None)
    shown = labels if kind is None else store.volume_store.open(kind, volume[f"{kind}_hash"])
    picture = sections_jpeg(
        shown, labels, spacing_um=spacing_of(volume), side_px=_PICTURE_SIDE_PX, centre=centre
    )
    with written(store, "files"):
        return store.files.put(picture)
