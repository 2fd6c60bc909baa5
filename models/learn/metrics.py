"""How good predictions are: metrics of numbers and of classes, with intervals over groups.

Out of scope: making the predictions (`models.learn.evaluation`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.learn.intervals import RESAMPLES, Intervals, bootstrap
from models.learn.learner import Bools, Floats, Ints

ALL = "all"
NUMBER_METRICS = ("r2", "rmse", "mae", "mae_of_mean", "spearman")
CLASS_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
OF_A_CLASS = ("precision", "recall", "f1")
OF_SPECIMENS = ("within_specimen_sd", "stated_std", "between_specimen_rmse")
IN_LABEL_UNIT = frozenset({"rmse", "mae", "mae_of_mean", *OF_SPECIMENS})

_LEAST_PROBABILITY = 1e-15
_MOST_FOLDS = 100


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one part of the rows.

    Attributes:
        name: such as r2 or macro_f1.
        part: all, ``fold 3`` or ``class NAME``.
        value: its value; NaN where it is not defined, as R² of rows that are all alike.
        lower: lower end of its interval; NaN where it has none.
        upper: upper end.
        rows: rows that it is of; of a class, its own.
    """

    name: str
    part: str
    value: float
    lower: float
    upper: float
    rows: int


def number_metrics(
    measured: Floats,
    predicted: Floats,
    std: Floats,
    groups: Ints,
    folds: Ints,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Metric]:
    """R², RMSE, MAE and Spearman's rank correlation, of all rows and of each fold.

    `mae_of_mean` is the MAE of who says the mean of the rows for each of them.

    Args:
        measured: (N,) labels.
        predicted: (N,) predictions.
        std: (N,) predicted standard deviations; how many rows lie within one is `within_one_std`.
        groups: (N,) group of each row, which the intervals are drawn over.
        folds: (N,) fold that tested each row.
        resamples: draws of the bootstrap.
        seed: of the draws.
    """
    names = (*NUMBER_METRICS, "within_one_std")
    within = (np.abs(measured - predicted) <= std).astype(float)

    def values(weight: Floats, chosen: "slice | Bools" = slice(None)) -> Floats:
        y, p = measured[chosen], predicted[chosen]
        return np.stack(
            [
                *_errors(weight, y, p),
                _error_of_mean(weight, y),
                weighted_spearman(weight, y, p),
                weight @ within[chosen] / weight.sum(1),
            ],
            axis=1,
        )

    found = bootstrap(values, groups, resamples=resamples, seed=seed)
    parts = [(name, ALL, len(measured)) for name in names]
    metrics = with_intervals(parts, found)
    for part, chosen in _of_folds(folds):
        rows = int(chosen.sum())
        alone = values(np.ones((1, rows)), chosen)[0]
        metrics += _without_intervals(names, part, alone, rows)
    return metrics


def with_intervals(parts: Sequence[tuple[str, str, int]], found: Intervals) -> list[Metric]:
    """Metrics from names, parts and rows of M, and their M values with intervals."""
    ends = np.stack([found.value, found.lower, found.upper], axis=1).tolist()
    return [
        Metric(name, part, value, lower, upper, rows)
        for (name, part, rows), (value, lower, upper) in zip(parts, ends, strict=True)
    ]


def _without_intervals(names: Sequence[str], part: str, values: Floats, rows: int) -> list[Metric]:
    return [
        Metric(name, part, value, np.nan, np.nan, rows)
        for name, value in zip(names, values.tolist(), strict=False)
        if np.isfinite(value)
    ]


def _errors(weight: Floats, measured: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """R², RMSE and MAE for weights (B, N), each (B,)."""
    total = weight.sum(1)
    residual = measured - predicted
    squares = weight @ residual**2
    mean = weight @ measured / total
    # Centred first: the square of a mean of large numbers would swallow their spread.
    centred = measured - measured.mean()
    spread = weight @ centred**2 - total * (mean - measured.mean()) ** 2
    flat = spread <= 1e-12 * (weight @ centred**2)
    r2 = np.where(flat, np.nan, 1 - squares / np.where(flat, 1, spread))
    return r2, np.sqrt(squares / total), weight @ np.abs(residual) / total


def _error_of_mean(weight: Floats, measured: Floats) -> Floats:
    """MAE of the weighted mean, (B,)."""
    total = weight.sum(1)
    mean = weight @ measured / total
    error: Floats = (weight * np.abs(measured - mean[:, None])).sum(1) / total
    return error


def weighted_spearman(weight: Floats, one: Floats, other: Floats) -> Floats:
    """Spearman's rank correlation, ties at their mean rank, for weights (B, N): (B,).

    A row of weight 2 counts as two equal rows.
    """
    a, b = _ranks(weight, one), _ranks(weight, other)
    total = weight.sum(1, keepdims=True)
    a -= (weight * a).sum(1, keepdims=True) / total
    b -= (weight * b).sum(1, keepdims=True) / total
    covariance = (weight * a * b).sum(1)
    spread = np.sqrt((weight * a**2).sum(1) * (weight * b**2).sum(1))
    flat = spread <= 1e-9 * total[:, 0]
    correlation: Floats = np.where(flat, np.nan, covariance / np.where(flat, 1, spread))
    return correlation


def _ranks(weight: Floats, values: Floats) -> Floats:
    """Mean ranks (B, N) of rows that count as often as their weights say."""
    levels, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(len(levels)))
    of_level = np.add.reduceat(weight[:, order], starts, axis=1)  # (B, L)
    rank = np.cumsum(of_level, axis=1) - (of_level - 1) / 2
    ranks: Floats = rank[:, level]
    return ranks


def class_metrics(
    measured: Ints,
    probabilities: Floats,
    classes: Sequence[str],
    groups: Ints,
    folds: Ints,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Metric]:
    """Accuracy, balanced accuracy, macro-F1 and log-loss; precision, recall and F1 of each class.

    As scikit-learn defines them: classes that are neither there nor predicted do not count, and
    precision without a prediction is 0.

    Args:
        measured: (N,) codes of classes.
        probabilities: (N, C); the largest is the prediction.
        classes: names of the classes.
        groups: (N,) group of each row, which the intervals are drawn over.
        folds: (N,) fold that tested each row.
        resamples: draws of the bootstrap.
        seed: of the draws.
    """
    count = len(classes)
    predicted = probabilities.argmax(1)
    loss = -np.log(
        np.maximum(probabilities[np.arange(len(measured)), measured], _LEAST_PROBABILITY)
    )
    pair = np.eye(count * count)[measured * count + predicted]  # (N, C²), one-hot

    def values(weight: Floats, chosen: "slice | Bools" = slice(None)) -> Floats:
        table = (weight @ pair[chosen]).reshape(-1, count, count)
        whole, single = _of_confusion(table)
        mean_loss = weight @ loss[chosen] / weight.sum(1)
        return np.concatenate([whole, mean_loss[:, None], single.reshape(len(table), -1)], axis=1)

    parts = [
        *((name, ALL, len(measured)) for name in CLASS_METRICS),
        *(
            (name, f"class {label}", int((measured == code).sum()))
            for name in OF_A_CLASS
            for code, label in enumerate(classes)
        ),
    ]
    found = bootstrap(values, groups, resamples=resamples, seed=seed)
    metrics = with_intervals(parts, found)
    for part, chosen in _of_folds(folds):
        rows = int(chosen.sum())
        alone = values(np.ones((1, rows)), chosen)[0]
        metrics += _without_intervals(CLASS_METRICS, part, alone, rows)
    return metrics


def _of_confusion(table: Floats) -> tuple[Floats, Floats]:
    """Metrics of confusion matrices (B, C, C), measured by predicted.

    Returns:
        Accuracy, balanced accuracy and macro-F1 (B, 3), and precision, recall and F1 (B, 3, C).
    """
    right = np.diagonal(table, axis1=1, axis2=2)  # (B, C)
    is_class, said = table.sum(2), table.sum(1)
    recall = _ratio(right, is_class, np.nan)
    precision = np.where(is_class + said > 0, _ratio(right, said, 0.0), np.nan)
    f1 = _ratio(2 * right, is_class + said, np.nan)
    whole = np.stack(
        [right.sum(1) / table.sum((1, 2)), np.nanmean(recall, axis=1), np.nanmean(f1, axis=1)],
        axis=1,
    )
    return whole, np.stack([precision, recall, f1], axis=1)


def _ratio(part: Floats, whole: Floats, otherwise: float) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, otherwise), where=whole > 0)


def confusion_matrix(measured: Ints, predicted: Ints, count: int) -> Ints:
    """How many rows of each class (down) were predicted as each (across), (C, C)."""
    found = np.bincount(measured * count + predicted, minlength=count * count)
    return found.reshape(count, count).astype(np.int64)


def _of_folds(folds: Ints) -> Iterator[tuple[str, Bools]]:
    """Folds with the mask of their rows; none where they are so many that each says little."""
    names = np.unique(folds)
    if len(names) < 2 or len(names) > _MOST_FOLDS:
        return
    for fold in names:
        yield f"fold {fold}", folds == fold
