"""Networks from a grey image to numbers: convolutions, mean over positions, one linear layer.

After Murakami et al., Digital Discovery 2025, doi 10.1039/d5dd00232j, Tables 1 and 2. The paper
names neither activation nor initialisation: a ReLU follows each convolution of the baseline, whose
weights start as He et al. (ICCV 2015) have it for ReLU; nothing is normalised in between. Images
are (N, 1, Y, X) float32 of about mean 0 and standard deviation 1, outputs standardised targets, or
scores of C classes before the softmax.
Out of scope: training, grey levels, the scale of targets and descriptors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.encode.backbones import load_backbone, normalisation
from models.encode.config import PACKAGED_BACKBONE, EncoderConfig
from models.learn.image_networks.config import (
    LEAST_CROP_PX,
    ImageNetworkError,
    NetworkConfig,
)

_NATURAL_MEAN, _NATURAL_STD = 0.449, 0.226
"""Of grey levels 0…1 of ImageNet: means over its three channels."""


class ImageNetwork(nn.Module):
    """Features of an image, their mean over positions, and one fully connected layer.

    Args:
        config: what to build.
        features: (N, 1, Y, X) → (N, C, h, w).
        channels: C.
    """

    def __init__(self, config: NetworkConfig, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.config = config
        self.features = features
        self.output = nn.Linear(channels + config.descriptors, max(config.classes, 1))

    def forward(self, image: Tensor, descriptors: Tensor | None = None) -> Tensor:
        """Numbers (N,) or scores (N, C) of images (N, 1, Y, X) with descriptors (N, D), if any."""
        return self.from_maps(self.feature_maps(image), descriptors)

    def feature_maps(self, image: Tensor) -> Tensor:
        """The last feature maps (N, C, h, w) of images (N, 1, Y, X)."""
        return cast(Tensor, self.features(image)).float()

    def pooled(self, image: Tensor) -> Tensor:
        """Means (N, C) over positions of the last feature maps of images (N, 1, Y, X)."""
        return self.feature_maps(image).mean((2, 3))

    def from_maps(self, maps: Tensor, descriptors: Tensor | None = None) -> Tensor:
        """Numbers (N,) or scores of classes (N, C) of feature maps and descriptors (N, D).

        Raises:
            ImageNetworkError: not the descriptors that the network is made for.
        """
        x = maps.mean((2, 3))  # (N, C)
        given = (len(x), 0) if descriptors is None else tuple(descriptors.shape)
        if given != (len(x), self.config.descriptors):
            raise ImageNetworkError(
                f"descriptors of shape {given} for a network that takes "
                f"{(len(x), self.config.descriptors)}"
            )
        if descriptors is not None:
            x = torch.cat([x, descriptors], 1)  # (N, C + D)
        found = cast(Tensor, self.output(x))
        return found if self.config.classes else found[:, 0]


class Block(nn.Module):
    """Two 3 × 3 convolutions with a ReLU each, and a mask over what they give if asked for."""

    def __init__(self, inner: int, outer: int, *, attention: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, padding=1)
        self.second = nn.Conv2d(outer, outer, 3, padding=1)
        self.attention = Attention(outer) if attention else nn.Identity()
        for convolution in (self.first, self.second):
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, convolution.bias))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inner, Y, X) → (N, outer, Y, X)."""
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return cast(Tensor, self.attention(x))


class Attention(nn.Module):
    """A mask in 0…1 from all features at a position, multiplied with each of them there.

    A 1 × 1 convolution to one map, a sigmoid, and a Hadamard product. The paper says "intermediate
    convolutional layers": taken as after the second convolution of each block, before it is pooled
    by two or over all positions. Masks start at about one half everywhere.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, Y, X) → (N, C, Y, X)."""
        return x * torch.sigmoid(self.mask(x))


def baseline_features(config: NetworkConfig) -> nn.Sequential:
    """Three blocks with a max pooling by two between them: Table 2 up to the last convolution."""
    layers: list[nn.Module] = []
    channels = 1
    for filters in config.filters:
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        layers.append(Block(channels, filters, attention=config.architecture == "attention"))
        channels = filters
    return nn.Sequential(*layers)


class BackboneFeatures(nn.Module):
    """Last feature maps of a pretrained backbone, given grey images as natural ones would be.

    Running statistics of its batch normalisations stay as they were pretrained also in training:
    batches of a few micrographs are too small to measure them.

    Args:
        backbone: a timm model without classifier.
        name: of it.
        fine_tune: whether it is trained.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, backbone: nn.Module, name: str, *, fine_tune: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.fine_tune = fine_tune
        mean, std = (torch.tensor(x).view(1, -1, 1, 1) / 255 for x in normalisation(name, backbone))
        self.register_buffer("factor", _NATURAL_STD / std)
        self.register_buffer("offset", (_NATURAL_MEAN - mean) / std)
        self.backbone.requires_grad_(fine_tune)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, Y, X) → (N, C, Y / 32, X / 32)."""
        rgb = image * self.factor + self.offset  # (N, 3, Y, X)
        return cast(Tensor, self.backbone.forward_features(rgb))  # type: ignore[operator]

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but batch normalisations; none where it is not trained."""
        super().train(mode and self.fine_tune)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


def build_network(
    config: NetworkConfig,
    *,
    pretrained: bool = True,
    weights: Path | None = None,
    fine_tune: bool = True,
) -> ImageNetwork:
    """Build a network.

    Args:
        config: what to build.
        pretrained: fill a backbone with pretrained weights; else it is random, to be loaded.
        weights: local file of these; None: the packaged ones.
        fine_tune: whether a backbone is trained too.

    Raises:
        ImageNetworkError: a backbone without weights, or that gives no feature maps.
        EncoderUnavailableError: an unknown backbone, or weights that do not fit it.
    """
    if not config.transferred:
        return ImageNetwork(config, baseline_features(config), config.filters[-1])
    backbone, channels = _backbone(config.backbone, pretrained, weights)
    features = BackboneFeatures(backbone, config.backbone, fine_tune=fine_tune)
    return ImageNetwork(config, features, channels)


def placed(network: ImageNetwork, device: torch.device | str) -> ImageNetwork:
    """A network on a device, its convolutions in the order that processors are twice as fast in."""
    moved: ImageNetwork = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def restored_network(
    config: NetworkConfig, tensors: Mapping[str, npt.NDArray[Any]], device: str
) -> ImageNetwork:
    """A network in evaluation mode with the tensors of its `state_dict()`.

    Raises:
        RuntimeError: one is missing, too many, or of another shape.
        ImageNetworkError: an unknown backbone.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_network(config, pretrained=False)
    network.load_state_dict(
        {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    )
    return placed(network, device).eval()


def _backbone(name: str, pretrained: bool, weights: Path | None) -> tuple[nn.Module, int]:
    if pretrained:
        if weights is None and name != PACKAGED_BACKBONE:
            raise ImageNetworkError(
                f"backbone {name} comes without weights here: give weights=FILE, or take "
                f"{PACKAGED_BACKBONE}"
            )
        given = str(weights) if weights is not None else None
        backbone = load_backbone(EncoderConfig(name, given))
    else:
        import timm  # noqa: PLC0415 (after `backbones`, which declares operators that it needs)

        if not timm.is_model(name):
            raise ImageNetworkError(f"unknown backbone {name!r}")
        backbone = timm.create_model(name, num_classes=0, global_pool="avg")
    channels = int(backbone.num_features)  # type: ignore[arg-type]
    with torch.inference_mode():
        backbone.eval()
        grey = torch.zeros(1, 3, 2 * LEAST_CROP_PX, 2 * LEAST_CROP_PX)
        maps = backbone.forward_features(grey)  # type: ignore[operator]
    if maps.ndim != 4 or maps.shape[1] != channels:
        raise ImageNetworkError(
            f"backbone {name} gives no feature maps (N, C, Y, X): choose a convolutional one"
        )
    return backbone, channels
