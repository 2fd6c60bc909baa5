"""Composition and state of phantom cathodes: twelve classes from images, specimens kept together.

Classes differ in size, roughness and cracks; brightness and contrast are drawn alike for all. Both
are put to the test on the same folds, and accuracy is told by magnification and voltage.
Out of scope: real cathodes, of which one class is at hand.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Record, publish

if TYPE_CHECKING:
    from graindex.store import Store

DATASET, FEATURES = "phantom_cathodes", "pooled"
_BY = ("magnification", "accelerating_voltage_kv")
_MODEL: dict[str, Any] = {
    "method": "logistic",
    "feature_set": FEATURES,
    "label": "cathode_class",
    "datasets": (DATASET,),
    "explain": {"by": _BY},
}


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--seeds", type=int, default=1, help="collections, each of other specimens")
    parser.add_argument("--folds", type=int, default=3, help="draws of the folds of each")
    arguments = parser.parse_args()
    rows: list[Record] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            store = opened(Path(folder), arguments.images, seed)
            made = time.perf_counter() - started
            for draw in range(arguments.folds):
                rows += study(store, seed, draw, made)
    publish("cathode_classes", "Twelve classes of phantom cathodes", rows)


def opened(folder: Path, count: int, seed: int) -> "Store":
    """A home with the images, their quality and vectors."""
    from graindex.derive import refresh_quality
    from graindex.features.files import make_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.store import init_store
    from orchestration.cli.demo_collections import register_cathodes, write_cathodes
    from orchestration.run import run_catalog

    images = folder / "images"
    write_cathodes(images, count, seed)
    store = init_store(folder / "home")
    register_cathodes(store, images)
    run_catalog(store, [DATASET], "+key:micrograph_vectors")
    refresh_quality(store, DATASET, author="benchmark")
    fields = {"name": FEATURES, "entity": "micrograph", "features": [{"vector": "micrographs"}]}
    register_feature_set(store, make_feature_set(fields), author="benchmark")
    return store


def study(store: "Store", seed: int, draw: int, made: float) -> list[Record]:
    """Accuracy and macro-F1 of all, of brightness and contrast alone, and by settings."""
    from graindex.trained.definition import ModelDefinition
    from graindex.trained.learning import learning_of
    from graindex.trained.train import fit_model
    from graindex.training.training_set import build_training_set

    split = {"kind": "kfold", "folds": 4, "balanced": True, "seed": draw}
    definition = ModelDefinition.model_validate(
        _MODEL | {"name": "study", "split": split, "seed": draw}
    )
    training_set = build_training_set(store, definition.request())
    started = time.perf_counter()
    fit = fit_model(store, definition, learning_of(store, definition, training_set))
    seconds = time.perf_counter() - started
    found: dict[str, Record] = {}
    for metric in fit.metrics:
        if metric.evaluation == "train" or metric.part.startswith(("fold", "class")):
            continue
        row = found.setdefault(metric.part, {"rows": metric.rows})
        if metric.metric in ("accuracy", "macro_f1"):
            row[metric.metric] = metric.value
            row[f"{metric.metric} from"], row[f"{metric.metric} to"] = metric.lower, metric.upper
    return [
        {"specimens": seed, "folds": draw, "part": part, **row, "s": seconds, "made in s": made}
        for part, row in found.items()
    ]


if __name__ == "__main__":
    main()
