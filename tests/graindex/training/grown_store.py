"""A store whose rows can be written again and again, each time with other values.

Out of scope: files of images (`tests.graindex.training.catalogued`).
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from graindex.derive import write_vector_index
from graindex.features.definition import FeatureSet
from graindex.features.registry import register_feature_set
from graindex.store import Store
from graindex.training.statements import statement_key
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrograph

IMAGES, SPECIMENS, DIMENSION = 24, 8, 4
BEGAN = datetime(2026, 3, 2, 10, 0)
CLASSES = ("fine", "coarse")
DEFINITION = {
    "name": "texture",
    "entity": "micrograph",
    "features": [
        {"vector": "micrographs"},
        {"columns": ["image_quality.noise_std", "samples.temperature_c"]},
    ],
    "normalise": {"by": "session"},
}


def specimen(image: int) -> str:
    return f"s{image % SPECIMENS}"


def name(dataset: str, image: int) -> str:
    return f"{dataset} {image}"


def write_all(store: Store, dataset: str, step: int = 0, images: int = IMAGES) -> None:
    """Everything of a collection; each step gives other numbers, labels and vectors.

    Collections with names of the same length get the same vectors, as copies of an image do.
    """
    random = np.random.default_rng([step, len(dataset)])
    tables = {
        "samples": _samples(dataset, step),
        "micrographs": _micrographs(dataset, images),
        "image_quality": _quality(dataset, random.normal(5, 1, images)),
        "near_duplicates": _duplicates(dataset, (step % 5, step % 5 + 1)),
    }
    store.lake.replace(tables, dataset, author="test", message=f"step {step}")
    labels = _labels(dataset, step)
    store.lake.put({"labels": labels}, author="test", message=f"labels {step}")
    _write_vectors(store, dataset, random.normal(size=(images, DIMENSION)), step)


def write_again(store: Store, dataset: str, step: int) -> None:
    """Other temperatures, quality and vectors, and with every fifth step other labels."""
    random = np.random.default_rng([step, len(dataset)])
    quality = _quality(dataset, random.normal(5, 1, IMAGES))
    tables = {"samples": _samples(dataset, step), "image_quality": quality}
    store.lake.replace(tables, dataset, author="test", message=f"step {step}")
    if step % 5 == 0:
        labels = _labels(dataset, step)
        store.lake.put({"labels": labels}, author="test", message=f"labels {step}")
    _write_vectors(store, dataset, random.normal(size=(IMAGES, DIMENSION)), step)


def _write_vectors(store: Store, dataset: str, vectors: np.ndarray, step: int) -> None:
    store.vectors.upsert("micrographs", _vectors(dataset, vectors, step), DIMENSION)
    write_vector_index(store, dataset, "micrographs", author="test")


def register_texture(store: Store, **more: object) -> str:
    definition = FeatureSet.model_validate(DEFINITION | more)
    return register_feature_set(store, definition, author="test").reference


def _samples(dataset: str, step: int) -> pa.Table:
    records = [
        {
            "dataset": dataset,
            "sample_id": key(f"{dataset} s{number}"),
            "sample": f"s{number}",
            "code_version": "1",
            "texture_class": CLASSES[(number + step) % 2],
            "temperature_c": 1000.0 + number + step,
        }
        for number in range(SPECIMENS)
    ]
    return from_records(TABLES["samples"], records)


def _micrographs(dataset: str, images: int) -> pa.Table:
    records = [
        micrograph(
            dataset,
            name(dataset, image),
            sample_id=key(f"{dataset} {specimen(image)}"),
            acquired_at=BEGAN + timedelta(hours=image // 6 * 5 + image % 6 / 6),
            instrument="sem",
        )
        for image in range(images)
    ]
    return from_records(TABLES["micrographs"], records)


def _quality(dataset: str, noise: np.ndarray) -> pa.Table:
    table = TABLES["image_quality"]
    zeros: dict[str, object] = dict.fromkeys(table.required, 0.0)
    records = [
        zeros
        | {
            "dataset": dataset,
            "micrograph_id": key(name(dataset, image)),
            "noise_std": float(value),
            "input_hash": SHA,
            "code_version": "1",
        }
        for image, value in enumerate(noise)
    ]
    return from_records(table, records)


def _duplicates(dataset: str, pair: tuple[int, int]) -> pa.Table:
    one, other = sorted(key(name(dataset, image)) for image in pair)
    record = {
        "dataset": dataset,
        "micrograph_id": one,
        "other_dataset": dataset,
        "other_id": other,
        "duplicate_kind": "near",
        "similarity": 0.99,
        "input_hash": SHA,
        "code_version": "1",
    }
    return from_records(TABLES["near_duplicates"], [record])


def _labels(dataset: str, step: int) -> pa.Table:
    """A grade of all images but the last two, which each step changes and dates anew."""
    measured = BEGAN.replace(tzinfo=UTC) - timedelta(days=1)
    records = []
    for image in range(IMAGES - 2):
        about = (dataset, "micrograph", key(name(dataset, image)), "grade", "ada", measured)
        records.append(
            {
                "dataset": dataset,
                "label_id": statement_key(*about),
                "entity_kind": "micrograph",
                "entity_id": about[2],
                "label_name": "grade",
                "label_number": float(image + step),
                "labeller": "ada",
                "measured_at": measured,
                "recorded_at": datetime(2026, 4, 1, tzinfo=UTC),
            }
        )
    return from_records(TABLES["labels"], records)


def _vectors(dataset: str, vectors: np.ndarray, step: int) -> pa.Table:
    norms = np.linalg.norm(vectors, axis=1)
    records = [
        {
            "micrograph_id": key(name(dataset, image)),
            "dataset": dataset,
            "encoder_id": f"encoder {step}",
            "vector": (vector / norm).tolist(),
            "vector_norm": float(norm),
            "input_hash": SHA,
            "code_version": "1",
        }
        for image, (vector, norm) in enumerate(zip(vectors, norms, strict=True))
    ]
    return pa.Table.from_pylist(records, arrow_schema(TABLES["micrograph_vectors"], DIMENSION))
