"""Grad-CAM: where an image speaks for a higher number, or for a class, and where against it.

Selvaraju et al., Int. J. Comput. Vis. 128 (2020) 336, eqs. 1 and 2, with the prediction in place of
the score of a class where it is a number; evidence against it is their counterfactual, with the
gradient's sign turned.
Where a mean over positions and one linear layer follow the maps, positive minus negative evidence,
summed over the maps' positions, is the prediction less its constant part.
Out of scope: the network, what channels mean over many images (`channel_maps`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from models.explain.channel_maps import Floats, enlarged

if TYPE_CHECKING:
    from torch import Tensor


class Explained(Protocol):
    """A network of torch that can be divided at its last feature maps."""

    def parameters(self) -> Iterator["Tensor"]:
        """Its weights."""
        ...

    def feature_maps(self, image: "Tensor") -> "Tensor":
        """The last feature maps (N, C, h, w) of images (N, 1, Y, X)."""
        ...

    def from_maps(self, maps: "Tensor", descriptors: "Tensor | None") -> "Tensor":
        """Numbers (N,), or scores of classes (N, K), of feature maps and descriptors (N, D)."""
        ...


def evidence(
    maps: npt.NDArray[np.floating[Any]], gradients: npt.NDArray[np.floating[Any]]
) -> tuple[Floats, Floats]:
    """Evidence for a higher and for a lower number.

    Args:
        maps: (C, h, w) last feature maps of an image.
        gradients: (C, h, w) of the number by them.

    Returns:
        Positive and negative evidence, each (h, w), at least 0, in units of the number; at no
        position both.

    Raises:
        ValueError: shapes that do not fit.
    """
    if maps.ndim != 3 or maps.shape != gradients.shape:
        raise ValueError(f"maps {maps.shape} and gradients {gradients.shape}: take (C, h, w) twice")
    weight = gradients.mean((1, 2), dtype=float)  # (C,)
    total = np.einsum("c,chw->hw", weight, maps.astype(float))
    return np.maximum(total, 0), np.maximum(-total, 0)


def grad_cam(
    network: Explained,
    image: npt.NDArray[np.float32],
    descriptors: npt.NDArray[np.float32] | None = None,
    code: int | None = None,
) -> tuple[Floats, Floats]:
    """Evidence of a network in an image.

    Args:
        network: in evaluation mode.
        image: (Y, X) as the network takes it.
        descriptors: (D,) likewise; None or of size 0 where it takes none.
        code: of the class that evidence is of, above the mean over all classes: what is added to
            every score changes no probability. None of a number.

    Returns:
        Positive and negative evidence, each (Y, X), scaled up linearly from the maps.
    """
    import torch  # noqa: PLC0415

    device = next(network.parameters()).device
    with torch.inference_mode(False), torch.enable_grad():
        given = None
        if descriptors is not None and descriptors.size:
            given = torch.from_numpy(descriptors)[None].to(device)
        with torch.no_grad():
            maps = network.feature_maps(torch.from_numpy(image)[None, None].to(device))
        maps.requires_grad_()
        found = network.from_maps(maps, given)
        score = found if code is None else found[:, code] - found.mean(1)
        (gradient,) = torch.autograd.grad(score.sum(), maps)
    both = evidence(maps.detach()[0].cpu().numpy(), gradient[0].cpu().numpy())
    positive, negative = (enlarged(one, (image.shape[0], image.shape[1])) for one in both)
    return positive, negative
