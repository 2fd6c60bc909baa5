"""Examinations to rows and back, so that what was computed once is never computed again.

Out of scope: deciding what to compute (`graindex.catalogue`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from graindex.examine import Examination, Source
from graindex.files import sha256
from graindex.labels import LABEL_FINDINGS, Labelling
from graindex.recipes import Recipe
from models.calibrate.readings import Finding, Quantity, Reading
from models.calibrate.readings import Source as ReadingSource
from models.calibrate.reconcile import reconcile

Record = dict[str, object]
CATALOGUE_TABLES = ("micrographs", "acquisition_readings", "findings", "quarantine")

_FACTS = (
    "page", "content_hash", "sidecar_uri", "file_format", "colour_mode", "width_px", "height_px",
    "bit_depth", "bits_used", "nonfinite_pixels", "content_x0_px", "content_y0_px",
    "content_x1_px", "content_y1_px", "thumbnail", "input_hash", "code_version",
)  # fmt: skip
_DISAGREEMENT = "_disagreement"


@dataclass
class Rows:
    """Rows of the catalogue's tables, still as records."""

    micrographs: list[Record] = field(default_factory=list)
    acquisition_readings: list[Record] = field(default_factory=list)
    findings: list[Record] = field(default_factory=list)
    quarantine: list[Record] = field(default_factory=list)

    def tables(self) -> dict[str, list[Record]]:
        """The records by table name."""
        return {name: getattr(self, name) for name in CATALOGUE_TABLES}

    def __bool__(self) -> bool:
        return any(self.tables().values())


def add_examinations(
    rows: Rows,
    source: Source,
    examinations: Iterable[Examination],
    recipe: Recipe,
    labelling: Labelling,
) -> None:
    """Append the rows of one file's frames, the best of all readings chosen."""
    original = source.original
    for seen in examinations:
        page = seen.facts["page"]
        key = micrograph_key(recipe.dataset, source.content_hash, page)
        identity: Record = {"dataset": recipe.dataset, "micrograph_id": key}
        readings = (*_declared(recipe, labelling, original.path), *seen.readings)
        chosen = reconcile(readings)
        rows.micrographs.append(
            {
                **identity,
                "sample_id": labelling.sample_ids.get(original.path),
                "path": original.path,
                "uri": original.uri,
                "file_size_bytes": original.size_bytes,
                "file_modified_at": original.modified_at,
                "modality": recipe.modality,
                **seen.facts,
                **_chosen_columns(chosen.chosen),
            }
        )
        rows.acquisition_readings += [
            {**identity, **record} for record in _reading_records(readings, chosen.chosen)
        ]
        notes = dict.fromkeys(
            (*seen.findings, *labelling.findings.get(original.path, ()), *chosen.findings)
        )
        rows.findings += [
            {**identity, "finding": note.kind, "detail": note.detail} for note in notes
        ]


def micrograph_key(dataset: str, content_hash: str, page: object) -> str:
    """Key of a frame: the same for the same bytes in a collection of the same name."""
    return sha256(dataset, content_hash, str(page))[:16]


def refusal_record(
    recipe: Recipe, path: str, uri: str, reason: str, source: Source | None, code_version: str
) -> Record:
    """Row of the quarantine; without a source the file could not even be read."""
    record: Record = {
        "dataset": recipe.dataset,
        "path": path,
        "uri": uri,
        "reason": reason,
        "code_version": code_version,
    }
    if source is not None:
        record |= {
            "content_hash": source.content_hash,
            "file_size_bytes": source.original.size_bytes,
            "file_modified_at": source.original.modified_at,
            "input_hash": source.input_hash,
        }
    return record


def examinations_in(tables: Mapping[str, pa.Table]) -> dict[tuple[str, str], list[Examination]]:
    """Examinations by input hash and code version, read back from rows."""
    readings: dict[str, list[Reading]] = {}
    for row in tables["acquisition_readings"].to_pylist():
        if row["reading_source"] != ReadingSource.USER:
            readings.setdefault(row["micrograph_id"], []).append(_reading(row))
    findings: dict[str, list[Finding]] = {}
    for row in tables["findings"].to_pylist():
        if row["finding"] not in LABEL_FINDINGS and not row["finding"].endswith(_DISAGREEMENT):
            note = Finding(row["finding"], row["detail"])
            findings.setdefault(row["micrograph_id"], []).append(note)
    found: dict[tuple[str, str], dict[int, Examination]] = {}
    for row in tables["micrographs"].to_pylist():
        key = row["micrograph_id"]
        seen = Examination(
            {name: row[name] for name in _FACTS},
            tuple(dict.fromkeys(readings.get(key, ()))),
            tuple(dict.fromkeys(findings.get(key, ()))),
        )
        pages = found.setdefault((row["input_hash"], row["code_version"]), {})
        pages[row["page"]] = seen
    return {key: [pages[page] for page in sorted(pages)] for key, pages in found.items()}


def _declared(recipe: Recipe, labelling: Labelling, path: str) -> Sequence[Reading]:
    """What the user said of an image; a label of its own outranks the collection's."""
    own = labelling.readings.get(path, ())
    declared = recipe.declared_pixel_size_um
    if declared is None or any(r.quantity is Quantity.PIXEL_SIZE_UM for r in own):
        return own
    detail = "given for the collection"
    return (*own, Reading(Quantity.PIXEL_SIZE_UM, ReadingSource.USER, declared, detail=detail))


def _chosen_columns(chosen: Mapping[Quantity, Reading]) -> Record:
    columns: Record = {quantity.value: reading.value for quantity, reading in chosen.items()}
    size = chosen.get(Quantity.PIXEL_SIZE_UM)
    if size is not None:
        columns["pixel_size_source"] = size.source.value
        columns["pixel_size_uncertainty_um"] = size.uncertainty
    return columns


def _reading_records(
    readings: Iterable[Reading], chosen: Mapping[Quantity, Reading]
) -> Iterable[Record]:
    for reading in dict.fromkeys(readings):
        value = reading.value
        yield {
            "quantity": reading.quantity.value,
            "reading_source": reading.source.value,
            "value_number": float(value) if isinstance(value, int | float) else None,
            "value_text": value if isinstance(value, str) else None,
            "value_time": value if isinstance(value, datetime) else None,
            "uncertainty": reading.uncertainty,
            "confidence": reading.confidence,
            "used": chosen.get(reading.quantity) == reading,
            "detail": reading.detail,
        }


def _reading(row: Mapping[str, object]) -> Reading:
    values = (row["value_number"], row["value_text"], row["value_time"])
    value = next(value for value in values if value is not None)
    assert isinstance(value, float | str | datetime)
    uncertainty, confidence = row["uncertainty"], row["confidence"]
    return Reading(
        Quantity(str(row["quantity"])),
        ReadingSource(str(row["reading_source"])),
        value,
        uncertainty if isinstance(uncertainty, float) else None,
        confidence if isinstance(confidence, float) else None,
        str(row["detail"]),
    )
