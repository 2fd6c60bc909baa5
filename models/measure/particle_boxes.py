"""Boxes around single particles, cut from volumes that may be larger than memory.

Out of scope: what is measured in a box (`models.measure.morphology`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import product
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import Sliceable
from models.measure.particle_faces import Box, Kind

Corner = npt.NDArray[np.int64]

CACHE_BYTES = 1 << 29
"""Decoded chunks kept of each volume: a layer of chunks of the largest published one."""


class ChunkCache:
    """Reads boxes of a chunked array through the chunks used last; safe to share between threads.

    Arrays that tell no `chunks`, such as those in memory, are sliced as they are.
    """

    def __init__(self, array: Sliceable, limit_bytes: int = CACHE_BYTES) -> None:
        chunks: Sequence[int] | None = getattr(array, "chunks", None)
        self._array = array
        self._chunk = tuple(chunks) if chunks else None
        self._limit = limit_bytes
        self._held: OrderedDict[tuple[int, ...], npt.NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def read(self, lower: Corner, upper: Corner) -> npt.NDArray[Any]:
        """Voxels from `lower` to `upper` − 1 along each axis, all of them within the array."""
        if self._chunk is None:
            return np.asarray(self._array[_slices(lower, upper)])
        result = np.empty(upper - lower, dtype=self._array.dtype)
        touched = (
            range(int(a) // n, (int(b) - 1) // n + 1)
            for a, b, n in zip(lower, upper, self._chunk, strict=True)
        )
        for index in product(*touched):
            chunk = self._get(index)
            corner = np.multiply(index, self._chunk)
            first, last = np.maximum(lower, corner), np.minimum(upper, corner + chunk.shape)
            result[_slices(first - lower, last - lower)] = chunk[
                _slices(first - corner, last - corner)
            ]
        return result

    def _get(self, index: tuple[int, ...]) -> npt.NDArray[Any]:
        assert self._chunk is not None
        with self._lock:
            if index in self._held:
                self._held.move_to_end(index)
                return self._held[index]
            corner = np.multiply(index, self._chunk)
            upper = np.minimum(corner + self._chunk, self._array.shape)
            chunk = np.asarray(self._array[_slices(corner, upper)])
            self._held[index] = chunk
            self._bytes += chunk.nbytes
            while self._bytes > self._limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
            return chunk


class ParticleBoxes:
    """Cuts the surroundings of particles out of a label volume and the volumes beside it.

    Args:
        labels: (Z, Y, X) integers.
        grey: (Z, Y, X) grey levels.
        phases: (Z, Y, X) integers; where there is no label they tell binder from the rest.
        phase_binder: value of the carbon-binder.
        cache_bytes: decoded chunks kept of each volume.
    """

    def __init__(
        self,
        labels: Sliceable,
        *,
        grey: Sliceable | None,
        phases: Sliceable | None,
        phase_binder: int,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._labels = ChunkCache(labels, cache_bytes)
        self._grey = None if grey is None else ChunkCache(grey, cache_bytes)
        self._phases = None if phases is None else ChunkCache(phases, cache_bytes)
        self._phase_binder = phase_binder
        self._shape = np.array(labels.shape)

    def kinds(self, label: int, lower: Corner, upper: Corner) -> Box:
        """What each voxel is for one particle.

        Args:
            label: of the particle.
            lower: (3,) first voxel; may lie before the volume.
            upper: (3,) last voxel + 1; may lie beyond the volume.

        Returns:
            (Z, Y, X) of `Kind`; no cracks yet.
        """
        first, last = np.maximum(lower, 0), np.minimum(upper, self._shape)
        box = np.full(upper - lower, Kind.OUTSIDE, dtype=np.uint8)
        labels = self._labels.read(first, last)
        kinds = np.multiply(labels != 0, int(Kind.OTHER), dtype=np.uint8)
        kinds[labels == label] = Kind.BODY
        if self._phases is not None:
            binder = self._phases.read(first, last) == self._phase_binder
            kinds += (binder & (kinds == Kind.OPEN)) * np.uint8(Kind.BINDER)
        box[_slices(first - lower, last - lower)] = kinds
        return box

    def grey(self, lower: Corner, upper: Corner) -> npt.NDArray[Any] | None:
        """Grey levels of a box within the volume; None without a grey volume."""
        return None if self._grey is None else self._grey.read(lower, upper)


def _slices(lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(lower.tolist(), upper.tolist(), strict=True))
