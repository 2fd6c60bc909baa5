"""Where a kept network looks in images of the store, as arrays.

Out of scope: the maps themselves (`graindex.trained.image_maps`), their pictures on the page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graindex.errors import ModelError
from graindex.trained.artefact import Artefact
from graindex.trained.image_maps import ImageMaps, channels_of, maps_of
from graindex.trained.image_rows import FittedOverImages
from graindex.trained.kept import kept_model
from graindex.trained.learning import learning_of
from graindex.trained.over_images import contents
from graindex.trained.predict import known_entities, stored_rows
from graindex.trained.replay import definition_of
from graindex.training.request import parse_request
from graindex.training.training_set import build_training_set
from models.learn.learner import Floats

if TYPE_CHECKING:
    from graindex.store import Store


def kept_maps(store: "Store", reference: str, ids: Sequence[str]) -> list[ImageMaps]:
    """Maps of a kept model in images that the store knows, in order.

    What a channel goes with is found on the images that the model was trained on, as on its page.

    Args:
        store: the store.
        reference: name of a model of method `image-network`, or ``name@version``.
        ids: micrograph_id of each image.

    Raises:
        ModelError: no such model, one that looks at no pixels or for classes, or an unknown image.
        OriginalError: an image is gone, or no longer what was materialised.
    """
    artefact = kept_model(store, reference)
    fitted = artefact.fitted()
    if not isinstance(fitted, FittedOverImages) or artefact.card.label.classes:
        message = (
            f"model {artefact.card.reference} looks at no pixels, or for classes: name an "
            "image-network"
        )
        raise ModelError(message)
    known = known_entities(store, artefact.card, ids)
    for key in ids:
        if key not in known:
            raise ModelError(f"{key!r} is no micrograph_id of the store; graindex sql lists them")
    correlations = _correlations(store, artefact, fitted)
    keys, _, matrix = stored_rows(artefact.card, store, known)
    images = contents(store, keys, store.snapshot())
    found = {
        key: maps_of(fitted, correlations, image, row)
        for key, image, row in zip(keys, images, matrix, strict=True)
    }
    return [found[key] for key in ids]


def _correlations(store: "Store", artefact: Artefact, fitted: FittedOverImages) -> Floats:
    """(K, C) of channels with the label, over the images that trained the artefact."""
    card = artefact.card
    training_set = build_training_set(store, parse_request(card.training_set.request))
    learning = learning_of(store, definition_of(card), training_set)
    rows = np.flatnonzero(learning.final)
    ids = np.array(training_set.rows["entity_id"].to_pylist(), object)[rows].tolist()
    images = contents(store, ids, card.training_set.lake_snapshot)
    target, groups = learning.target[rows], learning.groups[rows]
    return channels_of(fitted, images, target, groups, shuffles=0).correlations
