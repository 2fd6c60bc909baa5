"""A Mask R-CNN run by torch, on the device that it is on.

Out of scope: the fast way on a processor (`openvino_parts`), what the parts are for (`detection`).
"""

import torch
from torch import Tensor

from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.detection import Seen
from models.segment.mask_rcnn.network import MaskRcnn
from models.segment.star_convex.scaling import Floats


class TorchParts:
    """The parts of a network in evaluation mode.

    Args:
        network: on any device.
    """

    def __init__(self, network: MaskRcnn) -> None:
        self.network = network.eval()
        self.first, self.second, self.third = network.divided()

    @property
    def config(self) -> NetworkConfig:
        """Of the network."""
        return self.network.config

    def see(self, tile: Floats) -> Seen:
        """What the first part says of a tile (Y, X) in whole strides."""
        with torch.inference_mode():
            said = self.first(self._tensor(tile)[None, None])
        regions = len(said) - 2 * len(self.config.anchors_px)
        objectness, offsets = said[regions::2], said[regions + 1 :: 2]
        return Seen(
            said[:regions], [_array(x[0]) for x in objectness], [_array(x[0]) for x in offsets]
        )

    def regions(self, level: Tensor, boxes: Floats) -> tuple[Floats, Floats]:
        """Logits (N, 2) and offsets (N, 4) of boxes (N, 4) in pixels of a level."""
        with torch.inference_mode():
            logits, offsets = self.second(level, self._tensor(boxes))
        return _array(logits), _array(offsets)

    def masks(self, level: Tensor, boxes: Floats) -> Floats:
        """Probabilities (N, M, M) in boxes (N, 4) in pixels of a level."""
        with torch.inference_mode():
            return _array(self.third(level, self._tensor(boxes)))

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(next(self.network.parameters()).device)


def _array(tensor: Tensor) -> Floats:
    return tensor.float().cpu().numpy()
