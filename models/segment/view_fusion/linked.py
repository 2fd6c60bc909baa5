"""Particles of a volume of any size from its slices alone, linked from slice to slice.

Out of scope: what is seen in a slice (`sliced`), linking (`models.segment.slice_linking`), files.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError, Sliceable, check_same_shape, parse_spacing
from models.progress import Counter, Progress
from models.segment.link_options import ball_voxels
from models.segment.pieces import Assignable
from models.segment.slice_linking import link_slices
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.frame import Floats
from models.segment.view_fusion.options import SliceOptions
from models.segment.view_fusion.sliced import slice_labels, slices_diameter_px
from models.segment.view_fusion.volume import VolumeSegmentation

_DEFAULT = SliceOptions()
_SQUARE = 1e-3  # relative difference of a pixel's sides


def segment_slices(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    *,
    spacing_um: Sequence[float],
    options: SliceOptions = _DEFAULT,
    labels_out: Assignable | None = None,
    progress: Progress | None = None,
) -> VolumeSegmentation:
    """Find the particles of a tomogram in its slices, and link them through the volume.

    Peak memory is that of a few slices and three numbers for each particle in each, whatever the
    depth.

    Args:
        forward: runs the network.
        config: of the network.
        volume: (Z, Y, X) grey levels of any real dtype; read by slices.
        spacing_um: (dz, dy, dx) in µm; pixels of slices are square.
        options: see there.
        labels_out: (Z, Y, X) integers to write to and to read back; in memory when left out.
        progress: called with the slices done and their number.

    Returns:
        As of view fusion, but for the confidence: mean over voxels of the probability of the shape
        of their slice, 0 where a slice was filled.

    Raises:
        InvalidVolumeError: the volume is not three-dimensional, is empty or not finite throughout,
            the spacing is not three lengths or its pixels are not square, or `labels_out` does not
            fit.
    """
    shape = tuple(int(side) for side in volume.shape)
    diameter = slices_diameter_px(forward, config, volume, options)
    deep, high, wide = parse_spacing(spacing_um)
    if not math.isclose(high, wide, rel_tol=_SQUARE):
        raise InvalidVolumeError(
            f"pixels of {high} by {wide} µm: slices are linked where they are square; take "
            "view-fusion"
        )
    out: Assignable = np.zeros(shape, dtype=np.int32) if labels_out is None else labels_out
    check_same_shape(shape, out.shape, "labels_out")
    step = Counter(progress, shape[0])
    if diameter is None:
        for place in range(shape[0]):
            out[place] = 0
            step()
        return VolumeSegmentation(out, np.zeros(0, np.float32), None)
    slice_px = deep / high
    smallest = round(ball_voxels(options.smallest * diameter) / slice_px)
    links = replace(options.links, smallest=smallest, slice_px=slice_px)

    def seen() -> Iterator[tuple[npt.NDArray[np.int32], Floats]]:
        for labels in slice_labels(forward, config, volume, diameter_px=diameter, options=options):
            yield labels
            step()

    return VolumeSegmentation(out, link_slices(seen(), out, options=links), diameter)
