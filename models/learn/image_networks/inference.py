"""A trained network at work: outputs, features and feature maps of the middles of images.

One image at a time, so that no number depends on what else is predicted.
Out of scope: several networks together (`fitted`).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.learn.image_networks.augment import centre_view
from models.learn.image_networks.networks import ImageNetwork
from models.learn.image_networks.scales import Floats32, Prepared
from models.learn.learner import Floats


def image_tensor(views: Sequence[Floats32], device: torch.device) -> Tensor:
    """Views (crop_px, crop_px) as a batch (N, 1, crop_px, crop_px)."""
    batch = torch.from_numpy(np.stack(views)[:, None])
    return batch.to(device, memory_format=torch.channels_last)


def outputs(network: ImageNetwork, images: Sequence[Prepared], crop_px: int) -> Floats:
    """What a network in evaluation mode gives: standardised targets (N,), or scores (N, C)."""

    def one(image: Tensor, descriptors: Tensor | None) -> Tensor:
        return network(image, descriptors)  # type: ignore[no-any-return]

    return _each(network, images, crop_px, one)[:, 0].astype(float)


def pooled_features(network: ImageNetwork, images: Sequence[Prepared], crop_px: int) -> Floats32:
    """Means over positions of the last feature maps, (N, C)."""
    found = _each(network, images, crop_px, lambda image, _: network.pooled(image))
    return found[:, 0]


def last_maps(network: ImageNetwork, images: Sequence[Prepared], crop_px: int) -> Floats32:
    """The last feature maps, (N, C, h, w)."""
    found = _each(network, images, crop_px, lambda image, _: network.feature_maps(image))
    return found[:, 0]


def losses(found: Tensor, target: Tensor) -> Tensor:
    """Squared errors (N,) of numbers (N,), cross-entropies (N,) of scores (N, C) for codes (N,)."""
    if found.ndim == 1:
        return functional.mse_loss(found, target, reduction="none")
    return functional.cross_entropy(found, target.long(), reduction="none")


def mean_loss(network: ImageNetwork, images: Sequence[Prepared], crop_px: int) -> float:
    """Weighted mean loss of a network in evaluation mode."""
    weight, target = np.array([(image.weight, image.target) for image in images]).T
    found = torch.from_numpy(outputs(network, images, crop_px))
    return float(weight @ losses(found, torch.from_numpy(target)).numpy() / weight.sum())


def _each(
    network: ImageNetwork,
    images: Sequence[Prepared],
    crop_px: int,
    one: Callable[[Tensor, Tensor | None], Tensor],
) -> Floats32:
    """(N, 1, …)."""
    device = next(network.parameters()).device
    found = []
    with torch.inference_mode():
        for image in images:
            view = image_tensor([image.scaled(centre_view(image.pixels, crop_px))], device)
            descriptors = None
            if network.config.descriptors:
                descriptors = torch.from_numpy(image.descriptors[None]).to(device)
            found.append(one(view, descriptors).cpu().numpy())
    return np.stack(found)
