"""Drift: whether brightness, sharpness, calibration or content of images differ between parts.

Out of scope: which parts (`graindex.drift_parts`) and the statistics
(`models.measure.distribution_shift`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.drift_parts import Parts, parts_of
from graindex.files import sha256
from graindex.label_issues import vectors_by_image
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.vector_history import index_as_of
from models.learn.label_noise import principal_directions
from models.measure.distribution_shift import (
    MIN_ROWS,
    SHIFT_CODE_VERSION,
    SIGNIFICANCE,
    STABILITY_THRESHOLD,
    Shift,
    holm,
    shift,
    trend,
)
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

DRIFT_CODE_VERSION = f"1+shift.{SHIFT_CODE_VERSION}"
TABLE = "drift"

NUMBERS = (
    "brightness_mean",
    "contrast_std",
    "sharpness_tenengrad",
    "noise_std",
    "pixel_size_um",
)
"""Columns of `micrograph_catalog` that are compared."""

COMPONENTS = 3
"""Principal components of the vectors of both parts that are compared."""

SAME_SPREAD = 0.05
"""Relative spread within which pixel sizes are one: measured bars differ by a per mille."""

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One variable of two parts.

    Attributes:
        parts: the two parts.
        variable: what is compared.
        values: of the part, finite.
        others: of the reference, finite.
    """

    parts: Parts
    variable: str
    values: Floats
    others: Floats


@dataclass(frozen=True, slots=True)
class _Inputs:
    """All that decides the drift of a collection.

    Attributes:
        parts: what is compared.
        numbers: values of `NUMBERS` of each image.
        datasets: collections that these images are of.
        hashes: hash of all that decides the comparison of each part, by `compared`.
    """

    parts: list[Parts]
    numbers: dict[str, Floats]
    datasets: tuple[str, ...]
    hashes: dict[str, str]


def refresh_drift(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the drift of a collection up to date.

    All of it is compared again when anything changed, since its tests are corrected for each other.

    Raises:
        QueryError: vectors are gone.
    """
    dataset = recipe.dataset
    inputs = _inputs(store, dataset)
    before = store.lake.read(TABLE, dataset)
    columns = ("compared", "input_hash", "code_version")
    origins = set(zip(*(before[name].to_pylist() for name in columns), strict=True))
    if origins == {(*pair, DRIFT_CODE_VERSION) for pair in inputs.hashes.items()}:
        return Outcome(before.num_rows, 0, before.num_rows, 0, {}, store.snapshot())
    records = _records(dataset, inputs, list(_compared(store, inputs)))
    rows = from_records(TABLES[TABLE], records)
    snapshot = store.lake.replace(
        {TABLE: rows}, dataset, author=author, message=f"{TABLE} of {dataset}"
    )
    gone = set(before["compared"].to_pylist()) - {parts.compared for parts in inputs.parts}
    dropped = sum(name in gone for name in before["compared"].to_pylist())
    return Outcome(len(records), len(records), 0, dropped, {}, snapshot)


def inputs_of_drift(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the rows of each part rest on now, by `compared`."""
    return _inputs(store, recipe.dataset).hashes


def strongest(store: "Store", dataset: str, count: int) -> list[tuple[Compared, Shift]]:
    """What differs most in a collection, with its values, for figures."""
    found = [(one, shift(one.values, one.others)) for one in compared_in(store, dataset)]
    found.sort(key=lambda pair: (pair[1].ks_p_value, -pair[1].ks_statistic))
    return found[:count]


def compared_in(store: "Store", dataset: str) -> list[Compared]:
    """All variables that are compared within a collection."""
    return list(_compared(store, _inputs(store, dataset)))


def _inputs(store: "Store", dataset: str) -> _Inputs:
    parts = parts_of(store, dataset, MIN_ROWS)
    wanted = {one for each in parts for one in (*each.ids, *each.others)}
    numbers, datasets = _numbers(store, wanted) if wanted else ({}, ())
    vectors: dict[str, str] = {}
    for name in datasets:
        index = index_as_of(store, name, None)
        columns = (index[column].to_pylist() for column in ("micrograph_id", "vector_hash"))
        vectors |= dict(zip(*columns, strict=True))
    images = {key: f"{key} {row.tolist()} {vectors.get(key)}" for key, row in numbers.items()}
    decides: dict[str, list[str]] = {}
    for each in parts:
        lines = decides.setdefault(each.compared, [])
        lines += [images[one] for one in each.ids]
        lines += [each.reference, *(images[one] for one in each.others)]
    hashes = {compared: sha256(*lines) for compared, lines in decides.items()}
    return _Inputs(parts, numbers, datasets, hashes)


def _numbers(store: "Store", wanted: set[str]) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Values of `NUMBERS` of some images, and the collections that they are of."""
    rows = store.table(
        f"SELECT dataset, micrograph_id, {', '.join(NUMBERS)} FROM micrograph_catalog"
    )
    rows = rows.filter(pc.is_in(rows["micrograph_id"], value_set=pa.array(sorted(wanted))))
    columns = [rows[name].cast(pa.float64()).to_numpy() for name in NUMBERS]
    values = np.stack(columns, axis=1).astype(np.float64)
    datasets = tuple(sorted(set(rows["dataset"].to_pylist())))
    return dict(zip(rows["micrograph_id"].to_pylist(), values, strict=True)), datasets


def _compared(store: "Store", inputs: _Inputs) -> Iterator[Compared]:
    vectors: dict[str, Vectors] = {}
    if any(not parts.over_time for parts in inputs.parts):
        for name in inputs.datasets:
            vectors |= vectors_by_image(store, name)
    for done, parts in enumerate(inputs.parts, start=1):
        values, others = (
            np.stack([inputs.numbers[one] for one in side]) for side in (parts.ids, parts.others)
        )
        for column, variable in enumerate(NUMBERS):
            yield from _usable(parts, variable, values[:, column], others[:, column])
        if not parts.over_time:
            yield from _components(parts, vectors)
        report(TABLE, done, len(inputs.parts))


def _components(parts: Parts, vectors: Mapping[str, Vectors]) -> Iterator[Compared]:
    """Coordinates of both parts along the directions in which all their vectors differ most."""
    sides = [[vectors[one] for one in side if one in vectors] for side in (parts.ids, parts.others)]
    if min(map(len, sides)) < MIN_ROWS or len({len(one) for side in sides for one in side}) > 1:
        return  # too few, or vectors of several encoders
    x = np.stack([*sides[0], *sides[1]]).astype(np.float64)
    along = principal_directions(x, COMPONENTS)
    border = len(sides[0])
    for column in range(along.shape[1]):
        name = f"principal component {column + 1} of vectors"
        yield from _usable(parts, name, along[:border, column], along[border:, column])


def _usable(parts: Parts, variable: str, values: Floats, others: Floats) -> Iterator[Compared]:
    """The two sides, where there are enough numbers and they are not all the same."""
    values, others = values[np.isfinite(values)], others[np.isfinite(others)]
    if min(len(values), len(others)) < MIN_ROWS:
        return
    both = np.concatenate((values, others))
    same = SAME_SPREAD * np.median(both) if variable == "pixel_size_um" else 0.0
    if np.ptp(both) > same:
        yield Compared(parts, variable, values, others)


def _records(
    dataset: str, inputs: _Inputs, compared: Sequence[Compared]
) -> list[dict[str, object]]:
    shifts = [shift(one.values, one.others) for one in compared]
    p_values = holm([found.ks_p_value for found in shifts])
    trends = _trends(compared)
    return [
        {
            "dataset": dataset,
            "compared": one.parts.compared,
            "reference": one.parts.reference,
            "variable": one.variable,
            "stability_index": found.stability_index,
            "ks_statistic": found.ks_statistic,
            "ks_p_value": p_value,
            "trend": rank,
            "trend_p_value": trend_p_value,
            "row_count": len(one.values),
            "alarm": (found.stability_index > STABILITY_THRESHOLD and p_value < SIGNIFICANCE)
            or (trend_p_value is not None and trend_p_value < SIGNIFICANCE),
            "input_hash": inputs.hashes[one.parts.compared],
            "code_version": DRIFT_CODE_VERSION,
        }
        for one, found, p_value, (rank, trend_p_value) in zip(
            compared, shifts, p_values, trends, strict=True
        )
    ]


def _trends(compared: Sequence[Compared]) -> list[tuple[float | None, float | None]]:
    """Trend over time and its corrected p-value; None of what is not in the order of time."""
    found = {
        i: trend(np.concatenate((one.others, one.values)))
        for i, one in enumerate(compared)
        if one.parts.over_time
    }
    p_values = dict(zip(found, holm([p_value for _, p_value in found.values()]), strict=True))
    return [
        (found[i][0], p_values[i]) if i in found else (None, None) for i in range(len(compared))
    ]
