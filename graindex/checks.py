"""What must hold of a collection beyond single rows, and the rows where it does not.

Out of scope: rules on single columns, which the data dictionary implies (`graindex.validation`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from graindex.catalogue import named_paths
from graindex.checking import SHOWN, Problem
from graindex.scan import list_collection
from graindex.store import Store

__all__ = [
    "SHOWN",
    "Problem",
    "disagreements",
    "missing_quality",
    "missing_vectors",
    "quarantined",
    "unaccounted_files",
    "unlike_vectors",
]

_LENGTH_TOLERANCE = 1e-4


def unaccounted_files(store: Store, dataset: str) -> Sequence[Problem]:
    """Images or volumes of the collection that are neither catalogued nor in quarantine."""
    recipe = store.recipe(dataset)
    listed = set(named_paths(recipe, list_collection(recipe.location_uri)))
    known = {
        path
        for table in (recipe.kind, "quarantine")
        for path in store.read(table, dataset)["path"].to_pylist()
    }
    missing = sorted(listed - known)
    return _problem("catalogued or in quarantine", ((path, "neither") for path in missing))


def disagreements(store: Store, dataset: str) -> Sequence[Problem]:
    """Images whose sources contradict each other, one problem for each quantity."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in store.read("findings", dataset).to_pylist():
        if row["finding"].endswith("_disagreement"):
            found[row["finding"]].append((row["micrograph_id"], row["detail"]))
    return [problem for rule, rows in found.items() for problem in _problem(rule, rows)]


def quarantined(store: Store, dataset: str) -> Sequence[Problem]:
    """Refused inputs with their reasons."""
    rows = store.read("quarantine", dataset).to_pylist()
    return _problem("readable input", ((row["path"], row["reason"]) for row in rows))


def missing_quality(store: Store, dataset: str) -> Sequence[Problem]:
    """Images without quality figures, and figures without an image."""
    have = set(store.read("image_quality", dataset)["micrograph_id"].to_pylist())
    return _one_to_one(store, dataset, have, "quality figures")


def missing_vectors(store: Store, dataset: str) -> Sequence[Problem]:
    """Images without a vector of a configured encoder, and vectors without an image."""
    problems: list[Problem] = []
    for table, encoder in store.encoders.items():
        rows = store.vectors.read(table, dataset).to_pylist()
        have = {row["micrograph_id"] for row in rows if row["encoder_id"] == encoder.encoder_id}
        problems += _one_to_one(store, dataset, have, f"vector in {table}")
    return problems


def unlike_vectors(store: Store, dataset: str) -> Sequence[Problem]:
    """Vectors that are not finite or not of length 1."""
    return [problem for table in store.encoders for problem in _unlike(store, dataset, table)]


def _unlike(store: Store, dataset: str, table: str) -> Sequence[Problem]:
    rows = store.vectors.read(table, dataset, ("micrograph_id", "vector"))
    if not rows.num_rows:
        return []
    values = rows["vector"].combine_chunks().flatten().to_numpy()
    vectors = values.reshape(rows.num_rows, -1)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE))
    keys = rows["micrograph_id"].to_pylist()
    return _problem("finite, length 1", ((keys[i], f"length {lengths[i]:.6g}") for i in wrong))


def _one_to_one(store: Store, dataset: str, have: set[str], what: str) -> Sequence[Problem]:
    images = set(store.read("micrographs", dataset)["micrograph_id"].to_pylist())
    return [
        *_problem(f"has a {what}", ((key, "missing") for key in sorted(images - have))),
        *_problem(f"{what} of an image", ((key, "no image") for key in sorted(have - images))),
    ]


def _problem(rule: str, rows: Iterable[tuple[str, str]]) -> list[Problem]:
    found = list(rows)
    return [Problem(rule, len(found), tuple(found[:SHOWN]))] if found else []
