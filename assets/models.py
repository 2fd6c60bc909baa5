"""Assets on models: `training_sets` and `trained_models`, one partition a model.

Out of scope: defining models, which the home's `models/*.yaml` do.
"""

import dagster as dg
import pyarrow as pa

from assets.annotations import particle_annotations
from assets.collections import author, samples
from assets.figures import as_markdown
from assets.lineage_page import lineage_metadata
from assets.micrographs import image_quality, micrograph_vectors, micrographs
from assets.particles import particles_2d
from assets.previews import markdown_table
from assets.resources import OWNERS, StoreResource
from assets.table_metadata import Metadata, definition_metadata, outcome_metadata
from graindex.outcome import Outcome
from graindex.store import Store
from graindex.trained.card import Card
from graindex.trained.definition import load_definition
from graindex.trained.driver_figures import driver_figures
from graindex.trained.figures import result_figure
from graindex.trained.kept import headline, kept_drivers, predictions_of, run_of
from graindex.trained.learning import training_set_of
from graindex.trained.train import TRAINING_CODE_VERSION, Trained, train_model
from graindex.trained.units import learned_unit
from graindex.training.registered import register_training_set
from graindex.training.training_set import CODE_VERSION, TrainingSet

MODELS = dg.DynamicPartitionsDefinition(name="model")
GROUP = "models"

# A model reads whichever collections its definition names.
_FEATURES = [
    dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())
    for asset in (
        samples,
        micrographs,
        image_quality,
        micrograph_vectors,
        particles_2d,
        particle_annotations,
    )
]


@dg.asset(
    partitions_def=MODELS,
    group_name=GROUP,
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSION,
    metadata=definition_metadata("training_sets"),
    deps=_FEATURES,
)
def training_sets(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Training set of a model: features as they stand, labels, and the side of each row."""
    opened = store.open()
    definition = load_definition(opened.location, context.partition_key)
    found = training_set_of(opened, definition, author=author(context))
    before = opened.snapshot()
    register_training_set(opened, found, author=author(context))
    after = opened.snapshot()
    computed = len(found) if after != before else 0
    outcome = Outcome(len(found), computed, len(found) - computed, 0, {}, after)
    metadata = outcome_metadata("training_sets", outcome) | _summary(found)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    partitions_def=MODELS,
    group_name=GROUP,
    kinds={"scikitlearn", "duckdb"},
    owners=OWNERS,
    code_version=TRAINING_CODE_VERSION,
    metadata=definition_metadata("model_runs"),
    deps=[training_sets],
)
def trained_models(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult[None]:
    """Trained model with card, weights, metrics with intervals, predictions and curves."""
    opened = store.open()
    definition = load_definition(opened.location, context.partition_key)
    trained = train_model(opened, definition, author=author(context), run_id=context.run.run_id)
    for warning in trained.card.warnings:
        context.log.warning(f"{trained.card.reference}: {warning}")
    outcome = Outcome(1, int(trained.is_new), int(not trained.is_new), 0, {}, trained.snapshot)
    metadata = outcome_metadata("model_runs", outcome) | model_metadata(opened, trained)
    if trained.is_new:  # it takes seconds, and stays what it was
        metadata |= lineage_metadata(opened, trained.card.reference)
    return dg.MaterializeResult(metadata=metadata)


def _summary(found: TrainingSet) -> Metadata:
    told = {name: value for name, value in found.summary().items() if value is not None}
    return {
        "training set": dg.MetadataValue.text(found.training_set_id),
        "summary": dg.MetadataValue.json({name: str(value) for name, value in told.items()}),
    }


def model_metadata(store: Store, trained: Trained) -> Metadata:
    """What the page of a model shows: metrics, picture, where it comes from."""
    card = trained.card
    run = run_of(store, card.reference)
    rows = predictions_of(store, run)
    shown = [row for row in rows if row["evaluation"] != "train"] or rows
    best = headline(card)
    unit = learned_unit(card.label.unit, card.label.transform)
    drivers = driver_figures(kept_drivers(store, run), unit)
    metadata: Metadata = {
        "model": dg.MetadataValue.text(card.reference),
        "metrics": markdown_table(_metrics(card)),
        "result": as_markdown(result_figure(card, shown)),
        "training set": dg.MetadataValue.text(card.training_set.training_set_id),
        "training set snapshot": dg.MetadataValue.int(card.training_set.lake_snapshot),
        "warnings": dg.MetadataValue.json(list(card.warnings)),
        "chosen": dg.MetadataValue.json(dict(card.method.chosen)),
        "page": dg.MetadataValue.path(store.files.address(run["report"])),
        "weights": dg.MetadataValue.path(store.files.address(run["artefact"])),
    }
    for number, (caption, picture) in enumerate(drivers, start=1):
        metadata[f"drivers {number}"] = as_markdown(picture, caption)
    if best is not None and best.value is not None:
        metadata[best.metric] = dg.MetadataValue.float(best.value)
    return metadata


def _metrics(card: Card) -> pa.Table:
    names = ("evaluation", "metric", "value", "lower", "upper", "unit", "rows")
    rows = [metric.model_dump() for metric in card.metrics if metric.part == "all"]
    return pa.Table.from_pylist(rows).select(names)
