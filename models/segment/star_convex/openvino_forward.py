"""A trained network on the processor by OpenVINO: 1.4 times as fast as torch there (2026-11).

Out of scope: training, other devices (`tiles.torch_forward`).
"""

import warnings

import numpy as np
import torch

from models.encode.openvino_runtime import core, ov
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.network import StarConvexNetwork
from models.segment.star_convex.shapes import Floats
from models.segment.star_convex.tiles import Forward, torch_forward

_TRACED_STRIDES, _CHECKED_STRIDES = (2, 2), (3, 5)
_TOLERANCE = 1e-2  # of probabilities, and of distances in pixels


def openvino_forward(network: StarConvexNetwork, threads: int) -> Forward:
    """Convert a network, compiled once for all sizes, and compare it with torch on another size.

    Args:
        network: to convert; it stays as it is.
        threads: of the processor.

    Raises:
        StarConvexError: it does not convert, or says something else afterwards.
    """
    compiled = core().compile_model(
        _converted(network),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": str(threads),
            "ENABLE_CPU_PINNING": "NO",  # or two processes share a core while others idle
        },
    )
    request = compiled.create_infer_request()

    def forward(image: Floats) -> tuple[Floats, Floats]:
        outputs = request.infer({0: np.ascontiguousarray(image)[np.newaxis, np.newaxis]})
        logits, distances = (np.array(outputs[number][0], np.float32) for number in (0, 1))
        return np.asarray(1 / (1 + np.exp(-logits[0])), dtype=np.float32), distances

    _compare(forward, network)
    return forward


def _converted(network: StarConvexNetwork) -> ov.Model:
    sides = [strides * network.config.stride for strides in _TRACED_STRIDES]
    device = next(network.parameters()).device
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # OpenVINO 2026.4 still traces by torch.jit, which torch 2.13 deprecates
            warnings.simplefilter("ignore")
            example = torch.zeros(1, 1, *sides, device=device)
            model = ov.convert_model(network.eval(), example_input=example)
        model.reshape([1, 1, -1, -1])
    except RuntimeError as error:
        raise StarConvexError(
            f"OpenVINO cannot convert {network.config.name}: run it by torch"
        ) from error
    return model


def _compare(forward: Forward, network: StarConvexNetwork) -> None:
    """Tracing may freeze what depends on the size; that shows on another one."""
    sides = [strides * network.config.stride for strides in _CHECKED_STRIDES]
    image = np.random.default_rng(0).random(sides, dtype=np.float32)
    pairs = zip(forward(image), torch_forward(network)(image), strict=True)
    off = max(float(np.abs(one - other).max()) for one, other in pairs)
    if not off <= _TOLERANCE:
        raise StarConvexError(
            f"{network.config.name} does not survive conversion (off by {off:.2g}): run it by torch"
        )
