"""Linear heads on frozen features: conductivity of ceramics and constituents of steels.

Both studies go through the store's own training sets, splits and models, as `graindex train` does.
Out of scope: networks that learn their features.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Record, publish, real_data, register_real

if TYPE_CHECKING:
    from graindex.store import Store

_FEATURES = "pooled"
SPECIMEN = ("anneal_temperature", "anneal_time", "anneal_time_unit", "cool_method")
_CONDUCTIVITY: dict[str, Any] = {
    "method": "ridge",
    "label": {"name": "conductivity_s_per_cm", "transform": "log10"},
    "datasets": ("llzto_llto_sem",),
}
_CONSTITUENT: dict[str, Any] = {
    "method": "logistic",
    "label": "primary_microconstituent",
    "datasets": ("uhcs",),
}
_GARNETS = {"where": "material = 'LLZTO'"}
_BY_SPECIMEN = {"kind": "leave-one-out"}
_BY_SESSION = {"kind": "leave-one-out", "by": "session"}
STUDIES: dict[str, dict[str, Any]] = {
    "47 LLZTO, each specimen left out": _CONDUCTIVITY | _GARNETS | {"split": _BY_SPECIMEN},
    "67 LLZTO and LLTO, each specimen left out": _CONDUCTIVITY | {"split": _BY_SPECIMEN},
    "47 LLZTO, each session left out": _CONDUCTIVITY | _GARNETS | {"split": _BY_SESSION},
    "67 LLZTO and LLTO, each session left out": _CONDUCTIVITY | {"split": _BY_SESSION},
    "97 steels, specimens kept together": _CONSTITUENT
    | {"split": {"kind": "kfold", "by": SPECIMEN, "balanced": True}},
    "97 steels, images by chance (leaks)": _CONSTITUENT
    | {
        "split": {"kind": "kfold", "by": "micrograph", "balanced": True, "allow_leakage": True},
    },
}
_SEEDS = 5  # of splits that are drawn


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="home with the real collections; a copy is used")
    parser.add_argument("--pooling", choices=("avg", "depths"), default="avg")
    parser.add_argument("--equalise", choices=("none", "clahe"), default="none")
    parser.add_argument("--crops", type=int, default=1, help="parts of an image along each axis")
    parser.add_argument("--only", default="", help="studies whose name holds this")
    arguments = parser.parse_args()
    encoder = {name: getattr(arguments, name) for name in ("pooling", "equalise", "crops")}
    with tempfile.TemporaryDirectory() as folder:
        store = opened(arguments.home, Path(folder) / "home", encoder)
        rows = [
            {**encoder, **_study(store, name, fields)}
            for name, fields in STUDIES.items()
            if arguments.only in name
        ]
    ending = "" if arguments.pooling == "avg" else f"_{arguments.pooling}"
    ending += "" if arguments.equalise == "none" else f"_{arguments.equalise}"
    ending += "" if arguments.crops == 1 else f"_crops{arguments.crops}"
    publish(f"linear_heads{ending}", "Linear heads on frozen features", rows)


def opened(given: Path | None, home: Path, settings: Record) -> "Store":
    """A home with vectors of the real collections by an encoder, and the feature set."""
    from graindex.derive import refresh_vectors
    from graindex.features.files import make_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.settings import EncoderSettings, Settings, save_settings
    from graindex.store import init_store, open_store
    from orchestration.run import run_catalog

    if given is not None:
        shutil.copytree(given, home)
    encoder = EncoderSettings(**settings)
    save_settings(init_store(home).location, Settings(encoder=encoder))
    store = open_store(home)
    if given is None:
        register_real(store, real_data())
        run_catalog(store, ["llzto_llto_sem", "uhcs"], "+key:micrograph_vectors")
    for dataset in ("llzto_llto_sem", "uhcs"):
        refresh_vectors(store, dataset, author="benchmark")
    definition = {
        "name": _FEATURES,
        "entity": "micrograph",
        "features": [{"vector": encoder.vector_table}],
    }
    register_feature_set(store, make_feature_set(definition), author="benchmark")
    return store


def _study(store: "Store", name: str, fields: dict[str, Any]) -> Record:
    """Headline metric with its interval, and its spread over draws of the split."""
    started = time.perf_counter()
    drawn = fields["split"]["kind"] == "kfold"
    found = [_metrics(store, fields, seed) for seed in range(_SEEDS if drawn else 1)]
    first = found[0]
    headline = first["r2" if fields["method"] == "ridge" else "macro_f1"]
    values = [one[headline.metric].value for one in found]
    return {
        "study": name,
        "metric": headline.metric,
        "value": headline.value,
        "lower": headline.lower,
        "upper": headline.upper,
        "rmse_decades": first["rmse"].value if "rmse" in first else None,
        "accuracy": first["accuracy"].value if "accuracy" in first else None,
        "mean_of_draws": sum(values) / len(values) if drawn else None,
        "least_of_draws": min(values) if drawn else None,
        "greatest_of_draws": max(values) if drawn else None,
        "rows": headline.rows,
        "seconds": time.perf_counter() - started,
    }


def _metrics(store: "Store", fields: dict[str, Any], seed: int) -> dict[str, Any]:
    """Metrics of the left-out rows, by name."""
    from graindex.trained.definition import ModelDefinition
    from graindex.trained.learning import learning_of
    from graindex.trained.train import fit_model
    from graindex.training.training_set import build_training_set

    split = fields["split"] | {"seed": seed}
    definition = ModelDefinition.model_validate(
        fields | {"name": "study", "feature_set": _FEATURES, "split": split, "seed": seed}
    )
    training_set = build_training_set(store, definition.request())
    fit = fit_model(store, definition, learning_of(store, definition, training_set))
    return {
        metric.metric: metric
        for metric in fit.metrics
        if metric.part == "all" and metric.evaluation != "train"
    }


if __name__ == "__main__":
    main()
