"""Networks on the processor by OpenVINO: converted from torch, kept on disk, compiled, run.

Out of scope: what each network's outputs mean (`star_convex.openvino_forward`,
`mask_rcnn.openvino_parts`). A kept network runs without torch, whose import and conversion take
longer than many images do.
"""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.encode.openvino_runtime import core, keep_model, ov
from models.segment.cards import CARD_NAME, WEIGHTS_NAME
from models.segment.star_convex.config import StarConvexError

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = npt.NDArray[np.float32]
Run = Callable[..., list[Floats]]
"""Inputs of a network → its outputs; from many threads at once."""

_FILE = "network.xml"


def convert(
    network: "nn.Module", examples: Sequence["Tensor"], shapes: Sequence[Sequence[int]], name: str
) -> ov.Model:
    """Convert a torch network by tracing it.

    Args:
        network: in evaluation mode; it stays as it is.
        examples: inputs to trace with.
        shapes: of the inputs, −1 for what may differ.
        name: of the network, for people.

    Raises:
        StarConvexError: it does not convert.
    """
    import torch  # noqa: PLC0415 (see above)

    try:
        with torch.no_grad(), warnings.catch_warnings():
            # OpenVINO 2026.4 still traces by torch.jit, which torch 2.13 deprecates
            warnings.simplefilter("ignore")
            model = ov.convert_model(network, example_input=tuple(examples))
        model.reshape(
            {
                given: ov.PartialShape(list(shape))
                for given, shape in zip(model.inputs, shapes, strict=True)
            }
        )
    except RuntimeError as error:
        raise StarConvexError(f"OpenVINO cannot convert {name}: run it by torch") from error
    return model


def refuse_difference(
    one: Sequence[npt.NDArray[Any]], other: Sequence[npt.NDArray[Any]], most: float, name: str
) -> None:
    """Compare what a network and its conversion say of an input that was not traced.

    Tracing may freeze what depends on the size; that shows on another one.

    Raises:
        StarConvexError: they differ by more than `most`.
    """
    off = max(float(np.abs(x - y).max()) for x, y in zip(one, other, strict=True))
    if not off <= most:
        raise StarConvexError(
            f"{name} does not survive conversion (off by {off:.2g}): run it by torch"
        )


def kept_models(
    folder: Path,
    place: Path,
    names: Sequence[str],
    conversion: str,
    converted: Callable[[], Mapping[str, ov.Model]],
) -> dict[str, ov.Model]:
    """The parts of a network, converted once for all processes.

    Args:
        folder: of weights and card.
        place: folder to keep converted networks in; where nothing can be written, none is kept.
        names: of the parts.
        conversion: kind of network and version of its conversion.
        converted: makes the parts.

    Raises:
        StarConvexError: the files are damaged, or the network does not convert.
    """
    key, kind = _cache_key(folder, conversion), conversion.partition(" ")[0]
    places = {name: place / f"{kind}-{key}-{name}" for name in names}
    if all((part / _FILE).is_file() for part in places.values()):
        return {name: core().read_model(part / _FILE) for name, part in places.items()}
    models = dict(converted())
    try:
        for name, model in models.items():
            keep_model(model, places[name])
    except OSError as error:
        warnings.warn(f"{place} cannot be written ({error}): converted again", stacklevel=3)
    return models


def compiled(model: ov.Model, threads: int, *, streams: int = 1) -> Run:
    """Compile a converted network once for all sizes.

    Args:
        model: see `convert`.
        threads: of the processor, for all concurrent calls together.
        streams: calls that run side by side; any number of threads may call.
    """
    network = core().compile_model(
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

    def run(*inputs: Floats) -> list[Floats]:
        try:
            request = idle.pop()
        except IndexError:
            request = network.create_infer_request()
        try:
            given = {number: np.ascontiguousarray(array) for number, array in enumerate(inputs)}
            outputs = request.infer(given, share_inputs=True)
            return [np.array(outputs[at], np.float32) for at in range(len(network.outputs))]
        finally:
            idle.append(request)

    return run


def _cache_key(folder: Path, conversion: str) -> str:
    digest = hashlib.sha256()
    try:
        for name in (CARD_NAME, WEIGHTS_NAME):
            digest.update((folder / name).read_bytes())
    except OSError as error:
        raise StarConvexError(f"{folder} holds no network: {error.strerror}") from error
    versions = [version(package) for package in ("torch", "timm", "openvino")]
    digest.update(repr((conversion, *versions)).encode())
    return digest.hexdigest()[:16]
