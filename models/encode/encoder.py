"""Micrographs to vectors, one by one or as a stream that keeps every core busy.

Out of scope: reading files and cropping databars, which the caller's `load` does, and storing or
searching vectors.
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.encode.config import EncoderConfig
from models.encode.framing import Grey, views
from models.processors import processors

T = TypeVar("T")
Vector = NDArray[np.float32]

LOAD_ERRORS = (OSError, ValueError, EOFError)
"""What a damaged or missing file raises; a stream passes these on beside the item."""

_QUEUED_PER_WORKER = 2


class _Engine(Protocol):
    @property
    def dimension(self) -> int: ...

    def infer(self, image: NDArray[np.uint8], *, concurrency: int = 1) -> Vector: ...


class Encoder:
    """A frozen network that turns a grey micrograph without databar into a vector.

    Vectors are raw mean-pooled features, of the last map or of several depths, not scaled to unit
    length: the length carries how strongly the image excites the network, which regressions use.
    Compare them by cosine.
    A vector depends on the pixels and on `encoder_id` alone: not on threads, order or
    neighbours in a stream.

    Args:
        config: which network and how to run it.
        cache_dir: folder that keeps the converted network, so that the next process starts in
            half a second instead of six; None keeps nothing.

    Raises:
        EncoderUnavailableError: backbone, weights, device or precision cannot be had here.
    """

    def __init__(self, config: EncoderConfig | None = None, cache_dir: str | None = None) -> None:
        self.config = config or EncoderConfig()
        self._engine, digest, sizes = _open_engine(self.config, cache_dir)
        self._encoder_id = self.config.encoder_id(digest)
        self._dimension = self._engine.dimension
        self._depths = sizes or (self._dimension,)

    @property
    def encoder_id(self) -> str:
        """Names the vector space; the same on every machine and for every engine."""
        return self._encoder_id

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def depths(self) -> tuple[int, ...]:
        """Lengths of the vectors' parts, one for each depth of the network, shallowest first."""
        return self._depths

    def encode(self, grey: Grey) -> Vector:
        """Vector of one micrograph, with all threads on it.

        Args:
            grey: (Y, X) uint8, databar cropped.

        Returns:
            (D,) float32.

        Raises:
            ValueError: not a 2D uint8 image, or empty.
        """
        return self._infer(views(grey, self.config))

    def encode_stream(
        self, items: Iterable[T], load: Callable[[T], Grey], *, workers: int | None = None
    ) -> Iterator[tuple[T, Vector | BaseException]]:
        """Vectors of many micrographs, yielded as they are done, in no particular order.

        Each worker thread loads, frames and runs an image from start to end, so that at most
        `workers` images are in memory, and neither loading nor the network ever waits for the
        other. More workers than cores pay where `load` waits for a network drive.

        Args:
            items: what to encode; read only as far ahead as twice the workers.
            load: item → (Y, X) uint8, databar cropped. Called in worker threads.
            workers: images in work at a time; None takes one a core, and one more so that reading
                a file never leaves a core idle.

        Yields:
            The item with its vector (D,) float32, or with the `LOAD_ERRORS` exception that its
            loading or its shape raised. Any other exception ends the stream.

        Raises:
            ValueError: fewer than one worker.
        """
        threads = self.config.threads or processors()
        count = threads + 1 if workers is None else workers
        if count < 1:
            raise ValueError(f"workers is {count}: a stream needs at least 1")
        return self._stream(iter(items), load, count)

    def _stream(
        self, items: Iterator[T], load: Callable[[T], Grey], workers: int
    ) -> Iterator[tuple[T, Vector | BaseException]]:
        def encode_one(item: T) -> Vector | BaseException:
            try:
                seen = views(load(item), self.config)
            except LOAD_ERRORS as error:
                return error
            return self._infer(seen, concurrency=workers)

        pending: dict[Future[Vector | BaseException], T] = {}
        pool = ThreadPoolExecutor(workers, thread_name_prefix="encode")
        try:
            for item in islice(items, _QUEUED_PER_WORKER * workers):
                pending[pool.submit(encode_one, item)] = item
            while pending:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    done = pending.pop(future)
                    for item in islice(items, 1):
                        pending[pool.submit(encode_one, item)] = item
                    yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _infer(self, seen: Sequence[Grey], *, concurrency: int = 1) -> Vector:
        """Mean vector of the views of an image."""
        found = [self._engine.infer(view, concurrency=concurrency) for view in seen]
        if len(found) == 1:
            return found[0]
        return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32)


def _open_engine(
    config: EncoderConfig, cache_dir: str | None
) -> tuple[_Engine, str, tuple[int, ...] | None]:
    if config.device == "cuda" or (config.device == "auto" and _has_gpu()):
        # torch takes over a second to import, and a kept network needs none of it
        from models.encode.backbones import load_grey_backbone  # noqa: PLC0415
        from models.encode.torch_engine import TorchEngine  # noqa: PLC0415

        network, digest = load_grey_backbone(config)
        return TorchEngine(network, config.precision, "cuda"), digest, network.sizes

    from models.encode.conversion import converted, depth_sizes  # noqa: PLC0415 (OpenVINO, not for a GPU)
    from models.encode.openvino_engine import OpenVinoEngine  # noqa: PLC0415

    model, digest = converted(config, cache_dir)
    engine = OpenVinoEngine(model, config.precision, config.threads or processors())
    return engine, digest, depth_sizes(model)


def _has_gpu() -> bool:
    """Whether torch can use a GPU; imports it only where there is a CUDA driver at all."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()
