"""A trained network as two files: weights as safetensors, and a card as JSON; never a pickle.

Out of scope: where they are kept, checkpoints of a training (`checkpoint`).
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.segment.star_convex.card import (
    CARD_NAME,
    FORMAT_VERSION,
    KIND,
    WEIGHTS_NAME,
    Card,
    config_of,
    read_card,
)
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.network import StarConvexNetwork, build_network


def save_artefact(
    folder: Path, network: StarConvexNetwork, card: Card, *, half: bool = False
) -> None:
    """Write weights and card.

    Args:
        folder: made if it is not there; the files in it are replaced.
        network: what to save.
        card: what a user should know: training data, licence, scores, limits. Kind, format and
            configuration of the network are added.
        half: floats as 16 bits, which halves the file.

    Raises:
        StarConvexError: the card says what is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    own = {"kind": KIND, "format": FORMAT_VERSION, "network": asdict(network.config)}
    if own.keys() & card.keys():
        raise StarConvexError(f"a card's {', '.join(own)} are given by the network: leave them out")
    whole = own | card
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    save_file(tensors, folder / WEIGHTS_NAME)
    (folder / CARD_NAME).write_text(text, encoding="utf-8")


def load_artefact(folder: Path) -> tuple[StarConvexNetwork, Card]:
    """Read weights and card.

    Args:
        folder: as `save_artefact` wrote it.

    Returns:
        The network in evaluation mode, and its card.

    Raises:
        StarConvexError: a file is missing, is not what it should be, or does not fit the other.
    """
    card = read_card(folder)
    try:
        config = config_of(card["network"])
        tensors = load_file(folder / WEIGHTS_NAME)
    except (KeyError, TypeError) as error:
        raise StarConvexError(f"{folder / CARD_NAME} describes no network: {error}") from error
    except (OSError, SafetensorError) as error:
        raise StarConvexError(
            f"{folder / WEIGHTS_NAME} is not readable ({error}): save the network again"
        ) from error
    network = build_network(config, pretrained=False)
    try:
        network.load_state_dict({name: _single(tensor) for name, tensor in tensors.items()})
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise StarConvexError(f"weights and card in {folder} do not fit: {detail}") from error
    return network.eval(), card


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
