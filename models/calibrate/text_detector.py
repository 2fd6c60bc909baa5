"""The network that finds text, run by OpenVINO: half the time of ONNX Runtime, the same boxes.

Out of scope: what goes in and what comes out of it (`rapidocr`), and reading the text (`ocr`).
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from models.encode.openvino_runtime import core, ov
from models.processors import processors

Array = npt.NDArray[np.float32]


class TextDetector:
    """What `rapidocr` calls a session: an image to a map of where text is, from many threads.

    Precision is forced, since OpenVINO picks bfloat16 by itself where the processor has it, and
    then some boxes move and a text in eight changes (measured 2026-11).

    Args:
        model: the network, dynamic in Y and X.
        threads: processor threads of one call.
    """

    def __init__(self, model: ov.Model, threads: int) -> None:
        streams = max(1, processors() // threads)
        properties = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(streams * threads),
            # Pinned threads of two processes would share cores while others idle.
            "ENABLE_CPU_PINNING": "NO",
        }
        self._compiled = core().compile_model(model, "CPU", properties)
        self._idle: deque[ov.InferRequest] = deque()

    def __call__(self, images: Array) -> Array:
        """(N, 3, Y, X) float32 → (N, 1, Y, X) float32, the chance of text at each pixel."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            return np.array(request.infer([images])[0], dtype=np.float32)
        finally:
            self._idle.append(request)
