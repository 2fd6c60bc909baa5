"""Runs a network with torch: on a GPU, and as the reference for other engines.

Out of scope: the processor at speed, which is `openvino_engine`.
"""

import threading

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.encode.config import EncoderUnavailableError, Precision


class TorchEngine:
    """A network (1, 1, Y, X) uint8 → (1, D) float32 in torch, callable from many threads.

    Images go through one at a time, so that no vector depends on what it was batched with, and
    without TF32, whose 10 bits of mantissa are not float32.

    Args:
        network: in evaluation mode; moved to the device.
        precision: "bfloat16" runs under autocast.
        device: a torch device, "cuda" or "cpu".

    Raises:
        EncoderUnavailableError: torch sees no GPU.
    """

    def __init__(self, network: nn.Module, precision: Precision, device: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EncoderUnavailableError(
                f"torch {torch.__version__} sees no GPU: choose device cpu, or install a CUDA build"
            )
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._autocast = precision == "bfloat16"
        self._lock = threading.Lock()  # cuDNN's flags are the process's

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return len(self.infer(np.zeros((64, 64), dtype=np.uint8)))

    def infer(self, image: NDArray[np.uint8], *, concurrency: int = 1) -> NDArray[np.float32]:
        """Vector of one framed image.

        Args:
            image: (Y, X) uint8 of the network's input size.
            concurrency: calls that will run side by side; they take turns here.

        Returns:
            (D,) float32.
        """
        del concurrency
        with (
            self._lock,
            torch.inference_mode(),
            torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False),
            torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._autocast),
        ):
            batch = torch.from_numpy(image[np.newaxis, np.newaxis]).to(self._device)
            features = self._network(batch.to(memory_format=torch.channels_last))  # (1, D)
            return np.asarray(features[0].float().cpu().numpy(), dtype=np.float32)
