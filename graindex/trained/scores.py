"""Evaluation of a model on its training set: predictions, metrics and curves as rows.

Out of scope: metrics themselves (`models.learn.metrics`) and the card.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graindex.errors import ModelError
from graindex.progress import report
from graindex.trained.card import MetricCard
from graindex.trained.learning import Evaluation, Learning
from models.learn.evaluation import Fold, evaluate
from models.learn.intervals import RESAMPLES
from models.learn.learner import (
    Bools,
    CannotLearnError,
    Curve,
    Fitted,
    Floats,
    Ints,
    Learner,
    Prediction,
    Rows,
)
from models.learn.metrics import ALL, IN_LABEL_UNIT, Metric, class_metrics, number_metrics

Record = dict[str, object]


@dataclass(frozen=True)
class Scored:
    """Predictions of rows, and how good they are.

    Attributes:
        evaluation: what the rows are to the model.
        rows: (N,) which rows of the training set.
        fold: (N,) fold of each row; -1 where it was not tested.
        prediction: of all N rows of the training set; what is not in `rows` does not count.
        metrics: how good the predictions are.
    """

    evaluation: Evaluation
    rows: Bools
    fold: Ints
    prediction: Prediction
    metrics: tuple[Metric, ...]


def score_left_out(learning: Learning, learner: Learner, seed: int) -> Scored | None:
    """Predictions of the rows that were left out, by models that never saw them.

    Returns:
        None where no row was left out.

    Raises:
        ModelError: a fold does not allow a fit.
    """
    if not learning.folds:
        return None
    try:
        found = evaluate(
            learner,
            learning.matrix,
            learning.target,
            learning.groups,
            learning.weight,
            _told(learning.folds),
            classes=len(learning.classes),
            seed=seed,
        )
    except CannotLearnError as error:
        raise _cannot(learning, error) from error
    return scored_rows(
        learning, learning.evaluation, found.tested, found.fold, found.prediction, seed
    )


def _told(folds: Sequence[Fold]) -> Iterator[Fold]:
    """Folds, of which progress tells how many are done."""
    for done, fold in enumerate(folds):
        report("models without a fold", done, len(folds))
        yield fold
    report("models without a fold", len(folds), len(folds))


def fit_final(learning: Learning, matrix: Floats, learner: Learner, seed: int) -> Fitted:
    """The model of the artefact, fitted on all rows that are not held back for a test.

    Raises:
        ModelError: the rows do not allow a fit.
    """
    rows = Rows(matrix, learning.target, learning.groups, learning.weight)
    try:
        return learner.fit(rows.of(learning.final), len(learning.classes), seed)
    except CannotLearnError as error:
        raise _cannot(learning, error) from error


def score_training(learning: Learning, fitted: Fitted, matrix: Floats, seed: int) -> Scored:
    """Predictions of the rows that the artefact was fitted on: how closely it follows them."""
    nowhere = np.full(len(learning.target), -1)
    prediction = fitted.predict(matrix)
    return scored_rows(learning, "train", learning.final, nowhere, prediction, seed)


def _cannot(learning: Learning, error: CannotLearnError) -> ModelError:
    found = learning.training_set
    told = f"label {found.request.label.name!r} cannot be learned from {len(found)} rows"
    return ModelError(f"{told}: {error}")


def scored_rows(
    learning: Learning,
    evaluation: Evaluation,
    rows: Bools,
    fold: Ints,
    prediction: Prediction,
    seed: int,
) -> Scored:
    """Predictions of some rows with their metrics.

    Args:
        learning: the training set.
        evaluation: what the rows are to the model.
        rows: (N,) which.
        fold: (N,) fold of each row.
        prediction: of all N rows.
        seed: of the intervals.
    """
    groups, folds = learning.groups[rows], fold[rows]
    # Rows that were trained on are judged too well for an interval to mean anything.
    resamples = 0 if evaluation == "train" else RESAMPLES
    if prediction.probabilities is not None:
        metrics = class_metrics(
            learning.target[rows].astype(np.int64),
            prediction.probabilities[rows],
            learning.classes,
            groups,
            folds,
            resamples=resamples,
            seed=seed,
        )
    else:
        assert prediction.number is not None
        assert prediction.std is not None
        metrics = number_metrics(
            learning.target[rows],
            prediction.number[rows],
            prediction.std[rows],
            groups,
            folds,
            resamples=resamples,
            seed=seed,
        )
    return Scored(evaluation, rows, fold, prediction, tuple(metrics))


def metric_cards(scored: Sequence[Scored], unit: str) -> tuple[MetricCard, ...]:
    """Metrics for the card and for the table; of the training rows those of all alone."""
    return tuple(
        MetricCard(
            evaluation=one.evaluation,
            part=metric.part,
            metric=metric.name,
            value=_finite(metric.value),
            lower=_finite(metric.lower),
            upper=_finite(metric.upper),
            unit=unit if metric.name in IN_LABEL_UNIT else "1",
            rows=metric.rows,
        )
        for one in scored
        for metric in one.metrics
        if one.evaluation != "train" or metric.part == ALL
    )


def prediction_records(
    learning: Learning, scored: Scored, key: Mapping[str, object]
) -> list[Record]:
    """Rows of the table `predictions`."""
    rows = learning.training_set.rows
    ids, datasets = rows["entity_id"].to_pylist(), rows["dataset"].to_pylist()
    return [
        {
            **key,
            "evaluation": scored.evaluation,
            "entity_id": ids[row],
            "dataset": datasets[row],
            "fold": int(scored.fold[row]) if scored.fold[row] >= 0 else None,
            **_measured(learning, row),
            **predicted_record(scored.prediction, row, learning.classes),
        }
        for row in np.flatnonzero(scored.rows).tolist()
    ]


def _measured(learning: Learning, row: int) -> Record:
    if learning.classes:
        return {"label_text": learning.classes[int(learning.target[row])]}
    return {"label_number": float(learning.target[row])}


def predicted_record(prediction: Prediction, row: int, classes: Sequence[str]) -> Record:
    """Columns that tell what was predicted for a row."""
    if prediction.probabilities is None:
        assert prediction.number is not None
        assert prediction.std is not None
        return {
            "predicted_number": float(prediction.number[row]),
            "predicted_std": float(prediction.std[row]),
        }
    shares = prediction.probabilities[row]
    best = int(shares.argmax())
    return {
        "predicted_text": classes[best],
        "probability": float(shares[best]),
        "probabilities": json.dumps(dict(zip(classes, shares.tolist(), strict=True))),
    }


def curve_records(curves: Sequence[Curve], key: Mapping[str, object]) -> list[Record]:
    """Rows of the table `curves`."""
    return [
        {**key, "curve": curve.name, "curve_x": x, "curve_y": y}
        for curve in curves
        for x, y in zip(curve.x, curve.y, strict=True)
    ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
