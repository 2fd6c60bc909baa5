"""What drives a model: importance of features, and how far it depends on rows and on chance.

Importance is the sum of absolute Shapley values over rows (Li et al., Science 376 (2022) 517,
supplement), and it is found again on draws of the rows and with other random numbers.
Out of scope: the models (`models.learn`), pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.learn.learner import Explainable, Floats, Ints, Rows

Strategy = Literal["model", "draws", "seeds"]
"""The kept model, models of draws of the rows, models of all rows by other random numbers."""

_MOST_OF_ALL = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Importance of G features in one fit.

    Attributes:
        strategy: what kind of fit it is.
        repeat: its number, from 0.
        total: (G,) sum of absolute Shapley values over the rows, in the unit of the label.
        pearson: (G,) correlation with the label over the same rows; 0 for a constant feature, NaN
            for a vector.
        rows: how many rows.
    """

    strategy: Strategy
    repeat: int
    total: Floats
    pearson: Floats
    rows: int

    @property
    def share(self) -> Floats:
        """(G,) share of the features in the total."""
        whole = float(self.total.sum())
        return self.total / whole if whole > 0 else np.zeros_like(self.total)


def importance_of(
    values: Floats, rows: Rows, groups: Sequence[Ints], strategy: Strategy, repeat: int = 0
) -> Importance:
    """Importance by Shapley values.

    Args:
        values: (N, D) Shapley values of the rows.
        rows: the rows.
        groups: for each of G features its columns of the D; numbers of one vector go together.
        strategy: what kind of fit they are of.
        repeat: its number.
    """
    total = np.abs(grouped(values, groups)).sum(0)
    pearson = np.array([_pearson(rows.x[:, own], rows.target) for own in groups])
    return Importance(strategy, repeat, total, pearson, len(rows.target))


def grouped(values: Floats, groups: Sequence[Ints]) -> Floats:
    """(N, G) Shapley values of features of one or several columns: those of its columns summed."""
    return np.stack([values[:, own].sum(1) for own in groups], axis=1)


def repeated(
    learner: Explainable,
    rows: Rows,
    judged: Rows,
    groups: Sequence[Ints],
    *,
    draws: int,
    draw_rows: int,
    seeds: int,
    seed: int,
) -> Iterator[Importance]:
    """Importance in models of other rows, and of other random numbers.

    Args:
        learner: fits the models.
        rows: all rows.
        judged: rows that models of all rows are judged by, all or some of them.
        groups: see `importance_of`.
        draws: how many models of `draw_rows` rows drawn without replacement.
        draw_rows: rows of a draw; of few rows four fifths, so that draws differ.
        seeds: how many models of all rows, of another seed each.
        seed: of the draws; the models' own seeds follow it.

    Raises:
        CannotLearnError: the rows of a draw do not allow a fit.
    """
    count = len(rows.target)
    drawn = min(draw_rows, round(_MOST_OF_ALL * count))
    for repeat in range(draws):
        chosen = np.zeros(count, bool)
        chosen[np.random.default_rng([seed, repeat]).permutation(count)[:drawn]] = True
        part = rows.of(chosen)
        values = learner.fit_to_explain(part, seed).shapley(part.x).values
        yield importance_of(values, part, groups, "draws", repeat)
    for repeat in range(seeds):
        values = learner.fit_to_explain(rows, seed + repeat).shapley(judged.x).values
        yield importance_of(values, judged, groups, "seeds", repeat)


def _pearson(columns: Floats, target: Floats) -> float:
    """Correlation of one column (N, 1) with the target; NaN for several columns."""
    if columns.shape[1] != 1:
        return float("nan")
    one, other = columns[:, 0] - columns[:, 0].mean(), target - target.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0 else 0.0
