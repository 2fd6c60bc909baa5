"""Table `image_faults`: figures of each image that blur, emptiness and charging show in.

Out of scope: which of them are too far from the rest (`graindex.image_checks`).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa

from graindex.checkpoint import Checkpoint
from graindex.derive import inputs_of_images
from graindex.kept_rows import distinct, standing
from graindex.originals import load_content
from graindex.outcome import Outcome
from graindex.per_image import each_image
from graindex.records import Record
from models.measure.image_faults import FAULTS_CODE_VERSION, image_faults
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

TABLE = "image_faults"


def refresh_faults(store: "Store", dataset: str, *, author: str) -> Outcome:
    """Bring the figures of a collection's images up to date.

    Raises:
        HomeError: the store cannot be written.
    """
    wanted = inputs_of_images(store, dataset)
    before = store.lake.read(TABLE, dataset)
    work = Checkpoint(store.location, TABLE, dataset)
    kept = standing(before, "micrograph_id", wanted, FAULTS_CODE_VERSION)
    saved = standing(work.load(TABLE), "micrograph_id", wanted, FAULTS_CODE_VERSION)
    known = distinct(
        pa.concat_tables([kept, saved], promote_options="permissive"), ("micrograph_id",)
    )
    have = set(known["micrograph_id"].to_pylist())
    images = store.lake.read("micrographs", dataset).to_pylist()
    todo = [image for image in images if image["micrograph_id"] not in have]
    limits = store.limits

    def measure(image: Record) -> Record:
        key = str(image["micrograph_id"])
        return {
            "dataset": dataset,
            "micrograph_id": key,
            **asdict(image_faults(load_content(image, limits))),
            "input_hash": wanted[key],
            "code_version": FAULTS_CODE_VERSION,
        }

    records, refused = each_image(store.location, TABLE, dataset, todo, measure, _rows)
    rows = pa.concat_tables([known, _rows(records)], promote_options="permissive")
    snapshot = store.lake.replace(
        {TABLE: rows}, dataset, author=author, message=f"{TABLE} of {dataset}"
    )
    work.clear()
    gone = len(set(before["micrograph_id"].to_pylist()) - wanted.keys())
    computed = rows.num_rows - kept.num_rows
    return Outcome(rows.num_rows, computed, kept.num_rows, gone, refused, snapshot)


def _rows(records: list[Record]) -> pa.Table:
    return from_records(TABLES[TABLE], records)
