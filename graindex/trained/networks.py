"""Networks that find particles: trained on annotated images, scored on images of other specimens.

Out of scope: the networks (`models.segment`), their use (`graindex.segmenters`).
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from graindex.annotated_images import AnnotatedExample, annotated_examples
from graindex.errors import ModelError
from graindex.progress import report
from graindex.trained.card import MetricCard
from graindex.trained.definition import ModelDefinition
from graindex.trained.fit import Fit
from graindex.trained.learning import Learning
from graindex.trained.network_scores import network_metrics
from graindex.trained.sections import Section
from models.learn.evaluation import Fold
from models.learn.learner import Bools, CannotLearnError
from models.measure.matching import Evaluation, evaluate
from models.measure.matching_overlays import comparison_overlay

if TYPE_CHECKING:
    from graindex.store import Store
    from models.segment.learner import FittedNetwork, NetworkLearner
    from models.segment.star_convex.patches import Example

Record = dict[str, Any]
_PICTURE_SIDE_PX = 900
_SHOWN = "Best, median and worst image"
_HOW_TO_READ = (
    "By average precision, of the images that were left out. Drawn particles are green, found ones "
    "pink, what both outline yellow."
)


@dataclass(frozen=True, slots=True, eq=False)
class _Tested:
    """An image that a network never saw, and how well it did there.

    `row` is its place in the training set, `fold` what tested it.
    """

    row: int
    fold: int
    evaluation: Evaluation
    picture: bytes


def fit_network(
    store: "Store",
    definition: ModelDefinition,
    learner: "NetworkLearner",
    learning: Learning,
    *,
    checkpoints: Path | None = None,
) -> Fit:
    """Train on annotated images, and score on those that were left out.

    With folds a network is trained for each of them, and one on all that the kept one may see; a
    single part that is held back is scored by the kept network itself.

    Args:
        store: where the images lie.
        definition: the model.
        learner: its method with parameters.
        learning: its training set.
        checkpoints: folder to go on from where a training was interrupted.

    Raises:
        ModelError: these images do not allow a training.
        OriginalError: an image is gone, or no longer what was materialised.
    """
    trainer = _Trainer(store, definition, learner, learning, checkpoints)
    tested: list[_Tested] = []
    final: FittedNetwork | None = None
    for fold in learning.folds:
        network = trainer.fitted(fold.training, f"fold{fold.number}")
        if np.array_equal(fold.training, learning.final):
            final = network
        tested += trainer.tested(network, fold)
    final = final or trainer.fitted(learning.final, "final")
    tested.sort(key=lambda one: one.row)
    return Fit(
        learning=learning,
        tensors=final.tensors(),
        chosen=dict(final.chosen),
        features={},
        metrics=_metrics(learning, tested, definition.seed),
        predictions=[_prediction(learning, one) for one in tested],
        curves=final.curves,
        network=final.settings(),
        notes=final.notes,
        sections=[Section(_SHOWN, _HOW_TO_READ, _pictures(learning, tested))] if tested else [],
    )


class _Trainer:
    """What is the same for the networks of all folds."""

    def __init__(
        self,
        store: "Store",
        definition: ModelDefinition,
        learner: "NetworkLearner",
        learning: Learning,
        checkpoints: Path | None,
    ) -> None:
        self.store = store
        self.definition = definition
        self.learner = learner
        self.learning = learning
        self.checkpoints = checkpoints
        ids = learning.training_set.rows["entity_id"].to_pylist()
        self.places = {str(key): place for place, key in enumerate(ids)}

    def fitted(self, rows: Bools, name: str) -> "FittedNetwork":
        what = f"train {self.definition.name}, {name}"
        folder = None if self.checkpoints is None else self.checkpoints / name
        examples = [self._as_learned(one) for one in self._examples(rows)]
        try:
            return self.learner.fit(
                examples,
                self.definition.seed,
                checkpoints=folder,
                progress=lambda done, total: report(what, done, total),
            )
        except CannotLearnError as error:
            told = f"model {self.definition.name!r} cannot learn from {len(examples)} images"
            raise ModelError(f"{told}: {error}") from error

    def tested(self, network: "FittedNetwork", fold: Fold) -> Iterator[_Tested]:
        what, total = f"test {self.definition.name}, fold {fold.number}", int(fold.tested.sum())
        for number, one in enumerate(self._examples(fold.tested), start=1):
            found = network.labels(one.content)
            evaluation = evaluate(one.labels, found)
            picture = _jpeg(comparison_overlay(one.labels, found, one.content))
            yield _Tested(self.places[one.micrograph_id], fold.number, evaluation, picture)
            report(what, number, total)

    def _examples(self, rows: Bools) -> Iterator[AnnotatedExample]:
        found = self.learning.training_set
        ids = {key for key, place in self.places.items() if rows[place]}
        for dataset in sorted(pc.unique(found.rows["dataset"]).to_pylist()):
            yield from annotated_examples(self.store, dataset, only=ids, as_of=found.lake_snapshot)

    def _as_learned(self, one: AnnotatedExample) -> "Example":
        from models.segment.star_convex.patches import Example  # noqa: PLC0415

        group = self.learning.groups[self.places[one.micrograph_id]]
        return Example(one.content, one.labels, str(group))


def _metrics(learning: Learning, tested: Sequence[_Tested], seed: int) -> tuple[MetricCard, ...]:
    if not tested:
        return ()
    rows = np.array([one.row for one in tested])
    folds = np.array([one.fold for one in tested])
    evaluations = [one.evaluation for one in tested]
    return network_metrics(learning.evaluation, evaluations, learning.groups[rows], folds, seed)


def _prediction(learning: Learning, one: _Tested) -> Record:
    rows = learning.training_set.rows
    return {
        "evaluation": learning.evaluation,
        "entity_id": rows["entity_id"][one.row].as_py(),
        "dataset": rows["dataset"][one.row].as_py(),
        "fold": one.fold,
        "label_number": float(one.evaluation.true_count),
        "predicted_number": float(one.evaluation.predicted_count),
    }


def _pictures(learning: Learning, tested: Sequence[_Tested]) -> list[tuple[str, bytes]]:
    """The best, the median and the worst image by average precision."""
    ranked = sorted(tested, key=lambda one: -one.evaluation.average_precision)
    if not ranked:
        return []
    places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
    paths = learning.training_set.rows["path"].to_pylist()
    return [
        (f"{name}: {paths[ranked[place].row]}, {_told(ranked[place])}", ranked[place].picture)
        for name, place in places.items()
        if name == "best" or place > 0
    ]


def _told(one: _Tested) -> str:
    found = one.evaluation
    return (
        f"F1 {found.at(0.5).f1:.2f} at 0.5, {found.predicted_count} found of {found.true_count} "
        "drawn"
    )


def _jpeg(picture: Any) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((_PICTURE_SIDE_PX, _PICTURE_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, subsampling=0)
    return buffer.getvalue()
