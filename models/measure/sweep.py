"""One pass over a label volume: all sums over voxels and voxel pairs, label by label.

Everything here is a sum, least or largest value of integers (of floats, for grey levels that are
floats), so that blocks, threads and their order change nothing.

Out of scope: what the sums mean in micrometres, which are `models.measure.additive`,
`models.measure.moments` and `models.measure.crofton`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import Sliceable, check_labels, check_same_shape
from models.measure.sweep_block import Block, sweep_planes
from models.measure.sweep_result import Sweep, merge
from models.processors import processors

__all__ = ["Sweep", "merge", "sweep", "sweep_volume"]

BLOCK_VOXELS = 1 << 25
_SLAB_PLANES = 16
_HALO = 2  # voxels: how far pairs reach
_WORTH_THREADS_VOXELS = 1 << 19


def sweep(
    labels: npt.NDArray[Any],
    *,
    grey: npt.NDArray[Any] | None = None,
    phases: npt.NDArray[Any] | None = None,
    core: tuple[slice, slice, slice] | None = None,
    origin: Sequence[int] = (0, 0, 0),
) -> Sweep:
    """Sweep a volume in memory, or one block of a volume, with all processors.

    Args:
        labels: (Z, Y, X) integers, 0 is background; need not be consecutive.
        grey: (Z, Y, X) grey levels; not finite ones are counted and left out.
        phases: (Z, Y, X) integers ≥ 0; tells apart what surrounds the particles.
        core: the voxels that are this block's own, all by default. Where the core stops short of
            the array the volume goes on, and the array holds at least two voxels more of it, or
            all that there are.
        origin: (z, y, x) of the array's first voxel in the volume.

    Returns:
        Sums of the core; all blocks merged give the sums of the volume.

    Raises:
        InvalidVolumeError: if labels are not a volume of integers ≥ 0, or shapes differ.
    """
    block = Block.checked(labels, grey=grey, phases=phases, core=core, origin=origin)
    first, last = block.planes
    slabs = [(z, min(z + _SLAB_PLANES, last)) for z in range(first, last, _SLAB_PLANES)]
    threads = min(processors(), len(slabs)) if labels.size >= _WORTH_THREADS_VOXELS else 1
    if threads == 1:
        return sweep_planes(block, [(first, last)])
    # slabs are dealt out in turn, not on demand: sums of floats come out the same every time
    with ThreadPoolExecutor(threads) as pool:
        shares = [slabs[n::threads] for n in range(threads)]
        return merge(pool.map(lambda share: sweep_planes(block, share), shares))


def sweep_volume(
    labels: Sliceable,
    *,
    grey: Sliceable | None = None,
    phases: Sliceable | None = None,
    block_voxels: int = BLOCK_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Sweep a volume block by block, from anything that can be sliced.

    Blocks are slabs along z of whole chunks where `labels.chunks` tells them, cut along y and x too
    if one layer of chunks alone is above `block_voxels`.

    Args:
        labels: (Z, Y, X) integers, 0 is background: NumPy array, memory map, zarr or HDF5 array.
        grey: (Z, Y, X) grey levels.
        phases: (Z, Y, X) integers ≥ 0.
        block_voxels: about how many voxels to hold in memory at once.
        progress: called with voxels done and voxels in all after each block.

    Returns:
        Sums of the volume.

    Raises:
        InvalidVolumeError: as `sweep`.
    """
    check_labels(labels)
    for name, other in (("grey", grey), ("phases", phases)):
        if other is not None:
            check_same_shape(labels.shape, other.shape, name)
    total = int(np.prod(labels.shape))
    result: Sweep | None = None
    for core in blocks(labels.shape, getattr(labels, "chunks", None), block_voxels):
        part = _sweep_region(core, labels, grey, phases)
        result = part if result is None else merge([result, part])
        if progress is not None:
            progress(int(result.voxels_swept), total)
    assert result is not None  # no extent is zero
    return result


def blocks(
    shape: Sequence[int], chunks: Sequence[int] | None, block_voxels: int
) -> Iterator[tuple[slice, ...]]:
    """Cut a volume into blocks of whole chunks and of about `block_voxels` at most."""
    chunk = tuple(chunks) if chunks else (1,) * len(shape)
    extents = list(shape)
    for axis in range(len(shape)):
        others = int(np.prod(extents)) // extents[axis]
        fitting = max(block_voxels // others, 1)
        extents[axis] = min(max(fitting // chunk[axis], 1) * chunk[axis], shape[axis])
        if fitting >= chunk[axis]:
            break
    starts = [range(0, n, extent) for n, extent in zip(shape, extents, strict=True)]
    for corner in product(*starts):
        yield tuple(
            slice(start, min(start + extent, n))
            for start, extent, n in zip(corner, extents, shape, strict=True)
        )


def _sweep_region(
    core: tuple[slice, ...],
    labels: Sliceable,
    grey: Sliceable | None,
    phases: Sliceable | None,
) -> Sweep:
    region = tuple(
        slice(max(axis.start - _HALO, 0), min(axis.stop + _HALO, n))
        for axis, n in zip(core, labels.shape, strict=True)
    )
    inner = tuple(
        slice(own.start - whole.start, own.stop - whole.start)
        for own, whole in zip(core, region, strict=True)
    )
    return sweep(
        np.asarray(labels[region]),
        grey=None if grey is None else np.asarray(grey[region]),
        phases=None if phases is None else np.asarray(phases[region]),
        core=(inner[0], inner[1], inner[2]),
        origin=[axis.start for axis in region],
    )
