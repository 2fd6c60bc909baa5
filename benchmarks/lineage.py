"""How fast lineage answers in a store of 100,000 images and 10 million particles.

The store has 10 collections of 10,000 images with 100 particles each, and two models trained on
2,000 images: one on their vectors and brightness, and one on statistics of their particles as well.
Answers are compared with what plain scans of the tables find, one table after the other.

    python benchmarks/lineage.py [--images 10000] [--particles 100] [--questions 10] [--home FOLDER]

Out of scope: how long pictures take.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.common import Record, publish
from graindex.lineage.lineage import Lineage
from graindex.store import Store, init_store, open_store
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES

COLLECTIONS, TRAINED_ON = 10, 2000
LOOKS = (("image_quality.noise_std", None), ("micrograph_vectors.vector", None))
MODELS = {"looks": LOOKS, "size": (*LOOKS, ("particles_2d.area_um2", "mean"))}
"""Columns that the features of each model come from, and how they are pooled."""
AUTHOR = "benchmark"
Columns = dict[str, object]


def arguments() -> argparse.Namespace:
    """What to build and how often to ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="images of a collection")
    parser.add_argument("--particles", type=int, default=100, help="particles of an image")
    parser.add_argument("--questions", type=int, default=10, help="ids asked about of each kind")
    parser.add_argument("--home", type=Path, help="keep the store here, and use one that is there")
    return parser.parse_args()


def keys(count: int, rng: np.random.Generator, digits: int = 16) -> pa.Array:
    """Random keys, as hexadecimal digits."""
    text = rng.bytes(count * digits // 2).hex().encode()
    return pa.array(np.frombuffer(text, f"S{digits}").astype(str))


def table(name: str, count: int, columns: Columns) -> pa.Table:
    """Rows of a table; what is required and not given is 1, or "1"."""
    arrays = []
    for field in arrow_schema(TABLES[name]):
        value = columns.get(field.name)
        if isinstance(value, pa.Array):
            arrays.append(value.cast(field.type))
        elif value is None and field.name not in TABLES[name].never_null:
            arrays.append(pa.nulls(count, field.type))
        else:
            scalar = pa.scalar(1 if value is None else value)
            arrays.append(pa.repeat(scalar.cast(field.type), count))
    return pa.table(arrays, schema=arrow_schema(TABLES[name]))


def add_collection(store: Store, number: int, images: int, particles: int) -> None:
    """Images with quality, vectors, masks and particles, ten to a specimen."""
    rng = np.random.default_rng(number)
    dataset = f"collection_{number}"
    ids, contents = keys(images, rng), keys(images, rng, 64)
    samples = keys(images // 10, rng)
    of_image: Columns = {"dataset": dataset, "micrograph_id": ids}
    count = images * particles
    each = np.repeat(np.arange(images), particles)
    rows = {
        "datasets": table("datasets", 1, {"dataset": dataset, "kind": "micrographs",
                                          "registered_at": datetime.now(UTC)}),
        "samples": table("samples", len(samples), {"dataset": dataset, "sample_id": samples}),
        "micrographs": table("micrographs", images, {
            **of_image, "content_hash": contents, "path": ids, "uri": ids,
            "sample_id": samples.take(pa.array(np.arange(images) // 10)),
        }),
        "image_quality": table("image_quality", images, of_image),
        "vector_index": table("vector_index", images, {**of_image, "vector_table": "micrographs"}),
        "particle_masks_2d": table("particle_masks_2d", images, of_image),
        "particles_2d": table("particles_2d", count, {
            "dataset": dataset, "particle_id": keys(count, rng),
            "micrograph_id": ids.take(pa.array(each)),
            "label": pa.array(np.tile(np.arange(1, particles + 1), images)),
        }),
    }  # fmt: skip
    store.lake.replace(rows, dataset, author=AUTHOR, message=f"{dataset}, made up")


def set_of(model: str) -> str:
    """Key of the training set of a model."""
    return hashlib.sha256(model.encode()).hexdigest()[:16]


def add_model(store: Store, model: str, images: int) -> None:
    """A model on some images of every collection; its feature set is called the same."""
    catalogue = store.lake.query(
        "SELECT dataset, micrograph_id, sample_id, content_hash FROM lake.micrographs "
        "ORDER BY micrograph_id"
    )
    wanted = min(TRAINED_ON, images)
    step = max(1, catalogue.num_rows // wanted)
    chosen = catalogue.take(pa.array(np.arange(wanted) * step))
    now = datetime.now(UTC)
    of_set: Columns = {"feature_set": model, "feature_set_version": 1, "recorded_at": now}
    of_model: Columns = {"model": model, "model_version": 1}
    rows = {
        "feature_sets": table("feature_sets", 1, {**of_set, "entity_kind": "micrograph"}),
        "feature_set_columns": from_records(TABLES["feature_set_columns"], [
            {"feature_set": model, "feature_set_version": 1, "feature": f"feature_{place}",
             "source_column": column, "aggregation": how}
            for place, (column, how) in enumerate(MODELS[model])
        ]),
        "training_sets": table("training_sets", 1, {
            **of_set, "training_set_id": set_of(model), "lake_snapshot": store.snapshot(),
            "label_name": "size_um", "row_count": wanted,
        }),
        "training_rows": table("training_rows", wanted, {
            "training_set_id": set_of(model), "entity_kind": "micrograph", "side": "train",
            "entity_id": chosen["micrograph_id"].combine_chunks(),
            **{name: chosen[name].combine_chunks()
               for name in ("dataset", "sample_id", "content_hash")},
        }),
        "model_runs": table("model_runs", 1, {
            **of_model, "training_set_id": set_of(model), "recorded_at": now,
        }),
        "predictions": table("predictions", wanted, {
            **of_model, "evaluation": "cross-validation",
            "entity_id": chosen["micrograph_id"].combine_chunks(),
            "dataset": chosen["dataset"].combine_chunks(), "predicted_number": 1.0,
        }),
    }  # fmt: skip
    store.lake.put(rows, author=AUTHOR, message="a model, made up")


def build(store: Store, options: argparse.Namespace) -> float:
    """Fill the store; returns how many seconds it took."""
    start = time.perf_counter()
    for number in range(COLLECTIONS):
        add_collection(store, number, options.images, options.particles)
        print(f"collection {number + 1} of {COLLECTIONS}: {time.perf_counter() - start:.0f} s")
    for model in MODELS:
        add_model(store, model, options.images * COLLECTIONS)
    return time.perf_counter() - start


def forward_by_scans(store: Store, image: str) -> set[tuple[str, str]]:
    """What rests on an image, by reading every table that may name it."""

    def ids(sql: str) -> set[str]:
        return set(store.lake.query(sql)["id"].to_pylist())

    def of(name: str, key: str = "micrograph_id") -> set[str]:
        found = store.lake.query(f"SELECT {key} AS id, micrograph_id AS image FROM lake.{name}")
        return set(found.filter(pc.equal(found["image"], image))["id"].to_pylist())

    found = {("quality", one) for one in of("image_quality")}
    found |= {("vector", one) for one in of("vector_index")}
    found |= {("mask", one) for one in of("particle_masks_2d")}
    found |= {("particle", one) for one in of("particles_2d", "particle_id")}
    for model in MODELS:
        training_set = set_of(model)
        rows = f"lake.training_rows WHERE training_set_id = '{training_set}'"
        if image in ids(f"SELECT entity_id AS id FROM {rows}"):
            found |= {("training_row", f"{training_set}:{image}")}
            found |= {("training_set", training_set), ("model", f"{model}@1")}
            found |= {
                ("prediction", f"{model}@1:{one}")
                for one in ids(
                    f"SELECT entity_id AS id FROM lake.predictions WHERE model = '{model}'"
                )
            }
    return found


def reached(found: Lineage) -> set[tuple[str, str]]:
    """Kind and id of everything that was reached."""
    return {(row["kind"], row["id"]) for row in found.nodes.to_pylist()}


def ask(what: str, names: list[str], question: Callable[[str], object]) -> Record:
    """Time a question about each name, each with a connection of its own."""
    times, processor = [], []
    edges = 0
    for name in names:
        start, busy = time.perf_counter(), time.process_time()
        answer = question(name)
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
        edges = answer.edges.num_rows if isinstance(answer, Lineage) else 0
    return {
        "question": what,
        "asked": len(names),
        "edges of the last": edges or None,
        "median_s": float(np.median(times)),
        "slowest_s": max(times),
        "processor_s": float(np.median(processor)),
    }


def questions(home: Path, options: argparse.Namespace) -> list[Record]:
    """Ask about random ids of every kind."""
    store = open_store(home)
    rng = np.random.default_rng(1)

    def some(sql: str) -> list[str]:
        found = store.lake.query(sql)["id"]
        places = rng.choice(len(found), min(options.questions, len(found)), replace=False)
        names: list[str] = found.take(pa.array(places)).to_pylist()
        return names

    images = some("SELECT micrograph_id AS id FROM lake.micrographs")
    trained = some("SELECT DISTINCT entity_id AS id FROM lake.training_rows")
    files = some("SELECT content_hash AS id FROM lake.micrographs")
    particles = some(
        "SELECT particle_id AS id FROM lake.particles_2d WHERE dataset = 'collection_3'"
    )

    def back(name: str) -> Lineage:
        return open_store(home).lineage(name)

    def forward(name: str) -> Lineage:
        return open_store(home).lineage(name, forward=True)

    def in_sql(name: str) -> pa.Table:
        query = f"SELECT * FROM lineage_edges WHERE upstream_id = '{name}'"
        return open_store(home).table(query)

    rows = [
        ask("particle, back", particles, back),
        ask("particle, forward", particles, forward),
        ask("image, back", images, back),
        ask("image, forward", images, forward),
        ask("image in the training set, forward", trained, forward),
        ask("file, forward", files, forward),
        ask("prediction from vectors, back", [f"looks@1:{name}" for name in trained], back),
        ask("prediction from particles, back", [f"size@1:{name}" for name in trained[:2]], back),
        ask("column particles_2d.area_um2, forward", ["particles_2d.area_um2"] * 3, forward),
        ask("image, one step in SQL", images, in_sql),
    ]
    wrong = [
        name
        for name in (*images[:2], *trained[:2])
        if reached(forward(name)) != forward_by_scans(store, name)
    ]
    print(f"forward lineage that differs from plain scans: {wrong or 'none'}")
    return rows


def main() -> None:
    """Build the store, ask, print and write."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder) / "home"
        is_there = (home / "catalog.sqlite").exists()
        built_s = None if is_there else build(init_store(home), options)
        rows = questions(home, options)
    size = {
        "images": options.images * COLLECTIONS,
        "particles": options.images * COLLECTIONS * options.particles,
        "training rows": TRAINED_ON,
        "built_s": built_s,
    }
    title = "lineage of {images:,} images and {particles:,} particles".format(**size)
    publish("lineage", title, rows, size)


if __name__ == "__main__":
    main()
