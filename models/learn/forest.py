"""Random forest for a number: Breiman, Machine Learning 45 (2001) 5; grown by scikit-learn.

A prediction is the mean over the trees. Its spread is that of the labels in the leaves that a row
falls into (Meinshausen, J. Mach. Learn. Res. 7 (2006) 983), made so wide that it holds 68 % of rows
that were left out.
Out of scope: evaluation (`models.learn.evaluation`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.learn.inner import inner_folds
from models.learn.learner import (
    CannotLearnError,
    Curve,
    Floats,
    Prediction,
    Rows,
    Shapley,
    TargetKind,
    Tensors,
)

Ints = npt.NDArray[np.int64]
LEAF = -1
"""Child of a node that has none."""

_WITHIN_ONE = 0.6827  # of a normal distribution, within one standard deviation
_LEAST_SPREAD = 1e-6
_PARTS = ("starts", "left", "right", "feature", "threshold", "value", "variance", "cover")


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """T trees with M nodes in all, those of a tree in a row.

    Attributes:
        starts: (T + 1,) first node of each tree.
        left: (M,) node for values up to the threshold, counted within the tree; `LEAF` in a leaf.
        right: (M,) node for greater ones.
        feature: (M,) place of the feature that is asked about.
        threshold: (M,) of the question; features are compared as 32-bit numbers.
        value: (M,) mean label of the rows that came here.
        variance: (M,) their variance.
        cover: (M,) how many there were, by weight.
    """

    starts: Ints
    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    value: Floats
    variance: Floats
    cover: Floats

    def leaves(self, x: Floats) -> Ints:
        """(N, T) node that each row of (N, D) features ends in."""
        given = np.ascontiguousarray(x, np.float32).astype(np.float64)
        return np.asarray(
            _leaves(given, self.starts, self.left, self.right, self.feature, self.threshold)
        )

    def shapley(self, x: Floats) -> Shapley:
        """Shapley values of features (N, D), by the paths of the training rows.

        Lundberg et al., Nature Machine Intelligence 2 (2020) 56: a feature that is not known is
        followed down both branches, by how many training rows took each.
        """
        from shap import TreeExplainer  # noqa: PLC0415  takes seconds to import

        model = {
            "trees": [self._as_shap(tree) for tree in range(len(self.starts) - 1)],
            "internal_dtype": np.float64,
            "input_dtype": np.float32,
            "objective": "squared_error",
            "tree_output": "raw_value",
            "base_offset": 0.0,
        }
        explainer = TreeExplainer(model, feature_perturbation="tree_path_dependent")
        values = explainer.shap_values(np.asarray(x, np.float32), check_additivity=False)
        base = float(np.ravel(explainer.expected_value)[0])
        return Shapley(base, np.asarray(values, float).reshape(x.shape))

    def _as_shap(self, tree: int) -> dict[str, npt.NDArray[Any]]:
        nodes = slice(self.starts[tree], self.starts[tree + 1])
        return {
            "children_left": self.left[nodes],
            "children_right": self.right[nodes],
            "children_default": self.right[nodes],
            "features": self.feature[nodes],
            "thresholds": self.threshold[nodes],
            "values": self.value[nodes, None] / (len(self.starts) - 1),
            "node_sample_weight": self.cover[nodes],
        }


@dataclass(frozen=True, slots=True, eq=False)
class ForestFit:
    """A grown forest.

    Attributes:
        trees: its trees.
        widening: factor on the spread of the leaves.
        chosen: what the training found.
        curves: none, a forest has no course.
    """

    trees: Trees
    widening: float
    chosen: Mapping[str, float | str]
    curves: tuple[Curve, ...] = ()

    def predict(self, x: Floats) -> Prediction:
        """Predicted numbers (N,) of features (N, D), each with one standard deviation."""
        leaves = self.trees.leaves(x)
        value = self.trees.value[leaves]
        number = value.mean(1)
        within = self.trees.variance[leaves].mean(1)
        spread = np.sqrt(within + value.var(1))
        return Prediction(number=number, std=self.widening * spread)

    def shapley(self, x: Floats) -> Shapley:
        """Shapley values of features (N, D)."""
        return self.trees.shapley(x)

    def tensors(self) -> dict[str, Floats]:
        """Everything that `predict` needs."""
        found = {f"forest.{name}": getattr(self.trees, name).astype(float) for name in _PARTS}
        return found | {"forest.widening": np.array([self.widening])}


@dataclass(frozen=True, slots=True)
class Forest:
    """Random forest with its parameters.

    Attributes:
        trees: how many.
        depth: of a tree at most; 30 as in Li et al., Science 376 (2022) 517, supplement.
        features: share of the features that each question is chosen from; all of them let the
            strongest of several that say the same hide the others.
        least_rows: of a leaf.
        inner_folds: folds by group that tell how wide predictions are.
    """

    trees: int = 200
    depth: int = 30
    features: float = 1 / 3
    least_rows: int = 3
    inner_folds: int = 5

    def __post_init__(self) -> None:
        """Refuse what grows nothing."""
        for name in ("trees", "depth", "least_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: take at least 1")
        if not 0 < self.features <= 1:
            raise ValueError(f"features is {self.features}: take a share above 0, up to 1")
        if self.inner_folds < 2:
            raise ValueError(f"inner_folds is {self.inner_folds}: take at least 2")

    @property
    def kind(self) -> TargetKind:
        """A number."""
        return "number"

    def fit(self, rows: Rows, classes: int = 0, seed: int = 0) -> ForestFit:
        """Grow the forest, and find out on rows left out by group how wide its predictions are.

        Raises:
            CannotLearnError: fewer than two groups, or a target that never varies.
        """
        del classes
        whole = self.fit_to_explain(rows, seed)
        distances = []
        for training, validation in inner_folds(rows, 0, self.inner_folds, seed):
            held = rows.of(validation & (rows.weight > 0))
            found = ForestFit(self._grown(rows.of(training), seed), 1.0, {}).predict(held.x)
            assert found.number is not None
            assert found.std is not None
            off = np.abs(held.target - found.number)
            distances.append(off / np.maximum(found.std, _LEAST_SPREAD * np.ptp(rows.target)))
        widening = float(np.quantile(np.concatenate(distances), _WITHIN_ONE))
        return ForestFit(whole, widening, {"nodes": float(len(whole.left))})

    def fit_to_explain(self, rows: Rows, seed: int) -> Trees:
        """Grow the trees alone.

        Raises:
            CannotLearnError: a target that never varies.
        """
        if np.ptp(rows.target) == 0:
            message = f"every row has the label {rows.target[0]:g}: there is nothing to learn"
            raise CannotLearnError(message)
        return self._grown(rows, seed)

    def _grown(self, rows: Rows, seed: int) -> Trees:
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

        forest = RandomForestRegressor(
            n_estimators=self.trees,
            max_depth=self.depth,
            max_features=self.features,
            min_samples_leaf=self.least_rows,
            random_state=seed,
            n_jobs=1,
        )
        forest.fit(rows.x, rows.target, sample_weight=rows.weight)
        return _trees([estimator.tree_ for estimator in forest.estimators_])

    def restore(self, tensors: Tensors) -> ForestFit:
        """The forest whose `tensors()` these are."""
        parts: dict[str, Any] = {name: tensors[f"forest.{name}"] for name in _PARTS}
        whole = {
            name: parts[name].astype(np.int64) for name in ("starts", "left", "right", "feature")
        }
        return ForestFit(Trees(**(parts | whole)), float(tensors["forest.widening"][0]), {})


def _trees(grown: list[Any]) -> Trees:
    """Trees of scikit-learn one after the other."""
    counts = [tree.node_count for tree in grown]
    joined = {
        name: np.concatenate([getattr(tree, source) for tree in grown])
        for name, source in (
            ("left", "children_left"),
            ("right", "children_right"),
            ("feature", "feature"),
            ("threshold", "threshold"),
            ("variance", "impurity"),
            ("cover", "weighted_n_node_samples"),
        )
    }
    return Trees(
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        left=joined["left"].astype(np.int64),
        right=joined["right"].astype(np.int64),
        feature=np.maximum(joined["feature"], 0).astype(np.int64),
        threshold=joined["threshold"].astype(float),
        value=np.concatenate([tree.value[:, 0, 0] for tree in grown]),
        variance=np.maximum(joined["variance"], 0),
        cover=joined["cover"].astype(float),
    )


@jit
def _leaves(
    x: Floats, starts: Ints, left: Ints, right: Ints, feature: Ints, threshold: Floats
) -> Ints:
    found = np.empty((x.shape[0], starts.shape[0] - 1), np.int64)
    for tree in range(starts.shape[0] - 1):
        first = starts[tree]
        for row in range(x.shape[0]):
            node = first
            while left[node] >= 0:
                step = left[node] if x[row, feature[node]] <= threshold[node] else right[node]
                node = first + step
            found[row, tree] = node
    return found
