"""A model as fitted and evaluated, not yet kept: of rows of features.

Out of scope: networks that look at images (`graindex.trained.networks`), keeping models
(`graindex.trained.train`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from graindex.trained.card import MetricCard
from graindex.trained.definition import ModelDefinition
from graindex.trained.drivers import (
    Drivers,
    drivers_of,
    parts_of,
    refuse_what_cannot_be_told,
)
from graindex.trained.image_rows import FittedOverImages
from graindex.trained.latent import Latent, latent_of
from graindex.trained.learning import Learning, refuse_the_label
from graindex.trained.poor_rows import refuse_constant_features
from graindex.trained.scores import (
    Scored,
    fit_final,
    metric_cards,
    prediction_records,
    score_left_out,
    score_training,
)
from graindex.trained.sections import Section
from graindex.trained.shortcuts import lighting_section, shortcut_scores
from graindex.trained.specimen_spread import repeated_images, spread_section
from graindex.trained.units import learned_unit, unit_of
from models.learn.learner import Curve, Floats, Learner
from models.learn.metrics import ALL

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]

_LOOKS = "Where it looks"


@dataclass(frozen=True)
class Fit:
    """A fitted model with its evaluation.

    Attributes:
        learning: its training set.
        tensors: its weights.
        chosen: what the training chose.
        features: normalisation and selection as fitted.
        metrics: how good it is.
        predictions: rows of the table `predictions`, the model left out.
        curves: of the training.
        network: what a network needs beside its weights; None for models of features.
        notes: what else a person should know of it.
        sections: of its page, that only the training can draw.
        drivers: what drives it.
        correlations: rows of the table `attribute_correlations`, the model left out.
    """

    learning: Learning
    tensors: Mapping[str, npt.NDArray[Any]]
    chosen: Mapping[str, float | str]
    features: Mapping[str, Any]
    metrics: tuple[MetricCard, ...]
    predictions: Sequence[Record]
    curves: tuple[Curve, ...]
    network: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    sections: Sequence[Section] = field(default=())
    drivers: Drivers = field(default=Drivers())
    correlations: Sequence[Record] = field(default=())


def label_unit(definition: ModelDefinition, learning: Learning) -> str | None:
    """Unit of the label; None for classes and label images."""
    if learning.kind != "number":
        return definition.unit
    return definition.unit or unit_of(definition.label.name)


def fit_rows(
    store: "Store", definition: ModelDefinition, learner: Learner, learning: Learning
) -> Fit:
    """Evaluate, fit and explain a model of features; the same bits for the same rows.

    Raises:
        ModelError: the rows do not allow a fit, or do not tell what is asked of its drivers.
    """
    refuse_the_label(learning)
    refuse_constant_features(learning)
    refuse_what_cannot_be_told(store, learner, learning, definition.explain)
    left_out = score_left_out(learning, learner, definition.seed)
    features = learning.fit_features(learning.final)
    matrix = learning.matrix_by(features)
    fitted = fit_final(learning, matrix, learner, definition.seed)
    training = score_training(learning, fitted, matrix, definition.seed)
    scored = (training,) if left_out is None else (left_out, training)
    asked = definition.explain
    unit = learned_unit(label_unit(definition, learning), definition.label.transform)
    others, sections = _beside(store, definition, learning, left_out, unit)
    drivers = drivers_of(
        store,
        learner,
        fitted,
        learning,
        matrix,
        features.names,
        definition.explain,
        definition.seed,
    )
    latent = Latent()
    if asked.autoencoder:
        parts = parts_of(store, learning, asked)
        order = drivers.ranked([part for part in drivers.parts if part != ALL] or [ALL])
        latent = latent_of(learning, matrix, features.names, parts, order, definition.seed)
    return Fit(
        learning=learning,
        tensors=fitted.tensors(),
        chosen=dict(fitted.chosen),
        features=features.to_json(),
        metrics=metric_cards((*scored, *others), unit),
        predictions=[row for one in scored for row in prediction_records(learning, one, {})],
        curves=(*fitted.curves, *latent.curves),
        sections=(
            *sections,
            *_maps(learning, fitted, matrix, definition.seed),
            *latent.sections,
        ),
        drivers=drivers,
        correlations=latent.correlations,
    )


def _beside(
    store: "Store",
    definition: ModelDefinition,
    learning: Learning,
    left_out: Scored | None,
    unit: str,
) -> tuple[list[Scored], list[Section]]:
    """What else the left-out rows tell: shortcuts, and whether images of a specimen agree."""
    lights = lighting_section(store, learning)
    sections = [] if lights is None else [lights]
    if left_out is None:
        return [], sections
    scored = shortcut_scores(store, learning, left_out, definition.explain.by, definition.seed)
    repeated = repeated_images(learning, left_out, definition.seed)
    if repeated is not None:
        scored.append(repeated.scored)
        sections.append(spread_section(store, learning, repeated, unit))
    return scored, sections


def _maps(learning: Learning, fitted: object, matrix: Floats, seed: int) -> list[Section]:
    if not isinstance(fitted, FittedOverImages):
        return []
    from graindex.trained.class_maps import NOTE, class_pictures  # noqa: PLC0415
    from graindex.trained.image_maps import map_pictures  # noqa: PLC0415

    if learning.kind == "class":
        return [Section(_LOOKS, NOTE, list(class_pictures(learning, fitted, matrix)))]
    return [Section(_LOOKS, "", list(map_pictures(learning, fitted, matrix, seed)))]
