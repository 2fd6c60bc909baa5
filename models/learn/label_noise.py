"""Labels that a model which never saw them holds to be wrong, in the way of confident learning.

Northcutt, Jiang and Chuang, J. Artif. Intell. Res. 70 (2021) 1373: probabilities out of fold, and
the rows ranked by that of the given class. The model is a logistic regression.
Out of scope: which labels are judged (`graindex.class_labels`).
"""

import warnings
from dataclasses import dataclass

import numpy as np

from models.learn.learner import Bools, Floats, Ints, one_thread

LABEL_NOISE_CODE_VERSION = "1"

FOLDS = 10
INVERSE_PENALTY = 1.0
"""Of rows whose mean squared length is 1: the best of 0.3 … 30 at finding swapped labels."""

MIN_ODDS = 2.5
"""Of the likeliest class to the given one, from which on a label is suspected. With one label in
twenty swapped, two thirds of what reaches it was swapped; the thresholds by class of confident
learning raise twice as many false alarms on a hundred images (`benchmarks/quality_labels.py`)."""

MAX_DIRECTIONS = 256
MIN_SKILL = 0.5
"""Balanced accuracy above guessing, 1 for perfect, below which vectors say too little of a label
to contradict it."""

_ITERATIONS = 1000
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class LabelNoise:
    """How well N labels fit.

    Attributes:
        confidence: (N,) probability of the given class.
        suggested: (N,) code of the likeliest class.
        suspected: (N,) whether the label is held to be wrong.
        rank: (N,) place among the most suspicious, from 1.
        skill: balanced accuracy above guessing, 1 for perfect.
    """

    confidence: Floats
    suggested: Ints
    suspected: Bools
    rank: Ints
    skill: float


def label_noise(x: Floats, codes: Ints, groups: Ints, seed: int = 0) -> LabelNoise:
    """Judge labels by vectors.

    Args:
        x: (N, D) vectors.
        codes: (N,) classes from 0; each of them has at least two groups.
        groups: (N,) what is held out together.
        seed: of the folds.

    Raises:
        ValueError: a class of fewer than two groups.
    """
    probabilities = out_of_fold(x, codes, groups, seed)
    confidence = probabilities[np.arange(len(codes)), codes]
    suggested = probabilities.argmax(axis=1)
    accuracy = balanced_accuracy(codes, suggested)
    chance = 1 / probabilities.shape[1]
    skill = (accuracy - chance) / (1 - chance)
    odds = probabilities.max(axis=1) / np.maximum(confidence, np.finfo(float).tiny)
    suspected = (odds >= MIN_ODDS) & (skill >= MIN_SKILL)
    rank = np.empty(len(codes), np.int64)
    rank[np.argsort(confidence, kind="stable")] = np.arange(1, len(codes) + 1)
    return LabelNoise(confidence, suggested, suspected, rank, skill)


def out_of_fold(x: Floats, codes: Ints, groups: Ints, seed: int = 0) -> Floats:
    """Probabilities (N, C) of the classes, by models that saw neither the row nor its group.

    Raises:
        ValueError: a class of fewer than two groups.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    classes = int(codes.max()) + 1
    fewest = min(len(np.unique(groups[codes == code])) for code in range(classes))
    if fewest < 2:
        message = "a class of fewer than two groups cannot be left out and still be learned"
        raise ValueError(message)
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    model = LogisticRegression(
        C=INVERSE_PENALTY, class_weight="balanced", max_iter=_ITERATIONS, tol=_TOLERANCE
    )
    probabilities = np.zeros((len(codes), classes))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # fewer groups in a class than folds
        along = principal_directions(x)
        for train, test in splitter.split(along, codes, groups):
            model.fit(along[train], codes[train])
            probabilities[np.ix_(test, model.classes_)] = model.predict_proba(along[test])
    return probabilities


def principal_directions(x: Floats, count: int = MAX_DIRECTIONS) -> Floats:
    """(N, R) rows along the directions in which they differ most, of mean squared length 1.

    As many rows as directions lose nothing: a penalised fit lies in the span of its rows.
    """
    centred = x - x.mean(axis=0)
    wide = centred.shape[1] > centred.shape[0]
    square = centred @ centred.T if wide else centred.T @ centred
    eigenvalues, vectors = np.linalg.eigh(square)
    kept = slice(None, None, -1)
    vectors, eigenvalues = vectors[:, kept][:, :count], np.maximum(eigenvalues[kept][:count], 0)
    along = vectors * np.sqrt(eigenvalues) if wide else centred @ vectors
    length = np.sqrt((along**2).sum(axis=1).mean())
    scaled: Floats = along / (length or 1.0)
    return scaled


def balanced_accuracy(codes: Ints, found: Ints) -> float:
    """Share that is right, averaged over classes."""
    return float(np.mean([(found[codes == code] == code).mean() for code in np.unique(codes)]))
