"""A trained star-convex network as two files: weights as safetensors, and a card as JSON.

Out of scope: where they are kept, checkpoints of a training (`models.training.checkpoint`).
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.segment.artefacts import read_artefact, write_artefact
from models.segment.star_convex.card import ARTEFACT, Card, config_of
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
    write_artefact(folder, ARTEFACT, network, asdict(network.config), card, half=half)


def load_artefact(folder: Path) -> tuple[StarConvexNetwork, Card]:
    """Read weights and card.

    Args:
        folder: as `save_artefact` wrote it.

    Returns:
        The network in evaluation mode, and its card.

    Raises:
        StarConvexError: a file is missing, is not what it should be, or does not fit the other.
    """

    def build(record: dict[str, Any]) -> StarConvexNetwork:
        return build_network(config_of(record), pretrained=False)

    return read_artefact(folder, ARTEFACT, build)
