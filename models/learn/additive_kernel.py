"""Kernel that adds up over blocks of features, and how well it explains what was measured.

Each block, such as one depth of a network, has a squared-exponential kernel of its own, whose
variance says how much the block matters (Duvenaud, Nickisch and Rasmussen, NeurIPS 24, 2011, 226).
Rows that share one measurement, such as images of a specimen, are averaged in the kernel (set
kernel: Gärtner, Flach, Kowalczyk and Smola, ICML 2002, 179): ten images are not ten measurements.
Equations are those of Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006.
Out of scope: fitting and predicting (`models.learn.gaussian_process`).
"""

from dataclasses import dataclass

import numpy as np

from models.learn.learner import Floats, Ints

CONSTANT = 1.0
"""Prior variance of the mean, in units of the target's variance: the mean is hardly held."""

NOISES = (0.05, 0.5)
"""Shares of the target's variance that noise may start from; the first is the typical one."""

_JITTER = 1e-8

_BOUNDS = (-12.0, 6.0)
"""Of logarithms: beyond, nothing changes in double precision."""

_LENGTHS = (-4.5, 6.0)
"""Of the length's: below, rounding of distances would show in kernels."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Of the kernel; variances in units of the target's.

    Attributes:
        variances: (B,) of the blocks.
        length: over which a block's function changes, where rows have a mean squared length of 1.
        noise: variance of a measurement.
    """

    variances: Floats
    length: float
    noise: float

    @property
    def alone(self) -> float:
        """Prior variance of a row's value, without noise."""
        return CONSTANT + float(self.variances.sum())

    def logarithms(self) -> Floats:
        """(B + 2,), which the optimiser moves."""
        return np.log([*self.variances, self.length, self.noise])

    @classmethod
    def of(cls, logarithms: Floats) -> "Hyperparameters":
        """Back from `logarithms`."""
        values = np.exp(logarithms)
        return cls(values[:-2], float(values[-2]), float(values[-1]))


def prior(blocks: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the logarithms (B + 2,) before any row is seen.

    Blocks share the target's variance, functions change over the distance of typical rows, and
    noise is a twentieth of the variance: each within a factor of 7 (length: 3) or so.
    """
    typical = Hyperparameters(np.full(blocks, 1 / blocks), 1.5, NOISES[0])
    return typical.logarithms(), np.array([*np.full(blocks, 2.0), 1.0, 2.0])


def distances(a: Floats, b: Floats, sizes: Ints) -> Floats:
    """Squared distances (B, N, M) between rows (N, D) and (M, D) within each block of columns."""
    edges = np.cumsum(sizes)[:-1]
    found = np.empty((len(sizes), len(a), len(b)))
    for block, (one, other) in enumerate(
        zip(np.split(a, edges, axis=1), np.split(b, edges, axis=1), strict=True)
    ):
        squares = (one**2).sum(1)[:, None] + (other**2).sum(1)
        found[block] = np.maximum(squares - 2 * one @ other.T, 0)
    return found


@dataclass(frozen=True, slots=True)
class Evidence:
    """Posterior of the hyperparameters, given M measurements on N rows, and its gradient.

    Attributes:
        distances: (B, N, N) squared distances between rows within each block.
        averaging: (M, N) share of each row in each measurement; every line sums to 1.
        target: (M,) of mean 0 and variance 1.
        weight: (M,) weights of mean 1, by which noise is divided.
    """

    distances: Floats
    averaging: Floats
    target: Floats
    weight: Floats

    def kernels(self, theta: Hyperparameters) -> Floats:
        """Kernels (B, N, N) of the blocks between rows, of variance 1."""
        kernels: Floats = np.exp(-self.distances / (2 * theta.length**2))
        return kernels

    def covariance(self, theta: Hyperparameters, kernels: Floats) -> Floats:
        """Covariance (M, M) of the measurements."""
        rows = np.tensordot(theta.variances, kernels, 1)
        shared = CONSTANT + self.averaging @ rows @ self.averaging.T
        covariance: Floats = shared + np.diag(theta.noise / self.weight + _JITTER)
        return covariance

    def negative(self, logarithms: Floats) -> tuple[float, Floats]:
        """Negative log posterior and its gradient over the logarithms (B + 2,).

        Marginal likelihood (eq. 5.8, 5.9) and a normal `prior` of each logarithm, which decides
        only what a few rows leave open.
        """
        from scipy.linalg import cho_solve  # noqa: PLC0415

        theta = Hyperparameters.of(logarithms)
        kernels = self.kernels(theta)
        lower = np.linalg.cholesky(self.covariance(theta, kernels))
        inverse = cho_solve((lower, True), np.eye(len(self.target)))
        weights = inverse @ self.target
        likelihood = -0.5 * self.target @ weights - np.log(np.diag(lower)).sum()
        likelihood -= 0.5 * len(self.target) * np.log(2 * np.pi)
        outer = 0.5 * (inverse - np.outer(weights, weights))  # (M, M)
        of_rows = self.averaging.T @ outer @ self.averaging  # (N, N)
        of_kernels = theta.variances[:, None, None] * kernels * of_rows  # (B, N, N)
        gradient = np.array(
            [
                *of_kernels.sum((1, 2)),
                (of_kernels * self.distances).sum() / theta.length**2,
                theta.noise * (np.diag(outer) / self.weight).sum(),
            ]
        )
        middle, width = prior(len(self.distances))
        off = (logarithms - middle) / width
        return float(0.5 * off @ off - likelihood), gradient + off / width


def most_likely(evidence: Evidence) -> tuple[Hyperparameters, list[float]]:
    """Hyperparameters of the greatest posterior, and the log posterior on the way there.

    L-BFGS from two starts, one that takes the target for signal and one for noise: the posterior
    may have a peak for each (section 5.4.1).
    """
    climbs = [_climb(evidence, noise) for noise in NOISES]
    return max(climbs, key=lambda climb: climb[1][-1])


def _climb(evidence: Evidence, noise: float) -> tuple[Hyperparameters, list[float]]:
    from scipy.optimize import OptimizeResult, minimize  # noqa: PLC0415

    start = prior(len(evidence.distances))[0]
    start[-1] = np.log(noise)
    path = [-evidence.negative(start)[0]]

    def note(intermediate_result: OptimizeResult) -> None:
        path.append(-float(intermediate_result.fun))

    found = minimize(
        evidence.negative,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[*[_BOUNDS] * len(evidence.distances), _LENGTHS, _BOUNDS],
        callback=note,
    )
    return Hyperparameters.of(found.x), path
