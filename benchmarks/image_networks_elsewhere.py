"""Networks on images trained on another machine, which has a GPU and torch but none of the store.

    python benchmarks/image_networks_elsewhere.py pack --folder F --out OUT --study steels …
    python benchmarks/image_networks_elsewhere.py learn OUT/steels.npz OUT/steels-….npz   # there
    python benchmarks/image_networks_elsewhere.py score --folder F --out OUT --study steels …

`pack` writes the images of a study and, for a network, its folds; `learn` trains one fold or all
and writes what the networks say of the images that were left out; `score` turns what came
back into the metrics that `image_networks.py` tells, by the same code, and writes the same files.
`pack` and `score` take the options of `image_networks.py`.
Out of scope: which networks and folds there are (`image_networks.py`).
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from models.learn.image_networks.learner import (
    ImageClassification,
    ImageExample,
    ImageRegression,
)
from models.learn.learner import Curve, Fitted, Prediction, Rows

if TYPE_CHECKING:
    from graindex.trained.learning import Learning

LEARNERS = {"image-network": ImageRegression, "image-classifier": ImageClassification}
_PARTS = tuple(field.name for field in dataclasses.fields(Prediction))


def main() -> None:
    """Pack, learn or score."""
    if sys.argv[1:2] == ["learn"]:
        learn()
        return
    import image_networks

    parser = image_networks.arguments_of_networks(__doc__)
    parser.add_argument("what", choices=("pack", "score"))
    parser.add_argument("--out", type=Path, required=True, help="for packed and learned files")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    study = image_networks.STUDIES[arguments.study]
    store = image_networks.opened(arguments.study, arguments.folder)
    fields = image_networks.network(arguments, study)
    definition = image_networks.defined(arguments, study, fields)

    from graindex.trained.learning import learning_of, training_set_of
    from graindex.trained.methods import row_learner_of
    from graindex.trained.over_images import over_images

    training_set = training_set_of(store, definition, author="benchmark")
    learning = learning_of(store, definition, training_set)
    learner = row_learner_of(definition.method, definition.parameters)
    seen, learning = over_images(store, learner.learner, learning, "study", None)
    name = f"{arguments.study}-{arguments.architecture}"
    if arguments.what == "pack":
        pixels = arguments.out / f"{arguments.study}.npz"
        if not pixels.exists():
            np.savez(pixels, **{str(n): _packed(image) for n, image in enumerate(seen.images)})
        np.savez_compressed(arguments.out / f"{name}.npz", **folds_of(learning, definition))
        return

    from graindex.trained.scores import scored_rows
    from models.learn.evaluation import evaluate

    found = {
        fold.number: arguments.out / f"{name}.fold-{fold.number}.npz" for fold in learning.folds
    }
    folds = [fold for fold in learning.folds if found[fold.number].exists()]
    kept = [np.load(found[fold.number]) for fold in folds]
    left_out = evaluate(
        Learned(kept, definition.parameters),
        learning.matrix,
        learning.target,
        learning.groups,
        learning.weight,
        folds,
        classes=len(learning.classes),
        seed=arguments.seed,
    )
    scored = scored_rows(
        learning,
        learning.evaluation,
        left_out.tested,
        left_out.fold,
        left_out.prediction,
        arguments.seed,
    )
    row = {
        "study": arguments.study,
        "model": arguments.architecture,
        "images": int(left_out.tested.sum()),
        **image_networks.measured(
            study, [_named(one) for one in scored.metrics if one.part == "all"]
        ),
        "folds": f"{len(kept)} of {len(learning.folds)}",
        "seed": arguments.seed,
        "best epochs": [
            epoch
            for one in kept
            for epoch in image_networks.best_epochs(json.loads(str(one["chosen"])))
        ],
        "minutes": sum(float(one["minutes"]) for one in kept),
        "trained on": sorted({str(one["device"]) for one in kept}),
    }
    parameters = json.loads(str(kept[0]["parameters"]))
    row |= {name: parameters[name] for name in ("inner_folds", "epochs", "batch", "learning_rate")}
    image_networks.publish_network(arguments, row)


def folds_of(learning: "Learning", definition: Any) -> dict[str, Any]:
    """Everything but the pixels that the folds of a network are learned from."""
    arrays: dict[str, Any] = {
        "method": definition.method,
        "parameters": json.dumps(dict(definition.parameters)),
        "classes": len(learning.classes),
        "seed": definition.seed,
        "target": learning.target,
        "groups": learning.groups,
        "weight": learning.weight,
        "folds": [fold.number for fold in learning.folds],
    }
    for fold in learning.folds:
        arrays[f"training-{fold.number}"] = fold.training
        arrays[f"tested-{fold.number}"] = fold.tested
        arrays[f"x-{fold.number}"] = learning.matrix(fold.training)
    return arrays


def learn() -> None:
    """Train the networks of folds, and write what they say of the images left out."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("learn",))
    parser.add_argument("images", type=Path)
    parser.add_argument("packed", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fold", type=int, help="one alone")
    parser.add_argument("--checkpoints", type=Path, help="to go on from")
    parser.add_argument("--set", type=json.loads, default={}, help="parameters, as JSON")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    packed = np.load(arguments.packed)
    with np.load(arguments.images) as pixels:
        images = [cv2.imdecode(pixels[str(n)], cv2.IMREAD_UNCHANGED) for n in range(len(pixels))]
    parameters = json.loads(str(packed["parameters"])) | arguments.set
    learner = LEARNERS[str(packed["method"])](**parameters)
    gpu = learner.device.startswith("cuda")
    device = torch.cuda.get_device_name() if gpu else "CPU"
    for number in packed["folds"].tolist():
        if arguments.fold not in (None, number):
            continue
        started = time.perf_counter()
        training, tested = packed[f"training-{number}"], packed[f"tested-{number}"]
        x = packed[f"x-{number}"]
        rows = Rows(x, packed["target"], packed["groups"], packed["weight"]).of(training)
        examples = [
            ImageExample(images[int(row[0])], row[1:], float(target), str(group), float(weight))
            for row, target, group, weight in zip(
                rows.x, rows.target, rows.groups, rows.weight, strict=True
            )
        ]
        folder = arguments.checkpoints and arguments.checkpoints / str(number)
        fitted = learner.fit(
            examples,
            int(packed["seed"]),
            classes=int(packed["classes"]),
            checkpoints=folder,
            progress=_say,
        )
        found = fitted.predict([images[int(n)] for n in x[tested, 0]], x[tested, 1:])
        told = {name: getattr(found, name) for name in _PARTS if getattr(found, name) is not None}
        np.savez_compressed(
            arguments.out / f"{arguments.packed.stem}.fold-{number}.npz",
            places=x[tested, 0],
            chosen=json.dumps(dict(fitted.chosen)),
            curves=json.dumps([dataclasses.asdict(curve) for curve in fitted.curves]),
            minutes=(time.perf_counter() - started) / 60,
            device=f"{device}, torch {torch.__version__}",
            parameters=json.dumps(parameters),
            **told,
        )
        print(f"{arguments.packed.stem}, fold {number}: {time.perf_counter() - started:.0f} s")


@dataclass(frozen=True)
class Learned:
    """Stands for networks that were trained elsewhere, by what they said of left-out images.

    Attributes:
        kept: files that `learn` wrote, one for each fold.
        parameters: of the networks.
    """

    kept: list[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    kind: Any = None

    def fit(self, rows: Rows, classes: int = 0, seed: int = 0) -> Fitted:
        """The fold that learned from these rows: the one that tells of none of them."""
        del classes, seed
        for one in self.kept:
            if not np.isin(one["places"], rows.x[:, 0]).any():
                return _FromElsewhere(one)
        raise SystemExit(f"no fold was learned elsewhere from {len(rows.x)} rows: learn it first")

    def restore(self, tensors: Any) -> Fitted:
        """Never: nothing but predictions came back."""
        raise NotImplementedError


@dataclass(frozen=True)
class _FromElsewhere:
    kept: Mapping[str, Any]
    curves: tuple[Curve, ...] = ()

    @property
    def chosen(self) -> Mapping[str, float | str]:
        told: dict[str, float | str] = json.loads(str(self.kept["chosen"]))
        return told

    def predict(self, x: Any) -> Prediction:
        own = {place: at for at, place in enumerate(self.kept["places"].tolist())}
        order = [own[place] for place in x[:, 0].tolist()]
        return Prediction(**{name: self.kept[name][order] for name in _PARTS if name in self.kept})

    def tensors(self) -> dict[str, Any]:
        return {}


def _named(metric: Any) -> Any:
    """A metric as the card of a model calls its parts."""
    return argparse.Namespace(
        metric=metric.name, value=metric.value, lower=metric.lower, upper=metric.upper
    )


def _packed(image: Any) -> Any:
    done, packed = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done and np.array_equal(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED), image)
    return packed


def _say(done: int, of: int) -> None:
    print(f"epoch {done} of {of}", flush=True)


if __name__ == "__main__":
    main()
