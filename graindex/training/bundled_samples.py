"""What names the specimens of a part of a collection again: its label pattern and a table.

Out of scope: writing bundles (`graindex.training.bundle`).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from graindex.errors import CollectionError
from graindex.labels import Labelling, label
from graindex.recipes import make_recipe
from graindex.sample_table import SAMPLE_KEY, SampleTable, read_sample_table
from models.calibrate.readings import Source

if TYPE_CHECKING:
    from graindex.store import Store

Record = Mapping[str, Any]


@dataclass(frozen=True)
class BundledSamples:
    """What labels the images of a bundle as they are labelled in their store.

    Attributes:
        label_pattern: of the collection's recipe.
        declared_pixel_size_um: of the collection's recipe.
        table: a samples table as CSV; None where the paths say all.
        renamed: whether specimens get other ids: what named them is gone, and the table was
            written from the catalog.
    """

    label_pattern: str | None
    declared_pixel_size_um: float | None
    table: bytes | None
    renamed: bool = False


def bundled_samples(
    store: "Store", declared: Record, images: Sequence[Record], as_of: int
) -> BundledSamples:
    """What names the specimens of these images again, with the same ids where that can be.

    Args:
        store: the store.
        declared: the collection's row of `datasets`.
        images: rows of `micrographs`.
        as_of: snapshot of both.
    """
    samples = store.lake.read("samples", declared["dataset"], as_of=as_of).to_pylist()
    of_path = {row["path"]: row["sample_id"] for row in images}
    names = {row["sample_id"]: row for row in samples}
    pattern, size = declared["label_pattern"], declared["declared_pixel_size_um"]
    recipe = make_recipe(dataset=declared["dataset"], location_uri=".", label_pattern=pattern)
    try:
        table = _part_of_table(declared["samples_uri"], of_path, names)
        labelling = label(recipe, list(of_path), table)
    except CollectionError:
        labelling = None  # the table is gone, or was made unreadable
    if labelling is not None and _names_the_same(labelling, of_path, names):
        written = None if table is None else _written(table.key, table.rows)
        return BundledSamples(pattern, size, written)
    readings = store.lake.read("acquisition_readings", declared["dataset"], as_of=as_of)
    rows = _rows_from_catalog(images, names, readings.to_pylist())
    return BundledSamples(None, None, _written("path", rows), renamed=True)


def _part_of_table(
    uri: str | None, of_path: Mapping[str, str | None], names: Mapping[str, Record]
) -> SampleTable | None:
    """The rows of a collection's table that are of these images or their specimens."""
    if uri is None:
        return None
    whole = read_sample_table(uri)
    if whole.key == SAMPLE_KEY:
        wanted = {names[key]["sample"] for key in of_path.values() if key and key in names}
    else:
        wanted = {*of_path, *(PurePosixPath(path).name for path in of_path)}
    return SampleTable(whole.key, {key: row for key, row in whole.rows.items() if key in wanted})


def _names_the_same(
    labelling: Labelling, of_path: Mapping[str, str | None], names: Mapping[str, Record]
) -> bool:
    """Whether each image gets its specimen, and each specimen its labels."""
    same_ids = all(labelling.sample_ids.get(path) == key for path, key in of_path.items())
    return same_ids and all(
        names[str(record["sample_id"])].get(name) == value
        for record in labelling.samples
        if record["sample_id"] in names
        for name, value in record.items()
    )


def _rows_from_catalog(
    images: Sequence[Record], names: Mapping[str, Record], readings: Sequence[Record]
) -> dict[str, dict[str, str]]:
    """Labels of each image by path, as the catalog has them."""
    plain = {"dataset", "sample_id", "sample", "input_hash", "code_version"}
    said: dict[str, dict[str, str]] = {}
    for reading in readings:
        if reading["reading_source"] == Source.USER:
            values = (reading["value_number"], reading["value_text"], reading["value_time"])
            text = next(str(value) for value in values if value is not None)
            said.setdefault(reading["micrograph_id"], {})[reading["quantity"]] = text
    rows: dict[str, dict[str, str]] = {}
    titles = [row["sample"] for row in names.values()]
    for image in images:
        specimen = names.get(image["sample_id"])
        if specimen is None:
            continue  # a row of its own would make it a specimen
        row = {k: str(v) for k, v in specimen.items() if k not in plain and v is not None}
        title, unique = specimen["sample"], titles.count(specimen["sample"]) == 1
        row[SAMPLE_KEY] = title if unique else f"{title} {specimen['sample_id']}"
        rows[image["path"]] = row | said.get(image["micrograph_id"], {})
    return rows


def _written(key: str, rows: Mapping[str, Mapping[str, str]]) -> bytes:
    columns = sorted({name for row in rows.values() for name in row})
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [key, *columns], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: name, **row} for name, row in sorted(rows.items()))
    return sink.getvalue().encode()
