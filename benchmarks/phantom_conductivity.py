"""Conductivity of phantom electrolytes by a planted law: from process, from images, from both.

Images show grain size and porosity, the process tells recipe and composition; brightness, contrast
and noise are drawn without regard to either. What is left when all is known is the planted noise.
Out of scope: real electrolytes (`conductivity.py`), networks that learn their features.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Record, publish

if TYPE_CHECKING:
    from graindex.store import Store

DATASET = "phantom_electrolytes"
_PROCESS = ("sintering_temperature_c", "sintering_time_h", "dopant_fraction")
_PLANTED = ("grain_diameter_planted_um", "porosity_planted", "dopant_fraction")
_VECTOR = {"vector": "micrographs"}
_SETS: dict[str, list[Record]] = {
    "process": [{"columns": [f"samples.{name}" for name in _PROCESS]}],
    "image": [_VECTOR],
    "both": [_VECTOR, {"columns": [f"samples.{name}" for name in _PROCESS]}],
    "truth": [{"columns": [f"samples.{name}" for name in _PLANTED]}],
}
_NORMALISED: Record = {"normalise": {"method": "standard"}}
_MODEL: dict[str, Any] = {
    "name": "study",
    "method": "gaussian-process",
    "label": {"name": "conductivity_s_per_cm", "transform": "log10"},
    "datasets": (DATASET,),
    "split": {"kind": "kfold", "folds": 8, "balanced": True},
}


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, default=96)
    parser.add_argument("--fields", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder), arguments.specimens, arguments.fields, arguments.seed)
        rows = [
            study(store, material, features)
            for material in ("garnet", "nasicon")
            for features in _SETS
        ]
    publish("phantom_conductivity", "Conductivity of phantom electrolytes", rows)


def opened(folder: Path, specimens: int, fields: int, seed: int) -> "Store":
    """A home with the images, their quality and vectors, and the feature sets."""
    from graindex.derive import refresh_quality
    from graindex.features.files import make_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.store import init_store
    from orchestration.cli.demo_collections import register_electrolytes, write_electrolytes
    from orchestration.run import run_catalog

    write_electrolytes(folder / "images", specimens * fields, seed, specimens)
    store = init_store(folder / "home")
    register_electrolytes(store, folder / "images")
    run_catalog(store, [DATASET], "+key:micrograph_vectors")
    refresh_quality(store, DATASET, author="benchmark")
    for name, features in _SETS.items():
        definition = make_feature_set(
            {"name": name, "entity": "micrograph", "features": features} | _NORMALISED
        )
        register_feature_set(store, definition, author="benchmark")
    return store


def study(store: "Store", material: str, features: str) -> Record:
    """Metrics of specimens that were left out, of one material."""
    from graindex.trained.definition import ModelDefinition
    from graindex.trained.learning import learning_of
    from graindex.trained.train import fit_model
    from graindex.training.training_set import build_training_set

    started = time.perf_counter()
    fields = {"feature_set": features, "where": f"material = '{material}'"}
    definition = ModelDefinition.model_validate(_MODEL | fields)
    training_set = build_training_set(store, definition.request())
    fit = fit_model(store, definition, learning_of(store, definition, training_set))
    found = {
        (metric.part, metric.metric): metric.value
        for metric in fit.metrics
        if metric.evaluation != "train"
    }
    return {
        "material": material,
        "features": features,
        "images": len(training_set),
        "R²": found["all", "r2"],
        "RMSE (decades)": found["all", "rmse"],
        "within specimens": found["images of a specimen", "within_specimen_sd"],
        "between specimens": found["images of a specimen", "between_specimen_rmse"],
        "stated": found["images of a specimen", "stated_std"],
        "R² of brightness": found.get(("brightness and contrast alone", "r2")),
        "s": time.perf_counter() - started,
    }


if __name__ == "__main__":
    main()
