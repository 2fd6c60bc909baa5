"""Mask R-CNN (He et al., ICCV 2017) with torchvision's parts on a pretrained timm backbone.

Images are (1, Y, X) float32 of about 0…1, Y and X multiples of 32 and alike in a batch. Boxes are
(x0, y0, x1, y1) in pixels, 0 the middle of the first pixel.
Out of scope: targets (`targets`), images of any size (`tiles`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from models.encode.backbones import normalisation
from models.encode.config import PACKAGED_BACKBONE, EncoderConfig, EncoderUnavailableError
from models.encode.feature_maps import feature_maps
from models.encode.torchvision_kernels import provide_kernels
from models.segment.mask_rcnn.config import MaskRcnnError, NetworkConfig
from models.segment.mask_rcnn.detection import (
    ANCHOR_RATIOS,
    BOX_OVERLAP,
    BOX_WEIGHTS,
    LEAST_SCORE,
    PROPOSAL_OVERLAP,
)

provide_kernels()

from torchvision.models.detection import MaskRCNN  # noqa: E402 (needs the kernels)
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead  # noqa: E402
from torchvision.models.detection.image_list import ImageList  # noqa: E402
from torchvision.models.detection.mask_rcnn import (  # noqa: E402
    MaskRCNNHeads,
    MaskRCNNPredictor,
)
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign  # noqa: E402
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool  # noqa: E402

Target = dict[str, Tensor]
Found = dict[str, Tensor]

_STAGES = (1, 2, 3, 4)
_STRIDES = [4, 8, 16, 32]
_BOX_PX, _SAMPLES = 7, 2  # of a region, and of each of its bins (He et al. 2017)
_CLASSES = 2  # background and particle
_TRAINED_PROPOSALS = 300  # of an image and level, to draw the following from
_TRAINED_REGIONS = 128  # of an image
_TRAINED_ANCHORS = 256


class MaskRcnn(nn.Module):
    """A Mask R-CNN for grey images.

    Args:
        config: what to build.
        backbone: (N, 3, Y, X) → feature maps at strides 4, 8, 16 and 32.
    """

    def __init__(self, config: NetworkConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        pyramid = Pyramid(backbone, config.pyramid_filters)
        names = [str(level) for level in range(len(_STAGES))]
        filters = config.pyramid_filters
        self.parts = MaskRCNN(
            pyramid,
            rpn_anchor_generator=AnchorGenerator(
                tuple((side,) for side in config.anchors_px),
                (ANCHOR_RATIOS,) * len(config.anchors_px),
            ),
            rpn_pre_nms_top_n_train=_TRAINED_PROPOSALS,
            rpn_pre_nms_top_n_test=config.proposals,
            rpn_post_nms_top_n_train=_TRAINED_PROPOSALS,
            rpn_post_nms_top_n_test=config.proposals,
            rpn_nms_thresh=PROPOSAL_OVERLAP,
            rpn_batch_size_per_image=_TRAINED_ANCHORS,
            box_roi_pool=MultiScaleRoIAlign(names, _BOX_PX, _SAMPLES),
            box_head=TwoMLPHead(filters * _BOX_PX**2, config.box_features),
            box_predictor=FastRCNNPredictor(config.box_features, _CLASSES),
            box_score_thresh=LEAST_SCORE,
            box_nms_thresh=BOX_OVERLAP,
            box_detections_per_img=config.proposals,
            box_batch_size_per_image=_TRAINED_REGIONS,
            bbox_reg_weights=BOX_WEIGHTS,
            mask_roi_pool=MultiScaleRoIAlign(names, config.mask_px // 2, _SAMPLES),
            mask_head=MaskRCNNHeads(filters, (config.mask_filters,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(config.mask_filters, config.mask_filters, _CLASSES),
        )
        self.parts.transform = Normalise(config.backbone, backbone)

    def freeze(self) -> None:
        """Keep the stem of the backbone and what is before stride 4 as they are in training."""
        backbone = self.parts.backbone.backbone
        first = f"{backbone.feature_info.module_name()[0]}."
        names = [name for name, _ in backbone.named_parameters()]
        last = max(index for index, name in enumerate(names) if name.startswith(first))
        for parameter in list(backbone.parameters())[: last + 1]:
            parameter.requires_grad_(False)

    def losses(self, grey: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The five losses of a batch, each a scalar, in training mode.

        Args:
            grey: (N, 1, Y, X).
            targets: for each image `boxes` (P, 4), `labels` (P,) int64 and `masks` (P, Y, X) uint8.
        """
        losses: dict[str, Tensor] = self.parts(list(grey), list(targets))
        return losses

    def forward(self, grey: Tensor) -> list[Found]:
        """Particles of images (N, 1, Y, X), the most probable first.

        Returns:
            For each image `boxes` (P, 4), `scores` (P,) and `masks` (P, 1, M, M), the probability
            in each of M × M parts of the box.
        """
        found: list[Found] = self.parts(list(grey))
        return found

    def divided(self) -> tuple["FirstPart", "RegionPart", "MaskPart"]:
        """The network in three parts that share its weights; see `detection.Parts`."""
        return FirstPart(self.parts), RegionPart(self.parts), MaskPart(self.parts)


class FirstPart(nn.Module):
    """Pyramid and proposals."""

    def __init__(self, parts: MaskRCNN) -> None:
        super().__init__()
        self.transform, self.pyramid, self.head = parts.transform, parts.backbone, parts.rpn.head

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        """Four levels and, of each of five, objectness and offsets in turn.

        Args:
            grey: (1, 1, Y, X).

        Returns:
            Levels (1, F, …, …) at strides 4 to 32; objectness (1, A, …, …), offsets (1, 4A, …, …).
        """
        levels = list(self.pyramid(self.transform.coloured(grey)).values())
        objectness, offsets = self.head(levels)
        said = [x for pair in zip(objectness, offsets, strict=True) for x in pair]
        return *levels[: len(_STRIDES)], *said


class RegionPart(nn.Module):
    """Whether regions hold a particle, and where it lies."""

    def __init__(self, parts: MaskRCNN) -> None:
        super().__init__()
        self.head, self.predictor = parts.roi_heads.box_head, parts.roi_heads.box_predictor

    def forward(self, level: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 2) and offsets (N, 4).

        Args:
            level: (1, F, …, …).
            boxes: (N, 4) in pixels of the level.
        """
        logits, offsets = self.predictor(self.head(_pooled(level, boxes, _BOX_PX)))
        return logits, offsets[:, 4:]


class MaskPart(nn.Module):
    """Which parts of boxes belong to their particle."""

    def __init__(self, parts: MaskRCNN) -> None:
        super().__init__()
        self.head, self.predictor = parts.roi_heads.mask_head, parts.roi_heads.mask_predictor
        self.side: int = parts.roi_heads.mask_roi_pool.output_size[0]

    def forward(self, level: Tensor, boxes: Tensor) -> Tensor:
        """Probabilities (N, M, M); arguments as of `RegionPart`."""
        logits: Tensor = self.predictor(self.head(_pooled(level, boxes, self.side)))
        return torch.sigmoid(logits[:, 1])


def _pooled(level: Tensor, boxes: Tensor, side: int) -> Tensor:
    regions = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
    pooled: Tensor = torch.ops.torchvision.roi_align(
        level, regions, 1.0, side, side, _SAMPLES, False
    )
    return pooled


class Pyramid(nn.Module):
    """A backbone whose statistics stay as they are, with a feature pyramid (Lin et al. 2017).

    The levels are normalised: backbones differ in the size of their features, and the published
    learning rates are for features of about 1.

    Args:
        backbone: (N, 3, Y, X) → feature maps at strides 4, 8, 16 and 32.
        filters: of each level.
    """

    def __init__(self, backbone: nn.Module, filters: int) -> None:
        super().__init__()
        self.backbone = backbone
        channels = list(backbone.feature_info.channels())  # type: ignore[union-attr, operator]
        self.levels = FeaturePyramidNetwork(
            channels, filters, LastLevelMaxPool(), norm_layer=nn.BatchNorm2d
        )
        self.out_channels = filters

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        """Levels "0" to "3" at strides 4 to 32, and "pool" at 64."""
        maps = self.backbone(rgb.contiguous(memory_format=torch.channels_last))
        named = OrderedDict((str(level), x) for level, x in enumerate(maps))
        levels: dict[str, Tensor] = self.levels(named)
        return levels

    def train(self, mode: bool = True) -> Self:
        """Batches are too small for statistics of their own."""
        super().train(mode)
        self.backbone.eval()
        return self


class Normalise(nn.Module):
    """What the backbone was trained with, in place of torchvision's own scaling of images.

    Args:
        name: of the backbone.
        backbone: says its mean and deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, backbone: nn.Module) -> None:
        super().__init__()
        mean, std = (torch.tensor(values) / 255 for values in normalisation(name, backbone))
        self.register_buffer("mean", mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, -1, 1, 1), persistent=False)

    def forward(
        self, images: list[Tensor], targets: list[Target] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        """Grey images of one size as a batch of RGB ones."""
        grey = torch.stack(images)
        sizes = [(grey.shape[-2], grey.shape[-1])] * len(images)
        return ImageList(self.coloured(grey), sizes), targets

    def coloured(self, grey: Tensor) -> Tensor:
        """Grey images (N, 1, Y, X) as the backbone wants them, (N, 3, Y, X)."""
        return (grey.expand(-1, 3, -1, -1) - self.mean) / self.std

    @staticmethod
    def postprocess(found: list[Found], *sizes: list[tuple[int, int]]) -> list[Found]:
        """Boxes and masks as the network says them; torchvision would draw whole images."""
        return found


def build_network(
    config: NetworkConfig, *, pretrained: bool = True, weights: Path | None = None
) -> MaskRcnn:
    """Build a network whose new layers are drawn from torch's random numbers.

    Args:
        config: what to build.
        pretrained: fill the backbone with ImageNet weights. Without them it is random, for weights
            to be loaded.
        weights: local file with them (safetensors, or a torch state dict); None: the packaged ones
            of `tf_efficientnet_lite0`.

    Raises:
        EncoderUnavailableError: an unknown backbone, no weights for it, or a file that does not
            fit.
        MaskRcnnError: a backbone whose feature maps are at other strides than 4, 8, 16 and 32.
    """
    if pretrained and weights is None and config.backbone != PACKAGED_BACKBONE:
        raise EncoderUnavailableError(
            f"no ImageNet weights for {config.backbone} come along: give a local file with "
            f"them, or take {PACKAGED_BACKBONE}"
        )
    encoder = EncoderConfig(config.backbone, weights=str(weights) if weights else None)
    backbone = feature_maps(encoder, _STAGES, pretrained=pretrained)
    strides = list(backbone.feature_info.reduction())  # type: ignore[union-attr, operator]
    if strides != _STRIDES:
        raise MaskRcnnError(
            f"backbone {config.backbone} has feature maps at strides {strides}: choose one with "
            "4, 8, 16 and 32, such as an EfficientNet or a ResNet"
        )
    return MaskRcnn(config, backbone)
