"""Three small images, and annotations of them: folders, a home, and how they are brought in.

Out of scope: what is asserted about them.
"""

import json
import shutil

import cv2
import numpy as np
import tifffile
from PIL import Image

from graindex.annotations import refresh_annotations
from graindex.catalogue import refresh_micrographs
from graindex.freshness import out_of_date
from graindex.recipes import make_recipe, save_recipe
from graindex.store import open_store
from orchestration.status import assets_of

SHAPE = (60, 80)
NAMES = ("a.png", "b.png", "sub/c.png")
SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
NEXT = [[29, 10, 49, 10, 49, 30, 29, 30]]
OVER = [[20, 10, 40, 10, 40, 30, 20, 30]]


class Annotated:
    """A home and the folders of its images and annotations."""

    def __init__(self, place):
        self.place, self.store = place, open_store(place / "home")
        self.masks = place / "masks"

    @property
    def recipe(self):
        return self.store.recipe("d")

    def register(self, uri=None, **settings):
        fields = {"uri": str(uri or self.masks), **settings}
        recipe = make_recipe(
            dataset="d", location_uri=str(self.place / "images"), annotations=fields
        )
        save_recipe(self.store.location, recipe)
        return self

    def refresh(self):
        return refresh_annotations(self.store, self.recipe, author="test")

    def mask(self, name, values):
        path = self.masks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, values)

    def coco(self, annotations, images=None):
        names = images or [{"id": n, "file_name": name} for n, name in enumerate(NAMES)]
        document = {
            "images": names,
            "annotations": [{"category_id": 1, **one} for one in annotations],
            "categories": [{"id": 1, "name": "particle"}, {"id": 2, "name": "crack"}],
        }
        path = self.place / "annotations.json"
        path.write_text(json.dumps(document))
        return path

    def rows(self):
        images = self.store.read("micrographs", "d").to_pylist()
        paths = {row["micrograph_id"]: row["path"] for row in images}
        rows = self.store.read("particle_annotations", "d").to_pylist()
        return {paths[row["micrograph_id"]]: row for row in rows}

    def findings(self):
        rows = self.store.read("annotation_findings", "d").to_pylist()
        return {(row["annotation"], row["finding"]): row["detail"] for row in rows}

    def stale(self):
        return len(out_of_date(self.store, "particle_annotations", self.recipe))

    def is_listed(self):
        return "particle_annotations" in assets_of(self.store, self.recipe)


def labels(*values):
    """Squares of 10 px side by side, one for each value."""
    found = np.zeros(SHAPE, np.uint16)
    for place, value in enumerate(values):
        found[20:30, 5 + 12 * place : 15 + 12 * place] = value
    return found


def catalogued_images(place, empty_home):
    """The three images in the catalogue of a home; none is annotated yet."""
    shutil.copytree(empty_home, place / "home")
    random = np.random.default_rng(1)
    for name in NAMES:
        path = place / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = cv2.GaussianBlur(random.integers(0, 255, SHAPE, np.uint8), (0, 0), 2)
        Image.fromarray(grey).save(path)
    made = Annotated(place).register()
    refresh_micrographs(made.store, made.recipe, author="test")


def copied_images(place, catalogued):
    """A home of its own for one test; its rows refer to the images where they were catalogued."""
    shutil.copytree(catalogued / "home", place / "home")
    (place / "images").symlink_to(catalogued / "images")
    (place / "masks").mkdir()
    return Annotated(place)
