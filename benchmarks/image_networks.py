"""Networks that learn from pixels, beside the quick default on frozen features, on the same folds.

Conductivity of 43 images of LLZTO by the four architectures of Murakami et al. 2025; classes of
steels and of phantom cathodes by transfer, as Oh et al. do. Five folds, of phantoms four, specimens
kept together, one network a fold, which a quarter of the other specimens stops. The published
protocol, each specimen left out with four networks each, is `--folds 0 --inner-folds 4`.
One run does one study with one architecture and goes on where it was interrupted; `--pool` puts
together what runs have written. The backbone of the paper needs a local file of weights
(`--weights`); without one the packaged EfficientNet-Lite0 stands for it.
Out of scope: heads on frozen features with each specimen left out (`conductivity.py`).
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cathode_classes
import conductivity
import linear_heads
from common import RESULTS, Record, publish

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.trained.definition import ModelDefinition

NAME = "image_networks"
ARCHITECTURES = ("baseline", "attention", "descriptors", "efficientnet-b3")


@dataclass(frozen=True)
class Study:
    """A label, its images, and what stands beside the networks.

    Attributes:
        label: what is learned.
        datasets: collections.
        method: of networks.
        metric: that is told.
        where: which images.
        split: kept together by.
        folds: how many.
        crop_px: side of the square that a network sees.
        beside: definitions of other models, by name.
    """

    label: Any
    datasets: tuple[str, ...]
    method: str
    metric: tuple[str, ...]
    crop_px: int
    where: str | None = None
    split: Record = field(default_factory=dict)
    folds: int = 5
    beside: dict[str, Record] = field(default_factory=dict)


_POOLED = {"feature_set": "pooled"}
STUDIES = {
    "conductivity": Study(
        label={"name": "conductivity_s_per_cm", "transform": "log10"},
        datasets=(conductivity.DATASET,),
        method="image-network",
        metric=("r2", "rmse"),
        crop_px=512,
        where=conductivity.KNOWN,
        beside={
            "frozen features, ridge": {"method": "ridge", **_POOLED},
            "frozen features, Gaussian process": {"method": "gaussian-process", **_POOLED},
            "process, Gaussian process": {"method": "gaussian-process", "feature_set": "process"},
        },
    ),
    "steels": Study(
        label="primary_microconstituent",
        datasets=("uhcs",),
        method="image-classifier",
        metric=("macro_f1", "accuracy"),
        crop_px=448,
        split={"by": linear_heads.SPECIMEN, "balanced": True},
        beside={"frozen features, logistic": {"method": "logistic", **_POOLED}},
    ),
    "cathodes": Study(
        label="cathode_class",
        datasets=(cathode_classes.DATASET,),
        method="image-classifier",
        metric=("macro_f1", "accuracy"),
        crop_px=320,
        split={"balanced": True},
        folds=4,
        beside={"frozen features, logistic": {"method": "logistic", **_POOLED}},
    ),
}


def main() -> None:
    """Train and score one network, or pool."""
    parser = arguments_of_networks(__doc__)
    parser.add_argument("--beside", action="store_true", help="the models on features alone")
    parser.add_argument("--pool", action="store_true")
    arguments = parser.parse_args()
    if arguments.pool:
        pool()
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    study = STUDIES[arguments.study]
    store = opened(arguments.study, arguments.folder)
    if arguments.beside:
        rows = [
            scored(store, arguments, study, name, fields) for name, fields in study.beside.items()
        ]
        publish(f"{NAME}_{arguments.study}_beside", "On frozen features", rows)
        return
    row = scored(store, arguments, study, arguments.architecture, network(arguments, study))
    publish_network(arguments, row)


def arguments_of_networks(description: str | None) -> argparse.ArgumentParser:
    """Options of a study and of a network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--study", choices=STUDIES, default="conductivity")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="baseline")
    parser.add_argument("--folder", type=Path, help="for home and checkpoints, to go on from")
    parser.add_argument("--folds", type=int, help="0: each specimen left out")
    parser.add_argument("--inner-folds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, help="side of the square, px")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", help="local file with weights of the backbone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mixed", action="store_true", help="convolutions in bfloat16")
    return parser


def publish_network(arguments: argparse.Namespace, row: Record) -> None:
    """Print and keep what was measured of one network."""
    publish(f"{NAME}_{arguments.study}_{arguments.architecture}", "Network on images", [row])


def opened(study: str, folder: Path) -> "Store":
    """The home of a study in its folder, made where there is none yet."""
    from graindex.derive import refresh_quality
    from graindex.store import open_store

    made = folder / "made"
    if made.exists():
        return open_store(folder / "home")
    if study == "conductivity":
        store = conductivity.opened(folder, "depths")
    elif study == "cathodes":
        store = cathode_classes.opened(folder, 192, 0)
    else:
        store = linear_heads.opened(None, folder / "home", {"pooling": "depths"})
        refresh_quality(store, "uhcs", author="benchmark")
    made.touch()
    return store


def network(arguments: argparse.Namespace, study: Study) -> Record:
    """Definition of a network."""
    parameters: Record = {
        "architecture": arguments.architecture,
        "inner_folds": arguments.inner_folds,
        "crop_px": arguments.crop or study.crop_px,
        "epochs": arguments.epochs,
        "patience": max(10, arguments.epochs // 3),
        "batch": arguments.batch,
        "learning_rate": arguments.learning_rate,
        "device": arguments.device,
        "threads": arguments.threads,
        "mixed": arguments.mixed,
    }
    if arguments.architecture == "efficientnet-b3":
        parameters |= {"backbone": arguments.backbone, "weights": arguments.weights}
    fields: Record = {"method": study.method, "parameters": parameters}
    return fields | ({"feature_set": "process"} if arguments.architecture == "descriptors" else {})


def scored(
    store: "Store", arguments: argparse.Namespace, study: Study, name: str, fields: Record
) -> Record:
    """Metrics of what was left out, with their intervals."""
    from graindex.trained.learning import learning_of, training_set_of
    from graindex.trained.train import fit_model

    started = time.perf_counter()
    definition = defined(arguments, study, fields)
    training_set = training_set_of(store, definition, author="benchmark")
    learning = learning_of(store, definition, training_set)
    checkpoints = arguments.folder / "checkpoints" / name
    fit = fit_model(store, definition, learning, checkpoints=checkpoints)
    left_out = [
        metric for metric in fit.metrics if metric.part == "all" and metric.evaluation != "train"
    ]
    row: Record = {"study": arguments.study, "model": name, "images": len(training_set)}
    row |= measured(study, left_out) | {
        "folds": len(learning.folds),
        "seed": arguments.seed,
        "best epochs": best_epochs(fit.chosen),
    }
    return row | {"minutes": (time.perf_counter() - started) / 60}


def defined(arguments: argparse.Namespace, study: Study, fields: Record) -> "ModelDefinition":
    """Definition of a model of a study."""
    from graindex.trained.definition import ModelDefinition

    folds = study.folds if arguments.folds is None else arguments.folds
    split = study.split | {"seed": arguments.seed}
    split |= {"kind": "kfold", "folds": folds} if folds else {"kind": "leave-one-out"}
    given: Record = {
        "name": "study",
        "label": study.label,
        "datasets": study.datasets,
        "where": study.where,
        "split": split,
        "seed": arguments.seed,
    }
    return ModelDefinition.model_validate(fields | given)


def measured(study: Study, metrics: Iterable[Any]) -> Record:
    """What a study tells of metrics, with their intervals."""
    found = {metric.metric: metric for metric in metrics}
    row: Record = {}
    for metric in study.metric:
        row[metric] = found[metric].value
        row[f"{metric} from"], row[f"{metric} to"] = found[metric].lower, found[metric].upper
    return row


def best_epochs(chosen: Mapping[str, float | str]) -> list[float | str]:
    """Epochs whose weights networks kept."""
    return [value for key, value in chosen.items() if key.startswith("epoch")]


def pool() -> None:
    """One table of all that runs have written."""
    rows = []
    for path in sorted(RESULTS.glob(f"{NAME}_*_*.json")):
        rows += json.loads(path.read_text(encoding="utf-8"))["rows"]
    publish(NAME, "Networks on images, and heads on frozen features", rows)


if __name__ == "__main__":
    main()
