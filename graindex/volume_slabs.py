"""Volumes cut into slabs and chunks, so that one of any size passes through little memory.

Out of scope: where slabs come from and go to.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graindex.readers.volume_source import Voxels

SLAB_BYTES = 1 << 28
"""A slab of one chunk's depth stays below this, so that writing a volume takes little memory."""

CHUNK_BYTES = 1 << 22
_CHUNK_DEPTH, _CHUNK_SIDE = 64, 128
_FLAT = 16


def chunk_shape(shape: tuple[int, ...], dtype: npt.DTypeLike) -> tuple[int, int, int]:
    """Return the chunks of a volume: (64, 128, 128), flatter and wider where slices are large.

    One chunk is `CHUNK_BYTES` at most, and one slab `SLAB_BYTES` or a single slice.
    """
    item = np.dtype(dtype).itemsize
    depth = min(_CHUNK_DEPTH if item <= 4 else _CHUNK_DEPTH // 2, shape[0])
    while depth > 1 and depth * shape[1] * shape[2] * item > SLAB_BYTES:
        depth //= 2
    side = _CHUNK_SIDE
    while depth <= _FLAT and depth * (2 * side) ** 2 * item <= CHUNK_BYTES:
        side *= 2
    return depth, min(side, shape[1]), min(side, shape[2])


def aligned(
    slabs: Iterable[Voxels], shape: tuple[int, ...], dtype: np.dtype[Any], depth: int, done: int
) -> Iterator[Voxels]:
    """Cut slabs of any depth into slabs of one depth, the last one thinner; at most two are held.

    Args:
        slabs: (n, Y, X) that follow one another from slice `done` on.
        shape: (Z, Y, X) of the whole volume.
        dtype: of the voxels; boolean slabs become it.
        depth: of the slabs that come out.
        done: first slice, a multiple of `depth`.

    Raises:
        ValueError: a slab has another shape or type, or there are too few or too many slices.
    """
    z, filled = done, 0
    buffer: Voxels | None = None
    for given in slabs:
        slab = given.view(np.uint8) if given.dtype.kind == "b" else given
        if slab.shape[1:] != tuple(shape[1:]) or slab.dtype != dtype:
            message = f"a slab is {slab.shape} {slab.dtype}, the volume {tuple(shape)} {dtype}"
            raise ValueError(message)
        at = 0
        while at < len(slab):
            want = min(depth, shape[0] - z)
            if want == 0:
                message = f"more slices than the {shape[0]} of the volume"
                raise ValueError(message)
            take = min(want - filled, len(slab) - at)
            whole = slab[at : at + take]
            if take < want:
                buffer = np.empty((depth, *shape[1:]), dtype) if buffer is None else buffer
                buffer[filled : filled + take] = whole
                whole = buffer[:want]
            filled, at = filled + take, at + take
            if filled == want:
                yield whole
                z, filled = z + want, 0
    if z + filled != shape[0]:
        message = f"{z + filled} slices of a volume of {shape[0]}"
        raise ValueError(message)


def behind(slabs: Iterable[Voxels], done: int) -> Iterator[Voxels]:
    """Yield what lies behind the first `done` slices."""
    for slab in slabs:
        if done < len(slab):
            yield slab[done:]
        done = max(done - len(slab), 0)
