"""Pretrained backbones as feature maps at several strides, for networks that find things.

Out of scope: pooled features of whole images (`backbones`).
"""

from collections.abc import Sequence

from torch import nn

from models.encode.backbones import load_backbone
from models.encode.config import EncoderConfig, EncoderUnavailableError


def feature_maps(config: EncoderConfig, stages: Sequence[int], *, pretrained: bool) -> nn.Module:
    """Build a backbone that gives the feature maps of some of its stages.

    Args:
        config: names the backbone, and a file with weights for it (see `load_backbone`).
        stages: from 0, mostly at strides 2, 4, 8, …
        pretrained: fill it with ImageNet weights; else it is random, for weights to be loaded.

    Returns:
        A module: (N, 3, Y, X) normalised float32 → a list of (N, C, Y / stride, X / stride). What
        the maps are is in its `feature_info`.

    Raises:
        EncoderUnavailableError: an unknown backbone, no weights for it here, or one that has no
            such stages or names its layers otherwise here than as a classifier.
    """
    import timm  # noqa: PLC0415 (after `backbones`, which declares operators that it needs)

    whole = load_backbone(config) if pretrained else None
    if not timm.is_model(config.backbone):
        raise EncoderUnavailableError(f"unknown backbone {config.backbone!r}")
    try:
        maps: nn.Module = timm.create_model(
            config.backbone, features_only=True, out_indices=tuple(stages)
        )
    except (IndexError, RuntimeError) as error:
        raise EncoderUnavailableError(
            f"backbone {config.backbone} does not give its stages {list(stages)} ({error}): choose "
            "an EfficientNet or a ResNet"
        ) from error
    if whole is not None:
        tensors = whole.state_dict()
        wanted = maps.state_dict().keys()
        if not tensors.keys() >= wanted:
            raise EncoderUnavailableError(
                f"backbone {config.backbone} names its layers otherwise as a feature extractor: "
                "choose an EfficientNet or a ResNet"
            )
        maps.load_state_dict({name: tensors[name] for name in wanted})
    return maps
