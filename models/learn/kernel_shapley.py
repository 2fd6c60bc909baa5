"""Exact Shapley values of a Gaussian process whose kernel adds up over blocks of columns.

The posterior mean is a sum over blocks of Σ_r α_r k_b(x, r). By linearity a block's value is what
its term adds to the term's mean over a background, whatever the other blocks hold. Within a block
of few columns the squared-exponential kernel is a product over columns, k = Π_j k_j, so that with
the columns outside of a set S drawn from the background z (interventional: Janzing, Minorics and
Blöbaum, AISTATS 2020) a row x is worth

    v(S) = Σ_r α_r Π_{j ∈ S} k_j(x_j, r_j) · mean_z Π_{j ∉ S} k_j(z_j, r_j),

whose last factor knows nothing of x: all 2^D sets are counted, and nothing is sampled.
Out of scope: fitting (`models.learn.gaussian_process`), pictures.
"""

from math import factorial

import numpy as np

from models.learn.additive_kernel import distances
from models.learn.learner import Floats, Ints, Shapley

MOST_COLUMNS = 10
"""Of a block whose columns have values of their own: their sets double with each column."""

_CELLS = 4_000_000  # numbers in memory at a time


def additive_values(
    x: Floats, rows: Floats, sizes: Ints, alphas: Floats, background: Floats, length: float
) -> Shapley:
    """Shapley values of all columns: exact within blocks of few columns, and for others as a whole.

    Args:
        x: (N, D) scaled features of the rows to be explained.
        rows: (R, D) those of the training rows, which are the background as well.
        sizes: (B,) columns of each block.
        alphas: (B, R) α of each block, its variance included.
        background: (R,) share of each training row in the background; they sum to 1.
        length: of the kernel.
    """
    base, values, together = 0.0, np.empty_like(x), []
    ends = np.cumsum(sizes)
    for first, last, weights in zip(ends - sizes, ends, alphas, strict=True):
        own = slice(first, last)
        if last - first <= MOST_COLUMNS:
            mean, values[:, own] = _column_values(
                x[:, own], rows[:, own], weights, background, length
            )
        else:
            mean, value = _block_value(x[:, own], rows[:, own], weights, background, length)
            values[:, own] = value[:, None] / (last - first)
            together.append(np.arange(first, last))
        base += mean
    return Shapley(base, values, tuple(together))


def _column_values(
    x: Floats, rows: Floats, weights: Floats, background: Floats, length: float
) -> tuple[float, Floats]:
    """Mean of a block's term over the background, and values (N, D), which add up to the term."""
    absent = weights * _mean_of_rest(rows, background, length)  # (2^D, R)
    step = max(1, _CELLS // absent.size)
    worth = np.concatenate(
        [
            np.einsum("snr,sr->ns", _products(x[start : start + step], rows, length), absent)
            for start in range(0, len(x), step)
        ]
        or [np.empty((0, len(absent)))]
    )  # (N, 2^D)
    return float(absent[0].sum()), _shapley(worth)


def _block_value(
    x: Floats, rows: Floats, weights: Floats, background: Floats, length: float
) -> tuple[float, Floats]:
    """Mean of a block's term over the background, and values (N,) of the block as a whole."""
    whole = np.array([x.shape[1]])
    term, of_rows = (
        np.exp(-distances(one, rows, whole)[0] / (2 * length**2)) @ weights for one in (x, rows)
    )
    base = float(background @ of_rows)
    return base, term - base


def _products(x: Floats, rows: Floats, length: float) -> Floats:
    """Π_{j ∈ S} k_j(x_j, r_j) for each set S, whose bits are its columns: (2^D, N, R)."""
    columns = x.shape[1]
    found = np.ones((2**columns, len(x), len(rows)))
    for j in range(columns):
        kernel = np.exp(-((x[:, j, None] - rows[:, j]) ** 2) / (2 * length**2))
        found[2**j : 2 ** (j + 1)] = found[: 2**j] * kernel
    return found


def _mean_of_rest(rows: Floats, background: Floats, length: float) -> Floats:
    """mean_z Π_{j ∉ S} k_j(z_j, r_j) over the background z for each set S, (2^D, R)."""
    sets = 2 ** rows.shape[1]
    step = max(1, _CELLS // (sets * len(rows)))
    total = np.zeros((sets, len(rows)))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        total += np.einsum("szr,z->sr", _products(rows[part], rows, length), background[part])
    return total[::-1]  # what is outside of S is the complement: all bits turned


def _shapley(worth: Floats) -> Floats:
    """Shapley values (N, D) of games (N, 2^D) over sets whose bits are their players."""
    sets = np.arange(worth.shape[1])
    columns = int(worth.shape[1]).bit_length() - 1
    sizes = np.array([int(one).bit_count() for one in sets])
    values = np.empty((len(worth), columns))
    for j in range(columns):
        without = sets[(sets >> j) & 1 == 0]
        share = np.array(
            [factorial(k) * factorial(columns - 1 - k) / factorial(columns) for k in range(columns)]
        )[sizes[without]]
        values[:, j] = (worth[:, without | 1 << j] - worth[:, without]) @ share
    return values
