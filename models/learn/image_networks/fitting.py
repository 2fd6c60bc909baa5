"""What an epoch of a training does: which views are shown, and the loss.

Out of scope: steps (`models.training.weights`), when to stop, what is written (`training`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.learn.image_networks.augment import random_view
from models.learn.image_networks.config import ImageNetworkError, NetworkConfig
from models.learn.image_networks.inference import image_tensor, losses, mean_loss
from models.learn.image_networks.networks import ImageNetwork, build_network, placed
from models.learn.image_networks.options import TrainingOptions
from models.learn.image_networks.scales import Prepared
from models.training.devices import training_device
from models.training.weights import BEST, Weights

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
        self.weights = Weights(
            network,
            partial(
                _OPTIMISERS[options.optimiser],
                lr=options.learning_rate,
                weight_decay=options.weight_decay,
            ),
            options.gradient_norm,
        )

    @classmethod
    def start(
        cls, config: NetworkConfig, options: TrainingOptions, images: Sequence[Prepared]
    ) -> Self:
        """A network as it is before the first step.

        Raises:
            ImageNetworkError: see `build_network`.
            EncoderUnavailableError: likewise.
            DeviceError: torch has no such device here.
        """
        device = training_device(options.device)
        weights = Path(options.weights) if options.weights is not None else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = build_network(config, weights=weights, fine_tune=options.fine_tune)
        return cls(placed(network, device), options, images)

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
        network.load_state_dict(self.weights.copies[BEST])
        return placed(network, self.options.device).eval()

    def _step(self, step: int, images: Sequence[Prepared]) -> float:
        loss = self._loss(step, images)
        if not torch.isfinite(loss):
            raise ImageNetworkError(
                f"the loss is not finite in step {step}: lower the learning rate"
            )
        self.weights.step(loss, self.options.rate(step, self.options.epochs * self.steps))
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
