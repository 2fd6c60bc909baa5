"""A network between two steps: weights, optimiser, and copies of the weights that are kept.

Out of scope: losses, learning rates over steps, and when to stop (`models.training.loop`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)
Parameters = Iterable[nn.Parameter]

BEST = "kept"
_WEIGHTS = "network"
_COUNT = "step"  # of an optimiser, which has no shape


class Weights(Generic[Network]):
    """What a step changes and a checkpoint holds.

    Args:
        network: to train; parameters that want no gradient stay as they are.
        optimiser: makes one for some parameters.
        gradient_norm: gradients are shortened to it.
        copies: names of copies of the weights that are kept beside the best ones.

    Attributes:
        network: as it is now.
        copies: by name, tensors of `state_dict()`; at first the weights of the start.
        learning_rate: of the last step; 0 before it.
    """

    def __init__(
        self,
        network: Network,
        optimiser: Callable[[Parameters], torch.optim.Optimizer],
        gradient_norm: float,
        copies: tuple[str, ...] = (),
    ) -> None:
        self.network = network
        self._fitted = {
            name: parameter
            for name, parameter in network.named_parameters()
            if parameter.requires_grad
        }
        self._optimiser = optimiser(self._fitted.values())
        self._gradient_norm = gradient_norm
        self.copies = {name: copied(network.state_dict()) for name in (BEST, *copies)}
        self.learning_rate = 0.0

    def step(self, loss: Tensor, learning_rate: float) -> None:
        """Go down the gradient of a loss."""
        self.learning_rate = learning_rate
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._fitted.values(), self._gradient_norm)
        self._optimiser.step()

    def keep(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Remember weights as the best so far: those of now, or others."""
        self.copies[BEST] = copied(self.network.state_dict() if tensors is None else tensors)

    def tensors(self) -> Tensors:
        """Everything that the next step depends on."""
        parts = {_WEIGHTS: self.network.state_dict(), **self.copies}
        tensors = {f"{part}/{name}": t for part, of in parts.items() for name, t in of.items()}
        for name, parameter in self._fitted.items():
            for moment, tensor in self._optimiser.state[parameter].items():
                tensors[f"{moment}/{name}"] = tensor
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        parts: dict[str, Tensors] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = tensor
        self.network.load_state_dict(parts.pop(_WEIGHTS))
        for part, own in self.copies.items():
            for name, tensor in parts.pop(part).items():
                own[name].copy_(tensor)
        for name, parameter in self._fitted.items():
            self._optimiser.state[parameter] = {
                moment: own[name] if moment == _COUNT else _as_placed(own[name], parameter)
                for moment, own in parts.items()
            }


def copied(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies that no step changes."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _as_placed(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """A tensor in memory as its parameter is, so that sums are taken in the same order."""
    return torch.empty_like(parameter).copy_(tensor)
