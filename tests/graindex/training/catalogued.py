"""A small collection of real image files in a home, catalogued as the assets do it.

Out of scope: vectors, for which an encoder is needed.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from graindex.catalogue import refresh_dataset, refresh_micrographs, refresh_samples
from graindex.derive import refresh_quality
from graindex.features.definition import FeatureSet
from graindex.features.registry import register_feature_set
from graindex.registration import register_collection
from graindex.store import Store
from models.phantoms.sem import SemPhantom
from models.phantoms.sidecar import sidecar_text

TEXTURE = {
    "name": "texture",
    "entity": "micrograph",
    "features": [{"columns": ["image_quality.noise_std", "image_quality.entropy_bits"]}],
}
LABELS = ("fine", "coarse")


def write_images(folder: Path, count: int = 8, seed: int = 0) -> None:
    """Noise of two textures: image i is of specimen S(i // 2), whose class is i // 2 % 2."""
    for place in range(count):
        random = np.random.default_rng([seed, place])
        grain = 4 if place // 2 % 2 else 1
        small = random.integers(40, 200, (96 // grain, 128 // grain), dtype=np.uint8)
        pixels = np.kron(small, np.ones((grain, grain), np.uint8))
        path = folder / f"S{place // 2}" / f"field {place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    config = SemPhantom(shape_px=(96, 128), databar=False, grain_diameter_um=3.0)
    beside = folder / "S0" / "field 0.png.txt"
    beside.write_bytes(sidecar_text(config, "field 0.png").encode())


def write_samples(path: Path, count: int = 8) -> None:
    """Class and a number of each specimen, by the specimen's name; one has no image."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Sample", "Texture class", "temperature_c", "magnification"])
        for number in range(count // 2 + 1):
            writer.writerow([f"S{number}", LABELS[number % 2], 1100 + 0.5 * number, ""])


@dataclass
class Collection:
    """A registered folder of images and its store."""

    store: Store
    folder: Path
    dataset: str = "life"

    def register(self, **more: object) -> None:
        samples = self.folder.parent / "samples.csv"
        fields = {
            "label_pattern": r"(?P<sample>S\d+)/",
            "samples_uri": str(samples) if samples.exists() else None,
            "licence": "CC BY 4.0",
            "citation": "Nobody, 2026",
            **more,
        }
        register_collection(self.store, str(self.folder), dataset=self.dataset, **fields)

    def refresh(self) -> None:
        refresh_all(self.store, self.dataset)


def refresh_all(store: Store, dataset: str) -> None:
    """Catalogue a registered collection and measure its quality."""
    recipe = store.recipe(dataset)
    refresh_dataset(store, recipe, author="test")
    refresh_samples(store, recipe, author="test")
    refresh_micrographs(store, recipe, author="test")
    refresh_quality(store, dataset, author="test")


def make_collection(store: Store, folder: Path) -> Collection:
    """Eight images of four specimens, registered, catalogued, with the feature set `texture`."""
    write_images(folder / "images")
    write_samples(folder / "samples.csv")
    collection = Collection(store, folder / "images")
    collection.register()
    collection.refresh()
    register_feature_set(store, FeatureSet.model_validate(TEXTURE), author="test")
    return collection
