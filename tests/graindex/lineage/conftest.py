"""A home with everything that lineage leads through: images, particles, a volume, models."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graindex.store import Store, open_store
from schemas.arrow import arrow_schema, from_records
from schemas.tables import TABLES
from tests.graindex.rows import SHA, key, micrographs, samples

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 27, 12, tzinfo=UTC)
A, B, TOMOGRAMS = "cathodes", "anodes", "tomograms"
RUN = "0123abcd-0000-4000-8000-00000000000f"


def rows(table, *records, **shared):
    """Typed rows; what is required and not given is 1, or "1"."""
    filled = []
    for record in records:
        whole = {**shared, **record}
        for field in arrow_schema(TABLES[table]):
            if field.name in TABLES[table].never_null and field.name not in whole:
                stated = {"string": "1", "bool": False}
                default = NOW if "timestamp" in str(field.type) else 1
                whole[field.name] = stated.get(str(field.type), default)
        filled.append(whole)
    return from_records(TABLES[table], filled)


def particle(image, number):
    return key(f"{image} {number}")


def images_of(dataset, names, specimen):
    """Images of one specimen, each with quality, a vector, a mask and two particles."""
    each = [{"dataset": dataset, "micrograph_id": key(name)} for name in names]
    own = [
        {**one, "particle_id": particle(name, number), "label": number}
        for one, name in zip(each, names, strict=True)
        for number in (1, 2)
    ]
    return {
        "datasets": rows("datasets", {"dataset": dataset, "kind": "micrographs"}),
        "samples": samples(dataset, [specimen], {"grain_um": 2.0}),
        "micrographs": micrographs(dataset, names, sample_id=key(specimen)),
        "image_quality": rows("image_quality", *each),
        "vector_index": rows("vector_index", *each, vector_table="micrographs", vector_hash=SHA),
        "particle_masks_2d": rows("particle_masks_2d", *each, mask=SHA),
        "particle_annotations": rows(
            "particle_annotations",
            *each,
            mask=SHA,
            annotation_hash="4" * 64,
            annotation_uri=f"/drawn/{dataset}.json",
        ),
        "particles_2d": rows("particles_2d", *own),
        "electrode_statistics": rows(
            "electrode_statistics",
            {"dataset": dataset, "entity": "specimen", "entity_id": key(specimen),
             "statistic": "d50", "bin": 0},
        ),
    }  # fmt: skip


def volume_rows():
    """One volume of three files with two particles that touch."""
    of = {"dataset": TOMOGRAMS, "volume_id": key("v")}
    ids = [particle("v", number) for number in (1, 2)]
    return {
        "datasets": rows("datasets", {"dataset": TOMOGRAMS, "kind": "volumes"}),
        "volumes": rows(
            "volumes",
            {**of, "grey_hash": "1" * 64, "phases_hash": "2" * 64, "labels_hash": "3" * 64,
             "grey_uri": "/v/grey.tif", "path": "grey.tif"},
        ),
        "particle_labels_3d": rows("particle_labels_3d", of),
        "particles_3d": rows(
            "particles_3d", *({**of, "particle_id": one, "label": n} for n, one in enumerate(ids))
        ),
        "contacts": rows(
            "contacts",
            {**of, "label_a": 0, "label_b": 1, "particle_a_id": ids[0], "particle_b_id": ids[1]},
        ),
        "electrode_statistics": rows(
            "electrode_statistics",
            {"dataset": TOMOGRAMS, "entity": "volume", "entity_id": key("v"), "statistic": "d50",
             "bin": 0},
        ),
    }  # fmt: skip


def model_rows(name, training_set, feature_set, columns, entities, label):
    """A model with its training set and predictions; entities are (dataset, name, specimen)."""
    of_set = {"feature_set": feature_set, "feature_set_version": 1}
    of_model = {"model": name, "model_version": 1}
    return {
        "feature_sets": rows("feature_sets", {**of_set, "entity_kind": "micrograph"}),
        "feature_set_columns": rows(
            "feature_set_columns",
            *(
                {**of_set, "feature": column.replace(".", "_"), "source_column": column,
                 "aggregation": how}
                for column, how in columns.items()
            ),
        ),
        "training_sets": rows(
            "training_sets",
            {**of_set, "training_set_id": training_set, "label_name": label},
        ),
        "training_rows": rows(
            "training_rows",
            *(
                {"training_set_id": training_set, "entity_kind": "micrograph", "side": "train",
                 "dataset": dataset, "entity_id": key(image), "sample_id": key(specimen)}
                for dataset, image, specimen in entities
            ),
        ),
        "model_runs": rows(
            "model_runs", {**of_model, "training_set_id": training_set, "label_name": label}
        ),
        "metrics": rows(
            "metrics", {**of_model, "evaluation": "train", "part": "all", "metric": "r2"}
        ),
        "predictions": rows(
            "predictions",
            *(
                {**of_model, "evaluation": evaluation, "dataset": dataset, "entity_id": key(image),
                 "predicted_number": 1.0}
                for dataset, image, _ in entities
                for evaluation in ("train", "cross-validation")
            ),
        ),
    }  # fmt: skip


SIZES = ("sizes", key("sizes"), "grains", {"particles_2d.area_um2": "mean"}, "grain_um")
STATES = (
    "states",
    key("states"),
    "looks",
    {"image_quality.noise_std": None, "micrograph_vectors.vector": None},
    "state",
)


def fill(store: Store) -> None:
    lake = store.lake
    for dataset, names, specimen in ((A, ("a1", "a2"), "s1"), (B, ("b1",), "s2")):
        lake.replace(images_of(dataset, names, specimen), dataset, author="t", message="m")
    lake.replace(volume_rows(), TOMOGRAMS, author="t", message="m")
    pair = {"dataset": A, "micrograph_id": key("a1"), "other_dataset": B, "other_id": key("b1")}
    lake.replace({"near_duplicates": rows("near_duplicates", pair)}, A, author="t", message="m")
    stated = {"label_name": "state", "label_text": "cycled", "labeller": "me", "dataset": A}
    early, late = key("early"), key("late")
    lake.put(
        {
            "labels": rows(
                "labels",
                {**stated, "label_id": early, "entity_kind": "micrograph", "entity_id": key("a1"),
                 "recorded_at": NOW},
                {**stated, "label_id": key("of s1"), "entity_kind": "sample",
                 "entity_id": key("s1"), "recorded_at": NOW},
            )
        },
        author="t",
        message="m",
    )  # fmt: skip
    made_at = store.snapshot()
    for (name, training_set, features, columns, label), entities in (
        (SIZES, [(A, "a1", "s1"), (B, "b1", "s2")]),
        (STATES, [(A, "a1", "s1"), (A, "a2", "s1")]),
    ):
        tables = model_rows(name, training_set, features, columns, entities, label)
        column = tables["training_sets"].schema.get_field_index("lake_snapshot")
        field = tables["training_sets"].schema.field(column)
        tables["training_sets"] = tables["training_sets"].set_column(column, field, [[made_at]])
        lake.put(tables, author="t", message="m")
    lake.put(
        {
            "labels": rows(
                "labels",
                {**stated, "label_id": late, "entity_kind": "micrograph", "entity_id": key("a2"),
                 "recorded_at": LATER},
            )
        },
        author="t",
        message="m",
    )  # fmt: skip


@pytest.fixture(scope="session")
def chain_home(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filled home; not to be changed."""
    home = tmp_path_factory.mktemp("chain") / "home"
    shutil.copytree(empty_home, home)
    fill(open_store(home))
    return home


@pytest.fixture(scope="session")
def chain(chain_home: Path) -> Store:
    """The filled home, to be read."""
    return open_store(chain_home)


@pytest.fixture
def own_chain(chain_home: Path, tmp_path: Path) -> Store:
    """The filled home, to be changed."""
    shutil.copytree(chain_home, tmp_path / "chain")
    return open_store(tmp_path / "chain")
