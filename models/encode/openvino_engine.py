"""Runs a converted network on the processor, with a compiled copy for every input shape in use.

Out of scope: converting from torch (`conversion`), and which images go where (`encoder`).
"""

import functools
import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from models.encode.config import EncoderUnavailableError, Precision
from models.encode.openvino_runtime import core, ov

Vector = NDArray[np.float32]

_GRAPHS_KEPT = 64
"""Compiled shapes × threads to keep; at 640 × 480 each holds about 45 MB (measured 2026-11)."""

_LEAST_SHAPES, _MOST_SHAPES = 4, 12
"""A shape takes 0.15 s to compile; 162 particle images from papers have 16 shapes, 12 nearly do."""

_PRECISION_HINT = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine:
    """A network (1, 1, Y, X) uint8 → (1, D) float32 on the processor, callable from many threads.

    Shapes are compiled one by one: a network compiled for all shapes at once was 10 to 25 %
    slower (measured 2026-11).
    Precision is forced, since OpenVINO picks bfloat16 by itself where the processor has it.

    Args:
        model: dynamic in Y and X.
        precision: of the arithmetic.
        threads: processor threads for all concurrent calls together.

    Raises:
        EncoderUnavailableError: bfloat16 on a processor without it.
    """

    def __init__(self, model: ov.Model, precision: Precision, threads: int) -> None:
        if precision == "bfloat16" and "BF16" not in core().get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise EncoderUnavailableError(
                "this processor has no bfloat16 arithmetic: choose precision float32"
            )
        self._model = model
        self._precision = _PRECISION_HINT[precision]
        self._threads = threads
        self._lock = threading.Lock()
        shapes = min(max(_GRAPHS_KEPT // threads, _LEAST_SHAPES), _MOST_SHAPES)
        self._compiled = functools.lru_cache(maxsize=shapes)(self._compile)

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._model.output(0).partial_shape[1].get_length())

    def infer(self, image: NDArray[np.uint8], *, concurrency: int = 1) -> Vector:
        """Vector of one framed image.

        Args:
            image: (Y, X) uint8 of the network's input size.
            concurrency: calls that will run side by side; the processor's threads are dealt out
                among them. The vector does not depend on it.

        Returns:
            (D,) float32.
        """
        with self._lock:  # or two threads would compile the same shape
            network = self._compiled(*image.shape, min(concurrency, self._threads))
        return network.infer(image)

    def _compile(self, height: int, width: int, streams: int) -> "_CompiledNetwork":
        model = self._model.clone()
        model.reshape([1, 1, height, width])
        properties = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(self._threads),
            # Pinned threads of two processes would share cores while others idle.
            "ENABLE_CPU_PINNING": "NO",
        }
        return _CompiledNetwork(core().compile_model(model, "CPU", properties))


class _CompiledNetwork:
    """A compiled network with a pool of requests: each serves one call at a time."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: deque[ov.InferRequest] = deque()

    def infer(self, image: NDArray[np.uint8]) -> Vector:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            outputs = request.infer({0: image[np.newaxis, np.newaxis]}, share_inputs=True)
            return np.array(outputs[0][0], dtype=np.float32)
        finally:
            self._idle.append(request)
