"""A trained network on the processor by OpenVINO: 1.4 times as fast as torch there (2026-11).

Out of scope: training, other devices (`torch_runtime`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.encode.openvino_runtime import ov
from models.segment.converted import compiled, convert, kept_models, refuse_difference
from models.segment.star_convex.shapes import Floats
from models.segment.star_convex.tiles import Forward

if TYPE_CHECKING:
    from models.segment.star_convex.network import StarConvexNetwork

_TRACED_STRIDES, _CHECKED_STRIDES = (2, 2), (3, 5)
_TOLERANCE = 1e-2  # of probabilities, and of distances in pixels
_CONVERSION = "star-convex 2"
_WHOLE = "network"


def openvino_forward(network: "StarConvexNetwork", threads: int) -> Forward:
    """Convert a network, compiled once for all sizes, and compare it with torch on another size.

    Args:
        network: to convert; it stays as it is.
        threads: of the processor.

    Raises:
        StarConvexError: it does not convert, or says something else afterwards.
    """
    return compiled_forward(_converted(network), threads)


def kept_model(folder: Path, cache: Path) -> ov.Model:
    """A network converted once for all processes.

    Args:
        folder: of weights and card (`artefact`).
        cache: folder to keep converted networks in; where nothing can be written, none is kept.

    Raises:
        StarConvexError: the files are damaged, or the network does not convert.
    """

    def converted() -> dict[str, ov.Model]:
        from models.segment.star_convex.artefact import load_artefact  # noqa: PLC0415 (torch)

        return {_WHOLE: _converted(load_artefact(folder)[0])}

    return kept_models(folder, cache, [_WHOLE], _CONVERSION, converted)[_WHOLE]


def compiled_forward(model: ov.Model, threads: int, *, streams: int = 1) -> Forward:
    """Compile a converted network once for all sizes.

    Args:
        model: dynamic in Y and X.
        threads: of the processor, for all concurrent calls together.
        streams: calls that run side by side; any number of threads may call.
    """
    run = compiled(model, threads, streams=streams)

    def forward(image: Floats) -> tuple[Floats, Floats]:
        logits, distances = run(image[np.newaxis, np.newaxis])
        return np.asarray(1 / (1 + np.exp(-logits[0, 0])), dtype=np.float32), distances[0]

    return forward


def _converted(network: "StarConvexNetwork") -> ov.Model:
    import torch  # noqa: PLC0415 (a kept network needs none)

    from models.segment.star_convex.torch_runtime import torch_forward  # noqa: PLC0415 (likewise)

    name, stride = network.config.name, network.config.stride
    traced, checked = (
        [strides * stride for strides in sides] for sides in (_TRACED_STRIDES, _CHECKED_STRIDES)
    )
    example = torch.zeros(1, 1, *traced, device=next(network.parameters()).device)
    model = convert(network.eval(), [example], [[1, 1, -1, -1]], name)
    image = np.random.default_rng(0).random(checked, dtype=np.float32)
    said = compiled_forward(model, 1)(image)
    refuse_difference(said, torch_forward(network)(image), _TOLERANCE, name)
    return model
