"""What an epoch of a training does: which patches are drawn, and the losses.

Out of scope: steps (`models.training.weights`), when to stop, what is written (`training`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from models.segment.mask_rcnn.config import NetworkConfig
from models.segment.mask_rcnn.network import MaskRcnn, Target, build_network
from models.segment.mask_rcnn.options import TrainingOptions
from models.segment.mask_rcnn.targets import boxes_of, known_grey
from models.segment.star_convex.patches import Prepared, View, draw_view
from models.training.devices import training_device
from models.training.weights import BEST, Weights

PROPOSALS = ("loss_objectness", "loss_rpn_box_reg")
REGIONS = ("loss_classifier", "loss_box_reg")
MASKS = ("loss_mask",)


class Fitting:
    """State of a training between two epochs.

    Args:
        network: to train.
        options: of the training.
        examples: to draw patches from.
    """

    def __init__(
        self, network: MaskRcnn, options: TrainingOptions, examples: Sequence[Prepared]
    ) -> None:
        self.network = network
        self.options = options
        self.examples = examples
        self.weights = Weights(
            network,
            partial(
                torch.optim.SGD,
                lr=options.learning_rate,
                momentum=options.momentum,
                weight_decay=options.weight_decay,
            ),
            options.gradient_norm,
        )

    @classmethod
    def start(
        cls, config: NetworkConfig, options: TrainingOptions, examples: Sequence[Prepared]
    ) -> Self:
        """A network as it is before the first step.

        Raises:
            EncoderUnavailableError: see `build_network`.
            DeviceError: torch has no such device here.
        """
        device = training_device(options.device)
        weights = Path(options.weights) if options.weights is not None else None
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            network = build_network(config, weights=weights)
        network.to(device)
        network.freeze()
        return cls(network, options, examples)

    def epoch(self, number: int) -> tuple[float, float, float, float]:
        """Train for one epoch.

        Args:
            number: of the epoch, from 1; decides which patches are drawn.

        Returns:
            Means of the loss and of its parts for proposals, regions and masks.
        """
        self.network.train()
        steps = range((number - 1) * self.options.steps, number * self.options.steps)
        proposals, regions, masks = np.mean([self._step(step) for step in steps], axis=0).tolist()
        return proposals + regions + masks, proposals, regions, masks

    def best(self) -> MaskRcnn:
        """The network with the weights of the last `keep`, in evaluation mode."""
        network = build_network(self.network.config, pretrained=False)
        network.load_state_dict(self.weights.copies[BEST])
        return network.to(self.options.device).eval()

    def _step(self, step: int) -> tuple[float, float, float]:
        options = self.options
        views = [
            draw_view(
                self.examples,
                options.patch_px,
                self.network.config.diameter_px,
                options.augmentation,
                np.random.default_rng([options.seed, step, number]),
            )
            for number in range(options.batch)
        ]
        with torch.random.fork_rng():  # torchvision draws which boxes count
            torch.manual_seed(int(np.random.default_rng([options.seed, step]).integers(2**31)))
            losses = batch_losses(self.network, views)
        self.weights.step(torch.stack(list(losses.values())).sum(), options.rate(step))
        proposals, regions, masks = (
            sum(losses[name].item() for name in names) for names in (PROPOSALS, REGIONS, MASKS)
        )
        return proposals, regions, masks


def batch_losses(network: MaskRcnn, views: Sequence[View]) -> dict[str, Tensor]:
    """Losses of a network on some views of one size, by torchvision's names."""
    device = next(network.parameters()).device
    grey = torch.from_numpy(np.stack([known_grey(view) for view in views])[:, None])
    return network.losses(grey.to(device), [_target(view, device) for view in views])


def _target(view: View, device: torch.device) -> Target:
    particles = boxes_of(view.labels * view.valid)
    return {
        "boxes": torch.from_numpy(particles.boxes).to(device),
        "labels": torch.ones(len(particles.boxes), dtype=torch.int64, device=device),
        "masks": torch.from_numpy(particles.masks).to(device),
    }
