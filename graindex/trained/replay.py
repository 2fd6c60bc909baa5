"""Replay: a model's training set built again, the model trained again, all compared bit for bit.

Out of scope: building training sets (`graindex.training.registered`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graindex.errors import GraindexError
from graindex.trained.artefact import weights_of
from graindex.trained.card import Card
from graindex.trained.definition import ModelDefinition
from graindex.trained.kept import kept_model, predictions_of, run_of
from graindex.trained.learning import learning_of
from graindex.trained.train import fit_model, model_code_version
from graindex.training.comparison import Comparison
from graindex.training.registered import rebuild
from graindex.training.request import parse_request
from graindex.training.training_set import build_training_set

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]
_COMPARED = ("predicted_number", "predicted_std", "predicted_text", "probabilities", "fold")


@dataclass(frozen=True)
class Replayed:
    """What came of training a model again.

    Attributes:
        reference: the model.
        comparison: its training set beside what was kept.
        weights_equal: whether the weights are the same to the last bit; None where it was not
            trained again.
        predictions_equal: whether all predictions are.
        rows: predictions that were compared.
        greatest_difference: largest difference of a predicted number or of its spread.
        notes: what else to say.
    """

    reference: str
    comparison: Comparison
    weights_equal: bool | None = None
    predictions_equal: bool | None = None
    rows: int = 0
    greatest_difference: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether training set, weights and predictions are the same."""
        return bool(self.comparison.equal and self.weights_equal and self.predictions_equal)

    def lines(self) -> list[str]:
        """The same for people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from self.comparison.lines()
        yield from self.notes
        if self.weights_equal is not None:
            told = "equal bit for bit" if self.weights_equal else "not the same"
            yield f"weights of {self.reference}, trained again: {told}"
        if self.predictions_equal is not None:
            told = "equal bit for bit"
            if not self.predictions_equal:
                told = f"not the same, numbers up to {self.greatest_difference:.3g} apart"
            yield f"{self.rows} predictions: {told}"
        yield f"replay of {self.reference}: {self.verdict}"

    @property
    def verdict(self) -> str:
        """How it ended, in words."""
        if self.equal:
            return "succeeded"
        if self.comparison.lost and self.comparison.rest_equal:
            return "affected by a withdrawal; everything else is equal"
        return "DIFFERENT"


def replay(store: "Store", reference: str) -> Replayed:
    """Build a model's training set again at its snapshot, train again, and compare.

    Raises:
        GraindexError: there is no such model, or its training set is not kept.
    """
    card = kept_model(store, reference).card
    comparison = rebuild(store, card.training_set.training_set_id)
    if comparison.source != "rebuilt" or not comparison.equal:
        why = "it was not trained again, since its rows are not what they were"
        return Replayed(card.reference, comparison, notes=(why, *_affected(store, comparison)))
    definition = definition_of(card)
    try:
        training_set = build_training_set(store, parse_request(card.training_set.request))
        fit = fit_model(store, definition, learning_of(store, definition, training_set))
    except GraindexError as error:
        return Replayed(card.reference, comparison, notes=(f"it cannot be trained again: {error}",))
    digest = hashlib.sha256(weights_of(fit.tensors)).hexdigest()
    now = fit.predictions
    kept = predictions_of(store, run_of(store, card.reference))
    return Replayed(
        card.reference,
        comparison,
        weights_equal=digest == card.weights_sha256,
        predictions_equal=_by_key(now) == _by_key(kept),
        rows=len(kept),
        greatest_difference=_greatest_difference(now, kept),
        notes=_notes(card),
    )


def definition_of(card: Card) -> ModelDefinition:
    """The definition that a model was trained by, as its card tells."""
    request = card.training_set.request
    return ModelDefinition(
        name=card.model,
        method=card.method.name,
        feature_set=card.features.reference,
        label=request["label"],
        datasets=request["datasets"],
        where=request["where"],
        split=request["split"],
        seed=card.seed,
        parameters=card.method.parameters,
    )


def _affected(store: "Store", comparison: Comparison) -> tuple[str, ...]:
    """Which models saw what the training set lost."""
    lost = {one.entity_id for one in comparison.lost}
    models = {
        f"{row['model']}@{row['model_version']}"
        for row in store.lake.read("withdrawal_effects").to_pylist()
        if row["entity_id"] in lost
    }
    return (f"models that saw it: {', '.join(sorted(models))}",) if models else ()


def _by_key(rows: Sequence[Record]) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (row["evaluation"], row["entity_id"]): tuple(row.get(name) for name in _COMPARED)
        for row in rows
    }


def _greatest_difference(one: Sequence[Record], other: Sequence[Record]) -> float:
    first, second = _by_key(one), _by_key(other)
    differences = [
        abs(a - b)
        for key in first.keys() & second.keys()
        for a, b in zip(first[key], second[key], strict=True)
        if isinstance(a, float) and isinstance(b, float)
    ]
    return max(differences, default=0.0)


def _notes(card: Card) -> tuple[str, ...]:
    now = model_code_version(card.method.name)
    then = card.code_versions["training"]
    return () if now == then else (f"it was trained by code {then}, now by {now}",)
