"""What drives damage, on phantom electrodes with as many particles as the published ones.

Two stages of one electrode of 49 × 132 × 199 µm, some 2000 particles each, after 10 and 50 cycles,
with planted laws (Li et al. 2022: depth and size, then neighbours); measured through a store from
labels, phases and densities, and learned by the demo's damage model with the published repeats: ten
draws of 500 particles, ten seeds, and the autoencoder beside principal components.

    python benchmarks/damage.py [--voxel-um 0.2] [--keep FOLDER]

Voxels of 0.1 µm are the published ones; those of 0.2 µm take an eighth of disk and time.
Out of scope: finding the particles (`view_fusion.py`).
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import paper_volume
from common import Record, publish

from models.phantoms.electrode_config import (
    ElectrodePhantom,
    cycled_electrode,
    published_size_electrode,
)

if TYPE_CHECKING:
    from graindex.store import Store
    from graindex.trained.train import Fit

DATASET = "electrodes"
STAGES: tuple[Literal[10, 50], ...] = (10, 50)
PLANTED = {
    "cycles 10": ("z_um", "volume_um3"),
    "cycles 50": ("z_um", "distance_nearest_um", "packing_density"),
}
"""What the laws name but for small terms, or the attribute that stands for it; of two for crowding
the forest needs one."""
LATENT = 9


def electrode(cycles: Literal[10, 50], voxel_um: float) -> ElectrodePhantom:
    """A published-size electrode after so many cycles."""
    whole = published_size_electrode()
    scale = whole.voxel_size_um[0] / voxel_um
    z, y, x = (round(side * scale) for side in whole.shape_voxels)
    return replace(
        whole,
        shape_voxels=(z, y, x),
        voxel_size_um=(voxel_um, voxel_um, voxel_um),
        damage=cycled_electrode(cycles).damage,
    )


def main() -> None:
    """Make, measure, learn and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxel-um", type=float, default=0.2)
    parser.add_argument("--keep", type=Path, help="folder for volumes and home, to go on from")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        started = time.perf_counter()
        store = opened(folder, arguments.voxel_um)
        measured = time.perf_counter()
        fit = learn(store, arguments.seed)
        seconds = {
            "s to render and measure": measured - started,
            "s to learn and explain": time.perf_counter() - measured,
        }
    publish("damage", "Damage of particles, blocks left out", metrics(fit), seconds)
    publish("damage_drivers", "What drives it: share of Σ|SHAP|", drivers(fit))
    publish("damage_autoencoder", "Variance left of rows held out", reconstruction(fit))


def opened(folder: Path, voxel_um: float) -> "Store":
    """The home with both stages measured."""
    from graindex.registration import register_collection
    from graindex.store import init_store
    from orchestration.run import run_catalog

    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for cycles in STAGES:
        volume = folder / f"volume_{cycles}"
        if not (volume / "truth.npz").exists():
            paper_volume.make(volume, electrode(cycles, voxel_um))
        for name in ("labels", "phases", "grey"):
            link = files / f"after_{cycles}_cycles_{name}.zarr"
            if not link.exists():
                link.symlink_to((volume / name).absolute())
    (files / "samples.csv").write_text(
        "path,cycles\n" + "".join(f"after_{c}_cycles_grey.zarr,{c}\n" for c in STAGES)
    )
    config = electrode(STAGES[0], voxel_um)
    store = init_store(folder / "home")
    register_collection(
        store,
        str(files),
        dataset=DATASET,
        kind="volumes",
        label_pattern=r"after_(?P<cycles>\d+)_cycles",
        declared_voxel_size_um=config.voxel_size_um,
        measurement={"electrode_extent_um": config.electrode_extent_um, "conduction": False},
    )
    done = run_catalog(store, [DATASET])
    assert not done.blocked, done.failures
    return store


def learn(store: "Store", seed: int) -> "Fit":
    """The demo's damage model, on these electrodes, explained as published."""
    from graindex.features.registry import register_feature_set
    from graindex.trained.learning import learning_of, training_set_of
    from graindex.trained.train import fit_model
    from orchestration.cli.demo_models import DAMAGE, feature_sets, model_definitions

    (definition,) = (one for one in model_definitions() if one.name == DAMAGE)
    (features,) = (one for one in feature_sets() if one.name == definition.feature_set)
    register_feature_set(store, features, author="benchmark")
    split = definition.split.model_copy(update={"seed": seed})
    definition = definition.model_copy(
        update={"datasets": (DATASET,), "seed": seed, "split": split, "parameters": {}}
    )
    training_set = training_set_of(store, definition, author="benchmark")
    return fit_model(store, definition, learning_of(store, definition, training_set))


def metrics(fit: "Fit") -> list[Record]:
    """How good the model is on blocks that were left out."""
    return [
        metric.model_dump(include={"metric", "value", "lower", "upper", "unit", "rows"})
        for metric in fit.metrics
        if metric.part == "all" and metric.evaluation != "train"
    ]


def drivers(fit: "Fit") -> list[Record]:
    """Share of each of the first features in each stage, by strategy, mean and deviation."""
    rows: list[Record] = []
    for part, planted in PLANTED.items():
        shares: dict[str, dict[str, list[float]]] = {}
        pearson: dict[str, float] = {}
        for row in fit.drivers.importances:
            if row["part"] != part:
                continue
            own = shares.setdefault(row["feature"], {})
            own.setdefault(row["strategy"], []).append(row["importance_share"])
            pearson[row["feature"]] = row["pearson_r"]
        order = sorted(shares, key=lambda name: -np.mean(shares[name]["draws"]))
        for rank, name in enumerate(order[:6], start=1):
            told: Record = {"part": part, "rank": rank, "feature": name, "law": name in planted}
            for strategy in ("draws", "seeds"):
                told[f"share, {strategy}"] = float(np.mean(shares[name][strategy]))
                told[f"sd, {strategy}"] = float(np.std(shares[name][strategy], ddof=1))
            rows.append(told | {"Pearson": pearson[name]})
    return rows


def reconstruction(fit: "Fit") -> list[Record]:
    """Validation error by latent dimensions, of the autoencoder and of principal components."""
    found: dict[str, dict[float, float]] = {}
    for curve in fit.curves:
        if curve.name.startswith("reconstruction error, "):
            name = curve.name.removeprefix("reconstruction error, ")
            found[name] = dict(zip(curve.x, curve.y, strict=True))
    sizes: list[Any] = sorted({size for own in found.values() for size in own})
    return [
        {"latent dimensions": size} | {name: own.get(size) for name, own in found.items()}
        for size in sizes
    ]


if __name__ == "__main__":
    main()
