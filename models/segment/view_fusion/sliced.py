"""Labels of a volume's slices by the network, to be linked (`models.segment.slice_linking`).

Out of scope: linking; sections in other directions (`volume`).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.measure.arrays import Sliceable
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.finding import PredictionOptions
from models.segment.star_convex.prediction import at_scale
from models.segment.star_convex.shapes import render
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.diameter import estimate_diameter_px
from models.segment.view_fusion.frame import grey_range
from models.segment.view_fusion.options import FusionOptions
from models.segment.watershed import check_finite, check_volume

SLICES = FusionOptions(sections="xy", probability=0.5)
"""For slices alone: what is doubtful in a slice is decided by no other direction."""


def slice_labels(
    forward: Forward,
    config: NetworkConfig,
    volume: Sliceable,
    *,
    options: FusionOptions = SLICES,
) -> Iterator[npt.NDArray[np.int32]]:
    """Labels of each slice, all at one scale and with the grey levels of the whole volume.

    Slices are not normalised one by one: one that shows the current collector alone would have its
    noise enlarged into particles.

    Args:
        forward: runs the network.
        config: of the network.
        volume: (Z, Y, X) grey levels with square pixels; read by slices.
        options: `diameter_px`, `detail`, `probability` and `overlap` count.

    Yields:
        (Y, X) int32, numbered anew in each slice.

    Raises:
        InvalidVolumeError: the volume is not three-dimensional, is empty or not finite throughout.
    """
    check_volume(tuple(volume.shape), 3)
    grey = grey_range(volume)
    diameter = options.diameter_px
    if diameter is None:
        diameter = estimate_diameter_px(forward, config, volume, (1, 1, 1), grey, options)
    chosen = PredictionOptions(probability=options.probability, overlap=options.overlap)
    for place in range(volume.shape[0]):
        image = np.asarray(volume[place])
        check_finite(image)
        if diameter is None:
            yield np.zeros(image.shape, np.int32)
            continue
        scaled_by = diameter / options.detail
        shapes = at_scale(forward, config, grey.normalised(image), scaled_by, chosen)
        yield render(shapes, (image.shape[0], image.shape[1]))[0]
