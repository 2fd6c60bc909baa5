"""Gaussian process regression for a number, additive over blocks of features.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: prediction eq. 2.25 and 2.26,
hyperparameters by the marginal likelihood eq. 5.8 and 5.9, left-out predictions eq. 5.12.
Out of scope: evaluation (`models.learn.evaluation`); tens of thousands of rows, for which `ridge`
is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.learn.additive_kernel import (
    CONSTANT,
    Evidence,
    Hyperparameters,
    distances,
    most_likely,
)
from models.learn.kernel_shapley import additive_values
from models.learn.learner import (
    CannotLearnError,
    Curve,
    Floats,
    Ints,
    Prediction,
    Rows,
    Shapley,
    TargetKind,
    Tensors,
    one_thread,
)
from models.learn.scaling import Scaling, Spread, block_scaling


@dataclass(frozen=True, slots=True)
class GaussianProcessFit:
    """A fitted Gaussian process.

    Attributes:
        scaling: of the features; within each block rows then have a mean squared length of 1.
        sizes: (B,) columns of each block.
        rows: (N, D) scaled features of the training rows.
        averaging: (M, N) share of each row in each of M measurements.
        weights: (M,) inverse covariance of the measurements times target.
        cholesky: (M, M) lower factor of the covariance of the measurements.
        hyperparameters: of the kernel.
        mean: of the target.
        unit: standard deviation of the target, by which it was divided.
        widening: factor of the spread, at least 1, that left-out rows ask for.
        chosen: what the training chose.
        curves: course of the optimisation, and shares of the blocks.
    """

    scaling: Scaling
    sizes: Ints
    rows: Floats
    averaging: Floats
    weights: Floats
    cholesky: Floats
    hyperparameters: Hyperparameters
    mean: float
    unit: float
    widening: float
    chosen: Mapping[str, float | str]
    curves: tuple[Curve, ...] = ()

    def predict(self, x: Floats) -> Prediction:
        """Predicted numbers (N,) of features (N, D), each with one standard deviation.

        The deviation is that of a new measurement, noise included.
        """
        from scipy.linalg import solve_triangular  # noqa: PLC0415

        theta = self.hyperparameters
        with one_thread():
            apart = distances(self.scaling.apply(x), self.rows, self.sizes)
            kernels = np.exp(-apart / (2 * theta.length**2))
            rows = np.tensordot(theta.variances, kernels, 1)
            across = CONSTANT + rows @ self.averaging.T  # (N, M)
            number = self.mean + self.unit * (across @ self.weights)
            explained = (solve_triangular(self.cholesky, across.T, lower=True) ** 2).sum(0)
        variance = np.maximum(theta.alone - explained, 0) + theta.noise
        return Prediction(number=number, std=self.unit * self.widening * np.sqrt(variance))

    def shapley(self, x: Floats) -> Shapley:
        """Shapley values of features (N, D), exact: see `models.learn.kernel_shapley`.

        Their background are the measurements, each counting once, however many images it has.
        Columns of a block of more than ten are known together.
        """
        theta, share = self.hyperparameters, self.averaging.mean(0)
        with one_thread():
            alphas = theta.variances[:, None] * (self.weights @ self.averaging)  # (B, N)
            scaled = self.scaling.apply(x)
            found = additive_values(scaled, self.rows, self.sizes, alphas, share, theta.length)
        base = self.mean + self.unit * (CONSTANT * float(self.weights.sum()) + found.base)
        return Shapley(base, self.unit * found.values, found.together)

    def tensors(self) -> dict[str, Floats]:
        """Everything that `predict` needs, the scaled features of the training rows included."""
        return {
            **self.scaling.tensors(),
            "gaussian_process.sizes": self.sizes.astype(float),
            "gaussian_process.rows": self.rows,
            "gaussian_process.averaging": self.averaging,
            "gaussian_process.weights": self.weights,
            "gaussian_process.cholesky": self.cholesky,
            "gaussian_process.logarithms": self.hyperparameters.logarithms(),
            "gaussian_process.target": np.array([self.mean, self.unit, self.widening]),
        }


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """Gaussian process regression with the candidates that the marginal likelihood chooses from.

    Attributes:
        blocks: columns of each block, which add up to the columns of the matrix; one block of all
            columns where nothing is said. `models.encode.encoder.Encoder.depths` are the blocks of
            a vector that holds several depths.
        scalings: signed power that features are raised to, and whether each is divided by its own
            spread.
        most_rows: rows beyond which fitting is refused: its time grows with the cube of the rows,
            from a second for 67 rows of five depths to two minutes for 1000 (one busy core,
            2026-11).
    """

    blocks: Sequence[int] = ()
    scalings: Sequence[tuple[float, Spread]] = ((0.5, "none"), (0.5, "standard"))
    most_rows: int = 1000

    @property
    def kind(self) -> TargetKind:
        """A number."""
        return "number"

    def fit(self, rows: Rows, classes: int = 0, seed: int = 0) -> GaussianProcessFit:
        """Choose scaling and hyperparameters, and fit on all rows of a weight above 0.

        Nothing is drawn: the seed makes no difference.

        Raises:
            CannotLearnError: fewer than two groups, a target that never varies, more rows than
                `most_rows`, or blocks that are not the columns.
        """
        del classes, seed
        rows = rows.of(rows.weight > 0)
        sizes = self._sizes(rows.x.shape[1])
        _check(rows, self.most_rows)
        with one_thread():
            fits = [_fit(rows, sizes, *scaling) for scaling in self.scalings]
        best = max(fits, key=lambda fit: float(fit.chosen["evidence"]))
        return replace(best, curves=tuple(curve for fit in fits for curve in fit.curves))

    def fit_to_explain(self, rows: Rows, seed: int) -> GaussianProcessFit:
        """The same as `fit`."""
        return self.fit(rows, seed=seed)

    def _sizes(self, columns: int) -> Ints:
        sizes = np.array(self.blocks or (columns,), np.int64)
        if sizes.min() < 1 or sizes.sum() != columns:
            told = " + ".join(str(size) for size in sizes)
            message = f"blocks are {told} = {sizes.sum()} columns, and there are {columns}"
            raise CannotLearnError(message)
        return sizes

    def restore(self, tensors: Tensors) -> GaussianProcessFit:
        """The fit whose `tensors()` these are."""
        mean, unit, widening = (float(value) for value in tensors["gaussian_process.target"])
        return GaussianProcessFit(
            scaling=Scaling.restore(tensors),
            sizes=tensors["gaussian_process.sizes"].astype(np.int64),
            rows=tensors["gaussian_process.rows"],
            averaging=tensors["gaussian_process.averaging"],
            weights=tensors["gaussian_process.weights"],
            cholesky=tensors["gaussian_process.cholesky"],
            hyperparameters=Hyperparameters.of(tensors["gaussian_process.logarithms"]),
            mean=mean,
            unit=unit,
            widening=widening,
            chosen={},
        )


def _fit(rows: Rows, sizes: Ints, power: float, spread: Spread) -> GaussianProcessFit:
    """Fit with one scaling."""
    from scipy.linalg import cho_solve  # noqa: PLC0415

    scaling = block_scaling(rows.x, rows.weight, sizes, power, spread)
    scaled = scaling.apply(rows.x)
    averaging = _averaging(rows)
    weight = averaging @ rows.weight / (averaging @ rows.weight).mean()
    target = averaging @ rows.target
    mean = float(weight @ target / weight.sum())
    unit = float(np.sqrt(weight @ (target - mean) ** 2 / weight.sum()))
    apart = distances(scaled, scaled, sizes)
    evidence = Evidence(apart, averaging, (target - mean) / unit, weight)
    theta, path = most_likely(evidence)
    kernels = evidence.kernels(theta)
    lower = np.asarray(np.linalg.cholesky(evidence.covariance(theta, kernels)), np.float64)
    shares = theta.variances / theta.variances.sum()
    named = f"power {power:g}, spread {spread}"
    fit = GaussianProcessFit(
        scaling=scaling,
        sizes=sizes,
        rows=scaled,
        averaging=averaging,
        weights=cho_solve((lower, True), evidence.target),
        cholesky=lower,
        hyperparameters=theta,
        mean=mean,
        unit=unit,
        widening=1.0,
        chosen={
            "power": power,
            "spread": spread,
            "length": theta.length,
            "noise": unit * float(np.sqrt(theta.noise)),
            "evidence": path[-1],
            **{f"share of block {i + 1}": float(one) for i, one in enumerate(shares)},
        },
        curves=(
            _curve(f"log posterior by step, {named}", path),
            _curve(f"share of the variance by block, {named}", shares.tolist()),
        ),
    )
    across = CONSTANT + np.tensordot(theta.variances, kernels, 1) @ averaging.T
    return replace(fit, widening=_widening(fit, across, rows))


def _averaging(rows: Rows) -> Floats:
    """Share (M, N) of rows in measurements: rows of one group with one label share it."""
    key = np.stack([rows.groups.astype(float), rows.target], 1)
    _, first, code = np.unique(key, axis=0, return_index=True, return_inverse=True)
    member = (np.arange(len(first))[:, None] == code.ravel()).astype(float)
    shares: Floats = member / member.sum(1, keepdims=True)
    return shares


def _check(rows: Rows, most: int) -> None:
    """Refuse rows that nothing can be learned from."""
    groups = np.unique(rows.groups).size
    if groups < 2:
        message = f"{groups} group of rows: a model needs specimens of two groups or more"
        raise CannotLearnError(message)
    if np.ptp(rows.target) == 0:
        message = f"every row has the label {rows.target[0]:g}: there is nothing to learn"
        raise CannotLearnError(message)
    if len(rows.target) > most:
        message = (
            f"{len(rows.target)} rows are more than the {most} that a Gaussian process is fitted "
            "to here: take ridge, or raise most_rows"
        )
        raise CannotLearnError(message)


def _widening(fit: GaussianProcessFit, across: Floats, rows: Rows) -> float:
    """Factor, at least 1, by which rows of left-out groups are farther off than predicted.

    Eq. 5.12 for groups instead of rows: with K⁻¹ the inverse covariance and P its block of what is
    left out, the inverse without it is K⁻¹ less K⁻¹ P⁻¹ K⁻¹ over that block. Each row is then
    predicted alone, as a new image will be, however many images a measurement has.

    Never below 1: hyperparameters have seen the rows, and narrowing by such residuals held too few
    rows of specimens that they had not seen (mean squared ratio 1.3 instead of 0.6 to 1.0, 67
    ceramics, 2026-11).

    Args:
        fit: the fit, not yet widened.
        across: (N, M) covariance of rows and measurements.
        rows: the training rows.
    """
    from scipy.linalg import cho_solve  # noqa: PLC0415

    theta = fit.hyperparameters
    inverse = cho_solve((fit.cholesky, True), np.eye(len(fit.weights)))
    along = across @ inverse  # (N, M)
    explained = (along * across).sum(1)
    total = 0.0
    for group in np.unique(rows.groups):
        mine = rows.groups == group
        left = fit.averaging[:, mine].any(1)
        block = np.linalg.inv(inverse[np.ix_(left, left)])
        gain = along[np.ix_(mine, left)] @ block
        number = across[mine] @ fit.weights - gain @ fit.weights[left]
        lost = (gain * along[np.ix_(mine, left)]).sum(1)
        variance = np.maximum(theta.alone - explained[mine] + lost, 0) + theta.noise
        residual = (rows.target[mine] - fit.mean) / fit.unit - number
        total += float(rows.weight[mine] @ (residual**2 / variance))
    return max(1.0, float(np.sqrt(total / rows.weight.sum())))


def _curve(name: str, values: Sequence[float]) -> Curve:
    return Curve(name, tuple(float(i + 1) for i in range(len(values))), tuple(values))
