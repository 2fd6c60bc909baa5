"""Particles of two real sets of micrographs by the network that comes along, in micrometres.

From `add` to `electrode_statistics` with nothing set. No outlines exist for these images; overlays
and distributions of sizes are written beside the JSON to be looked at, those of the images with the
fewest, a median number and the most particles.
Out of scope: agreement with labels (`mask_rcnn_emps.py`), volumes (`real_particles.py`).
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, Record, publish, real_data
from PIL import Image

COLLECTIONS: dict[str, dict[str, Any]] = {
    "ncm622_cycled_sem": {"declared_pixel_size_um": 100 / 375},
    "llzto_llto_sem": {"declared_pixel_size_um": 100 / 267},
}
"""Pixel sizes by the burnt-in bar of 100 µm, as the sets' own notes give it."""
_SELECTED = "+key:electrode_statistics"
_PICTURE_SIDE_PX = 900
_QUANTILES = (0.1, 0.5, 0.9)


def main() -> None:
    """Run and publish."""
    from assets.figures import size_distribution
    from graindex.store import init_store

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="only so many of each set, spread over it")
    arguments = parser.parse_args()
    pictures = RESULTS / "real_micrographs"
    pictures.mkdir(parents=True, exist_ok=True)
    rows: list[Record] = []
    with tempfile.TemporaryDirectory() as scratch:
        store = init_store(str(Path(scratch) / "home"))
        for dataset, options in COLLECTIONS.items():
            folder = real_data() / dataset
            if arguments.images:
                folder = _some(folder, Path(scratch) / dataset, arguments.images)
            seconds = _catalogue(store, folder, dataset, options)
            particles = store.read("particles_2d", dataset)
            (pictures / f"{dataset}-sizes.png").write_bytes(size_distribution(particles))
            masks = sorted(
                store.read("particle_masks_2d", dataset).to_pylist(),
                key=lambda row: row["particle_count"],
            )
            paths = {
                row["micrograph_id"]: row["path"]
                for row in store.read("micrographs", dataset).to_pylist()
            }
            for place in (0, len(masks) // 2, len(masks) - 1):
                _draw(store, masks[place], pictures / f"{dataset}-{place}.jpg")
            rows.append(_summary(dataset, particles, masks, paths, seconds))
    publish("real_micrographs", "Particles by the network that comes along", rows)


def _some(folder: Path, target: Path, count: int) -> Path:
    """A folder of links to images spread over a set, their sidecars along."""
    images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".tif"))
    places = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    for path in (images[place] for place in places):
        link = target / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        sidecar = path.with_name(path.name + ".txt")
        if sidecar.is_file():
            link.with_name(sidecar.name).symlink_to(sidecar)
    return target


def _catalogue(store: Any, folder: Path, dataset: str, options: Record) -> float:
    from graindex.registration import register_collection
    from orchestration.run import run_catalog

    register_collection(store, str(folder), dataset=dataset, **options)
    started = time.perf_counter()
    report = run_catalog(store, [dataset], _SELECTED)
    if report.failures:
        raise SystemExit(report.failures[0])
    return time.perf_counter() - started


def _summary(
    dataset: str, particles: Any, masks: list[Record], paths: Record, seconds: float
) -> Record:
    whole = particles.filter(np.invert(particles["touches_border"].to_numpy()))
    sizes = whole["equivalent_diameter_um"].to_numpy()
    counts = [row["particle_count"] for row in masks]
    quantiles = np.quantile(sizes, _QUANTILES)
    return {
        "collection": dataset,
        "images": len(masks),
        "particles": int(sum(counts)),
        "fewest": f"{counts[0]} ({paths[masks[0]['micrograph_id']]})",
        "median": float(np.median(counts)),
        "most": counts[-1],
        **{
            f"D{round(100 * share)} by number, µm": float(value)
            for share, value in zip(_QUANTILES, quantiles, strict=True)
        },
        "mean confidence": float(np.mean(whole["segmentation_confidence"].to_numpy())),
        "seconds": seconds,
    }


def _draw(store: Any, row: Record, path: Path) -> None:
    """The image with outlines at full size, made smaller."""
    from graindex.image_particles import load_mask
    from graindex.originals import load_content
    from models.measure.overlays import outline_overlay

    image = next(
        one
        for one in store.read("micrographs", row["dataset"]).to_pylist()
        if one["micrograph_id"] == row["micrograph_id"]
    )
    y0, x0, y1, x1 = (image[f"content_{edge}_px"] for edge in ("y0", "x0", "y1", "x1"))
    drawn = outline_overlay(
        load_content(image, store.limits),
        load_mask(store, row)[y0:y1, x0:x1],
        pixel_size_um=image["pixel_size_um"],
    )
    picture = Image.fromarray(drawn)
    picture.thumbnail((_PICTURE_SIDE_PX, _PICTURE_SIDE_PX))
    picture.save(path, "JPEG", quality=80)


if __name__ == "__main__":
    main()
