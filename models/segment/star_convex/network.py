"""Star-convex networks: the published U-Net, and a U-Net on a pretrained backbone.

Images are (N, 1, Y, X) float32 of about 0…1, Y and X multiples of the stride; predictions are
logits (N, 1, Y / grid, X / grid) and distances (N, rays, Y / grid, X / grid) in pixels.
Out of scope: the loss, tiles, polygons.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encode.config import EncoderConfig
from models.encode.feature_maps import feature_maps
from models.segment.star_convex.config import NetworkConfig, StarConvexError

Prediction = tuple[Tensor, Tensor]

_MEAN, _STD = 127 / 255, 128 / 255  # of EfficientNet-Lite, for grey levels in 0…1
_ONE = 0.5413  # softplus of it is 1


class StarConvexNetwork(nn.Module):
    """Features of an image, then one convolution, then probability and distances.

    Args:
        config: what to build.
        features: (N, 1, Y, X) → (N, filters, Y / grid, X / grid).
        filters: of the features.
    """

    def __init__(self, config: NetworkConfig, features: nn.Module, filters: int) -> None:
        super().__init__()
        self.config = config
        self.features = features
        self.head = nn.Conv2d(filters, config.head_filters, 3, padding=1)
        self.probability = nn.Conv2d(config.head_filters, 1, 1)
        self.distances = nn.Conv2d(config.head_filters, config.rays, 1)
        self.radius_px = config.diameter_px / 2

    def forward(self, grey: Tensor) -> Prediction:
        """Logits of the probability, and distances in pixels; positive, the typical at first."""
        x = functional.relu(self.head(self.features(grey)))  # (N, head_filters, Y / g, X / g)
        distances = functional.softplus(self.distances(x).float() + _ONE)
        return self.probability(x).float(), self.radius_px * distances


class PublishedUNet(nn.Module):
    """StarDist's U-Net: convolutions and pooling down to the grid, then a U-Net of some depth."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        base, channels = config.base_filters, 1
        before: list[nn.Module] = []
        for _ in range(config.grid.bit_length() - 1):
            before += [_convolutions(channels, base), nn.MaxPool2d(2)]
            channels = base
        self.before = nn.Sequential(*before)
        widths = [base * 2**level for level in range(config.depth + 1)]
        self.down = nn.ModuleList(
            _convolutions(inner, outer)
            for inner, outer in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _convolutions(wide + narrow, narrow)
            for narrow, wide in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )

    def forward(self, grey: Tensor) -> Tensor:
        """(N, 1, Y, X) → (N, base_filters, Y / grid, X / grid)."""
        x = self.before(grey)
        skips = []
        for level, convolutions in enumerate(self.down):
            x = convolutions(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        return _ascend(self.up, skips)


class EncoderUNet(nn.Module):
    """A timm backbone's feature maps at strides 2, 4, 8, …, joined from the deepest up to 2."""

    def __init__(self, config: NetworkConfig, pretrained: bool) -> None:
        super().__init__()
        levels = len(config.decoder_filters) + 1
        self.encoder = _encoder(config, levels, pretrained)
        self.frozen: list[nn.Module] = []
        channels = list(self.encoder.feature_info.channels())  # type: ignore[union-attr, operator]
        inner = [channels[-1], *config.decoder_filters[:-1]]
        self.up = nn.ModuleList(
            _convolutions(below + skip, outer, normalised=True)
            for below, skip, outer in zip(
                inner, channels[-2::-1], config.decoder_filters, strict=True
            )
        )

    def forward(self, grey: Tensor) -> Tensor:
        """(N, 1, Y, X) → (N, last of decoder_filters, Y / 2, X / 2)."""
        rgb = ((grey - _MEAN) / _STD).expand(-1, 3, -1, -1)
        rgb = rgb.contiguous(memory_format=torch.channels_last)
        # backward of depthwise convolutions in bfloat16 takes twice as long on a CPU (2026-11)
        with torch.autocast(grey.device.type, enabled=grey.device.type != "cpu"):
            skips = self.encoder(rgb)
        return _ascend(self.up, skips)

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first blocks of the backbone as they are in training.

        Raises:
            StarConvexError: the backbone has no such parts.
        """
        names = ["conv_stem", "bn1", *(f"blocks.{number}" for number in range(blocks))]
        try:
            self.frozen = [self.encoder.get_submodule(name) for name in names] if blocks else []
        except AttributeError as error:
            raise StarConvexError(
                f"{self.encoder.__class__.__name__} has no {blocks} blocks to freeze: take fewer, "
                "or an EfficientNet"
            ) from error
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Frozen parts keep their statistics as well."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self


def build_network(config: NetworkConfig, *, pretrained: bool = True) -> StarConvexNetwork:
    """Build a network whose new layers are drawn from torch's random numbers.

    Args:
        config: what to build.
        pretrained: fill the backbone of "encoder" with ImageNet weights: the packaged ones for
            `tf_efficientnet_lite0`, else those of timm's cache. Without them it is random, for
            weights to be loaded.

    Raises:
        EncoderUnavailableError: an unknown backbone, or no weights for it here.
        StarConvexError: a backbone whose first feature map is not at stride 2.
    """
    if config.kind == "unet":
        return StarConvexNetwork(config, PublishedUNet(config), config.base_filters)
    features = EncoderUNet(config, pretrained)
    return StarConvexNetwork(config, features, config.decoder_filters[-1])


def parameter_count(network: nn.Module) -> int:
    """Numbers that training fits."""
    return sum(parameter.numel() for parameter in network.parameters())


def _encoder(config: NetworkConfig, levels: int, pretrained: bool) -> nn.Module:
    stages = range(levels)
    encoder = feature_maps(EncoderConfig(backbone=config.backbone), stages, pretrained=pretrained)
    strides = list(encoder.feature_info.reduction())  # type: ignore[union-attr, operator]
    if strides != [2 ** (level + 1) for level in stages]:
        raise StarConvexError(
            f"backbone {config.backbone} has feature maps at strides {strides}: choose one with "
            "2, 4, 8, …, such as an EfficientNet"
        )
    return encoder


def _convolutions(inner: int, outer: int, *, normalised: bool = False) -> nn.Sequential:
    """Two 3 × 3 convolutions; batch normalisation, since in use it leaves tiles independent."""
    layers: list[nn.Module] = []
    for channels in (inner, outer):
        convolution = nn.Conv2d(channels, outer, 3, padding=1, bias=not normalised)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")  # nothing else keeps scale
        layers.append(convolution)
        if normalised:
            layers.append(nn.BatchNorm2d(outer))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _ascend(up: nn.ModuleList, skips: list[Tensor]) -> Tensor:
    """Join feature maps, finest first, from the coarsest to the finest."""
    x = skips[-1]
    for convolutions, skip in zip(up, skips[-2::-1], strict=True):
        larger = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = convolutions(torch.cat([larger, skip], dim=1))
    return x
