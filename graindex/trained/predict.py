"""Predictions by a model's artefact, for image files and for what a store knows.

A model refuses images that it was not made for: of another encoder, or another pixel size.
Out of scope: predictions of the training (`graindex.trained.scores`).
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.encoders import make_encoder
from graindex.entities import KEYS
from graindex.errors import HomeError, ModelError
from graindex.features.fitting import FittedFeatures
from graindex.features.values import feature_values
from graindex.location import Location
from graindex.settings import EncoderSettings, ReaderSettings
from graindex.trained.artefact import Artefact, finds_particles
from graindex.trained.card import Card
from graindex.trained.describe import encoders_of, vector_tables
from graindex.trained.figures import in_label_unit
from graindex.trained.given import Given
from graindex.trained.image_features import (
    definitions_of,
    image_columns,
    refuse_store_features,
)
from graindex.trained.image_rows import FittedOverImages, placed
from graindex.trained.over_images import contents
from graindex.trained.pixel_sizes import PixelSizes
from graindex.trained.remarks import beyond_labels, beyond_specimens, unknown_texts
from graindex.trained.seen import SeenImage, see_image
from models.learn.learner import Floats, Prediction
from schemas.ddl import literal
from schemas.field import HEX_ID

if TYPE_CHECKING:
    from graindex.store import Store
    from models.encode.encoder import Encoder

Record = dict[str, Any]
_NOTHING_GIVEN = Given()
NUMBER_COLUMNS = ("image", "model", "label", "value", "lower", "upper", "unit", "std", "note")
CLASS_COLUMNS = ("image", "model", "label", "predicted", "probability", "probabilities", "note")


def predict(
    artefact: Artefact,
    images: Sequence[str],
    *,
    store: "Store | None" = None,
    pixel_size_um: float | None = None,
    any_pixel_size: bool = False,
    given: Given = _NOTHING_GIVEN,
) -> list[Record]:
    """Predictions of a model, one for each image in order.

    Args:
        artefact: the model.
        images: paths or URLs of image files, or keys of what the store knows: micrograph_id, or
            sample_id, volume_id or particle_id, whichever the model is of.
        store: the store; without one only image files can be asked about.
        pixel_size_um: pixel size of image files, in place of what they say.
        any_pixel_size: predict for images of other pixel sizes as well, with a note.
        given: columns of `samples` that the model needs of image files.

    Returns:
        Records of `NUMBER_COLUMNS`, where `lower` and `upper` are one standard deviation off and
        `std` is that of the learned number, or of `CLASS_COLUMNS`.

    Raises:
        ModelError: an image that the model was not made for, features that need a store, or
            columns that are not given.
        OriginalError: no such image.
    """
    card = artefact.card
    if card.network is not None:
        raise ModelError(finds_particles(card))
    known = known_entities(store, card, images)
    for image in images:
        if image in known or not re.fullmatch(HEX_ID, image) or Path(image).exists():
            continue
        what = KEYS[card.features.entity]
        message = f"{image!r} is no {what} of the store, nor a file; graindex sql lists them"
        raise ModelError(message)
    files = [image for image in dict.fromkeys(images) if image not in known]
    records: dict[str, Record] = {}
    sizes = PixelSizes(card, any_pixel_size)
    if known:
        assert store is not None
        if given.names:
            message = (
                f"{next(iter(known))} is known to the store, which tells its columns: give columns "
                "for image files alone"
            )
            raise ModelError(message)
        records |= _of_store(artefact, store, known, sizes)
    if files:
        records |= _of_files(artefact, files, store, pixel_size_um, sizes, given)
    for image, remark in sizes.remarks.items():
        records[image] = _remarked(records[image], [remark])
    return [records[image] for image in images]


def known_entities(store: "Store | None", card: Card, images: Sequence[str]) -> dict[str, str]:
    """Collections of those that the store knows, by key."""
    keys = [image for image in dict.fromkeys(images) if re.fullmatch(HEX_ID, image)]
    if store is None or not keys:
        return {}
    kind = card.features.entity
    table = {"sample": "samples", "micrograph": "micrographs", "volume": "volumes"}.get(
        kind, definitions_of(card)[card.features.reference].particles
    )
    wanted = ", ".join(literal(key) for key in keys)
    rows = store.table(
        f"SELECT {KEYS[kind]}, dataset FROM {table} WHERE {KEYS[kind]} IN ({wanted})"
    )
    return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _of_store(
    artefact: Artefact, store: "Store", known: Mapping[str, str], sizes: PixelSizes
) -> dict[str, Record]:
    card = artefact.card
    datasets = sorted(set(known.values()))
    _refuse_encoders(card, store, datasets)
    if card.features.entity == "micrograph":
        rows = store.lake.read(
            "micrographs", columns=("micrograph_id", "pixel_size_um")
        ).to_pylist()
        for row in rows:
            if row["micrograph_id"] in known:
                sizes.check(row["micrograph_id"], row["pixel_size_um"])
    keys, columns, matrix = stored_rows(card, store, known)
    fitted = artefact.fitted()
    if isinstance(fitted, FittedOverImages):
        images = contents(store, keys, store.snapshot())
        prediction = fitted.seeing(images).predict(placed(matrix))
    else:
        prediction = fitted.predict(matrix)
    return {
        key: _remarked(
            prediction_record(card, key, prediction, row),
            beyond_specimens(card, _row(columns, row)),
        )
        for row, key in enumerate(keys)
    }


def stored_rows(
    card: Card, store: "Store", known: Mapping[str, str]
) -> tuple[list[str], pa.Table, Floats]:
    """Keys of entities that the store knows, their features, and these as the model takes them.

    Args:
        card: card of the model.
        store: the store.
        known: collections of the entities, by key.

    Returns:
        Keys of N entities, their raw features, and the matrix (N, D).
    """
    definition = definitions_of(card)[card.features.reference]
    # All rows of the collections: a batch may be scaled by rows that nobody asked about.
    found = feature_values(
        store, definition, datasets=sorted(set(known.values())), as_of=store.snapshot()
    )
    wanted = pc.is_in(found.entities["entity_id"], value_set=pa.array(list(known)))
    matrix = FittedFeatures.from_json(card.features.fitted).apply(found.columns, found.entities)
    mask = np.asarray(wanted.to_numpy(zero_copy_only=False), bool)
    keys = found.entities["entity_id"].filter(wanted).to_pylist()
    return keys, found.columns.filter(wanted), matrix[mask]


def _of_files(
    artefact: Artefact,
    files: Sequence[str],
    store: "Store | None",
    pixel_size_um: float | None,
    sizes: PixelSizes,
    given: Given,
) -> dict[str, Record]:
    card = artefact.card
    refuse_store_features(card, given, files)
    readers = ReaderSettings() if store is None else store.settings.readers
    calibrated = card.pixel_size is not None and card.pixel_size.least_um is not None
    images = []
    for uri in files:
        seen = see_image(uri, readers, calibrate=calibrated and pixel_size_um is None)
        sizes.check(uri, pixel_size_um or seen.pixel_size_um)
        images.append(seen)
    return _predicted(artefact, images, encoder_of(card, store), given)


def _predicted(
    artefact: Artefact, images: Sequence[SeenImage], encoder: "Encoder | None", given: Given
) -> dict[str, Record]:
    card = artefact.card
    columns = image_columns(card, images, encoder, given)
    matrix = FittedFeatures.from_json(card.features.fitted).apply(columns)
    fitted = artefact.fitted()
    if isinstance(fitted, FittedOverImages):
        seeing = fitted.seeing([image.content for image in images])
        prediction = seeing.predict(placed(matrix))
    else:
        prediction = fitted.predict(matrix)
    return {
        image.uri: _remarked(
            prediction_record(card, image.uri, prediction, row),
            (
                *beyond_specimens(card, _row(columns, row)),
                *unknown_texts(card, given, image.uri),
            ),
        )
        for row, image in enumerate(images)
    }


def _row(columns: pa.Table, row: int) -> Record:
    """Numbers of one row; vectors are passed over."""
    return {
        name: columns[name][row].as_py()
        for name in columns.column_names
        if pa.types.is_floating(columns[name].type)
    }


def _remarked(record: Record, remarks: Iterable[str]) -> Record:
    """A prediction with further remarks before its own."""
    notes = (*remarks, record["note"])
    return record | {"note": "; ".join(note for note in notes if note) or None}


def encoder_of(card: Card, store: "Store | None") -> "Encoder | None":
    """The encoder that a model was made for; None where it takes no vectors.

    Raises:
        ModelError: it cannot be had here, or what is here gives other vectors.
    """
    if card.encoder is None:
        return None
    settings = EncoderSettings(
        **card.encoder.model_dump(exclude={"encoder_id"}),
        device="auto" if store is None else store.settings.encoder.device,
    )
    folder = Path(tempfile.gettempdir()) / "graindex"
    location = Location.parse(folder) if store is None else store.location
    try:
        encoder = make_encoder(settings, location)
    except HomeError as error:
        raise ModelError(f"model {card.reference}: {error.__cause__}") from error
    if encoder.encoder_id != card.encoder.encoder_id:
        message = (
            f"model {card.reference} was made for encoder {card.encoder.encoder_id}, and here it "
            f"comes to {encoder.encoder_id}: use the weights it was made with, or train it again"
        )
        raise ModelError(message)
    return encoder


def _refuse_encoders(card: Card, store: "Store", datasets: Sequence[str]) -> None:
    """Refuse vectors of another encoder than the model's.

    Raises:
        ModelError: a collection has some.
    """
    if card.encoder is None:
        return
    for table in vector_tables(definitions_of(card).values()):
        for dataset in datasets:
            found = encoders_of(store, [dataset], table, None)
            if found != {card.encoder.encoder_id}:
                message = (
                    f"model {card.reference} was made for encoder {card.encoder.encoder_id}, and "
                    f"the vectors of {dataset!r} are by {', '.join(sorted(found)) or 'none'}: "
                    "train it again, or give files in place of ids"
                )
                raise ModelError(message)


def prediction_record(card: Card, image: str, prediction: Prediction, row: int) -> Record:
    """One prediction for people and programs."""
    told: Record = {"image": image, "model": card.reference, "label": card.label.name}
    if prediction.probabilities is not None:
        shares = prediction.probabilities[row]
        best = int(shares.argmax())
        return told | {
            "predicted": card.label.classes[best],
            "probability": float(shares[best]),
            "probabilities": dict(zip(card.label.classes, shares.tolist(), strict=True)),
            "note": None,
        }
    assert prediction.number is not None
    assert prediction.std is not None
    number, std = float(prediction.number[row]), float(prediction.std[row])
    value, lower, upper = in_label_unit(card, np.array([number, number - std, number + std]))
    return told | {
        "value": float(value),
        "lower": float(lower),
        "upper": float(upper),
        "unit": card.label.unit,
        "std": std,
        "note": beyond_labels(card, number, std),
    }
