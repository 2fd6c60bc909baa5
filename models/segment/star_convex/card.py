"""What a trained network says about itself: a JSON file beside its weights.

Out of scope: the weights (`artefact`). Nothing here imports torch.
"""

import json
from pathlib import Path
from typing import Any

from models.segment.star_convex.config import NetworkConfig, StarConvexError

KIND = "star-convex"
FORMAT_VERSION = 1
WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "card.json"

Card = dict[str, Any]


def config_of(record: dict[str, Any]) -> NetworkConfig:
    """The configuration that `dataclasses.asdict` made a record of, also after JSON.

    Raises:
        TypeError: a field is unknown.
        KeyError: `decoder_filters` is missing.
    """
    return NetworkConfig(**record | {"decoder_filters": tuple(record["decoder_filters"])})


def read_card(folder: Path) -> Card:
    """The card of a network.

    Args:
        folder: as `artefact.save_artefact` wrote it.

    Raises:
        StarConvexError: there is none, or of something else.
    """
    path = folder / CARD_NAME
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StarConvexError(f"{path} is no readable card ({error}): save it again") from error
    if not isinstance(card, dict) or card.get("kind") != KIND:
        raise StarConvexError(f"{path} is no card of a star-convex network")
    if card.get("format") != FORMAT_VERSION:
        raise StarConvexError(
            f"{path} has format {card.get('format')}, this version reads {FORMAT_VERSION}"
        )
    return card
