"""Particles in a volume's slices by the network, to be linked (`models.segment.slice_linking`).

Out of scope: linking; sections in other directions (`volume`).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.measure.arrays import Sliceable
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import Tiling
from models.segment.star_convex.scaling import resized, scale_factor
from models.segment.star_convex.shapes import Shapes, render, suppress
from models.segment.star_convex.tiles import Forward, image_candidates
from models.segment.view_fusion.diameter import estimate_diameter_px
from models.segment.view_fusion.frame import Floats, grey_range
from models.segment.view_fusion.options import SliceOptions
from models.segment.watershed import check_finite, check_volume

_DEFAULT = SliceOptions()
_TILING = Tiling()


def slices_diameter_px(
    forward: Forward, config: NetworkConfig, volume: Sliceable, options: SliceOptions = _DEFAULT
) -> float | None:
    """Typical diameter of particles in slices: what is told, else the median of what two show.

    Args:
        forward: runs the network.
        config: of the network.
        volume: (Z, Y, X) grey levels with square pixels.
        options: see there.

    Returns:
        None where no particle is found.

    Raises:
        InvalidVolumeError: the volume is not three-dimensional, is empty or not finite throughout.
    """
    check_volume(tuple(volume.shape), 3)
    if options.diameter_px is not None:
        return options.diameter_px
    grey = grey_range(volume)
    return estimate_diameter_px(forward, config, volume, (1, 1, 1), grey, options.sections)


def slice_labels(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    *,
    diameter_px: float,
    options: SliceOptions = _DEFAULT,
) -> Iterator[tuple[npt.NDArray[np.int32], Floats]]:
    """Labels of each slice, all at one scale and with the grey levels of the whole volume.

    Slices are not normalised one by one: one that shows the current collector alone would have its
    noise enlarged into particles. They are continued as in a mirror, without which the network sees
    hardly any particle that an edge cuts.

    Args:
        forward: runs the network.
        config: of the network.
        volume: (Z, Y, X) grey levels with square pixels; read by slices.
        diameter_px: typical (`slices_diameter_px`).
        options: `detail`, `probability` and `overlap` count.

    Yields:
        (Y, X) int32, numbered anew in each slice, and the probability (N,) of labels 1…N.

    Raises:
        InvalidVolumeError: the volume is not three-dimensional, is empty or not finite throughout.
    """
    check_volume(tuple(volume.shape), 3)
    grey = grey_range(volume)
    scaled_by = diameter_px / options.detail
    for place in range(volume.shape[0]):
        image = np.asarray(volume[place])
        check_finite(image)
        shapes = _mirrored(forward, config, grey.normalised(image), scaled_by, options)
        yield render(shapes, (image.shape[0], image.shape[1]))


def _mirrored(
    forward: Forward,
    config: NetworkConfig,
    image: Floats,
    diameter_px: float,
    options: SliceOptions,
) -> Shapes:
    """Shapes, in pixels of an image, whose middles lie in it or on its edge."""
    rows, columns = image.shape
    factor = scale_factor(diameter_px, config.diameter_px, (rows, columns))
    small = resized(image, factor)
    margin = (
        -(-round(config.diameter_px) // config.stride) * config.stride
    )  # keeps the grid in step
    padded = np.pad(small, margin, mode="reflect")
    found = image_candidates(forward, padded, config, options.probability, _TILING)
    points = found.points - np.float32(margin)
    highest = np.array(small.shape) - 1 + config.grid
    here = np.all((points >= -config.grid) & (points <= highest), axis=1)
    shapes = Shapes(points, found.distances, found.probability).take(here)
    return suppress(shapes, options.overlap).resized(1 / factor)
