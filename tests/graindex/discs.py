"""A collection of drawn discs of known size, from its files to its particles.

Out of scope: what is asserted about them.
"""

import shutil
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from graindex.catalogue import refresh_micrographs
from graindex.image_particles import refresh_masks_2d, refresh_particles_2d
from graindex.recipes import load_recipe, save_recipe
from graindex.registration import register_collection
from graindex.store import open_store
from models.phantoms.sem import SemPhantom, render

SIZE_UM = 0.25
SHAPE, WIDE = (150, 200), (200, 768)
# (y, x, radius); the last one of "b" reaches over the edge, that of "bar" into the databar
DISCS = {
    "a.png": [(30, 30, 14), (40, 100, 20), (110, 60, 25), (105, 150, 16)],
    "b.png": [(60, 60, 18), (75, 195, 20)],
    "bar.png": [(50, 100, 30), (70, 400, 40), (190, 600, 30)],
}
IMAGES = ("a.png", "b.png", "bar.png", "blank.png")
EDGES = ("y0", "x0", "y1", "x1")
# Half way up the discs, where their outline is; of noise alone a chosen threshold makes particles.
BRIGHT = {"polarity": "bright", "threshold": 120.0}


def disc_image(discs, shape=SHAPE):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, 50.0)
    for cy, cx, radius in discs:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 190
    image = cv2.GaussianBlur(image, (0, 0), 0.7)
    image += np.random.default_rng(3).normal(0, 3, shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@dataclass
class Collection:
    """A home and the folder of its only collection."""

    home: object
    folder: object

    def __post_init__(self):
        self.store = open_store(self.home)

    @property
    def recipe(self):
        return self.store.recipe("discs")

    def change(self, **fields):
        """Another registration, with the catalogue following it."""
        register_collection(self.store, str(self.folder), dataset="discs", **fields)
        self.catalogue()

    def catalogue(self):
        return refresh_micrographs(self.store, self.recipe, author="test")

    def masks(self):
        return refresh_masks_2d(self.store, self.recipe, author="test")

    def particles(self):
        return refresh_particles_2d(self.store, "discs", author="test")

    def images(self):
        return {row["path"]: row for row in self.store.read("micrographs", "discs").to_pylist()}

    def ids(self):
        return {path: row["micrograph_id"] for path, row in self.images().items()}

    def mask_rows(self):
        rows = self.store.read("particle_masks_2d", "discs").to_pylist()
        names = {key: path for path, key in self.ids().items()}
        return {names[row["micrograph_id"]]: row for row in rows if row["micrograph_id"] in names}

    def rows(self, path):
        key = self.ids()[path]
        rows = self.store.read("particles_2d", "discs").to_pylist()
        return sorted(
            (row for row in rows if row["micrograph_id"] == key), key=lambda row: row["label"]
        )

    def forget_originals(self):
        for path in self.folder.glob("*.png"):
            path.unlink()


def collection_at(place, empty_home):
    folder = place / "images"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.fromarray(disc_image(DISCS[name])).save(folder / name)
    Image.fromarray(disc_image([])).save(folder / "blank.png")
    sem = render(SemPhantom(shape_px=WIDE))
    framed = np.vstack([disc_image(DISCS["bar.png"], WIDE), sem.image[sem.content_rows :]])
    Image.fromarray(framed).save(folder / "bar.png")
    shutil.copytree(empty_home, place / "home")
    made = Collection(place / "home", folder)
    made.change(declared_pixel_size_um=SIZE_UM, segmentation=BRIGHT)
    return made


def copied(collection, place):
    """A copy whose home points to its own copy of the images."""
    shutil.copytree(collection.home, place / "home")
    shutil.copytree(collection.folder, place / "images")
    copy = Collection(place / "home", place / "images")
    moved = load_recipe(copy.store.location, "discs")
    save_recipe(copy.store.location, moved.model_copy(update={"location_uri": str(copy.folder)}))
    rows = copy.store.read("micrographs", "discs")
    uris = [str(copy.folder / path) for path in rows["path"].to_pylist()]
    rows = rows.set_column(rows.schema.get_field_index("uri"), "uri", pa.array(uris))
    copy.store.lake.replace({"micrographs": rows}, "discs", author="test", message="moved")
    return copy


def table(collection, name):
    return collection.store.read(name, "discs").to_pylist()
