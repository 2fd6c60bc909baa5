"""What a trained network says about itself: a JSON file beside its weights.

Out of scope: the weights (`artefacts`). Nothing here imports torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.segment.star_convex.config import StarConvexError

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "card.json"

Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ArtefactKind:
    """What the files of a network are.

    Attributes:
        name: in the card.
        title: in messages, such as "a star-convex network".
        format: raised whenever older files can no longer be read.
        error: raised where they are not what they should be.
    """

    name: str
    title: str
    format: int
    error: type[StarConvexError]


def read_kind_card(folder: Path, kind: ArtefactKind) -> Card:
    """The card of a network.

    Args:
        folder: as `artefacts.write_artefact` wrote it.
        kind: that it must be of; a missing card, or one of something else, raises its error.
    """
    path = folder / CARD_NAME
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise kind.error(f"{path} is no readable card ({error}): save it again") from error
    if not isinstance(card, dict) or card.get("kind") != kind.name:
        raise kind.error(f"{path} is no card of {kind.title}")
    if card.get("format") != kind.format:
        raise kind.error(
            f"{path} has format {card.get('format')}, this version reads {kind.format}"
        )
    return card
