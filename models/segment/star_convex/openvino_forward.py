"""A trained network on the processor by OpenVINO: 1.4 times as fast as torch there (2026-11).

Out of scope: training, other devices (`torch_runtime`). A converted network runs without torch,
whose import and conversion take longer than many images do.
"""

import hashlib
import warnings
from collections import deque
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.encode.openvino_runtime import core, keep_model, ov
from models.segment.star_convex.card import CARD_NAME, WEIGHTS_NAME
from models.segment.star_convex.config import StarConvexError
from models.segment.star_convex.shapes import Floats
from models.segment.star_convex.tiles import Forward

if TYPE_CHECKING:
    from models.segment.star_convex.network import StarConvexNetwork

_TRACED_STRIDES, _CHECKED_STRIDES = (2, 2), (3, 5)
_TOLERANCE = 1e-2  # of probabilities, and of distances in pixels
_CONVERSION_VERSION = 1


def openvino_forward(network: "StarConvexNetwork", threads: int, *, streams: int = 1) -> Forward:
    """Convert a network, compiled once for all sizes, and compare it with torch on another size.

    Args:
        network: to convert; it stays as it is.
        threads: of the processor, for all concurrent calls together.
        streams: calls that run side by side; any number of threads may call.

    Raises:
        StarConvexError: it does not convert, or says something else afterwards.
    """
    forward = compiled_forward(_converted(network), threads, streams=streams)
    _compare(forward, network)
    return forward


def kept_model(folder: Path, cache: Path) -> ov.Model:
    """A network converted once for all processes.

    Args:
        folder: of weights and card (`artefact`).
        cache: folder to keep converted networks in; where nothing can be written, none is kept.

    Raises:
        StarConvexError: the files are damaged, or the network does not convert.
    """
    place = cache / f"star-convex-{_cache_key(folder)}"
    if (place / "network.xml").is_file():
        return core().read_model(place / "network.xml")

    from models.segment.star_convex.artefact import load_artefact  # noqa: PLC0415 (torch)

    network, _ = load_artefact(folder)
    model = _converted(network)
    _compare(compiled_forward(model, 1), network)
    try:
        keep_model(model, place)
    except OSError as error:
        warnings.warn(f"{cache} cannot be written ({error}): converted again", stacklevel=2)
    return model


def compiled_forward(model: ov.Model, threads: int, *, streams: int = 1) -> Forward:
    """Compile a converted network once for all sizes.

    Args:
        model: dynamic in Y and X.
        threads: of the processor, for all concurrent calls together.
        streams: calls that run side by side; any number of threads may call.
    """
    compiled = core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": str(threads),
            "NUM_STREAMS": str(streams),
            "ENABLE_CPU_PINNING": "NO",  # or two processes share a core while others idle
        },
    )
    idle: deque[ov.InferRequest] = deque()  # each serves one call at a time

    def forward(image: Floats) -> tuple[Floats, Floats]:
        try:
            request = idle.pop()
        except IndexError:
            request = compiled.create_infer_request()
        try:
            outputs = request.infer({0: np.ascontiguousarray(image)[np.newaxis, np.newaxis]})
            logits, distances = (np.array(outputs[number][0], np.float32) for number in (0, 1))
        finally:
            idle.append(request)
        return np.asarray(1 / (1 + np.exp(-logits[0])), dtype=np.float32), distances

    return forward


def _cache_key(folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        for name in (CARD_NAME, WEIGHTS_NAME):
            digest.update((folder / name).read_bytes())
    except OSError as error:
        raise StarConvexError(f"{folder} holds no network: {error.strerror}") from error
    versions = [version(package) for package in ("torch", "timm", "openvino")]
    digest.update(repr((_CONVERSION_VERSION, *versions)).encode())
    return digest.hexdigest()[:16]


def _converted(network: "StarConvexNetwork") -> ov.Model:
    import torch  # noqa: PLC0415 (see above)

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


def _compare(forward: Forward, network: "StarConvexNetwork") -> None:
    """Tracing may freeze what depends on the size; that shows on another one."""
    from models.segment.star_convex.torch_runtime import torch_forward  # noqa: PLC0415 (see above)

    sides = [strides * network.config.stride for strides in _CHECKED_STRIDES]
    image = np.random.default_rng(0).random(sides, dtype=np.float32)
    pairs = zip(forward(image), torch_forward(network)(image), strict=True)
    off = max(float(np.abs(one - other).max()) for one, other in pairs)
    if not off <= _TOLERANCE:
        raise StarConvexError(
            f"{network.config.name} does not survive conversion (off by {off:.2g}): run it by torch"
        )
