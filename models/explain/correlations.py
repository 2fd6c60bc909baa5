"""Pearson correlations of columns: matrix, links of two matrices compared, robustness.

Out of scope: figures (`models.explain.circular_plot`); the rows with noise taken out of them
(`models.learn.autoencoder`).
"""

from dataclasses import dataclass

import numpy as np

from models.learn.learner import Bools, Floats

_CONSTANT = 1e-12
"""A column whose spread is below this share of its size is constant up to rounding."""


@dataclass(frozen=True, slots=True)
class LinkComparison:
    """Links of two matrices; a link is a pair of columns with |r| of a threshold or more.

    Attributes:
        common: (D, D) links of both, with the same sign.
        differing: (D, D) links of one alone, or of both with opposite signs.
    """

    common: Bools
    differing: Bools


@dataclass(frozen=True, slots=True)
class TargetCorrelations:
    """Correlation of each column with a target, and how far it depends on the rows drawn.

    Attributes:
        whole: (D,) of all rows.
        draws: (K, D) of each draw of rows; those of two data sets can be subtracted, as on top of
            Fig. S11 of Li et al.
    """

    whole: Floats
    draws: Floats

    @property
    def mean(self) -> Floats:
        """(D,) mean over draws."""
        return np.asarray(self.draws.mean(0), float)

    @property
    def std(self) -> Floats:
        """(D,) standard deviation over draws, with K - 1."""
        return np.asarray(self.draws.std(0, ddof=1), float)


def correlation_matrix(x: Floats) -> Floats:
    """Pearson correlation of every two columns.

    A column that never varies correlates with nothing: 0, on the diagonal too.

    Args:
        x: rows (N, D), finite.

    Returns:
        (D, D), symmetric, from -1 to 1.

    Raises:
        ValueError: fewer than two rows, or values that are not finite.
    """
    unit = _unit(x)
    matrix = np.clip(unit.T @ unit, -1, 1)
    np.fill_diagonal(matrix, (unit != 0).any(0))
    return np.asarray((matrix + matrix.T) / 2, float)


def links(correlations: Floats, threshold: float) -> Bools:
    """Pairs of different columns with |r| of the threshold or more, (D, D).

    Raises:
        ValueError: the threshold is not above 0 and up to 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}: take one above 0, up to 1")
    strong: Bools = np.abs(correlations) >= threshold
    return strong & ~np.eye(len(correlations), dtype=bool)


def compare_links(first: Floats, second: Floats, threshold: float) -> LinkComparison:
    """Links of two correlation matrices that are common and that differ.

    Args:
        first: (D, D).
        second: (D, D), of the same columns in the same order.
        threshold: least |r| of a link.

    Raises:
        ValueError: matrices of different sizes, or a threshold that is not above 0 and up to 1.
    """
    if first.shape != second.shape:
        raise ValueError(f"matrices are {first.shape} and {second.shape}: take the same columns")
    one, other = links(first, threshold), links(second, threshold)
    alike = np.sign(first) == np.sign(second)
    return LinkComparison(
        common=one & other & alike, differing=(one | other) & ~(one & other & alike)
    )


def target_correlations(
    x: Floats, target: Floats, *, draws: int = 10, rows: int | None = 500, seed: int = 0
) -> TargetCorrelations:
    """Correlation of each column with a target, for all rows and for random draws of them.

    Li et al., Science 376 (2022) 517, SI, draw 500 particles ten times (Fig. S11). The spread over
    such subsamples is that of as many rows, made smaller by those that two draws share.

    Args:
        x: rows (N, D), finite.
        target: (N,), finite.
        draws: at least 2.
        rows: drawn without replacement each time, fewer than N; None: a bootstrap, N rows drawn
            with replacement, whose spread is the standard error of `whole`.
        seed: of the draws.

    Raises:
        ValueError: too few draws or rows, or values that are not finite.
    """
    count = len(target)
    if draws < 2 or (rows is not None and not 2 <= rows < count):
        raise ValueError(f"{draws} draws of {rows} rows from {count}: take 2 draws, and fewer rows")
    rng = np.random.default_rng(seed)
    chosen = (
        rng.integers(count, size=count) if rows is None else rng.permutation(count)[:rows]
        for _ in range(draws)
    )
    return TargetCorrelations(
        whole=_with(x, target), draws=np.stack([_with(x[each], target[each]) for each in chosen])
    )


def _with(x: Floats, target: Floats) -> Floats:
    return np.asarray(np.clip(_unit(target[:, None])[:, 0] @ _unit(x), -1, 1), float)


def _unit(x: Floats) -> Floats:
    """Columns (N, D) about their mean, of length 1; 0 where constant."""
    x = np.asarray(x, float)
    if len(x) < 2:
        raise ValueError(f"{len(x)} rows: a correlation needs two or more")
    wrong = ~np.isfinite(x).all(0)
    if wrong.any():
        raise ValueError(f"column {int(np.flatnonzero(wrong)[0])} is not finite in every row")
    centre = x.mean(0)
    about = x - centre
    largest = np.abs(about).max(0)
    constant = (np.ptp(x, axis=0) == 0) | (largest <= _CONSTANT * np.abs(centre))
    # squares of tiny numbers would vanish, those of huge ones overflow
    about = np.where(constant, 0.0, about / np.where(constant, 1.0, largest))
    length = np.sqrt((about**2).sum(0))
    return np.asarray(about / np.where(constant, 1.0, length), float)
