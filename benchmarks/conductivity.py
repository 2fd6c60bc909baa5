"""Ionic conductivity of sintered electrolytes: from process, from images, from both.

Everything goes through the store's own feature sets, training sets, splits and models. Sintering
temperature and time are read from the authors' spreadsheet; of two specimens of equal conductivity
nobody knows which an image shows, so that those have none. Recipes (temperature, time) are left out
as a whole beside specimens, since several specimens share one.
Out of scope: networks that learn their features.
"""

import argparse
import csv
import re
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlrd
from common import COLLECTIONS, Record, publish, real_data

if TYPE_CHECKING:
    from graindex.store import Store

DATASET = "llzto_llto_sem"
PROCESS = ("sintering_temperature_c", "sintering_time_h")
_PROCESS = {
    "features": [{"columns": [f"samples.{name}" for name in PROCESS]}],
    "products": list(PROCESS),
    "normalise": {"method": "standard"},
}
_ENCODERS: dict[str, dict[str, Any]] = {
    "last map": {},
    "depths": {"pooling": "depths", "mirrored": True},
}
_VECTORS = {"last map": "micrographs", "depths": "micrographs_depths"}
_LABEL = {"name": "conductivity_s_per_cm", "transform": "log10"}
_GARNETS = "material = 'LLZTO'"
KNOWN = f"{_GARNETS} AND sintering_temperature_c IS NOT NULL"
_OUT = {
    "specimen": {"kind": "leave-one-out"},
    "recipe": {"kind": "leave-one-out", "by": PROCESS},
    "session": {"kind": "leave-one-out", "by": "session"},
}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "last map": {
        "process, ridge": {"method": "ridge", "feature_set": "process"},
        "process, Gaussian process": {"method": "gaussian-process", "feature_set": "process"},
        "image, ridge": {"method": "ridge", "feature_set": "pooled"},
        "image, Gaussian process": {"method": "gaussian-process", "feature_set": "pooled"},
    },
    "depths": {
        "image, ridge": {"method": "ridge", "feature_set": "pooled"},
        "image, Gaussian process": {"method": "gaussian-process", "feature_set": "pooled"},
        "both, Gaussian process": {"method": "gaussian-process", "feature_set": "both"},
    },
}


def main() -> None:
    """Run and publish."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for encoder, models in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            store = opened(Path(folder), encoder)
            rows += [
                {"features": encoder, **study(store, name, fields, where, left_out)}
                for name, fields in models.items()
                for where, left_outs in _sets(name)
                for left_out in left_outs
            ]
    publish("conductivity", "Conductivity of LLZTO and LLTO", rows)


def _sets(name: str) -> list[tuple[str | None, tuple[str, ...]]]:
    """Which images, and what is left out: all 67 have no process."""
    known = [(KNOWN, ("specimen", "recipe", "session"))]
    if not name.startswith("image"):
        return list(known)
    return [*known, (_GARNETS, ("specimen", "session")), (None, ("specimen", "session"))]


def opened(folder: Path, encoder: str) -> "Store":
    """A home with the images, their vectors by an encoder, their process and the feature sets."""
    from graindex.derive import refresh_quality
    from graindex.features.files import make_feature_set
    from graindex.features.registry import register_feature_set
    from graindex.registration import register_collection
    from graindex.settings import EncoderSettings, Settings, save_settings
    from graindex.store import init_store, open_store
    from orchestration.run import run_catalog

    home = folder / "home"
    location = init_store(home).location
    save_settings(location, Settings(encoder=EncoderSettings(**_ENCODERS[encoder])))
    store = open_store(home)
    images = real_data() / DATASET
    process = folder / "process.csv"
    write_process(images, process)
    register_collection(
        store, str(images), dataset=DATASET, samples_uri=str(process), **COLLECTIONS[DATASET]
    )
    run_catalog(store, [DATASET], "+key:micrograph_vectors")
    refresh_quality(store, DATASET, author="benchmark")
    vector = {"vector": _VECTORS[encoder]}
    feature_sets = {
        "process": _PROCESS,
        "pooled": {"features": [vector]},
        "both": {"features": [vector, *_PROCESS["features"]]},
    }
    for name, fields in feature_sets.items():
        definition = make_feature_set({"name": name, "entity": "micrograph", **fields})
        register_feature_set(store, definition, author="benchmark")
    return store


def write_process(images: Path, target: Path) -> None:
    """Sintering temperature and time of each image whose specimen the spreadsheet tells apart."""
    recipes = defaultdict(set)
    sheet = xlrd.open_workbook(str(images / "LLZTO_grain_pore.xls")).sheet_by_index(0)
    for index in range(sheet.nrows):
        told = re.match(r"(\d+)℃ (\d+)h .*?([\d.]+e-\d+)", str(sheet.cell_value(index, 0)))
        if told:
            recipes[f"{float(told[3]):.2e}"].add((float(told[1]), float(told[2])))
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", *PROCESS))
        for path in sorted((images / "LLZTO").glob("*/*.tif")):
            told = re.match(r"[\d.]+e-?\d+", path.name)
            found = recipes.get(f"{float(told[0]):.2e}", set()) if told else set()
            if len(found) == 1:
                writer.writerow((path.relative_to(images), *next(iter(found))))


def study(store: "Store", name: str, fields: Record, where: str | None, left_out: str) -> Record:
    """Metrics of what was left out, with their intervals."""
    from graindex.trained.definition import ModelDefinition
    from graindex.trained.learning import learning_of
    from graindex.trained.train import fit_model
    from graindex.training.training_set import build_training_set

    started = time.perf_counter()
    definition = ModelDefinition.model_validate(
        {
            **fields,
            "name": "study",
            "label": _LABEL,
            "datasets": (DATASET,),
            "where": where,
            "split": _OUT[left_out],
        }
    )
    training_set = build_training_set(store, definition.request())
    fit = fit_model(store, definition, learning_of(store, definition, training_set))
    found = {
        metric.metric: metric
        for metric in fit.metrics
        if metric.part == "all" and metric.evaluation != "train"
    }
    alone = [m for m in fit.metrics if m.part.startswith("brightness") and m.metric == "r2"]
    materials = "LLZTO and LLTO" if where is None else "LLZTO"
    return {
        "model": name,
        "images": f"{len(training_set)} {materials}",
        "left out": left_out,
        "folds": training_set.counts["groups"],
        "R²": found["r2"].value,
        "from": found["r2"].lower,
        "to": found["r2"].upper,
        "RMSE (decades)": found["rmse"].value,
        "within 1 sd": found["within_one_std"].value,
        "R² of brightness": alone[0].value if alone else None,
        "s": time.perf_counter() - started,
    }


if __name__ == "__main__":
    main()
