"""What a Mask R-CNN says about itself: a JSON file beside its weights.

Out of scope: the weights (`artefact`). Nothing here imports torch.
"""

from pathlib import Path
from typing import Any

from models.segment.cards import ArtefactKind, Card, read_kind_card
from models.segment.mask_rcnn.config import MaskRcnnError, NetworkConfig

KIND = "mask-rcnn"
FORMAT_VERSION = 1
ARTEFACT = ArtefactKind(KIND, "a Mask R-CNN", FORMAT_VERSION, MaskRcnnError)


def config_of(record: dict[str, Any]) -> NetworkConfig:
    """The configuration that `dataclasses.asdict` made a record of, also after JSON.

    Raises:
        TypeError: a field is unknown.
        KeyError: `anchors_px` is missing.
    """
    return NetworkConfig(**record | {"anchors_px": tuple(record["anchors_px"])})


def read_card(folder: Path) -> Card:
    """The card of a network.

    Args:
        folder: as `artefact.save_artefact` wrote it.

    Raises:
        MaskRcnnError: there is none, or of something else.
    """
    return read_kind_card(folder, ARTEFACT)
