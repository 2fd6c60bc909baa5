"""Precision and recall of the checks of images: faults planted at random into real collections.

A draw plants one kind of fault into 5 % of a collection's images, each changed and measured again;
then the check runs on the store. Alarms that the clean collection raises are counted apart.
Out of scope: labels and drift (`quality_labels.py`).
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import planted_faults as faults
from common import COLLECTIONS, Record, publish, real_data, register_real

if TYPE_CHECKING:
    from graindex.checking import Problem
    from graindex.store import Store

Grey = np.ndarray
SHARE = 0.05
FEWEST = 2


PIXEL_FAULTS: dict[str, tuple[str, Callable[[Grey, np.random.Generator], Grey]]] = {
    "blurred, 1.5 to 3 px": ("blurred", faults.blurred),
    "defocused under noise": ("blurred", faults.defocused),
    "overexposed": ("saturated", faults.overexposed),
    "underexposed": ("saturated", faults.underexposed),
    "charging streaks": ("charging", faults.charged),
    "bare foil": ("empty_or_foreign", faults.foil),
}


def pixel_faults(store: "Store", draws: int, rng: np.random.Generator) -> list[Record]:
    """Plant faults of pixels; the figures of each changed image are measured once a draw."""
    from graindex import image_checks
    from graindex.originals import load_content
    from models.measure.image_faults import image_faults
    from models.measure.image_quality import image_quality

    found: list[Record] = []
    for dataset in COLLECTIONS:
        rows = {row["micrograph_id"]: row for row in store.read("micrographs", dataset).to_pylist()}
        clean = {name: store.read(name, dataset) for name in ("image_quality", "image_faults")}
        for fault, (check, change) in PIXEL_FAULTS.items():
            body = getattr(image_checks, check)
            before = named(body(store, dataset))
            score = Score(dataset, fault, check, len(rows), before)
            for _ in range(draws):
                picked = pick(sorted(rows.keys() - before), len(rows), rng)
                images = {k: change(load_content(rows[k], store.limits), rng) for k in picked}
                replace(
                    store,
                    dataset,
                    {
                        name: {k: asdict(measure(image)) for k, image in images.items()}
                        for name, measure in (
                            ("image_quality", image_quality),
                            ("image_faults", image_faults),
                        )
                    },
                )
                score.add(picked, named(body(store, dataset)))
                store.lake.replace(clean, dataset, author="benchmark", message="clean")
            found.append(score.record())
    return found


Changed = dict[str, dict[str, dict[str, object]]]


def description_faults(store: "Store", draws: int, rng: np.random.Generator) -> list[Record]:
    """Plant faults of what is said about images, by changing columns of `micrographs`."""
    from graindex import acquisition_checks as checks

    def scaled(row: Record) -> Record:
        factor = float(rng.choice([rng.uniform(0.85, 0.95), rng.uniform(1.05, 1.2)]))
        return {"pixel_size_um": row["pixel_size_um"] * factor}

    def magnified(row: Record) -> Record:
        factor = float(rng.choice([0.2, 0.5, 2, 4]))
        size = row["pixel_size_um"]
        return {
            "magnification": row["magnification"] * factor,
            "pixel_size_um": None if size is None else size / factor,
        }

    planted = (
        ("no databar", checks.no_databar, lambda row: {"content_y1_px": row["height_px"]}),
        ("pixel size 5 to 20 % off", checks.stale_calibration, scaled),
        ("magnification × 0.2 to 4", checks.magnification_out_of_family, magnified),
        ("taken hours later", checks.acquisition_order, lambda row: later(row, rng)),
    )
    found: list[Record] = []
    for fault, body, change in planted:
        for dataset in COLLECTIONS:
            rows = {r["micrograph_id"]: r for r in store.read("micrographs", dataset).to_pylist()}
            able = sorted(key for key, row in rows.items() if can(fault, row))
            if len(able) < len(rows) / 2:
                continue
            before = named(body(store, dataset))
            score = Score(dataset, fault, body.__name__, len(rows), before)
            clean = store.read("micrographs", dataset)
            for _ in range(draws):
                picked = pick(able, len(rows), rng)
                changes = {key: change(rows[key]) for key in picked}
                replace(store, dataset, {"micrographs": changes})
                score.add(picked, named(body(store, dataset)))
                store.lake.replace(
                    {"micrographs": clean}, dataset, author="benchmark", message="clean"
                )
            found.append(score.record())
    return found


def later(row: Record, rng: np.random.Generator) -> Record:
    """The same image with another time of acquisition."""
    from datetime import timedelta

    return {"acquired_at": row["acquired_at"] + timedelta(hours=float(rng.uniform(1, 24)))}


def can(fault: str, row: Record) -> bool:
    """Whether a fault can be planted into an image."""
    if fault == "no databar":
        return row["content_y1_px"] < row["height_px"]
    if fault.startswith("pixel size"):
        return row["pixel_size_um"] is not None and row["magnification"] is not None
    if fault.startswith("magnification"):
        return row["magnification"] is not None
    # Numbers run with time in this collection only; elsewhere names are values or shuffled.
    return row["acquired_at"] is not None and row["dataset"] == "ncm622_cycled_sem"


def sidecar_faults(store: "Store", draws: int, rng: np.random.Generator) -> list[Record]:
    """Give images the sidecar of another one, as it is and with the file name put right."""
    from graindex.acquisition_checks import wrong_sidecar
    from graindex.readers.sidecars import parse_sidecar
    from schemas.arrow import from_records
    from schemas.tables import TABLES

    dataset = "ncm622_cycled_sem"
    images = store.read("micrographs", dataset).to_pylist()
    clean = {name: store.read(name, dataset) for name in ("acquisition_readings", "findings")}
    found: list[Record] = []
    for fault, renamed in (("sidecar of another file", False), ("the same, name put right", True)):
        score = Score(
            dataset, fault, "wrong_sidecar", len(images), named(wrong_sidecar(store, dataset))
        )
        for _ in range(draws):
            places = rng.permutation(len(images))[: 2 * max(FEWEST, round(SHARE * len(images)))]
            pairs = list(zip(places[::2], places[1::2], strict=True))
            readings = clean["acquisition_readings"].to_pylist()
            findings = clean["findings"].to_pylist()
            for one, other in pairs:
                image, name = images[one], images[one]["path"]
                text = Path(images[other]["sidecar_uri"]).read_bytes()
                if renamed:
                    text = text.replace(images[other]["path"].encode(), name.encode())
                sidecar = parse_sidecar(text, f"{name}.txt", image_name=name)
                times = {r.quantity.value: r.value for r in sidecar.readings}
                for row in readings:
                    mine = row["micrograph_id"] == image["micrograph_id"]
                    if mine and row["reading_source"] == "sidecar" and row["value_time"]:
                        row["value_time"] = times[row["quantity"]]
                findings += [
                    {
                        "dataset": dataset,
                        "micrograph_id": image["micrograph_id"],
                        "finding": finding.kind,
                        "detail": finding.detail,
                    }
                    for finding in sidecar.findings
                ]
            planted = {
                "acquisition_readings": from_records(TABLES["acquisition_readings"], readings),
                "findings": from_records(TABLES["findings"], findings),
            }
            store.lake.replace(planted, dataset, author="benchmark", message="planted")
            picked = {images[one]["micrograph_id"] for one, _ in pairs}
            score.add(picked, named(wrong_sidecar(store, dataset)))
            store.lake.replace(clean, dataset, author="benchmark", message="clean")
        found.append(score.record())
    return found


class Score:
    """Counts of one fault in one collection, and what they come to."""

    def __init__(self, dataset: str, fault: str, check: str, images: int, clean: set[str]) -> None:
        self.told = {"collection": dataset, "fault": fault, "check": check, "images": images}
        self.clean = clean
        self.planted = self.hit = self.false = 0

    def add(self, planted: Sequence[str] | set[str], alarms: set[str]) -> None:
        """Count one draw; alarms that the clean collection raises are left out."""
        self.planted += len(planted)
        self.hit += len(alarms & set(planted))
        self.false += len(alarms - set(planted) - self.clean)

    def record(self) -> Record:
        """Precision and recall."""
        alarms = self.hit + self.false
        return {
            **self.told,
            "planted": self.planted,
            "recall": self.hit / self.planted,
            "precision": self.hit / alarms if alarms else None,
            "alarms on the clean collection": len(self.clean),
        }


def named(problems: "Sequence[Problem]") -> set[str]:
    """Keys of all rows that a check names."""
    return {key for problem in problems for key, _ in problem.rows}


def pick(keys: Sequence[str], images: int, rng: np.random.Generator) -> list[str]:
    """Images to plant a fault into."""
    return [str(key) for key in rng.choice(keys, max(FEWEST, round(SHARE * images)), replace=False)]


def replace(store: "Store", dataset: str, changed: Changed) -> None:
    """Change columns of some images, by table and key."""
    from schemas.arrow import from_records
    from schemas.tables import TABLES

    tables = {}
    for name, changes in changed.items():
        rows = [
            r | changes.get(r["micrograph_id"], {}) for r in store.read(name, dataset).to_pylist()
        ]
        tables[name] = from_records(TABLES[name], rows)
    store.lake.replace(tables, dataset, author="benchmark", message="planted")


def prepared(home: str, kept: str | None) -> "Store":
    """The real collections with their figures, in a new home or a copy of one."""
    from graindex.image_faults import refresh_faults
    from graindex.store import init_store
    from orchestration.run import run_catalog

    if kept is not None:
        shutil.copytree(kept, home, dirs_exist_ok=True)
    store = init_store(home)
    if kept is None:
        register_real(store, real_data())
        run_catalog(store, list(COLLECTIONS), "+key:micrograph_vectors or key:image_quality")
    for dataset in COLLECTIONS:
        refresh_faults(store, dataset, author="benchmark")
    return store


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--home", help="a home that holds the real collections; it is copied")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as home:
        store = prepared(home, asked.home)
        rows = [
            *pixel_faults(store, asked.draws, rng),
            *description_faults(store, asked.draws, rng),
            *sidecar_faults(store, asked.draws, rng),
        ]
    publish("quality_images", "Faults planted into real images", rows, {"draws": asked.draws})


if __name__ == "__main__":
    main()
