"""What an epoch of a training does: patches, losses, the running mean of the weights.

Out of scope: steps (`models.training.weights`), when to stop, what is written (`training`).
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.loss import Loss, star_loss
from models.segment.star_convex.network import EncoderUNet, StarConvexNetwork, build_network
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Patch, Prepared, draw_patch
from models.training.devices import training_device
from models.training.weights import BEST, Tensors, Weights

_MEAN = "mean"


class Fitting:
    """State of a training between two epochs.

    Args:
        network: to train.
        options: of the training.
        examples: to draw patches from.
    """

    def __init__(
        self, network: StarConvexNetwork, options: TrainingOptions, examples: Sequence[Prepared]
    ) -> None:
        self.network = network
        self.options = options
        self.examples = examples
        self.weights = Weights(
            network,
            partial(torch.optim.AdamW, lr=options.learning_rate, weight_decay=options.weight_decay),
            options.gradient_norm,
            (_MEAN,),
        )

    @classmethod
    def start(
        cls, config: NetworkConfig, options: TrainingOptions, examples: Sequence[Prepared]
    ) -> Self:
        """A network as it is before the first step.

        Raises:
            StarConvexError: patches are no whole strides.
            DeviceError: torch has no such device here.
        """
        device = training_device(options.device)
        if options.patch_px % config.stride:
            raise StarConvexError(
                f"patch_px is {options.patch_px}: take a multiple of {config.stride}"
            )
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            network = build_network(config)
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if isinstance(network.features, EncoderUNet):
            network.features.freeze(options.frozen_blocks)
        return cls(network, options, examples)

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Train for one epoch.

        Args:
            number: of the epoch, from 1; decides which patches are drawn.

        Returns:
            Means of the loss, its cross-entropy and its distance error.
        """
        self.network.train()
        losses = []
        for step in range((number - 1) * self.options.steps, number * self.options.steps):
            losses.append(self._step(step, self._batch(step)))
            self._average(step)
        total, probability, distance = np.mean(losses, axis=0).tolist()
        return total, probability, distance

    def averaged(self) -> StarConvexNetwork:
        """The network with the running mean of its weights, in evaluation mode."""
        return self._with(self.weights.copies[_MEAN])

    def best(self) -> StarConvexNetwork:
        """The network with the weights of the last `keep`, in evaluation mode."""
        return self._with(self.weights.copies[BEST])

    def keep(self) -> None:
        """Remember the running mean as the best so far."""
        self.weights.keep(self.weights.copies[_MEAN])

    def tensors(self) -> Tensors:
        """Everything that the next epoch depends on."""
        return self.weights.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self.weights.restore(tensors)

    def _batch(self, step: int) -> list[Patch]:
        options = self.options
        return [
            draw_patch(
                self.examples,
                options.patch_px,
                self.network.config,
                options.augmentation,
                np.random.default_rng([options.seed, step, number]),
            )
            for number in range(options.batch)
        ]

    def _step(self, step: int, patches: Sequence[Patch]) -> tuple[float, float, float]:
        loss = batch_loss(self.network, patches, mixed=self.options.mixed)
        self.weights.step(loss.total, scheduled(step, self.options))
        return loss.total.item(), loss.probability.item(), loss.distance.item()

    def _average(self, step: int) -> None:
        """Running mean; at first of few steps, so that the start is soon forgotten."""
        share = 1 - min(self.options.averaging, (1 + step) / (10 + step))
        if self.options.averaging == 0:
            share = 1.0
        mean = self.weights.copies[_MEAN]
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                mean[name].lerp_(tensor, share)
            else:
                mean[name].copy_(tensor)

    def _with(self, tensors: Tensors) -> StarConvexNetwork:
        network = build_network(self.network.config, pretrained=False)
        network.load_state_dict(tensors)
        network.to(self.options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network.eval()


def batch_loss(
    network: StarConvexNetwork, patches: Sequence[Patch], *, mixed: bool = False
) -> Loss:
    """Loss of a network on some patches.

    Args:
        network: in training or evaluation mode.
        patches: of one size.
        mixed: convolutions in bfloat16 where it pays.
    """
    device = next(network.parameters()).device
    image = _stacked([patch.image[None] for patch in patches], device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
        logits, distances = network(image)
    grid = network.config.grid
    return star_loss(
        logits,
        distances,
        _stacked([patch.targets.probability[None] for patch in patches], device),
        _stacked([patch.targets.distances for patch in patches], device),
        _stacked([patch.valid[None, ::grid, ::grid] for patch in patches], device),
    )


def scheduled(step: int, options: TrainingOptions) -> float:
    """Learning rate of a step: a linear rise, then half a cosine down to zero."""
    rise = min(1.0, (step + 1) / max(options.warmup, 1))
    done = step / (options.epochs * options.steps)
    return options.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * done))


def _stacked(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32)).to(device)
