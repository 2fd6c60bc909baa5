"""What a person should know of a prediction: that the model was not made for such a specimen.

Out of scope: pixel sizes, which a model refuses (`graindex.trained.pixel_sizes`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.features.definition import FeatureSet
from graindex.trained.card import Card
from graindex.trained.figures import in_label_unit
from graindex.trained.given import Given
from graindex.trained.image_features import (
    definitions_of,
    numbers_of_samples,
    texts_told_apart,
)
from models.learn.learner import Bools


def ranges_of(
    definitions: Iterable[FeatureSet], features: pa.Table, rows: Bools
) -> dict[str, tuple[float, float]]:
    """Least and greatest of each feature that is a number of specimens, over some rows.

    Args:
        definitions: the feature sets that the features are of.
        features: raw features of N rows.
        rows: (N,) which rows; a feature without a value in them has no range.
    """
    found = {}
    for name in numbers_of_samples(definitions):
        if name in features.column_names:
            least, greatest = pc.min_max(features[name].filter(pa.array(rows))).as_py().values()
            if least is not None:
                found[name] = (float(least), float(greatest))
    return found


def beyond_labels(card: Card, number: float, std: float) -> str | None:
    """A remark where a number lies clearly beyond all that the model was trained on."""
    least, greatest = card.label.least, card.label.greatest
    if least is None or greatest is None or least - std <= number <= greatest + std:
        return None
    low, high = in_label_unit(card, np.array([least, greatest]))
    return f"beyond the labels of the training, {low:.3g} to {high:.3g}"


def beyond_specimens(card: Card, features: Mapping[str, Any]) -> Iterator[str]:
    """Remarks on numbers of a specimen that lie beyond those of all that the model learned from.

    Args:
        card: card of the model.
        features: raw features of one row, by name.
    """
    for feature, column in numbers_of_samples(definitions_of(card).values()).items():
        value = features.get(feature)
        least, greatest = card.features.ranges.get(feature, (-np.inf, np.inf))
        if value is not None and not least <= value <= greatest:
            yield f"{column} {value:g} is beyond the training, {least:g} to {greatest:g}"


def unknown_texts(card: Card, given: Given, image: str) -> Iterator[str]:
    """Remarks on texts of a specimen that the model has no feature for."""
    for column, texts in texts_told_apart(card).items():
        text = given.text(column, image)
        if text is not None and text not in texts:
            yield f"{column} {text!r} is none that the model tells apart, {', '.join(texts)}"
