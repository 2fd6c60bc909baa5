"""Training: a definition to a model that is kept with card, predictions, metrics and curves.

Nothing is trained again whose definition, training set, seed and code are what they were.
Out of scope: the learners (`models.learn`), reading models back (`graindex.trained.kept`).
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from graindex.files import sha256
from graindex.trained.artefact import Artefact, weights_of
from graindex.trained.card import (
    Card,
    FeaturesCard,
    LabelCard,
    MethodCard,
    TrainingSetCard,
)
from graindex.trained.definition import FOLDER, ModelDefinition
from graindex.trained.describe import (
    blocks_of,
    code_versions,
    data_cards,
    encoder_card,
    included_definitions,
    licence_warnings,
    pixel_size_card,
)
from graindex.trained.fit import Fit, fit_rows, label_unit
from graindex.trained.idle_networks import idle_network_warnings
from graindex.trained.kept import kept_model, newest_run
from graindex.trained.learning import Learning, learning_of, training_set_of, warnings_of
from graindex.trained.methods import METHODS, all_parameters, learner_of
from graindex.trained.networks import fit_network
from graindex.trained.over_images import over_images
from graindex.trained.poor_rows import poor_row_warnings
from graindex.trained.remarks import ranges_of
from graindex.trained.report import report_page
from graindex.trained.scores import curve_records
from graindex.trained.shortcuts import shortcut_warnings
from graindex.training.registered import register_training_set
from graindex.training.training_set import TrainingSet
from models.learn.intervals import describe
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.location import Location
    from graindex.store import Store

TRAINING_CODE_VERSION = "1"
"""Raise when the same definition and rows come to another model."""


@dataclass(frozen=True)
class Trained:
    """A model after its training.

    Attributes:
        card: its card.
        is_new: whether it was trained now; False where the one there is stands.
        snapshot: lake snapshot that holds its rows.
    """

    card: Card
    is_new: bool
    snapshot: int


def train_model(
    store: "Store", definition: ModelDefinition, *, author: str, run_id: str | None = None
) -> Trained:
    """Train a model, or say that it stands; the next version where anything changed.

    Args:
        store: the store.
        definition: the model.
        author: who trains: a person, or an asset and its run.
        run_id: the run.

    Raises:
        GraindexError: its features, labels or split are wrong, or the rows do not allow a fit.
    """
    with _one_at_a_time(store.location, definition.name):
        training_set = training_set_of(store, definition, author=author)
        learning = learning_of(store, definition, training_set)
        wanted = input_hash(store, definition, learning)
        newest = newest_run(store, definition.name)
        if newest is not None and newest["input_hash"] == wanted:
            return Trained(kept_model(store, definition.name).card, False, store.snapshot())
        version = 1 if newest is None else newest["model_version"] + 1
        with _checkpoints(store.location, definition.name, wanted) as folder:
            fit = fit_model(store, definition, learning, checkpoints=folder)
            register_training_set(store, training_set, author=author)
            artefact = _artefact(store, definition, fit, version, wanted)
            snapshot = _keep(store, fit, artefact, author=author, run_id=run_id)
        return Trained(artefact.card, True, snapshot)


def input_hash(store: "Store", definition: ModelDefinition, learning: Learning) -> str:
    """SHA-256 over everything that decides the weights and their evaluation."""
    found = learning.training_set
    encoder = encoder_card(store, found, included_definitions(store, found))
    return sha256(
        definition.definition_hash,
        found.fingerprint,
        learning.groups_hash,
        None if encoder is None else encoder.encoder_id,
        model_code_version(definition.method),
    )


def model_code_version(method: str) -> str:
    """Version of the training and of the method's code."""
    return f"{TRAINING_CODE_VERSION}+{method}.{METHODS[method].code_version}"


def fit_model(
    store: "Store",
    definition: ModelDefinition,
    learning: Learning,
    *,
    checkpoints: Path | None = None,
) -> Fit:
    """Evaluate and fit; the same bits for the same definition and rows.

    Args:
        store: where images lie that a network looks at.
        definition: the model.
        learning: its training set.
        checkpoints: folder from which a long training goes on where it was interrupted.

    Raises:
        ModelError: the rows do not allow a fit.
    """
    learner: Any = learner_of(definition.method, definition.parameters)
    if learning.kind == "particles":
        return fit_network(store, definition, learner, learning, checkpoints=checkpoints)
    if METHODS[definition.method].sees_images:
        learner, learning = over_images(store, learner, learning, definition.name, checkpoints)
    if METHODS[definition.method].weighs_blocks and not learner.blocks:
        learner = dataclasses.replace(learner, blocks=blocks_of(store, learning.training_set))
    return fit_rows(store, definition, learner, learning)


def _artefact(
    store: "Store", definition: ModelDefinition, fit: Fit, version: int, wanted: str
) -> Artefact:
    learning, found = fit.learning, fit.learning.training_set
    definitions = included_definitions(store, found)
    weights = weights_of(fit.tensors)
    label = _label_card(definition, learning)
    data = data_cards(store, found)
    card = Card(
        model=definition.name,
        version=version,
        description=definition.description,
        method=MethodCard(
            name=definition.method,
            code_version=METHODS[definition.method].code_version,
            parameters=all_parameters(learner_of(definition.method, definition.parameters)),
            chosen=dict(fit.chosen),
        ),
        label=label,
        features=FeaturesCard(
            reference=found.request.feature_set,
            entity=found.kind,
            definitions={name: one.model_dump(mode="json") for name, one in definitions.items()},
            columns=tuple(found.features.column_names),
            fitted=dict(fit.features),
            ranges=ranges_of(definitions.values(), found.features, learning.final),
        ),
        encoder=encoder_card(store, found, definitions),
        pixel_size=pixel_size_card(store, definition, learning),
        training_set=_training_set_card(found, learning),
        seed=definition.seed,
        metrics=fit.metrics,
        interval=describe(),
        warnings=(
            *warnings_of(learning),
            *poor_row_warnings(learning),
            *_idle(definition, fit),
            *shortcut_warnings(fit.metrics, METHODS[definition.method].headline),
            *licence_warnings(data),
        ),
        notes=(*found.notes, *fit.notes),
        limits=definition.limits,
        data=data,
        code_versions=code_versions(model_code_version(definition.method)),
        weights_sha256=store.files.put(weights),
        input_hash=wanted,
        network=None if fit.network is None else dict(fit.network),
    )
    return Artefact(card, weights)


def _idle(definition: ModelDefinition, fit: Fit) -> Iterator[str]:
    if METHODS[definition.method].sees_images:
        yield from idle_network_warnings(fit.curves, len(fit.learning.classes))


def _label_card(definition: ModelDefinition, learning: Learning) -> LabelCard:
    target = learning.target[learning.final]
    numbers = learning.kind == "number"
    return LabelCard(
        name=definition.label.name,
        unit=label_unit(definition, learning),
        transform=definition.label.transform,
        classes=learning.classes,
        least=float(target.min()) if numbers else None,
        greatest=float(target.max()) if numbers else None,
    )


def _training_set_card(found: TrainingSet, learning: Learning) -> TrainingSetCard:
    return TrainingSetCard(
        training_set_id=found.training_set_id,
        fingerprint=found.fingerprint,
        lake_snapshot=found.lake_snapshot,
        rows=len(found),
        trained_rows=int(learning.final.sum()),
        groups=len(set(learning.groups.tolist())),
        request=found.request.model_dump(mode="json"),
    )


def _keep(store: "Store", fit: Fit, artefact: Artefact, *, author: str, run_id: str | None) -> int:
    """Write the model's files, and its rows of all tables in one transaction."""
    card = artefact.card
    key = {"model": card.model, "model_version": card.version}
    predictions = [{**key, **record} for record in fit.predictions]
    run = {
        **key,
        "method": card.method.name,
        "training_set_id": card.training_set.training_set_id,
        "label_name": card.label.name,
        "parameters": json.dumps({**card.method.parameters, "chosen": card.method.chosen}),
        "seed": card.seed,
        "encoder_id": None if card.encoder is None else card.encoder.encoder_id,
        "lake_snapshot": card.training_set.lake_snapshot,
        "artefact": card.weights_sha256,
        "card": store.files.put(card.text().encode()),
        "report": store.files.put(
            report_page(store, card, predictions, fit.curves, fit.sections, fit.drivers).encode()
        ),
        "run_id": run_id,
        "author": author,
        "recorded_at": datetime.now(UTC),
        "input_hash": card.input_hash,
        "code_version": card.code_versions["training"],
    }
    rows: dict[str, list[dict[str, Any]]] = {
        "model_runs": [run],
        "metrics": [_metric_record(card, metric, key) for metric in card.metrics],
        "curves": curve_records(fit.curves, key),
        "predictions": predictions,
        "shap_values": [{**key, **record} for record in fit.drivers.shap],
        "importances": [{**key, **record} for record in fit.drivers.importances],
        "attribute_correlations": [{**key, **record} for record in fit.correlations],
    }
    tables = {name: from_records(TABLES[name], records) for name, records in rows.items()}
    return store.lake.put(tables, author=author, message=f"model {card.reference}")


def _metric_record(card: Card, metric: Any, key: dict[str, Any]) -> dict[str, Any]:
    return {
        **key,
        "evaluation": metric.evaluation,
        "part": metric.part,
        "metric": metric.metric,
        "metric_value": metric.value,
        "metric_lower": metric.lower,
        "metric_upper": metric.upper,
        "unit": metric.unit,
        "interval": None if metric.lower is None else card.interval,
        "row_count": metric.rows,
    }


@contextmanager
def _checkpoints(location: "Location", name: str, wanted: str) -> Iterator[Path | None]:
    """Folder of this very training, removed when it is kept; None for a home on servers."""
    if location.folder is None:
        yield None
        return
    folder = location.folder / FOLDER / f".{name}.training"
    yield folder / wanted[:16]
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _one_at_a_time(location: "Location", name: str) -> Iterator[None]:
    """Let one process of this machine train a model, so that versions count up."""
    if location.folder is None:
        yield
        return
    folder = location.folder / FOLDER
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        yield
