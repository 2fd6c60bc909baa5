"""Pretrained convolutional backbones as feature extractors, and the grey-image network around them.

Out of scope: running them fast (`openvino_engine`, `torch_engine`) and image sizes (`framing`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.encode.config import (
    PACKAGED_BACKBONE,
    EncoderConfig,
    EncoderUnavailableError,
    packaged_weights,
)
from models.encode.depths import PooledDepths
from models.encode.torchvision_ops import declare_missing_operators

declare_missing_operators()

import timm  # noqa: E402 (imports torchvision, which needs its operators declared)
import timm.models  # noqa: E402
from timm.data.config import resolve_model_data_config  # noqa: E402

__all__ = [
    "EncoderConfig",
    "EncoderUnavailableError",
    "GreyBackbone",
    "load_backbone",
    "load_grey_backbone",
    "normalisation",
    "weights_digest",
]

_LITE0_MEAN_STD = (127.0, 128.0)
"""EfficientNet-Lite normalises by (x − 127) / 128 for x in 0…255 (its reference implementation)."""

_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    AttributeError,  # a torch file that holds something else than a mapping
    UnpicklingError,
    SafetensorError,
)

Rgb = tuple[float, ...]


class GreyBackbone(nn.Module):
    """A backbone for RGB images fed with grey ones: (N, 1, Y, X) uint8 → (N, D) float32.

    Equal to repeating the grey channel three times, normalising, and running the backbone. Where
    the channels are normalised alike, the first convolution is summed over its input channels
    instead, which is the same up to rounding and saves a tenth of the time. The zero padding
    stays after the normalisation, so borders are exact too.

    Args:
        backbone: (N, 3, Y, X) float32 → (N, D) float32; its first convolution may be replaced.
        mean: per channel, for pixels in 0…255.
        std: per channel, for pixels in 0…255.
        first_conv: name of the backbone's first convolution, None if not known.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: Rgb, std: Rgb, first_conv: str | None) -> None:
        super().__init__()
        alike = len(set(mean)) == len(set(std)) == 1
        folded = alike and first_conv is not None and _sum_input_channels(backbone, first_conv)
        self.channels = 1 if folded else 3
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean[: self.channels]).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std[: self.channels]).view(1, -1, 1, 1))

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Lengths of the parts of a vector, one for each depth; None where there is but one."""
        return self.backbone.sizes if isinstance(self.backbone, PooledDepths) else None

    def forward(self, grey: Tensor) -> Tensor:
        """Pooled features (N, D) float32 of grey images (N, 1, Y, X) uint8."""
        x = grey.to(self.mean.dtype)
        if self.channels == 3:
            x = x.expand(-1, 3, -1, -1)
        return cast(Tensor, self.backbone((x - self.mean) / self.std))  # (N, D)


def load_backbone(config: EncoderConfig) -> nn.Module:
    """Build a pretrained backbone without its classifier.

    Returns:
        A module in evaluation mode: (N, 3, Y, X) normalised float32 → (N, D) mean-pooled features.

    Raises:
        EncoderUnavailableError: unknown backbone, one of a fixed input size, or no weights that
            fit it. Weights are never left random.
    """
    name = config.backbone
    if not timm.is_model(name):
        raise EncoderUnavailableError(
            f"unknown backbone {name!r}: timm.list_models() lists those of timm {timm.__version__}"
        )
    cfg = timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        raise EncoderUnavailableError(
            f"backbone {name} takes only {cfg.input_size[1]} × {cfg.input_size[2]} images, which "
            "would distort micrographs: choose a convolutional one"
        )
    if config.weights is None and name != PACKAGED_BACKBONE:
        return _from_hub(name)
    backbone = _untrained(name)
    if config.weights is None:
        tensors = _in_order(_read_checkpoint(packaged_weights()), name)
    else:
        tensors = _read_checkpoint(config.weights_file() or Path(config.weights))
    _load_exactly(backbone, tensors, config)
    return backbone.eval()


def load_grey_backbone(config: EncoderConfig) -> tuple[GreyBackbone, str]:
    """Build the network that takes grey images, and the digest of its weights.

    Returns:
        The network in evaluation mode, and 8 hex digits over weights and normalisation.

    Raises:
        EncoderUnavailableError: see `load_backbone`.
    """
    backbone = load_backbone(config)
    mean, std = normalisation(config.backbone, backbone)
    digest = weights_digest(backbone, mean, std)
    first_conv = cast("str | None", backbone.pretrained_cfg.get("first_conv"))  # type: ignore[union-attr, operator]
    grey = GreyBackbone(backbone, mean, std, first_conv)
    if config.pooling == "depths":
        grey.backbone = PooledDepths(backbone)
    return grey.eval(), digest


def weights_digest(backbone: nn.Module, mean: Rgb, std: Rgb) -> str:
    """First 8 hex digits of the SHA-256 of a backbone's tensors and normalisation.

    Names, types, shapes and values count; the classifier, which no vector passes, does not.
    """
    sha = hashlib.sha256(repr((mean, std)).encode())
    for name, tensor in backbone.state_dict().items():
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:8]


def _untrained(name: str) -> nn.Module:
    return timm.create_model(name, num_classes=0, global_pool="avg")


def _from_hub(name: str) -> nn.Module:
    cfg = timm.get_pretrained_cfg(name)
    where = "give weights=FILE, or run once with a connection so that timm's cache holds them"
    if cfg is None or not cfg.has_weights:
        raise EncoderUnavailableError(f"no pretrained weights are published for {name}: {where}")
    try:
        backbone = timm.create_model(name, pretrained=True, num_classes=0, global_pool="avg")
    except (OSError, RuntimeError, ValueError) as error:
        raise EncoderUnavailableError(
            f"no weights for {name} in timm's cache, and its hub did not answer "
            f"({type(error).__name__}): {where}"
        ) from error
    return backbone.eval()


def _read_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a safetensors or torch file, without running pickled code."""
    try:
        tensors = timm.models.load_state_dict(str(path), weights_only=True)
    except _UNREADABLE as error:
        raise EncoderUnavailableError(
            f"{path} is not a readable state dict ({error}): give safetensors, or torch.save of "
            "a state_dict()"
        ) from error
    return cast("Mapping[str, Tensor]", tensors)


def _in_order(tensors: Mapping[str, Tensor], name: str) -> Mapping[str, Tensor]:
    """Rename the packaged tensors to timm's names; both list the same layers in the same order."""
    expected = timm.create_model(name).state_dict()
    if len(tensors) != len(expected):
        raise EncoderUnavailableError(
            f"the packaged weights hold {len(tensors)} tensors and {name} has {len(expected)}: "
            "versions of timm and of the weights package do not fit"
        )
    for (theirs, tensor), (ours, wanted) in zip(tensors.items(), expected.items(), strict=True):
        if tensor.shape != wanted.shape:
            raise EncoderUnavailableError(
                f"packaged tensor {theirs} {tuple(tensor.shape)} does not fit {name}'s {ours} "
                f"{tuple(wanted.shape)}: versions of timm and of the weights package do not fit"
            )
    return dict(zip(expected, tensors.values(), strict=True))


def _load_exactly(
    backbone: nn.Module, tensors: Mapping[str, Tensor], config: EncoderConfig
) -> None:
    """Fill every tensor of the backbone; the checkpoint may hold a classifier besides."""
    origin = config.weights or "the weights package"
    classifier = backbone.pretrained_cfg.get("classifier")  # type: ignore[union-attr, operator]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
    prefixes = tuple(f"{head}." for head in heads)
    features = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}
    try:
        backbone.load_state_dict(features)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise EncoderUnavailableError(
            f"{origin} does not fit backbone {config.backbone}: {detail[:300]}"
        ) from error


def normalisation(name: str, backbone: nn.Module) -> tuple[Rgb, Rgb]:
    """Mean and standard deviation per channel, for pixels in 0…255."""
    if name.split(".", maxsplit=1)[0] == PACKAGED_BACKBONE:
        mean, std = _LITE0_MEAN_STD
        return (mean,) * 3, (std,) * 3
    data = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call]
    return tuple(255.0 * m for m in data["mean"]), tuple(255.0 * s for s in data["std"])


def _sum_input_channels(backbone: nn.Module, first_conv: str) -> bool:
    """Make the first convolution take one channel; False where its kind does not allow it."""
    convolution = backbone.get_submodule(first_conv)
    if (
        not isinstance(convolution, nn.Conv2d)
        or convolution.in_channels != 3
        or convolution.groups != 1
    ):
        return False
    convolution.weight = nn.Parameter(convolution.weight.detach().sum(1, keepdim=True))
    convolution.in_channels = 1
    return True
