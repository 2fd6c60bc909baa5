"""What a star-convex network says about itself: a JSON file beside its weights.

Out of scope: the weights (`artefact`). Nothing here imports torch.
"""

from pathlib import Path
from typing import Any

from models.segment.cards import CARD_NAME, WEIGHTS_NAME, ArtefactKind, Card, read_kind_card
from models.segment.star_convex.config import NetworkConfig, StarConvexError

__all__ = [
    "ARTEFACT",
    "CARD_NAME",
    "FORMAT_VERSION",
    "KIND",
    "WEIGHTS_NAME",
    "Card",
    "config_of",
    "read_card",
]

KIND = "star-convex"
FORMAT_VERSION = 1
ARTEFACT = ArtefactKind(KIND, "a star-convex network", FORMAT_VERSION, StarConvexError)


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
    return read_kind_card(folder, ARTEFACT)
