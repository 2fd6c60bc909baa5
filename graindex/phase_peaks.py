"""Peaks of the grey values of each phase of a collection's volumes, with their histograms.

Out of scope: finding a peak (`models.measure.peak_widths`).
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.files import sha256
from graindex.kept_rows import standing
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.statistics import phase_names
from graindex.stored_volumes import EXPECTED, reason
from models.measure.peak_widths import Histogram, coarse, peak_of, phase_histograms
from schemas.arrow import arrow_schema, from_columns, from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

PEAKS_CODE_VERSION = "1"

_PEAKS, _HISTOGRAMS = "phase_peaks", "phase_histograms"
_CLASSES = 128  # of a histogram that is kept

Volume = Mapping[str, Any]


def refresh_peaks(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the peaks of a collection up to date, volume by volume.

    Volumes without grey values or phases are refused with the reason where others have them.
    """
    dataset, names = recipe.dataset, phase_names(recipe)
    volumes = store.lake.read("volumes", dataset).to_pylist()
    wanted = _inputs(volumes, names)
    before = store.lake.read(_PEAKS, dataset)
    kept = standing(before, "volume_id", wanted, PEAKS_CODE_VERSION)
    have = set(kept["volume_id"].to_pylist())
    refused = {}
    if wanted:  # in a collection that has neither anywhere, nobody forgot a file
        refused = {row["path"]: why for row in volumes if (why := _missing(row)) is not None}
    todo = [row for row in volumes if row["volume_id"] in wanted and row["volume_id"] not in have]
    fresh: list[dict[str, pa.Table]] = []
    report(_PEAKS, 0, len(todo))
    for done, row in enumerate(todo, start=1):
        try:
            fresh.append(_measured(store, row, names, wanted[row["volume_id"]]))
        except EXPECTED as error:
            refused[row["path"]] = reason(store, row, error)
        report(_PEAKS, done, len(todo))
    classes = store.lake.read(_HISTOGRAMS, dataset)
    stays = classes.filter(pc.is_in(classes["volume_id"], pa.array(sorted(have), pa.string())))
    rows = {
        name: pa.concat_tables([_typed(name, old), *(tables[name] for tables in fresh)])
        for name, old in ((_PEAKS, kept), (_HISTOGRAMS, stays))
    }
    snapshot = store.lake.replace(rows, dataset, author=author, message=f"{_PEAKS} of {dataset}")
    gone = [key for key in before["volume_id"].to_pylist() if key not in wanted]
    count = rows[_PEAKS].num_rows
    return Outcome(count, count - kept.num_rows, kept.num_rows, len(gone), refused, snapshot)


def inputs_of_peaks(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the peaks of each volume with grey values and phases rest on, by `volume_id`."""
    volumes = store.lake.read("volumes", recipe.dataset).to_pylist()
    return _inputs(volumes, phase_names(recipe))


def _inputs(volumes: list[Volume], names: Mapping[int, str]) -> dict[str, str]:
    told = [str(name) for name in sorted(names.items())]
    return {
        row["volume_id"]: sha256(row["volume_id"], row["grey_hash"], row["phases_hash"], *told)
        for row in volumes
        if _missing(row) is None
    }


def _missing(volume: Volume) -> str | None:
    """What a volume lacks, if it lacks anything."""
    for kind, what in (("grey", "grey values"), ("phases", "phases")):
        if volume[f"{kind}_hash"] is None:
            return f"no {what}: peaks by phase need a file named like NAME_{kind} beside it"
    return None


def _typed(name: str, rows: pa.Table) -> pa.Table:
    schema = arrow_schema(TABLES[name])
    return rows.select(schema.names).cast(schema)


def _measured(
    store: "Store", volume: Volume, names: Mapping[int, str], input_hash: str
) -> dict[str, pa.Table]:
    grey, phases = (
        store.volume_store.open(kind, volume[f"{kind}_hash"]) for kind in ("grey", "phases")
    )
    found = phase_histograms(grey, phases)
    same = {"dataset": volume["dataset"], "volume_id": volume["volume_id"]}
    made = {"input_hash": input_hash, "code_version": PEAKS_CODE_VERSION}
    peaks = [{**same, **_peak_row(one, names), **made} for one in found]
    classes = [_class_rows(coarse(one, _CLASSES), same) for one in found]
    none = from_records(TABLES[_HISTOGRAMS], [])
    return {
        _PEAKS: from_records(TABLES[_PEAKS], peaks),
        _HISTOGRAMS: pa.concat_tables([none, *classes]),
    }


def _peak_row(one: Histogram, names: Mapping[int, str]) -> dict[str, object]:
    peak = peak_of(one)
    values = {
        "peak_grey": peak.position,
        "fwhm_grey": peak.fwhm,
        "grey_mean": peak.mean,
        "grey_std": peak.std,
    }
    return {
        "phase": one.phase,
        "phase_name": names.get(one.phase, f"phase {one.phase}"),
        "inner_voxels": int(one.counts.sum()),
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
    }


def _class_rows(one: Histogram, same: Mapping[str, object]) -> pa.Table:
    count = len(one.counts)
    told = {name: np.full(count, value, object) for name, value in same.items()}
    columns = {
        "phase": np.full(count, one.phase, np.int64),
        "bin": np.arange(1, count + 1),
        "bin_lower": one.grey - one.step / 2,
        "bin_upper": one.grey + one.step / 2,
        "count": one.counts,
    }
    return from_columns(TABLES[_HISTOGRAMS], {**told, **columns})
