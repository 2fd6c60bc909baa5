"""The moving parts of a training: network, optimiser.

Out of scope: when to stop, what is written (`training`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.learn.image_regression.augment import random_view
from models.learn.image_regression.config import ImageRegressionError, NetworkConfig
from models.learn.image_regression.inference import image_tensor, losses, mean_loss
from models.learn.image_regression.networks import ImageNetwork, build_network, placed
from models.learn.image_regression.options import TrainingOptions
from models.learn.image_regression.scales import Prepared

Tensors = dict[str, Tensor]

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Fitting:
    """State of a training between two epochs.

    Args:
        network: to train.
        options: of the training.
        images: to learn from; their weights are brought to a mean of 1.
    """

    def __init__(
        self, network: ImageNetwork, options: TrainingOptions, images: Sequence[Prepared]
    ) -> None:
        self.network = network
        self.options = options
        self.images = images
        self.mean_weight = float(np.mean([image.weight for image in images]))
        self.fitted = [
            (name, parameter)
            for name, parameter in network.named_parameters()
            if parameter.requires_grad
        ]
        self.optimiser = _OPTIMISERS[options.optimiser](
            [parameter for _, parameter in self.fitted],
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )
        self.kept = _copy(network.state_dict())
        self.learning_rate = 0.0

    @classmethod
    def start(
        cls, config: NetworkConfig, options: TrainingOptions, images: Sequence[Prepared]
    ) -> Self:
        """A network as it is before the first step.

        Raises:
            ImageRegressionError: see `build_network`.
            EncoderUnavailableError: likewise.
        """
        weights = Path(options.weights) if options.weights is not None else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = build_network(config, weights=weights, fine_tune=options.fine_tune)
        return cls(placed(network, options.device), options, images)

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last one is smaller where the images are no whole batches."""
        return -(-len(self.images) // self.options.batch)

    def epoch(self, number: int) -> float:
        """Show every image once.

        Args:
            number: of the epoch, from 1; decides in what order and what part of each.

        Returns:
            Mean loss over the views, each before the step that learnt from it.
        """
        self.network.train()
        order = np.random.default_rng([self.options.seed, number]).permutation(len(self.images))
        total = 0.0
        for at in range(self.steps):
            chosen = order[at * self.options.batch : (at + 1) * self.options.batch]
            step = (number - 1) * self.steps + at
            loss = self._step(step, [self.images[index] for index in chosen])
            total += loss * len(chosen) / len(order)
        return total

    def validation_loss(self, images: Sequence[Prepared]) -> float:
        """Mean loss over the middles of images."""
        return mean_loss(self.network.eval(), images, self.options.crop_px)

    def best(self) -> ImageNetwork:
        """The network with the weights of the last `keep`, in evaluation mode."""
        network = build_network(self.network.config, pretrained=False)
        network.load_state_dict(self.kept)
        return placed(network, self.options.device).eval()

    def keep(self) -> None:
        """Remember the weights as the best so far."""
        self.kept = _copy(self.network.state_dict())

    def tensors(self) -> Tensors:
        """Everything that the next epoch depends on."""
        parts = {"network": self.network.state_dict(), "kept": self.kept}
        tensors = {f"{part}/{name}": t for part, of in parts.items() for name, t in of.items()}
        for name, parameter in self.fitted:
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = self.optimiser.state[parameter][moment]
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self.network.load_state_dict(_part(tensors, "network"))
        self.kept = _part(tensors, "kept")
        for name, parameter in self.fitted:
            state = {moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS}
            # a format that the parameter has, so that sums are taken in the same order
            for moment in _MOMENTS[:2]:
                state[moment] = torch.empty_like(parameter).copy_(state[moment])
            self.optimiser.state[parameter] = state

    def _step(self, step: int, images: Sequence[Prepared]) -> float:
        options = self.options
        self.learning_rate = options.rate(step, options.epochs * self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        loss = self._loss(step, images)
        if not torch.isfinite(loss):
            raise ImageRegressionError(
                f"the loss is not finite in step {step}: lower the learning rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(
            [parameter for _, parameter in self.fitted], options.gradient_norm
        )
        self.optimiser.step()
        return loss.item()

    def _loss(self, step: int, images: Sequence[Prepared]) -> Tensor:
        options = self.options
        device = torch.device(options.device)
        views = [
            image.scaled(
                random_view(
                    image.pixels,
                    options.crop_px,
                    np.random.default_rng([options.seed, step, number]),
                )
            )
            for number, image in enumerate(images)
        ]
        descriptors = None
        if self.network.config.descriptors:
            descriptors = torch.from_numpy(np.stack([image.descriptors for image in images]))
            descriptors = descriptors.to(device)
        target, weight = (
            torch.tensor([getattr(image, name) for image in images], device=device)
            for name in ("target", "weight")
        )
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.mixed):
            maps = self.network.feature_maps(image_tensor(views, device))
        found = self.network.from_maps(maps, descriptors)
        return (losses(found, target) * weight / self.mean_weight).mean()


def _copy(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _part(tensors: Mapping[str, Tensor], part: str) -> Tensors:
    start = f"{part}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
