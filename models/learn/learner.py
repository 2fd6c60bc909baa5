"""What every model that learns has in common: rows in, predictions out, tensors to keep.

Out of scope: single models (`models.learn.ridge`, `models.learn.logistic`) and their evaluation.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Tensors = Mapping[str, npt.NDArray[np.float64]]
TargetKind = Literal["number", "class", "particles"]


class CannotLearnError(ValueError):
    """These rows do not allow this model to be fitted; says why, in one line."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that a model is fitted on.

    Attributes:
        x: features, (N, D), finite.
        target: (N,) numbers, or codes of classes from 0 as whole numbers.
        groups: (N,) number of the group of each row, such as its specimen: rows of one group
            never stand on both sides of an inner validation.
        weight: (N,) weights, at least 0.
    """

    x: Floats
    target: Floats
    groups: Ints
    weight: Floats

    def of(self, chosen: Bools) -> "Rows":
        """The rows that a mask (N,) chooses."""
        return Rows(self.x[chosen], self.target[chosen], self.groups[chosen], self.weight[chosen])


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions of N rows: numbers with one standard deviation, or probabilities of C classes."""

    number: Floats | None = None
    std: Floats | None = None
    probabilities: Floats | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of a training, such as the validation error over the penalty."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Fitted(Protocol):
    """A fitted model."""

    @property
    def chosen(self) -> Mapping[str, float | str]:
        """What the training chose: penalty, scaling, ..."""
        ...

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Curves of the training; none where the model was restored."""
        ...

    def predict(self, x: Floats) -> Prediction:
        """Predictions for features (N, D)."""
        ...

    def tensors(self) -> dict[str, Floats]:
        """Everything that `predict` needs, as float64 arrays."""
        ...


@dataclass(frozen=True, slots=True)
class Shapley:
    """What each feature adds to each prediction: Shapley values.

    Attributes:
        base: what is predicted where nothing is known of a row.
        values: (N, D); with the base they add up to the predictions.
        together: sets of columns of which only the sum of their values is known; each column has
            an equal share of it.
    """

    base: float
    values: Floats
    together: tuple[Ints, ...] = ()


class Explained(Protocol):
    """A fitted model of a number that says what its predictions rest on."""

    def shapley(self, x: Floats) -> Shapley:
        """Shapley values of features (N, D)."""
        ...


class Explainable(Protocol):
    """A learner whose models say what their predictions rest on."""

    def fit_to_explain(self, rows: Rows, seed: int) -> Explained:
        """Fit without what predictions alone need, such as their spread.

        Raises:
            CannotLearnError: a target that never varies, or too few groups.
        """
        ...


class Learner(Protocol):
    """A model with its parameters, not yet fitted."""

    @property
    def kind(self) -> TargetKind:
        """What it predicts."""
        ...

    def fit(self, rows: Rows, classes: int, seed: int) -> Fitted:
        """Fit on rows, deterministically; `classes` is 0 for numbers.

        Raises:
            CannotLearnError: too few rows, groups or classes.
        """
        ...

    def restore(self, tensors: Tensors) -> Fitted:
        """The fitted model whose `tensors()` these are.

        Raises:
            KeyError: a tensor is missing.
        """
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Run linear algebra on one thread, so that sums do not depend on the number of cores."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    with threadpool_limits(limits=1):
        yield
