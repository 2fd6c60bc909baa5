"""Multinomial logistic regression for a class: softmax of a linear map, with an L2 penalty.

Cox, J. R. Stat. Soc. B 20 (1958) 215; fitted by scikit-learn's L-BFGS. Classes weigh alike however
many rows they have; scaling and penalty are chosen by validation within the training rows.
Out of scope: evaluation (`models.learn.evaluation`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.learn.inner import inner_folds
from models.learn.learner import (
    Bools,
    CannotLearnError,
    Curve,
    Floats,
    Prediction,
    Rows,
    TargetKind,
    Tensors,
    one_thread,
)
from models.learn.scaling import Scaling, Spread, fit_scaling
from models.learn.weights import balanced_weights

PENALTIES = tuple(float(10.0**exponent) for exponent in np.arange(1, -3.25, -0.5))
"""Penalties tried, strongest first, relative to the mean squared length of the scaled rows."""

_RANK = 1e-10
_TOLERANCE = 1e-6
_ITERATIONS = 2000
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A fitted multinomial logistic regression.

    Attributes:
        scaling: of the features.
        intercepts: (C,).
        coefficients: (C, D) for scaled features.
        chosen: what the validation chose.
        curves: validation error over the penalty.
    """

    scaling: Scaling
    intercepts: Floats
    coefficients: Floats
    chosen: Mapping[str, float | str]
    curves: tuple[Curve, ...] = ()

    def predict(self, x: Floats) -> Prediction:
        """Probabilities (N, C) of the classes for features (N, D)."""
        with one_thread():
            scores = self.scaling.apply(x) @ self.coefficients.T + self.intercepts
        return Prediction(probabilities=_softmax(scores))

    def tensors(self) -> dict[str, Floats]:
        """Everything that `predict` needs."""
        return {
            **self.scaling.tensors(),
            "logistic.intercepts": self.intercepts,
            "logistic.coefficients": self.coefficients,
        }


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression with the candidates that validation chooses from.

    Attributes:
        penalties: relative to the mean squared length of the scaled rows.
        scalings: signed power that features are raised to, and whether each is divided by its own
            spread.
        inner_folds: folds of the validation within the training rows, by group.
        balanced: whether classes weigh alike, or by their rows.
    """

    penalties: Sequence[float] = PENALTIES
    scalings: Sequence[tuple[float, Spread]] = ((0.5, "none"), (1.0, "standard"))
    inner_folds: int = 5
    balanced: bool = True

    @property
    def kind(self) -> TargetKind:
        """A class."""
        return "class"

    def fit(self, rows: Rows, classes: int, seed: int = 0) -> LogisticFit:
        """Choose scaling and penalty, and fit on all rows.

        Raises:
            CannotLearnError: fewer than two groups, or rows of one class only.
        """
        if np.unique(rows.target).size < 2:
            message = "all rows are of one class: there is nothing to learn"
            raise CannotLearnError(message)
        with one_thread():
            return self._fit(rows, classes, seed)

    def _fit(self, rows: Rows, classes: int, seed: int) -> LogisticFit:
        penalties = sorted(self.penalties, reverse=True)
        folds = list(inner_folds(rows, classes, self.inner_folds, seed))
        errors = np.array(
            [self._errors(rows, classes, folds, penalties, *each) for each in self.scalings]
        )
        best, at = divmod(int(errors.argmin()), len(penalties))
        power, spread = self.scalings[best]
        *_, (scaling, intercepts, coefficients) = self._path(
            rows, classes, penalties[: at + 1], power, spread
        )
        return LogisticFit(
            scaling=scaling,
            intercepts=intercepts,
            coefficients=coefficients,
            chosen={"penalty": penalties[at], "power": power, "spread": spread},
            curves=tuple(
                Curve(
                    f"inner validation log-loss, power {each[0]:g}, spread {each[1]}",
                    tuple(penalties),
                    tuple(error.tolist()),
                )
                for each, error in zip(self.scalings, errors, strict=True)
            ),
        )

    def _errors(
        self,
        rows: Rows,
        classes: int,
        folds: list[tuple[Bools, Bools]],
        penalties: Sequence[float],
        power: float,
        spread: Spread,
    ) -> Floats:
        """Validation log-loss of each penalty, (P,), classes weighted as in training."""
        weight = self._weights(rows, classes)
        total = np.zeros(len(penalties))
        seen = np.zeros(len(penalties))
        for training, validation in folds:
            part = rows.of(training)
            if np.unique(part.target).size < 2:
                continue
            held = rows.of(validation)
            codes = held.target.astype(int)
            for i, fit in enumerate(self._path(part, classes, penalties, power, spread)):
                scaling, intercepts, coefficients = fit
                found = _softmax(scaling.apply(held.x) @ coefficients.T + intercepts)
                likely = np.maximum(found[np.arange(len(codes)), codes], _LEAST_PROBABILITY)
                total[i] -= weight[validation] @ np.log(likely)
                seen[i] += weight[validation].sum()
        if not seen.all():
            message = "every validation leaves rows of one class only: more specimens are needed"
            raise CannotLearnError(message)
        return total / seen

    def _weights(self, rows: Rows, classes: int) -> Floats:
        """Weights (N,) of rows, by which classes weigh alike; they sum to the rows' weights."""
        if not self.balanced:
            return rows.weight
        return balanced_weights(rows.target, rows.weight, classes)

    def _path(
        self, rows: Rows, classes: int, penalties: Sequence[float], power: float, spread: Spread
    ) -> Iterator[tuple[Scaling, Floats, Floats]]:
        """Scaling, intercepts (C,) and coefficients (C, D) for one penalty after the other."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        scaling = fit_scaling(rows.x, rows.weight, power, spread)
        weight = self._weights(rows, classes)
        scaled = scaling.apply(rows.x)
        # The penalised solution lies in the span of the rows: far fewer directions than features.
        directions = _span(scaled)
        along = scaled @ directions
        unit = float(weight @ (scaled**2).sum(1) / weight.sum()) or 1.0
        model = LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE, warm_start=True)
        for penalty in penalties:
            model.set_params(C=1.0 / (penalty * unit))
            model.fit(along, rows.target.astype(int), sample_weight=weight)
            yield scaling, *_all_classes(model, directions, classes)

    def restore(self, tensors: Tensors) -> LogisticFit:
        """The fit whose `tensors()` these are."""
        return LogisticFit(
            scaling=Scaling.restore(tensors),
            intercepts=tensors["logistic.intercepts"],
            coefficients=tensors["logistic.coefficients"],
            chosen={},
        )


def _all_classes(model: object, directions: Floats, classes: int) -> tuple[Floats, Floats]:
    """Intercepts (C,) and coefficients (C, D) of a fitted model; classes it never saw are last."""
    found: Floats = model.coef_ @ directions.T  # type: ignore[attr-defined]
    intercept: Floats = model.intercept_  # type: ignore[attr-defined]
    if len(found) == 1:  # scikit-learn keeps one row for two classes: the score of the second
        found = np.concatenate([np.zeros_like(found), found])
        intercept = np.concatenate([np.zeros(1), intercept])
    coefficients = np.zeros((classes, directions.shape[0]))
    intercepts = np.full(classes, -np.inf)
    seen = model.classes_  # type: ignore[attr-defined]
    coefficients[seen], intercepts[seen] = found, intercept
    return intercepts, coefficients


def _span(x: Floats) -> Floats:
    """Orthonormal directions (D, R) that the rows (N, D) span."""
    if x.shape[0] > x.shape[1]:
        return np.eye(x.shape[1])
    eigenvalues, vectors = np.linalg.eigh(x @ x.T)
    kept = eigenvalues > _RANK * max(float(eigenvalues[-1]), np.finfo(float).tiny)
    directions: Floats = x.T @ vectors[:, kept] / np.sqrt(eigenvalues[kept])
    return directions


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares
