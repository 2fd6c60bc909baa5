"""Watershed of a volume larger than memory, block by block, with labels that go on across blocks.

Out of scope: segmenting one block, which is `watershed.label_region`; joining blocks (`pieces`);
reading and writing files.
"""

from collections.abc import Sequence

import numpy as np

from models.measure.arrays import InvalidVolumeError, Sliceable, check_same_shape, parse_spacing
from models.progress import Counter, Progress
from models.segment.foreground import choose_range, grey_histogram
from models.segment.pieces import Assignable, Block, Pieces, cut_blocks
from models.segment.watershed import (
    GreyScale,
    check_finite,
    check_volume,
    label_region,
    relative_spacing,
    smooth,
)
from models.segment.watershed_options import WatershedOptions

_DEFAULT = WatershedOptions()


def segment_blocks(
    source: Sliceable,
    write: Assignable,
    *,
    spacing_um: Sequence[float],
    options: WatershedOptions = _DEFAULT,
    block_shape: tuple[int, int, int] = (256, 256, 256),
    overlap: int = 64,
    progress: Progress | None = None,
) -> int:
    """Divide a volume into particles as `watershed.segment_volume` does, in bounded memory.

    Every block is segmented with `overlap` voxels around it and writes its core. Where a particle
    goes on in a block written before, the two labels are joined if they agree on what both blocks
    see of it (more than half of the union). The threshold comes from the histogram of the whole.
    The labels are those of the whole volume in one piece, to the voxel, for particles of which
    nothing that matters lies farther than `overlap` away: their diameter and twice the smallest
    diameter (`options`) together. Larger particles are joined all the same, but where particles
    touch they may be parted elsewhere than in one piece.

    Peak memory is about 25 bytes for each voxel of a padded block.

    Args:
        source: (Z, Y, X) grey levels, or phases if `options.phase_values` is set; read by slices.
        write: (Z, Y, X) integers, filled with 0 for background and particles from 1; it is also
            read back, and written twice.
        spacing_um: (dz, dy, dx) in µm.
        options: see `WatershedOptions`.
        block_shape: (Z, Y, X) core of a block in voxels; a multiple of the chunks of `write`.
        overlap: voxels around the core.
        progress: called with the blocks done and their number over all passes.

    Returns:
        Number of particles.

    Raises:
        InvalidVolumeError: if the arrays do not fit together, are not finite, `write` does not
            hold integers or the spacing is not three lengths.
    """
    check_volume(source.shape, 3)
    check_same_shape(source.shape, write.shape, "write")
    if np.dtype(write.dtype).kind not in "iu":
        raise InvalidVolumeError(f"write holds {write.dtype}, not integers: labels do not fit")
    spacing = relative_spacing(parse_spacing(spacing_um))
    blocks = list(cut_blocks(tuple(source.shape), block_shape, (overlap,) * 3))
    step = Counter(progress, len(blocks) * (2 if options.phase_values is not None else 4))
    scale = (
        None if options.phase_values is not None else _scale(source, blocks, spacing, options, step)
    )
    pieces = Pieces(tuple(source.shape))
    for number, block in enumerate(blocks):
        region = np.asarray(source[block.padded])
        if scale is not None:
            region = smooth(region, spacing, options)
        pieces.add(label_region(region, spacing, options, scale), block, blocks[:number], write)
        step()
    table = pieces.final_labels(options.smallest_size(3))
    if table.max() > np.iinfo(np.dtype(write.dtype)).max:
        raise InvalidVolumeError(f"{table.max()} particles do not fit {write.dtype}: take int32")
    for block in blocks:
        write[block.core] = table[np.asarray(write[block.core])].astype(write.dtype)
        step()
    return int(table.max())


def _scale(
    source: Sliceable,
    blocks: list[Block],
    spacing: Sequence[float],
    options: WatershedOptions,
    step: Counter,
) -> GreyScale:
    """Threshold and spread of the grey levels of the whole, in two passes."""
    lows, highs = [], []
    for block in blocks:
        core = np.asarray(source[block.core])
        check_finite(core)
        lows.append(float(core.min()))
        highs.append(float(core.max()))
        step()
    total = None
    for block in blocks:
        smoothed = smooth(np.asarray(source[block.padded]), spacing, options)[block.inside]
        edges = tuple(
            (side.start == 0, side.stop == n)
            for side, n in zip(block.core, source.shape, strict=True)
        )
        part = grey_histogram(smoothed, (min(lows), max(highs)), edges)
        total = part if total is None else total + part
        step()
    if total is None:
        raise InvalidVolumeError("no blocks")
    return GreyScale(choose_range(total, options.threshold, options.polarity), total.std)
