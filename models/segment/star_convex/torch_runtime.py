"""A network run by torch, on the device that it is on.

Out of scope: the fast way on a processor (`openvino_forward`).
"""

import torch

from models.segment.star_convex.network import StarConvexNetwork
from models.segment.star_convex.shapes import Floats
from models.segment.star_convex.tiles import Forward


def torch_forward(network: StarConvexNetwork) -> Forward:
    """The network in evaluation mode, on the device that it is on."""
    network.eval()
    device = next(network.parameters()).device

    def forward(image: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            grey = torch.from_numpy(image)[None, None].to(device)
            logits, distances = network(grey)
            return torch.sigmoid(logits)[0, 0].cpu().numpy(), distances[0].cpu().numpy()

    return forward
