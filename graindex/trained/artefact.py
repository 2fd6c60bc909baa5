"""The artefact of a model: weights as safetensors, never a pickle, and the card beside them.

Out of scope: what the card says (`graindex.trained.card`).
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.errors import ModelError
from graindex.trained.card import Card, parse_card
from graindex.trained.methods import row_learner_of
from models.learn.learner import Fitted

if TYPE_CHECKING:
    from graindex.files import FileStore

WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "card.json"


@dataclass(frozen=True)
class Artefact:
    """A trained model as it is passed on.

    Attributes:
        card: what it is.
        weights: bytes of a safetensors file.
    """

    card: Card
    weights: bytes

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The weights by name.

        Raises:
            ModelError: they are damaged, or those of another method.
        """
        return tensors_of(self.weights) if self.card.network else self.fitted().tensors()

    def fitted(self) -> Fitted:
        """The fitted model.

        Raises:
            ModelError: the weights are damaged, or of another method; the model finds particles.
        """
        if self.card.network is not None:
            raise ModelError(finds_particles(self.card))
        learner = row_learner_of(self.card.method.name, self.card.method.parameters)
        try:
            return learner.restore(tensors_of(self.weights))
        except (KeyError, IndexError) as error:
            message = f"model {self.card.reference}: its weights lack {error}; export it again"
            raise ModelError(message) from error


def finds_particles(card: Card) -> str:
    """What to say where a network is asked for a label."""
    return (
        f"model {card.reference} finds particles in images, and predicts no label: "
        f"graindex segment IMAGE --model {card.reference}"
    )


def weights_of(tensors: Mapping[str, npt.NDArray[np.float64]]) -> bytes:
    """Tensors as a safetensors file: the same bytes for the same tensors."""
    from safetensors.numpy import save  # noqa: PLC0415

    whole = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return bytes(save(whole))


def tensors_of(weights: bytes) -> dict[str, npt.NDArray[np.float64]]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: it is none.
    """
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load  # noqa: PLC0415

    try:
        return dict(load(weights))
    except (SafetensorError, ValueError) as error:
        message = f"the weights are no safetensors file: {' '.join(str(error).split())}"
        raise ModelError(message) from error


def stored_artefact(files: "FileStore", weights: str, card: str) -> Artefact:
    """The artefact that a home keeps, by the content addresses of its two files.

    Raises:
        ModelError: one is gone or damaged.
    """
    return Artefact(stored_card(files, card), _stored(files, weights))


def stored_card(files: "FileStore", card: str) -> Card:
    """The card that a home keeps, by its content address.

    Raises:
        ModelError: it is gone or damaged.
    """
    return parse_card(_stored(files, card), files.address(card))


def _stored(files: "FileStore", address: str) -> bytes:
    try:
        data = files.get(address)
    except FileNotFoundError as error:
        message = f"file {address} of the model is gone from the home; train it again"
        raise ModelError(message) from error
    if hashlib.sha256(data).hexdigest() != address:
        message = f"{files.address(address)} was changed since the training; train it again"
        raise ModelError(message)
    return data


def read_folder(folder: Path) -> Artefact:
    """The artefact in a folder, as `write_folder` writes it.

    Raises:
        ModelError: a file is missing, or the weights are not those that the card vouches for.
    """
    parts = []
    for name in (CARD_NAME, WEIGHTS_NAME):
        try:
            parts.append((folder / name).read_bytes())
        except OSError as error:
            message = (
                f"{folder / name} cannot be read ({error.strerror}); a model is a folder with "
                f"{WEIGHTS_NAME} and {CARD_NAME}"
            )
            raise ModelError(message) from error
    card = parse_card(parts[0], str(folder / CARD_NAME))
    if hashlib.sha256(parts[1]).hexdigest() != card.weights_sha256:
        message = (
            f"{folder / WEIGHTS_NAME} is not the file that {CARD_NAME} vouches for (its SHA-256 "
            "differs): get both again from where the model was exported"
        )
        raise ModelError(message)
    return Artefact(card, parts[1])


def write_folder(artefact: Artefact, folder: Path) -> None:
    """Write the two files into a folder, each whole or not at all.

    Raises:
        ModelError: the folder cannot be written.
    """
    files = {WEIGHTS_NAME: artefact.weights, CARD_NAME: artefact.card.text().encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            aside = folder / f".{name}.{uuid.uuid4().hex}.part"
            aside.write_bytes(data)
            aside.replace(folder / name)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}"
        raise ModelError(message) from error
