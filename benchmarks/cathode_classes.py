"""Composition and state of phantom cathodes: classes from images, specimens kept together.

Classes differ in size, roughness and cracks; brightness and contrast are drawn alike for all. Both
are put to the test on the same folds, and accuracy is told by magnification and voltage. Twelve
classes from SEM; with `--optical` three pristine ones from an optical microscope.
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
    parser.add_argument("--equalise", choices=("none", "clahe"), default="none")
    parser.add_argument("--crops", type=int, default=1, help="parts of an image along each axis")
    parser.add_argument("--optical", action="store_true")
    arguments = parser.parse_args()
    encoder = {"equalise": arguments.equalise, "crops": arguments.crops}
    rows: list[Record] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            store = opened(
                Path(folder), arguments.images, seed, optical=arguments.optical, encoder=encoder
            )
            made = time.perf_counter() - started
            for draw in range(arguments.folds):
                rows += [{**encoder, **row} for row in study(store, seed, draw, made)]
    ending = "_optical" if arguments.optical else ""
    ending += "" if arguments.equalise == "none" else f"_{arguments.equalise}"
    ending += "" if arguments.crops == 1 else f"_crops{arguments.crops}"
    publish(f"cathode_classes{ending}", "Classes of phantom cathodes", rows)


def opened(
    folder: Path, count: int, seed: int, *, optical: bool = False, encoder: Record | None = None
) -> "Store":
    """A home with the images, their quality and vectors by an encoder of these settings."""
    from graindex.derive import refresh_quality
    from graindex.features.files import make_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.settings import EncoderSettings, Settings, save_settings
    from graindex.store import init_store, open_store
    from orchestration.cli.demo_collections import register_cathodes, write_cathodes
    from orchestration.run import run_catalog

    images = folder / "images"
    write_cathodes(images, count, seed, optical=optical)
    settings = Settings(encoder=EncoderSettings(**encoder or {}))
    save_settings(init_store(folder / "home").location, settings)
    store = open_store(folder / "home")
    register_cathodes(store, images, optical=optical)
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
