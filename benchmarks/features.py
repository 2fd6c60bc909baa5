"""Statistics of particles per image and specimen beside pandas and pycytominer.

The same particles and rules for all, in the lake of a home: particles that touch the border do not
count, nor do those that the segmentation is unsure of. Each side has a process of its own.
- ours: a feature set as of a snapshot, whose bytes depend on no order of rows;
- pandas: the rows through the same lake, then groupby with mean, std and quantile;
- pycytominer: the rows likewise, then `aggregate`, which knows means and counts (or medians).
All must agree to 1e-9. Out of scope: reading files that are no lake.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import REPOSITORY, Record, publish

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from graindex.store import Store

MEASURES = (
    "equivalent_diameter_um", "circularity", "solidity", "aspect_ratio", "brightness_mean",
)  # fmt: skip
PER_IMAGE, IMAGES_PER_SPECIMEN, COLLECTIONS = 100, 10, 4
DATASET = "particles{}"


def main() -> None:
    """Run and publish, or, in a process of its own, time one side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--particles", type=int, default=1_000_000)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--entity", default="micrograph", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        one_side(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = str(Path(folder) / "home")
        fill(home, options.particles)
        rows = [
            row
            for entity in ("micrograph", "sample")
            for row in compare(home, Path(folder), entity, options.particles)
        ]
    publish("features", f"Statistics of {options.particles:,} particles", rows)


def compare(home: str, folder: Path, entity: str, particles: int) -> list[Record]:
    """All sides, each in a process of its own; their results must agree."""
    import pandas as pd

    rows: list[Record] = []
    results = {}
    for side in SIDES:
        output = folder / f"{side}-{entity}.parquet"
        command = [sys.executable, __file__, "--side", side, "--entity", entity, "--home", home]
        paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*command, "--output", str(output)],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results[side] = pd.read_parquet(output).sort_index()
        figures = json.loads(done.stdout.splitlines()[-1])
        rows.append({"entity": entity, "side": side, "particles": particles, **figures})
    for side, found in results.items():
        ours = results["ours"][found.columns].to_numpy(float)
        np.testing.assert_allclose(found.to_numpy(float), ours, rtol=1e-9, err_msg=side)
    return rows


def one_side(options: argparse.Namespace) -> None:
    """Time one side from the open store to its table, and write that."""
    from graindex.store import open_store

    store = open_store(options.home)
    action = SIDES[options.side]
    action(store, options.entity, datasets=(DATASET.format("_small"),))  # imports and caches
    before = peak_mib()
    names = tuple(DATASET.format(number) for number in range(COLLECTIONS))
    started, processor = time.perf_counter(), time.process_time()
    found = action(store, options.entity, datasets=names)
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
        "peak_mib": peak_mib(),
        "peak_mib_before": before,
        "rows": len(found),
        "features": found.shape[1],
    }
    found.to_parquet(options.output)
    print(json.dumps(figures))


def peak_mib() -> float:
    """Most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # where ru_maxrss would count what the parent held when it forked
        lines = status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, of bytes on macOS
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def ours(store: "Store", entity: str, datasets: tuple[str, ...]) -> "pd.DataFrame":
    """A feature set as of the newest snapshot."""
    from graindex.features.files import make_feature_set
    from graindex.features.values import feature_values

    statistics = ["count", "mean", "sd", "q10", "q50", "q90"]
    entry = {"table": "particles_2d", "columns": MEASURES, "statistics": statistics}
    entry |= {"border": "exclude", "min_confidence": 0.5, "null_confidence": "drop"}
    definition = make_feature_set({"name": "bench", "entity": entity, "features": [entry]})
    found = feature_values(store, definition, datasets=datasets, as_of=store.snapshot())
    keys = found.entities.select(["dataset", "entity_id"]).to_pandas()
    frame = found.columns.to_pandas()
    return frame.set_index([keys["dataset"], keys["entity_id"]])


def by_pandas(store: "Store", entity: str, datasets: tuple[str, ...]) -> "pd.DataFrame":
    """The same by groupby."""
    groups = _frame(store, entity, datasets).groupby(["dataset", "entity_id"])
    count = groups.size().rename("particles_2d_count").to_frame()
    measured = groups[list(MEASURES)]
    parts = {"mean": measured.mean(), "sd": measured.std()}
    parts |= {f"q{share}": measured.quantile(share / 100) for share in (10, 50, 90)}
    return count.join([part.add_suffix(f"_{name}") for name, part in parts.items()])


def by_pycytominer(store: "Store", entity: str, datasets: tuple[str, ...]) -> "pd.DataFrame":
    """Means and counts by pycytominer."""
    from pycytominer import aggregate

    found = aggregate(
        _frame(store, entity, datasets),
        strata=["dataset", "entity_id"],
        features=list(MEASURES),
        operation="mean",
        compute_object_count=True,
        object_feature="label",
    )
    found = found.set_index(["dataset", "entity_id"]).add_suffix("_mean")
    return found.rename(columns={"Metadata_Object_Count_mean": "particles_2d_count"})


SIDES: dict[str, Callable[..., Any]] = {
    "ours": ours,
    "pandas": by_pandas,
    "pycytominer": by_pycytominer,
}


def _frame(store: "Store", entity: str, datasets: tuple[str, ...]) -> "pd.DataFrame":
    """Particles that count, with the key of their image or specimen."""
    wanted = ", ".join(f"p.{name}" for name in ("label", *MEASURES))
    names = ", ".join(f"'{name}'" for name in datasets)
    key = "p.micrograph_id" if entity == "micrograph" else "m.sample_id"
    join = "JOIN lake.micrographs m USING (dataset, micrograph_id)" if entity == "sample" else ""
    return store.lake.query(f"""
        SELECT dataset, {key} AS entity_id, {wanted} FROM lake.particles_2d p {join}
        WHERE dataset IN ({names}) AND NOT p.touches_border AND p.segmentation_confidence >= 0.5
    """).to_pandas()


def fill(home: str, particles: int) -> None:
    """A home with that many particles in several collections, and a small one."""
    from graindex.store import init_store

    store = init_store(home)
    images = particles // PER_IMAGE // COLLECTIONS
    for number in range(COLLECTIONS):
        store.lake.replace(
            tables(DATASET.format(number), images, number),
            DATASET.format(number),
            author="benchmark",
            message="particles",
        )
    small = DATASET.format("_small")
    store.lake.replace(tables(small, 20, 99), small, author="benchmark", message="particles")


def tables(dataset: str, images: int, seed: int) -> "dict[str, pa.Table]":
    """Specimens, images and particles of a collection, drawn at random."""
    from schemas.arrow import from_columns
    from schemas.tables import TABLES

    rng = np.random.default_rng(seed)
    count = images * PER_IMAGE
    image_ids = hex_ids(rng, images)
    specimen = np.arange(images) // IMAGES_PER_SPECIMEN
    specimen_ids = hex_ids(rng, specimen.max() + 1)
    image = np.repeat(np.arange(images), PER_IMAGE)
    columns = {
        "samples": {"sample_id": specimen_ids, "sample": specimen_ids},
        "micrographs": {"micrograph_id": image_ids, "sample_id": specimen_ids[specimen]},
        "particle_masks_2d": {"micrograph_id": image_ids},
        "particles_2d": {
            "micrograph_id": image_ids[image],
            "particle_id": hex_ids(rng, count),
            "label": np.tile(np.arange(1, PER_IMAGE + 1), images),
            "touches_border": rng.random(count) < 0.1,
            "segmentation_confidence": rng.uniform(0.3, 1, count),
            **{name: rng.lognormal(size=count) for name in MEASURES},
        },
    }
    made = {}
    for name, given in columns.items():
        rows = len(next(iter(given.values())))
        same = {"dataset": np.full(rows, dataset, object)}
        needed = {column: _filler(name, column, rows) for column in TABLES[name].required}
        made[name] = from_columns(TABLES[name], needed | same | given)
    return made


def hex_ids(rng: "np.random.Generator", count: int) -> "np.ndarray":
    """Keys of 16 hex digits."""
    return np.array([f"{n:016x}" for n in rng.integers(0, 2**63, count).tolist()], object)


def _filler(table: str, column: str, rows: int) -> "np.ndarray":
    """Something of the right type for a column that nobody looks at."""
    import pyarrow as pa

    from schemas.arrow import arrow_schema
    from schemas.tables import TABLES

    kind = arrow_schema(TABLES[table]).field(column).type
    if pa.types.is_string(kind):
        return np.full(rows, "-", object)
    return np.zeros(rows, bool if pa.types.is_boolean(kind) else np.int64)


if __name__ == "__main__":
    main()
