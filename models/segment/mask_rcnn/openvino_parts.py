"""A Mask R-CNN on the processor by OpenVINO.

Out of scope: training, other devices (`torch_runtime`), what the parts are for (`detection`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.encode.openvino_runtime import ov
from models.segment.converted import compiled, convert, kept_models, refuse_difference
from models.segment.mask_rcnn.config import STRIDE, NetworkConfig
from models.segment.mask_rcnn.detection import REGION_STRIDES, Seen
from models.segment.star_convex.scaling import Floats

if TYPE_CHECKING:
    from models.segment.mask_rcnn.network import MaskRcnn
    from models.segment.mask_rcnn.torch_runtime import TorchParts

_FIRST, _REGIONS, _MASKS = _NAMES = ("first", "regions", "masks")
_TRACED_STRIDES, _CHECKED_STRIDES = (2, 2), (3, 5)
_TOLERANCE = 1e-2  # of logits and probabilities
_CONVERSION = "mask-rcnn 1"
_CHUNK = 512  # regions at once: arrays stay small, and a level is seldom taken in again


class OpenVinoParts:
    """The parts of a network, compiled once for all sizes.

    Args:
        models: as `kept_parts` gives them.
        config: of the network.
        threads: of the processor, for all concurrent calls together.
        streams: calls that run side by side; any number of threads may call.
    """

    def __init__(
        self,
        models: Mapping[str, ov.Model],
        config: NetworkConfig,
        threads: int,
        *,
        streams: int = 1,
    ) -> None:
        self.config = config
        self._first, self._regions, self._masks = (
            compiled(models[name], threads, streams=streams) for name in _NAMES
        )

    def see(self, tile: Floats) -> Seen:
        """What the first part says of a tile (Y, X) in whole strides."""
        said = self._first(tile[np.newaxis, np.newaxis])
        levels, rest = said[: len(REGION_STRIDES)], said[len(REGION_STRIDES) :]
        return Seen(levels, [x[0] for x in rest[::2]], [x[0] for x in rest[1::2]])

    def regions(self, level: Floats, boxes: Floats) -> tuple[Floats, Floats]:
        """Logits (N, 2) and offsets (N, 4) of boxes (N, 4) in pixels of a level."""
        said = [self._regions(level, chunk) for chunk in _chunks(boxes)]
        logits, offsets = (np.concatenate(parts) for parts in zip(*said, strict=True))
        return logits, offsets

    def masks(self, level: Floats, boxes: Floats) -> Floats:
        """Probabilities (N, M, M) in boxes (N, 4) in pixels of a level."""
        return np.concatenate([self._masks(level, chunk)[0] for chunk in _chunks(boxes)])


def openvino_parts(network: "MaskRcnn", threads: int) -> OpenVinoParts:
    """Convert a network and compare it with torch on another size.

    Args:
        network: to convert; it stays as it is.
        threads: of the processor.

    Raises:
        StarConvexError: it does not convert, or says something else afterwards.
    """
    return OpenVinoParts(_converted(network), network.config, threads)


def kept_parts(folder: Path, cache: Path) -> dict[str, ov.Model]:
    """A network converted once for all processes.

    Args:
        folder: of weights and card (`artefact`).
        cache: folder to keep converted networks in; where nothing can be written, none is kept.

    Raises:
        StarConvexError: the files are damaged, or the network does not convert.
    """

    def converted() -> dict[str, ov.Model]:
        from models.segment.mask_rcnn.artefact import load_artefact  # noqa: PLC0415 (torch)

        return _converted(load_artefact(folder)[0])

    return kept_models(folder, cache, _NAMES, _CONVERSION, converted)


def _chunks(boxes: Floats) -> list[Floats]:
    return [boxes[start : start + _CHUNK] for start in range(0, len(boxes), _CHUNK)]


def _converted(network: "MaskRcnn") -> dict[str, ov.Model]:
    import torch  # noqa: PLC0415 (a kept network needs none)

    from models.segment.mask_rcnn.torch_runtime import TorchParts  # noqa: PLC0415 (likewise)

    name, filters = network.config.name, network.config.pyramid_filters
    parts = TorchParts(network)
    device = next(network.parameters()).device
    traced = [strides * STRIDE for strides in _TRACED_STRIDES]
    grey = torch.zeros(1, 1, *traced, device=device)
    level = torch.zeros(1, filters, 8, 8, device=device)
    boxes = torch.tensor([[0.0, 0, 3, 3], [1, 1, 7, 7]], device=device)
    shapes = [[1, filters, -1, -1], [-1, 4]]
    models = {
        _FIRST: convert(parts.first, [grey], [[1, 1, -1, -1]], name),
        _REGIONS: convert(parts.second, [level, boxes], shapes, name),
        _MASKS: convert(parts.third, [level, boxes], shapes, name),
    }
    _compare(OpenVinoParts(models, network.config, 1), parts, name)
    return models


def _compare(one: OpenVinoParts, other: "TorchParts", name: str) -> None:
    rng = np.random.default_rng(0)
    sides = [strides * STRIDE for strides in _CHECKED_STRIDES]
    image = rng.random(sides, dtype=np.float32)
    seen, expected = one.see(image), other.see(image)
    said = [*seen.objectness, *seen.offsets]
    refuse_difference(said, [*expected.objectness, *expected.offsets], _TOLERANCE, name)
    corners = rng.uniform(0, 8, (3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 12, (3, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    for mine, theirs in zip(seen.levels, expected.levels, strict=True):
        said = [*one.regions(mine, boxes), one.masks(mine, boxes)]
        right = [*other.regions(theirs, boxes), other.masks(theirs, boxes)]
        refuse_difference(said, right, _TOLERANCE, name)
