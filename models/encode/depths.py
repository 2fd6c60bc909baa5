"""Pooled features of several depths of a backbone in one vector.

Early maps of a network tell texture, deep ones what is shown; properties of materials follow from
both (mean texture of single layers: Ling et al., Mater. Discov. 10 (2017) 19).
Out of scope: feature maps as such (`feature_maps`) and weights of the depths, which a model
learns.
"""

from typing import cast

import torch
from torch import Tensor, nn

from models.encode.config import EncoderUnavailableError

_LEAST_STRIDE = 4
"""The map at stride 2 is little more than grey values and edges: on 67 ceramics it
raised R² by 0.003 (2026-11)."""


class PooledDepths(nn.Module):
    """A backbone whose output is its features at several depths, each averaged over positions.

    Args:
        backbone: (N, 3, Y, X) normalised float32 → (N, D) mean-pooled features, a timm model.

    Attributes:
        sizes: length of each depth's part of the vector, shallowest first; the last is D.

    Raises:
        EncoderUnavailableError: a backbone that does not give its intermediate maps.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        stages = getattr(backbone, "feature_info", None)
        if not stages or not hasattr(backbone, "forward_intermediates"):
            raise EncoderUnavailableError(
                f"backbone {type(backbone).__name__} does not give its intermediate maps: choose "
                "an EfficientNet or a ResNet, or pooling avg"
            )
        width = cast(int, backbone.num_features)
        # Where nothing follows the last stage, as in a ResNet, its map is the last one already.
        self.stages = [
            place
            for place, stage in enumerate(stages)
            if stage["reduction"] >= _LEAST_STRIDE
            and (place < len(stages) - 1 or stage["num_chs"] != width)
        ]
        self.sizes = (*(int(stages[place]["num_chs"]) for place in self.stages), width)
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (N, sum of `sizes`) float32 of images (N, 3, Y, X)."""
        last, maps = self.backbone.forward_intermediates(x, indices=self.stages)  # type: ignore[operator]
        pooled = [depth.mean((2, 3)) for depth in maps]  # (N, C) each
        return torch.cat([*pooled, self.backbone.forward_head(last, pre_logits=True)], 1)  # type: ignore[operator]
