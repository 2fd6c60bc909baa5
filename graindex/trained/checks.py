"""What must hold of a trained model and its training set, and the rows where it does not.

Out of scope: training again, which is replay (`graindex.trained.replay`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graindex.checking import SHOWN, Body, Problem
from graindex.ducklake import CATALOG
from graindex.errors import ModelError
from graindex.store import Store
from graindex.trained.artefact import stored_card
from graindex.trained.kept import kept_model, newest_run
from graindex.trained.methods import METHODS
from graindex.training.registered import stored_training_set
from schemas.ddl import literal


def unfinished_predictions(store: Store, model: str) -> Sequence[Problem]:
    """Rows of the newest version without a prediction that is finite."""
    run = newest_run(store, model)
    if run is None:
        return _problem("trained", [(model, "never")])
    counts = METHODS[run["method"]].kind == "particles"  # how many were found, without a spread
    spread = "0" if counts else "predicted_std"
    rows = store.lake.query(
        f"""
        SELECT entity_id, evaluation, predicted_number, predicted_std, predicted_text, probability
        FROM {CATALOG}.predictions WHERE model = ? AND model_version = ?
          AND NOT coalesce(
              isfinite(predicted_number) AND isfinite({spread}),
              predicted_text IS NOT NULL AND isfinite(probability), false)
        ORDER BY entity_id
        """,
        [run["model"], run["model_version"]],
    ).to_pylist()
    return _problem("finite prediction", ((r["entity_id"], r["evaluation"]) for r in rows))


def parted_specimens(store: Store, model: str) -> Sequence[Problem]:
    """Specimens that lie on both sides of the split, unless the definition allows it."""
    run = newest_run(store, model)
    if (
        run is None
        or stored_card(store.files, run["card"]).training_set.request["split"]["allow_leakage"]
    ):
        return []
    key = literal(run["training_set_id"])
    rows = store.lake.query(
        f"""
        SELECT sample_id, count(DISTINCT (side, coalesce(fold, -1))) AS parts
        FROM {CATALOG}.training_rows
        WHERE training_set_id = {key} AND sample_id IS NOT NULL AND side IN
              ('train', 'test', 'cross-validation')
        GROUP BY dataset, sample_id HAVING parts > 1 ORDER BY sample_id
        """
    ).to_pylist()
    found = ((row["sample_id"], f"{row['parts']} parts of the split") for row in rows)
    return _problem("specimen on one side of the split", found)


def other_fingerprint(store: Store, model: str) -> Sequence[Problem]:
    """Training set of the newest version, where its stored rows are not those it was made of."""
    run = newest_run(store, model)
    if run is None:
        return []
    expected = stored_card(store.files, run["card"]).training_set.fingerprint
    found = stored_training_set(store, run["training_set_id"]).fingerprint
    if found == expected:
        return []
    return _problem("fingerprint of the training set", [(run["training_set_id"], found)])


def damaged_artefact(store: Store, model: str) -> Sequence[Problem]:
    """The artefact of the newest version, where it is gone or damaged."""
    run = newest_run(store, model)
    if run is None:
        return []
    try:
        tensors = kept_model(store, f"{model}@{run['model_version']}").tensors()
    except ModelError as error:
        return _problem("readable artefact", [(model, str(error))])
    broken = [name for name, values in tensors.items() if not _usable(name, values)]
    return _problem("finite weights", ((name, "not finite") for name in broken))


def _usable(name: str, values: "np.typing.NDArray[np.float64]") -> bool:
    # A class without rows has an intercept of minus infinity: it is never predicted.
    allowed = np.isneginf(values) if name == "logistic.intercepts" else False
    return bool((np.isfinite(values) | allowed).all())


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """One check of models, run for each of them.

    Attributes:
        name: name of the check.
        body: finds the problems of a model.
        description: what should hold, in one sentence.
        advice: what to do where it does not.
    """

    name: str
    body: Body
    description: str
    advice: str


MODEL_CHECKS = (
    ModelCheck(
        "predictions_finite",
        unfinished_predictions,
        "Every row of the evaluation has a finite prediction with its spread or probability.",
        "Look at the features of these rows; train again.",
    ),
    ModelCheck(
        "no_leakage",
        parted_specimens,
        "No specimen lies on both sides of the split, unless the definition allows leakage.",
        "Split by sample, and train again.",
    ),
    ModelCheck(
        "fingerprint_equal",
        other_fingerprint,
        "The stored training set is the one that the model was trained on.",
        "Restore the file from a backup, or train again.",
    ),
    ModelCheck(
        "artefact_intact",
        damaged_artefact,
        "The weights are those that the card vouches for, and finite.",
        "Restore the file from a backup, or train again.",
    ),
)


def _problem(rule: str, rows: Iterable[tuple[str, str]]) -> list[Problem]:
    found = list(rows)
    return [Problem(rule, len(found), tuple(found[:SHOWN]))] if found else []
