"""Training sets of models that look at images: the images are read once, rows name them.

Out of scope: the learner over such rows (`graindex.trained.image_rows`).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graindex.features.fitting import FittedFeatures
from graindex.originals import Grey8, load_content
from graindex.progress import report
from graindex.trained.image_rows import OverImages, placed
from graindex.trained.learning import Learning
from models.learn.image_networks.learner import ImageRegression
from models.learn.learner import Floats

if TYPE_CHECKING:
    from graindex.store import Store


@dataclass(frozen=True)
class LearningOverImages(Learning):
    """A training set whose rows name their images, by their places in it."""

    def matrix_by(self, fitted: FittedFeatures) -> Floats:
        """(N, 1 + D) place of each image, and descriptors by a fitted normalisation."""
        return placed(Learning.matrix_by(self, fitted))


def over_images(
    store: "Store",
    learner: ImageRegression,
    learning: Learning,
    name: str,
    checkpoints: Path | None,
) -> tuple[OverImages, LearningOverImages]:
    """A learner of images and its training set, the images read.

    Raises:
        OriginalError: an image is gone, or no longer what was materialised.
    """
    found = learning.training_set
    ids = found.rows["entity_id"].to_pylist()
    images = contents(store, ids, found.lake_snapshot)
    own = {field.name: getattr(learning, field.name) for field in dataclasses.fields(Learning)}
    return OverImages(learner, images, checkpoints, name), LearningOverImages(**own)


def contents(store: "Store", ids: Sequence[str], as_of: int) -> list[Grey8]:
    """Grey levels of images without their databars, in order.

    Raises:
        OriginalError: one is gone, or no longer what was materialised.
    """
    rows = {
        row["micrograph_id"]: row for row in store.lake.read("micrographs", as_of=as_of).to_pylist()
    }
    images = []
    for done, key in enumerate(ids, start=1):
        images.append(load_content(rows[key], store.limits))
        report("read images", done, len(ids))
    return images
