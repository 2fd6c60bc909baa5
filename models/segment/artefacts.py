"""A trained network as two files: weights as safetensors, and a card as JSON; never a pickle.

Out of scope: where they are kept, checkpoints of a training (`checkpoint`).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from models.segment.cards import CARD_NAME, WEIGHTS_NAME, ArtefactKind, Card, read_kind_card

Network = TypeVar("Network", bound=nn.Module)


def write_artefact(
    folder: Path,
    kind: ArtefactKind,
    network: nn.Module,
    config: dict[str, Any],
    card: Card,
    *,
    half: bool,
) -> None:
    """Write weights and card.

    Args:
        folder: made if it is not there; the files in it are replaced.
        kind: of the network; a card that says what is added here raises its error.
        network: what to save.
        config: record of the network's configuration.
        card: what a user should know. Kind, format and configuration are added.
        half: floats as 16 bits, which halves the file.
    """
    own = {"kind": kind.name, "format": kind.format, "network": config}
    if own.keys() & card.keys():
        raise kind.error(f"a card's {', '.join(own)} are given by the network: leave them out")
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    text = json.dumps(own | card, indent=1, ensure_ascii=False)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS_NAME)
    (folder / CARD_NAME).write_text(text, encoding="utf-8")


def read_artefact(
    folder: Path, kind: ArtefactKind, build: Callable[[dict[str, Any]], Network]
) -> tuple[Network, Card]:
    """Read weights and card.

    Args:
        folder: as `write_artefact` wrote it.
        kind: of the network; a file that is missing, is not what it should be, or does not fit the
            other, raises its error.
        build: makes a network of the record of its configuration; weights do not matter.

    Returns:
        The network in evaluation mode, and its card.
    """
    card = read_kind_card(folder, kind)
    try:
        network = build(card["network"])
    except (KeyError, TypeError) as error:
        raise kind.error(f"{folder / CARD_NAME} describes no network: {error}") from error
    try:
        tensors = load_file(folder / WEIGHTS_NAME)
    except (OSError, SafetensorError) as error:
        raise kind.error(
            f"{folder / WEIGHTS_NAME} is not readable ({error}): save the network again"
        ) from error
    try:
        network.load_state_dict({name: _single(tensor) for name, tensor in tensors.items()})
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise kind.error(f"weights and card in {folder} do not fit: {detail}") from error
    return network.eval(), card


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
