"""Particles of a volume of any size, block by block.

Out of scope: one block (`views`, `partition`), files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError, Sliceable, check_same_shape, parse_spacing
from models.progress import Counter, Progress
from models.segment.pieces import (
    Assignable,
    Block,
    Integers,
    Pieces,
    cut_blocks,
)
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.diameter import estimate_diameter_px
from models.segment.view_fusion.frame import (
    Frame,
    GreyRange,
    frames_of,
    grey_range,
    scaled_block,
)
from models.segment.view_fusion.options import FusionOptions
from models.segment.view_fusion.partition import certainty_sums, node_labels, voxel_labels
from models.segment.view_fusion.views import look
from models.segment.watershed import check_volume, relative_spacing

_DEFAULT = FusionOptions()


@dataclass(frozen=True, slots=True, eq=False)
class VolumeSegmentation:
    """Particles of a volume.

    Attributes:
        labels: (Z, Y, X) integers, 0 = background, particles 1…N in order of their first voxel;
            what was given to write to, else int32 in memory.
        confidence: (N,) float32, 0…1, of particle `label` at `label - 1`: mean over its voxels and
            the directions of the probability of the shape that covers a voxel there, 0 where none
            does. What all directions see, and surely, is near 1.
        diameter_px: typical diameter that the volume was scaled by; None where nothing was found.
    """

    labels: Any
    confidence: npt.NDArray[np.float32]
    diameter_px: float | None


def segment_volume(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    *,
    spacing_um: Sequence[float],
    options: FusionOptions = _DEFAULT,
    labels_out: Assignable | None = None,
    progress: Progress | None = None,
) -> VolumeSegmentation:
    """Find the particles of a tomogram without having learnt from volumes.

    The volume is scaled to the diameter that the network knows. Sections in the three directions
    are looked at one by one, and what the network says is averaged (Li et al., Science 376, 517
    (2022), supplement, p. 2 and Fig. S2). A voxel belongs to a particle where shapes cover it in
    enough directions; particles that touch are parted along valleys of the averaged probability.

    Peak memory is that of a block, whatever the volume: about 10 bytes for each of its pixels as
    the network sees them, and 8 for each of its voxels. Time is linear in the pixels.

    Args:
        forward: runs the network (`torch_runtime.torch_forward`, `openvino_forward`).
        config: of the network.
        volume: (Z, Y, X) grey levels of any real dtype; read by slices.
        spacing_um: (dz, dy, dx) in µm.
        options: see there.
        labels_out: (Z, Y, X) integers to write to and to read back; in memory when left out.
        progress: called with the blocks done and their number, over two passes.

    Raises:
        InvalidVolumeError: the volume is not three-dimensional, is empty or not finite throughout,
            the spacing is not three lengths, or `labels_out` does not fit.
    """
    shape = tuple(int(side) for side in volume.shape)
    check_volume(shape, 3)
    spacing = relative_spacing(parse_spacing(spacing_um))
    out: Assignable = np.zeros(shape, dtype=np.int32) if labels_out is None else labels_out
    check_same_shape(shape, out.shape, "labels_out")
    if np.dtype(out.dtype).kind not in "iu":
        raise InvalidVolumeError(f"labels_out holds {out.dtype}, not integers: labels do not fit")
    grey = grey_range(volume)
    diameter = options.diameter_px
    if diameter is None:
        diameter = estimate_diameter_px(forward, config, volume, spacing, grey, options)
    if diameter is None:
        out[...] = 0
        return VolumeSegmentation(out, np.zeros(0, np.float32), None)
    frames = frames_of(
        shape, spacing, diameter, options.detail * config.diameter_px, (config.grid, config.stride)
    )
    blocks = _blocks(frames, options)
    step = Counter(progress, 2 * len(blocks))
    pieces = Pieces(shape)
    sums, counts = [np.zeros(1)], [np.zeros(1, dtype=np.int64)]
    for number, block in enumerate(blocks):
        labels, certainties = _segment(forward, config, volume, frames, block, grey, options)
        numbers = pieces.add(labels, block, blocks[:number], out)
        here = np.flatnonzero(numbers)
        sums.append(certainties[0][here])
        counts.append(certainties[1][here])
        step()
    table = pieces.final_labels(pi / 6 * (options.smallest * diameter) ** 3)
    table, confidence = _sure(table, np.concatenate(sums), np.concatenate(counts), options)
    if len(confidence) > np.iinfo(np.dtype(out.dtype)).max:
        raise InvalidVolumeError(f"{len(confidence)} particles do not fit {out.dtype}: take int32")
    for block in blocks:
        out[block.core] = table[np.asarray(out[block.core])].astype(out.dtype)
        step()
    return VolumeSegmentation(out, confidence, diameter)


def _sure(
    table: Integers, sums: npt.NDArray[np.float64], counts: Integers, options: FusionOptions
) -> tuple[Integers, npt.NDArray[np.float32]]:
    """Leave out particles of little confidence; new numbers of the pieces, and confidences."""
    found = int(table.max()) + 1
    total, size = (np.bincount(table, parts, found) for parts in (sums, counts))
    confidence = (total / np.maximum(size, 1)).astype(np.float32)
    kept = confidence >= options.confidence
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[table], confidence[kept]


def _blocks(frames: Sequence[Frame], options: FusionOptions) -> list[Block]:
    """Blocks of about equal size."""
    sides, overlaps = [], []
    for frame in frames:
        wanted = min(round(options.block_px / frame.factor), options.largest_block)
        sides.append(-(-frame.voxels // -(-frame.voxels // max(wanted, 1))))
        overlaps.append(max(round(options.overlap_px / frame.factor), 1))
    shape = tuple(frame.voxels for frame in frames)
    return list(cut_blocks(shape, tuple(sides), tuple(overlaps)))


def _segment(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    frames: Sequence[Frame],
    block: Block,
    grey: GreyRange,
    options: FusionOptions,
) -> tuple[npt.NDArray[np.int32], tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Labels of a padded block; and of each label its summed certainty and voxels in the core."""
    nodes = [frame.nodes_around(side) for frame, side in zip(frames, block.padded, strict=True)]
    pixels = [frame.pixels_of(side) for frame, side in zip(frames, nodes, strict=True)]
    views = look(forward, config, scaled_block(volume, frames, pixels, grey), options)
    coarse = node_labels(views, options)
    labels = voxel_labels(coarse, views.coverage, frames, nodes, block.padded, options)
    certainty = certainty_sums(
        labels[block.inside], int(coarse.max()), views.certainty, frames, nodes, block.core
    )
    return labels, certainty
