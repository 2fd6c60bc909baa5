"""The moving parts of a training: network, optimiser, running mean of the weights.

Out of scope: when to stop, what is written (`training`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.segment.star_convex.config import NetworkConfig, StarConvexError
from models.segment.star_convex.loss import Loss, star_loss
from models.segment.star_convex.network import EncoderUNet, StarConvexNetwork, build_network
from models.segment.star_convex.options import TrainingOptions
from models.segment.star_convex.patches import Patch, Prepared, draw_patch

Tensors = dict[str, Tensor]

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Run torch on some threads of the CPU, and then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        self.fitted = [
            (name, parameter)
            for name, parameter in network.named_parameters()
            if parameter.requires_grad
        ]
        self.optimiser = torch.optim.AdamW(
            [parameter for _, parameter in self.fitted],
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )
        self.mean = _copy(network.state_dict())
        self.kept = _copy(self.mean)
        self.learning_rate = 0.0

    @classmethod
    def start(
        cls, config: NetworkConfig, options: TrainingOptions, examples: Sequence[Prepared]
    ) -> Self:
        """A network as it is before the first step.

        Raises:
            StarConvexError: patches are no whole strides.
        """
        if options.patch_px % config.stride:
            raise StarConvexError(
                f"patch_px is {options.patch_px}: take a multiple of {config.stride}"
            )
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            network = build_network(config)
        network.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
            self.learning_rate = scheduled(step, self.options)
            for group in self.optimiser.param_groups:
                group["lr"] = self.learning_rate
            losses.append(self._step(self._batch(step)))
            self._average(step)
        total, probability, distance = np.mean(losses, axis=0).tolist()
        return total, probability, distance

    def averaged(self) -> StarConvexNetwork:
        """The network with the running mean of its weights, in evaluation mode."""
        return self._with(self.mean)

    def best(self) -> StarConvexNetwork:
        """The network with the weights of the last `keep`, in evaluation mode."""
        return self._with(self.kept)

    def keep(self) -> None:
        """Remember the running mean as the best so far."""
        self.kept = _copy(self.mean)

    def tensors(self) -> Tensors:
        """Everything that the next epoch depends on."""
        parts = {"network": self.network.state_dict(), "mean": self.mean, "kept": self.kept}
        tensors = {f"{part}/{name}": t for part, of in parts.items() for name, t in of.items()}
        for name, parameter in self.fitted:
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = self.optimiser.state[parameter][moment]
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self.network.load_state_dict(_part(tensors, "network"))
        for part, of in (("mean", self.mean), ("kept", self.kept)):
            for name, tensor in _part(tensors, part).items():
                of[name].copy_(tensor)
        for name, parameter in self.fitted:
            state = {moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS}
            # a format that the parameter has, so that sums are taken in the same order
            for moment in _MOMENTS[:2]:
                state[moment] = torch.empty_like(parameter).copy_(state[moment])
            self.optimiser.state[parameter] = state

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

    def _step(self, patches: Sequence[Patch]) -> tuple[float, float, float]:
        loss = batch_loss(self.network, patches, mixed=self.options.mixed)
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(
            [parameter for _, parameter in self.fitted], self.options.gradient_norm
        )
        self.optimiser.step()
        return loss.total.item(), loss.probability.item(), loss.distance.item()

    def _average(self, step: int) -> None:
        """Running mean; at first of few steps, so that the start is soon forgotten."""
        share = 1 - min(self.options.averaging, (1 + step) / (10 + step))
        if self.options.averaging == 0:
            share = 1.0
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                self.mean[name].lerp_(tensor, share)
            else:
                self.mean[name].copy_(tensor)

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


def _copy(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _part(tensors: Mapping[str, Tensor], part: str) -> Tensors:
    start = f"{part}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
