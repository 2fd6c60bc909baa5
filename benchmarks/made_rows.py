"""Homes of made rows that keep every rule, as large as wanted, for benchmarks of what reads rows.

Out of scope: what is measured of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from graindex.recipes import Recipe
    from graindex.store import Store

DATASET = "made"
PARTICLES, IMAGES, PARENTS = 1_000_000, 10_000, 100
PIXEL_UM, VOXEL_UM = 0.1, 0.2
_HASH = "ab" * 32
Column = npt.NDArray[Any]
Record = dict[str, Any]


def ids(prefix: int, count: int) -> Column:
    """Keys of the form that the dictionary asks for."""
    return np.array([f"{prefix:04x}{n:012x}" for n in range(count)], object)


def made(table: str, count: int, **given: object) -> "pa.Table":
    """Rows that keep the rules of a table: given columns, and values within their bounds."""
    from schemas.arrow import from_columns
    from schemas.fields import Field, Kind
    from schemas.tables import TABLES

    random = np.random.default_rng(0)

    def values(field: Field) -> Column | None:
        lower = 0.0 if field.lower is None else field.lower
        upper = lower + 1 if field.upper is None else field.upper
        if field.name in given:
            value = given[field.name]
            return value if isinstance(value, np.ndarray) else np.full(count, value, object)
        if field.kind is Kind.NUMBER:
            return random.uniform(lower + (upper - lower) / 4, upper, count)
        if field.kind is Kind.INTEGER:
            return np.full(count, max(1, int(lower)))
        if field.kind is Kind.BOOLEAN:
            return np.zeros(count, np.bool_)
        if field.kind is Kind.TEXT and field.name in TABLES[table].never_null:
            text = field.values[0] if field.values else _HASH if field.pattern else "made"
            return np.full(count, text, object)
        return None

    columns = {field.name: values(field) for field in TABLES[table].fields}
    return from_columns(
        TABLES[table], {name: column for name, column in columns.items() if column is not None}
    )


def _home(home: Path) -> "tuple[Store, Recipe]":
    """A home with one registered collection, whose folder is beside it."""
    from graindex.recipes import make_recipe, save_recipe
    from graindex.store import init_store

    files = home.with_name(f"{home.name}_files")
    files.mkdir()
    store = init_store(home)
    options = {"conduction": False}
    recipe = make_recipe(dataset=DATASET, location_uri=str(files), measurement=options)
    save_recipe(store.location, recipe)
    return store, recipe


def _put(store: "Store", **tables: "pa.Table") -> None:
    store.lake.replace(tables, DATASET, author="benchmark", message="made")


def _origin(store: "Store", recipe: "Recipe", asset: str, parents: Column) -> dict[str, object]:
    """Input hash of the row of each parent, and code version, as they would be computed now."""
    from graindex.freshness import DERIVED

    wanted: Mapping[str, str] = DERIVED[asset].inputs(store, recipe)
    hashes = np.array([wanted[parent] for parent in parents.tolist()], object)
    return {"input_hash": hashes, "code_version": DERIVED[asset].code_version}


def _images(count: int, files: Path) -> "pa.Table":
    from graindex.examine import CODE_VERSION

    paths = np.array([f"{n}.tif" for n in range(count)], object)
    for path in paths:
        (files / path).touch()
    return made(
        "micrographs",
        count,
        dataset=DATASET,
        micrograph_id=ids(1, count),
        path=paths,
        sample_id=ids(2, PARENTS)[np.arange(count) % PARENTS],
        pixel_size_um=np.full(count, PIXEL_UM),
        magnification=np.full(count, 500.0),
        code_version=CODE_VERSION,
    )


def write_images(store: "Store", recipe: "Recipe", count: int) -> None:
    """Images with specimens, quality, vectors and masks without particles, all up to date."""
    from graindex.catalogue import DATASETS_CODE_VERSION, SAMPLES_CODE_VERSION, dataset_input_hash
    from graindex.scan import list_collection

    files = Path(recipe.location_uri)
    images = _images(count, files)
    of_all = {"dataset": DATASET, "micrograph_id": ids(1, count)}
    listed = dataset_input_hash(recipe, list_collection(str(files)))
    version = {"dataset": DATASET, "code_version": SAMPLES_CODE_VERSION}
    _put(
        store,
        micrographs=images,
        samples=made("samples", PARENTS, sample_id=ids(2, PARENTS), **version),
        datasets=made(
            "datasets",
            1,
            dataset=DATASET,
            kind="micrographs",
            location_uri=str(files),
            registered_at=np.array([recipe.registered_at]),
            input_hash=listed,
            code_version=DATASETS_CODE_VERSION,
        ),
    )
    for table in ("image_quality", "particle_masks_2d"):
        origin = _origin(store, recipe, table, ids(1, count))
        more = {"particle_count": np.zeros(count, int)} if "masks" in table else {}
        _put(store, **{table: made(table, count, **of_all, **origin, **more)})
    _write_vectors(store, recipe, count)


def _write_vectors(store: "Store", recipe: "Recipe", count: int) -> None:
    import pyarrow as pa

    width = store.encoder.dimension
    vectors = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    origin = _origin(store, recipe, "micrograph_vectors", ids(1, count))
    rows = {
        "micrograph_id": ids(1, count),
        "dataset": [DATASET] * count,
        "encoder_id": [store.encoder_id] * count,
        "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), width),
        "vector_norm": np.ones(count),
        "input_hash": origin["input_hash"],
        "code_version": [origin["code_version"]] * count,
    }
    store.vectors.upsert(store.settings.encoder.vector_table, pa.table(rows), width)


def make_images(home: Path, count: int = IMAGES) -> list[Record]:
    """A home with images."""
    store, recipe = _home(home)
    write_images(store, recipe, count)
    return []


def make_particles(home: Path) -> list[Record]:
    """A home with two tables of a million particles, and contacts of half of them."""
    from graindex.examine import CODE_VERSION

    store, recipe = _home(home)
    parents = ids(1, PARENTS)
    images = made(
        "micrographs",
        PARENTS,
        dataset=DATASET,
        micrograph_id=parents,
        pixel_size_um=np.full(PARENTS, PIXEL_UM),
        code_version=CODE_VERSION,
    )
    spacing = {f"voxel_size_{axis}_um": np.full(PARENTS, VOXEL_UM) for axis in "zyx"}
    hashed = {"labels_hash": _HASH, **spacing}
    volumes = made("volumes", PARENTS, dataset=DATASET, volume_id=parents, **hashed)
    _put(store, micrographs=images, volumes=volumes)
    each = np.full(PARENTS, PARTICLES // PARENTS)
    for table, entity in (
        ("particle_masks_2d", "micrograph_id"),
        ("particle_labels_3d", "volume_id"),
    ):
        origin = _origin(store, recipe, table, parents)
        told = {"dataset": DATASET, entity: parents, "particle_count": each, **origin}
        _put(store, **{table: made(table, PARENTS, **told)})
    of_parent = np.repeat(parents, PARTICLES // PARENTS)
    _put(store, particles_2d=_particles_2d(store, recipe, of_parent))
    _put(store, particles_3d=_particles_3d(store, recipe, of_parent))
    _put(store, contacts=_contacts(store, recipe, of_parent))
    return []


def _labels() -> Column:
    return np.tile(np.arange(1, PARTICLES // PARENTS + 1), PARENTS)


def _particles_2d(store: "Store", recipe: "Recipe", of_image: Column) -> "pa.Table":
    random = np.random.default_rng(1)
    pixels = random.integers(50, 5000, PARTICLES)
    diameter = np.sqrt(4 / np.pi * pixels)
    return made(
        "particles_2d",
        PARTICLES,
        dataset=DATASET,
        micrograph_id=of_image,
        particle_id=ids(3, PARTICLES),
        label=_labels(),
        pixels=pixels,
        area_px2=pixels.astype(float),
        area_um2=pixels * PIXEL_UM**2,
        equivalent_diameter_px=diameter,
        equivalent_diameter_um=diameter * PIXEL_UM,
        circularity=random.uniform(0.5, 1, PARTICLES),
        **_origin(store, recipe, "particles_2d", of_image),
    )


def _particles_3d(store: "Store", recipe: "Recipe", of_volume: Column) -> "pa.Table":
    random = np.random.default_rng(2)
    voxels = random.integers(50, 5000, PARTICLES)
    body = voxels * VOXEL_UM**3
    crack = body * random.uniform(0, 0.2, PARTICLES)
    volume = body + crack
    wadell = random.uniform(0.5, 0.9, PARTICLES)
    outer = np.cbrt(36 * np.pi * volume**2) / wadell
    return made(
        "particles_3d",
        PARTICLES,
        dataset=DATASET,
        volume_id=of_volume,
        particle_id=ids(4, PARTICLES),
        label=_labels(),
        voxels=voxels,
        body_volume_um3=body,
        crack_volume_um3=crack,
        volume_um3=volume,
        damage=crack / volume,
        surface_outer_um2=outer,
        surface_inner_um2=0.1 * outer,
        sphericity=36 * np.pi * volume**2 / (1.1 * outer) ** 3,
        sphericity_wadell=wadell,
        **_origin(store, recipe, "particles_3d", of_volume),
    )


def _contacts(store: "Store", recipe: "Recipe", of_volume: Column) -> "pa.Table":
    first = np.flatnonzero(_labels() % 2)
    keys, labels = ids(4, PARTICLES), _labels()
    return made(
        "contacts",
        len(first),
        dataset=DATASET,
        volume_id=of_volume[first],
        label_a=labels[first],
        label_b=labels[first + 1],
        particle_a_id=keys[first],
        particle_b_id=keys[first + 1],
        contact_area_um2=np.full(len(first), 0.1),
        **_origin(store, recipe, "contacts", of_volume[first]),
    )
