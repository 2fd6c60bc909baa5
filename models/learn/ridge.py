"""Ridge regression for a number: Hoerl and Kennard, Technometrics 12 (1970) 55, eq. 2.3.

Scaling and penalty are chosen by validation within the training rows; the spread of a prediction
is that of the posterior under the Gaussian prior that the penalty is (Bishop, Pattern Recognition
and Machine Learning, 2006, eq. 3.58), with the noise measured on rows that were left out.
Out of scope: evaluation (`models.learn.evaluation`).
"""

from collections.abc import Mapping, Sequence
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
    Shapley,
    TargetKind,
    Tensors,
    one_thread,
)
from models.learn.scaling import Scaling, Spread, fit_scaling

PENALTIES = tuple(float(10.0**exponent) for exponent in np.arange(-4, 2.25, 0.5))
"""Penalties tried, relative to the mean squared length of the scaled rows."""

_RANK = 1e-10


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """Weighted, centred rows in their principal directions.

    Attributes:
        scaling: scaling fitted to the rows.
        mean: weighted mean of the target.
        directions: (D, R) orthonormal.
        eigenvalues: (R,) above 0.
        projected: (R,) rows' target along each direction.
        unit: mean squared length of a row: a relative penalty of 1.
    """

    scaling: Scaling
    mean: float
    directions: Floats
    eigenvalues: Floats
    projected: Floats
    unit: float


@dataclass(frozen=True, slots=True)
class RidgeFit:
    """A fitted ridge regression.

    Attributes:
        scaling: of the features.
        intercept: prediction for the mean row.
        coefficients: (D,) for scaled features.
        directions: (D, R) principal directions of the training rows.
        stiffness: (R,) eigenvalue plus penalty of each.
        penalty: absolute penalty.
        noise: standard deviation of the noise.
        chosen: what the validation chose.
        curves: validation error over the penalty.
    """

    scaling: Scaling
    intercept: float
    coefficients: Floats
    directions: Floats
    stiffness: Floats
    penalty: float
    noise: float
    chosen: Mapping[str, float | str]
    curves: tuple[Curve, ...] = ()

    def predict(self, x: Floats) -> Prediction:
        """Predicted numbers (N,) of features (N, D), each with one standard deviation."""
        with one_thread():
            scaled = self.scaling.apply(x)
            number = scaled @ self.coefficients + self.intercept
            std = self.noise * np.sqrt(
                1 + _leverage(scaled, self.directions, self.stiffness, self.penalty)
            )
        return Prediction(number=number, std=std)

    def shapley(self, x: Floats) -> Shapley:
        """Shapley values of features (N, D): exact where features are taken for independent.

        Štrumbelj and Kononenko, Knowl. Inf. Syst. 41 (2014) 647, eq. 9: each coefficient times
        the distance of its scaled feature from the mean of the training rows.
        """
        return Shapley(self.intercept, self.scaling.apply(x) * self.coefficients)

    def tensors(self) -> dict[str, Floats]:
        """Everything that `predict` needs."""
        return {
            **self.scaling.tensors(),
            "ridge.intercept": np.array([self.intercept]),
            "ridge.coefficients": self.coefficients,
            "ridge.directions": self.directions,
            "ridge.stiffness": self.stiffness,
            "ridge.penalty": np.array([self.penalty]),
            "ridge.noise": np.array([self.noise]),
        }


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression with the candidates that validation chooses from.

    Attributes:
        penalties: relative to the mean squared length of the scaled rows.
        scalings: signed power that features are raised to, and whether each is divided by its own
            spread.
        inner_folds: folds of the validation within the training rows, by group.
    """

    penalties: Sequence[float] = PENALTIES
    scalings: Sequence[tuple[float, Spread]] = ((1.0, "none"), (0.5, "none"), (1.0, "standard"))
    inner_folds: int = 10

    @property
    def kind(self) -> TargetKind:
        """A number."""
        return "number"

    def fit(self, rows: Rows, classes: int = 0, seed: int = 0) -> RidgeFit:
        """Choose scaling and penalty, and fit on all rows.

        Raises:
            CannotLearnError: fewer than two groups, or a target that never varies.
        """
        del classes
        if np.ptp(rows.target) == 0:
            message = f"every row has the label {rows.target[0]:g}: there is nothing to learn"
            raise CannotLearnError(message)
        with one_thread():
            return self._fit(rows, seed)

    def fit_to_explain(self, rows: Rows, seed: int) -> RidgeFit:
        """The same as `fit`."""
        return self.fit(rows, seed=seed)

    def _fit(self, rows: Rows, seed: int) -> RidgeFit:
        penalties = np.asarray(self.penalties, float)
        folds = list(inner_folds(rows, 0, self.inner_folds, seed))
        errors = np.array([self._errors(rows, folds, penalties, *each) for each in self.scalings])
        best, at = divmod(int(errors.argmin()), len(penalties))
        power, spread = self.scalings[best]
        ratio = float(penalties[at])
        spectrum = _spectrum(rows, power, spread)
        penalty = ratio * spectrum.unit
        stiffness = spectrum.eigenvalues + penalty
        return RidgeFit(
            scaling=spectrum.scaling,
            intercept=spectrum.mean,
            coefficients=spectrum.directions @ (spectrum.projected / stiffness),
            directions=spectrum.directions,
            stiffness=stiffness,
            penalty=penalty,
            noise=_noise(rows, folds, ratio, power, spread),
            chosen={"penalty": ratio, "power": power, "spread": spread},
            curves=tuple(
                Curve(
                    f"inner validation rmse, power {each[0]:g}, spread {each[1]}",
                    tuple(penalties.tolist()),
                    tuple(np.sqrt(error).tolist()),
                )
                for each, error in zip(self.scalings, errors, strict=True)
            ),
        )

    def _errors(
        self,
        rows: Rows,
        folds: list[tuple[Bools, Bools]],
        penalties: Floats,
        power: float,
        spread: Spread,
    ) -> Floats:
        """Mean squared validation error of each penalty, (P,)."""
        total = np.zeros(len(penalties))
        for training, validation in folds:
            spectrum = _spectrum(rows.of(training), power, spread)
            held = rows.of(validation)
            along = spectrum.scaling.apply(held.x) @ spectrum.directions  # (V, R)
            shrunk = spectrum.projected / (
                spectrum.eigenvalues + penalties[:, None] * spectrum.unit
            )  # (P, R)
            residual = held.target - spectrum.mean - shrunk @ along.T  # (P, V)
            total += (residual**2) @ held.weight
        mean: Floats = total / rows.weight.sum()
        return mean

    def restore(self, tensors: Tensors) -> RidgeFit:
        """The fit whose `tensors()` these are."""
        return RidgeFit(
            scaling=Scaling.restore(tensors),
            intercept=float(tensors["ridge.intercept"][0]),
            coefficients=tensors["ridge.coefficients"],
            directions=tensors["ridge.directions"],
            stiffness=tensors["ridge.stiffness"],
            penalty=float(tensors["ridge.penalty"][0]),
            noise=float(tensors["ridge.noise"][0]),
            chosen={},
        )


def _spectrum(rows: Rows, power: float, spread: Spread) -> _Spectrum:
    scaling = fit_scaling(rows.x, rows.weight, power, spread)
    root = np.sqrt(rows.weight)
    mean = float(rows.weight @ rows.target / rows.weight.sum())
    x = scaling.apply(rows.x) * root[:, None]  # (N, D); scaling has centred the rows
    target = (rows.target - mean) * root
    # The smaller of the two products has the same eigenvalues.
    tall = x.shape[0] > x.shape[1]
    eigenvalues, vectors = np.linalg.eigh(x.T @ x if tall else x @ x.T)
    kept = eigenvalues > _RANK * max(float(eigenvalues[-1]), np.finfo(float).tiny)
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    directions = vectors if tall else x.T @ vectors / np.sqrt(eigenvalues)
    projected = directions.T @ (x.T @ target)
    unit = float((x**2).sum() / rows.weight.sum())
    return _Spectrum(scaling, mean, directions, eigenvalues, projected, unit or 1.0)


def _noise(
    rows: Rows, folds: list[tuple[Bools, Bools]], ratio: float, power: float, spread: Spread
) -> float:
    """Noise that makes the left-out residuals as wide as they are predicted to be."""
    total = 0.0
    for training, validation in folds:
        spectrum = _spectrum(rows.of(training), power, spread)
        held = rows.of(validation)
        penalty = ratio * spectrum.unit
        stiffness = spectrum.eigenvalues + penalty
        scaled = spectrum.scaling.apply(held.x)
        number = spectrum.mean + scaled @ spectrum.directions @ (spectrum.projected / stiffness)
        leverage = _leverage(scaled, spectrum.directions, stiffness, penalty)
        total += float(held.weight @ ((held.target - number) ** 2 / (1 + leverage)))
    return float(np.sqrt(total / rows.weight.sum()))


def _leverage(scaled: Floats, directions: Floats, stiffness: Floats, penalty: float) -> Floats:
    """Variance of the predicted mean in units of the noise, (N,).

    What lies outside the training rows' directions is held by the penalty alone.
    """
    along = (scaled @ directions) ** 2  # (N, R)
    outside = np.maximum((scaled**2).sum(1) - along.sum(1), 0)
    spread: Floats = along @ (1 / stiffness) + outside / penalty
    return spread
