"""Statistics of volumes and of specimens seen in images, from the particles in the store.

Out of scope: what is computed (`models.measure.electrode_statistics` of volumes,
`models.measure.section_statistics` of images).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.files import sha256
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.records import Record
from graindex.segmentation import phase_values
from graindex.stored_particles import StoredParticles
from models.measure.arrays import InvalidVolumeError
from models.measure.electrode_statistics import electrode_statistics
from models.measure.section_statistics import Sections, section_statistics
from schemas.arrow import arrow_schema, from_columns
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

STATISTICS_CODE_VERSION = "3"

Columns = dict[str, npt.NDArray[Any]]

_TABLE = "electrode_statistics"
_OF_VOLUMES = (
    "equivalent_diameter_um", "volume_um3", "touches_border", "damage", "detachment",
    "depth_fraction", "sphericity", "elongation", "contact_fraction", "packing_density",
    "distance_nearest_um", "voxels", "calibration_um", "segmentation_confidence",
)  # fmt: skip
_SHAPES = ("circularity", "aspect_ratio", "solidity")
_OF_IMAGES = (
    "equivalent_diameter_px", "feret_max_px", "touches_border", "segmentation_confidence", *_SHAPES
)  # fmt: skip
_WINDOW = ("content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px")


@dataclass(frozen=True, slots=True)
class _Entity:
    """What statistics are of.

    Attributes:
        entity: "volume", "specimen" or "collection".
        entity_id: its key.
        input_hash: hash of all that decides the statistics.
        compute: computes them.
    """

    entity: str
    entity_id: str
    input_hash: str
    compute: Callable[[], Columns]


def refresh_statistics(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the statistics of a collection's volumes and specimens up to date.

    A volume has statistics of its own. Images are pooled by specimen, those without one as the
    whole collection. What is segmented but not measured is refused, not taken for empty.
    """
    entities, refused = _entities(store, recipe)
    before = store.lake.read(_TABLE, recipe.dataset)
    kept = _still_true(before, [one.input_hash for one in entities])
    have = set(kept["input_hash"].unique().to_pylist())
    todo = [one for one in entities if one.input_hash not in have]
    tables = [kept]
    report(_TABLE, 0, len(todo))
    for done, one in enumerate(todo, start=1):
        try:
            tables.append(_rows(recipe.dataset, one))
        except InvalidVolumeError as error:
            refused[one.entity_id] = f"{error}; materialise the particles again"
        report(_TABLE, done, len(todo))
    rows = pa.concat_tables(tables)
    snapshot = store.lake.replace(
        {_TABLE: rows}, recipe.dataset, author=author, message=f"{_TABLE} of {recipe.dataset}"
    )
    wanted = pa.array([one.entity_id for one in entities], pa.string())
    stays = pc.sum(pc.is_in(before["entity_id"], value_set=wanted)).as_py() or 0
    return Outcome(
        rows=rows.num_rows,
        computed=rows.num_rows - kept.num_rows,
        kept=kept.num_rows,
        dropped=before.num_rows - stays,
        refused=refused,
        snapshot=snapshot,
    )


def inputs_of_statistics(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the statistics of each volume and specimen rest on now, by `entity_id`."""
    return {one.entity_id: one.input_hash for one in _entities(store, recipe)[0]}


def _still_true(before: pa.Table, hashes: list[str]) -> pa.Table:
    schema = arrow_schema(TABLES[_TABLE])
    fits = pc.and_(
        pc.is_in(before["input_hash"], value_set=pa.array(hashes, pa.string())),
        pc.equal(before["code_version"], STATISTICS_CODE_VERSION),
    )
    return before.filter(fits).select(schema.names).cast(schema)


def _rows(dataset: str, one: _Entity) -> pa.Table:
    columns = one.compute()
    count = len(columns["statistic"])
    same = {
        "dataset": dataset,
        "entity": one.entity,
        "entity_id": one.entity_id,
        "input_hash": one.input_hash,
        "code_version": STATISTICS_CODE_VERSION,
    }
    told = {name: np.full(count, value, object) for name, value in same.items()}
    return from_columns(TABLES[_TABLE], {**columns, **told, "bin": _bins(columns)})


def _bins(columns: Columns) -> npt.NDArray[np.int64]:
    """Number of the class within its statistic, from 1; 0 of all."""
    lower, statistic = columns["bin_lower"], columns["statistic"]
    bins = np.zeros(len(lower), np.int64)
    for name in set(statistic[np.isfinite(lower)]):
        places = np.flatnonzero((statistic == name) & np.isfinite(lower))
        bins[places[np.argsort(lower[places])]] = np.arange(1, len(places) + 1)
    return bins


def _entities(store: "Store", recipe: Recipe) -> tuple[list[_Entity], dict[str, str]]:
    """All there is, and what was segmented but not measured, by id."""
    refused: dict[str, str] = {}
    return [*_volumes(store, recipe, refused), *_specimens(store, recipe, refused)], refused


def _volumes(store: "Store", recipe: Recipe, refused: dict[str, str]) -> list[_Entity]:
    columns = ("volume_id", "label_volume", "particle_count")
    labels = store.lake.read("particle_labels_3d", recipe.dataset, columns=columns).to_pylist()
    if not labels:
        return []
    volumes = {
        row["volume_id"]: row for row in store.lake.read("volumes", recipe.dataset).to_pylist()
    }
    phases: dict[str, dict[int, int]] = defaultdict(dict)
    for row in store.lake.read("volume_phases", recipe.dataset).to_pylist():
        phases[row["volume_id"]][row["phase"]] = row["phase_voxels"]
    particles = StoredParticles(store, "particles_3d", "volume_id", recipe.dataset, _OF_VOLUMES)
    entities = []
    for label in labels:
        key = label["volume_id"]
        if key not in volumes:
            continue
        problem = particles.unmeasured(key, label["particle_count"])
        if problem is not None:
            refused[key] = problem
            continue
        volume = volumes[key] | label
        entities.append(_volume(recipe, volume, phases.get(key), particles))
    return entities


def _volume(
    recipe: Recipe, volume: Record, phases: Mapping[int, int] | None, particles: StoredParticles
) -> _Entity:
    key = str(volume["volume_id"])
    spacing = [float(str(volume[f"voxel_size_{axis}_um"])) for axis in "zyx"]
    size = [int(str(volume[f"size_{axis}_voxels"])) for axis in "zyx"]
    names = phase_names(recipe)
    pore = recipe.volumes.pore_phase
    pore = pore if phases is not None and pore is not None and names[pore] == "pore" else None

    def compute() -> Columns:
        _, columns = particles.of([key])
        if not np.all(columns["calibration_um"] == spacing[0]):
            raise InvalidVolumeError("its particles are in µm of another voxel size")
        body = int(columns["voxels"].sum())
        voxels, told = {0: math.prod(size) - body, 1: body}, {0: "background", 1: "particles"}
        if phases is not None:
            voxels, told = _by_name(phases, names), names
        return electrode_statistics(
            columns, voxels, spacing_um=spacing, phase_names=told, pore_phase=pore
        )

    decides = (
        volume["label_volume"],
        spacing,
        size,
        phases if phases is None else sorted(phases.items()),
        pore,
        sorted(names.items()),
    )
    input_hash = sha256(key, particles.digest(key), *map(str, decides))
    return _Entity("volume", key, input_hash, compute)


def phase_names(recipe: Recipe) -> dict[int, str]:
    """Names of phase values; what the user calls particle is not taken for anything else."""
    names = {recipe.measurement.phase_binder: "carbon_binder"}
    if recipe.volumes.pore_phase is not None:
        names[recipe.volumes.pore_phase] = "pore"
    return names | dict.fromkeys(phase_values(recipe.segmentation) or (), "particles")


def _by_name(phases: Mapping[int, int], names: Mapping[int, str]) -> dict[int, int]:
    """Voxels by phase value; values of the same name are one, under the least of them."""
    voxels: dict[int, int] = {}
    first: dict[str, int] = {}
    for value in sorted(phases):
        kept = first.setdefault(names.get(value, str(value)), value)
        voxels[kept] = voxels.get(kept, 0) + phases[value]
    return voxels


def _specimens(store: "Store", recipe: Recipe, refused: dict[str, str]) -> list[_Entity]:
    columns = ("micrograph_id", "mask", "particle_count")
    masks = store.lake.read("particle_masks_2d", recipe.dataset, columns=columns).to_pylist()
    if not masks:
        return []
    names = ("micrograph_id", "sample_id", "pixel_size_um", *_WINDOW)
    rows = store.lake.read("micrographs", recipe.dataset, columns=names).to_pylist()
    images = {row["micrograph_id"]: row for row in rows}
    particles = StoredParticles(store, "particles_2d", "micrograph_id", recipe.dataset, _OF_IMAGES)
    groups: dict[str | None, list[Record]] = defaultdict(list)
    for mask in masks:
        key = mask["micrograph_id"]
        problem = particles.unmeasured(key, mask["particle_count"])
        if key in images and problem is not None:
            refused[key] = problem
        elif key in images:
            groups[images[key]["sample_id"]].append(images[key] | mask)
    return [_specimen(recipe.dataset, sample, group, particles) for sample, group in groups.items()]


def _specimen(
    dataset: str, sample: str | None, images: list[Record], particles: StoredParticles
) -> _Entity:
    entity, key = ("collection", dataset) if sample is None else ("specimen", sample)
    ids = [str(image["micrograph_id"]) for image in images]

    def compute() -> Columns:
        number, columns = particles.of(ids)
        x0, y0, x1, y1 = (np.array([i[name] for i in images], np.float64) for name in _WINDOW)
        sections = Sections(
            image=number,
            diameter_px=columns["equivalent_diameter_px"],
            feret_px=columns["feret_max_px"],
            shapes={name: columns[name] for name in _SHAPES},
            touches_border=columns["touches_border"],
            confidence=columns["segmentation_confidence"],
            pixel_size_um=np.array([image["pixel_size_um"] for image in images], np.float64),
            window_px=np.stack([y1 - y0, x1 - x0], axis=1),
        )
        return section_statistics(sections)

    decides = [
        (
            image["mask"],
            image["pixel_size_um"],
            *(image[name] for name in _WINDOW),
            particles.digest(one),
        )
        for image, one in zip(images, ids, strict=True)
    ]
    input_hash = sha256(key, *map(str, sorted(decides, key=str)))
    return _Entity(entity, key, input_hash, compute)
