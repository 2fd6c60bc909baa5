"""What a training set comes to for a model: target, groups, folds, and who trains the artefact.

Out of scope: building training sets (`graindex.training`) and fitting (`models.learn`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import ModelError
from graindex.features.fitting import FittedFeatures, fit
from graindex.features.registry import register_feature_set
from graindex.files import sha256
from graindex.trained.definition import ModelDefinition
from graindex.trained.methods import METHODS
from graindex.training import annotated, plain_images
from graindex.training.assembling import described
from graindex.training.duplicates import duplicates_of
from graindex.training.splits import assign, learning_rows
from graindex.training.training_set import TrainingSet, build_training_set
from models.learn.evaluation import Fold
from models.learn.learner import Bools, Floats, Ints, TargetKind
from models.learn.metrics import weighted_spearman

if TYPE_CHECKING:
    from graindex.store import Store

Evaluation = Literal["cross-validation", "test", "train"]
OF_IMAGES = {one.name: one for one in (annotated.FEATURES, plain_images.FEATURES)}
"""Feature sets of methods that look at images themselves, by name: nobody has to register them."""

_FEW_GROUPS = 10
_MOST_CLASSES = 20
_MEASURED = ("particles_2d", "particles_3d")
_TELLING_VALUES = 20  # of a label, before a rank correlation says anything
_ALMOST = 0.95
_ROWS_OF_A_CLASS = 4  # a number that takes more values than that leaves is no class


@dataclass(frozen=True)
class Learning:
    """A training set as a model sees it.

    Attributes:
        training_set: the training set.
        groups: (N,) group of each row, which neither a split nor a validation parts.
        target: (N,) labels, or codes of classes.
        classes: names of the classes; empty where a number is learned.
        kind: what is learned.
    """

    training_set: TrainingSet
    groups: Ints
    target: Floats
    classes: tuple[str, ...]
    kind: TargetKind

    @cached_property
    def weight(self) -> Floats:
        """(N,) weights of rows."""
        return np.asarray(self.training_set.rows["weight"].to_numpy(), float)

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """Who is tested, and by a model of whom."""
        split, rows = self.training_set.request.split, self.training_set.rows
        fold = pc.fill_null(rows["fold"], -1).to_numpy()
        return tuple(
            Fold(int(number), learning_rows(split, rows, int(number)), fold == number)
            for number in np.unique(fold[fold >= 0])
        )

    @cached_property
    def final(self) -> Bools:
        """(N,) rows that train the artefact: all that are not held back for a test."""
        return np.isin(self._side, ("train", "cross-validation"))

    @cached_property
    def _side(self) -> npt.NDArray[np.str_]:
        return np.array(self.training_set.rows["side"].to_pylist(), np.str_)

    @property
    def evaluation(self) -> Evaluation:
        """What the left-out rows are called."""
        return "cross-validation" if "cross-validation" in self._side else "test"

    @property
    def groups_hash(self) -> str:
        """SHA-256 over the groups, which the fingerprint of the rows does not know."""
        return sha256(np.ascontiguousarray(self.groups).tobytes())

    def fit_features(self, mask: Bools) -> FittedFeatures:
        """Normalisation and selection, fitted on masked rows alone."""
        found = self.training_set
        return fit(found.feature_set.definition, found.features, found.batches, mask)

    def matrix(self, mask: Bools) -> Floats:
        """(N, D) features of all rows, fitted on masked rows alone."""
        return self.matrix_by(self.fit_features(mask))

    def matrix_by(self, fitted: FittedFeatures) -> Floats:
        """(N, D) features of all rows by a fitted normalisation and selection."""
        return self.training_set.matrix(fitted)


def learning_of(store: "Store", definition: ModelDefinition, training_set: TrainingSet) -> Learning:
    """A training set as a model sees it.

    Raises:
        ModelError: labels are classes where the method learns numbers, or the reverse.
    """
    target, classes = _target(definition, training_set)
    kind = METHODS[definition.method].kind
    return Learning(training_set, _groups(store, training_set), target, classes, kind)


def training_set_of(store: "Store", definition: ModelDefinition, *, author: str) -> TrainingSet:
    """The training set that a model asks for, as things stand.

    Raises:
        GraindexError: its features, labels or split are wrong.
    """
    if definition.feature_set in OF_IMAGES:
        register_feature_set(store, OF_IMAGES[definition.feature_set], author=author)
    return build_training_set(store, definition.request())


def _groups(store: "Store", training_set: TrainingSet) -> Ints:
    """(N,) group of each row, as the split made them."""
    split, snapshot = training_set.request.split, training_set.lake_snapshot
    rows = described(store, training_set.kind, training_set.rows, split, snapshot)
    alike = duplicates_of(store, training_set.kind, training_set.rows, snapshot)
    return np.asarray(assign(split, rows, alike.pairs).groups, np.int64)


def _target(
    definition: ModelDefinition, training_set: TrainingSet
) -> tuple[Floats, tuple[str, ...]]:
    """Numbers, or codes of classes with the classes' names; zeros for label images."""
    kind = METHODS[definition.method].kind
    if kind == "particles":
        return np.zeros(len(training_set)), ()
    numbers = not training_set.classes
    told = f"model {definition.name!r}: label {training_set.request.label.name!r} is a"
    if kind == "number":
        if not numbers:
            other = _other_method(definition.method, "logistic")
            message = f"{told} class, and {definition.method} learns numbers: choose {other}"
            raise ModelError(message)
        return np.asarray(training_set.target, float), ()
    values, codes = np.unique(training_set.target, return_inverse=True)
    if numbers and len(values) > min(_MOST_CLASSES, len(codes) / _ROWS_OF_A_CLASS):
        message = (
            f"{told} number of {len(values)} values, and {definition.method} learns classes: "
            f"choose {_other_method(definition.method, 'ridge')}"
        )
        raise ModelError(message)
    names = tuple(f"{value:g}" if numbers else str(value) for value in values)
    return codes.astype(float), names


def _other_method(name: str, of_features: str) -> str:
    """What learns the other kind of label from the same: pixels, or features."""
    own = METHODS[name]
    if not own.sees_images:
        return of_features
    return next(key for key, one in METHODS.items() if one.sees_images and one.kind != own.kind)


def refuse_the_label(learning: Learning) -> None:
    """Refuse features that the label itself is among.

    Raises:
        ModelError: a feature is taken from the column that is learned.
    """
    found = learning.training_set
    own = {f"{table}.{found.request.label.name}" for table in (*_MEASURED, "samples")}
    for field in found.features.schema:
        sources = (field.metadata or {}).get(b"source", b"").decode().split(", ")
        if own & set(sources):
            message = (
                f"feature {field.name!r} is taken from {(own & set(sources)).pop()}, which is what "
                "is to be learned: leave it out of the feature set"
            )
            raise ModelError(message)


def warnings_of(learning: Learning) -> list[str]:
    """What a person should know before believing the metrics."""
    found = learning.training_set
    split = found.request.split
    warnings = []
    if split.allow_leakage:
        warnings.append(
            "leakage is allowed: images of one specimen may stand on both sides of the split, so "
            "that the metrics are better than for a new specimen"
        )
    if not learning.folds:
        warnings.append("no row was left out: nothing tells how good the model is on new ones")
    groups = len(np.unique(learning.groups))
    if groups < _FEW_GROUPS:
        warnings.append(f"only {groups} groups of rows: intervals over so few are rough")
    shared = _tested_with_their_session(learning)
    if shared:
        warnings.append(
            f"{shared} of {sum(int(fold.tested.sum()) for fold in learning.folds)} tested rows "
            "have other images of their session among the training rows: what a session has in "
            "common may give the label away; compare with a split by session"
        )
    return warnings + [
        f"feature {name!r} goes with the label almost one to one (rank correlation {rank:.3f}): "
        "leave it out if it is computed from the same pixels"
        for name, rank in _almost_the_label(learning)
    ]


def _almost_the_label(learning: Learning) -> Iterator[tuple[str, float]]:
    """Features of numbers that rank rows as the label does, with their rank correlation."""
    rows, target = learning.final, learning.target[learning.final]
    if learning.kind != "number" or len(np.unique(target)) < _TELLING_VALUES:
        return
    features = learning.training_set.features
    for name in features.column_names:
        if not pa.types.is_floating(features[name].type):
            continue
        values = features[name].to_numpy()[rows]
        known = np.isfinite(values)
        if known.sum() < _TELLING_VALUES:
            continue
        weight = np.ones((1, int(known.sum())))
        rank = float(weighted_spearman(weight, values[known], target[known])[0])
        if abs(rank) >= _ALMOST:
            yield name, rank


def _tested_with_their_session(learning: Learning) -> int:
    rows = learning.training_set.rows
    sessions = np.array(rows["session_id"].to_pylist(), object)
    known = np.array([session is not None for session in sessions])
    return sum(
        int((np.isin(sessions, sessions[fold.training & known]) & fold.tested & known).sum())
        for fold in learning.folds
    )
