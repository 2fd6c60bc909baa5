"""What the network says about a block of the scaled volume, averaged over sections in directions.

Out of scope: particles from it (`partition`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.compiled import jit
from models.segment.star_convex.config import NetworkConfig
from models.segment.star_convex.shapes import candidates, suppress
from models.segment.star_convex.tiles import Forward
from models.segment.view_fusion.options import FusionOptions

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Averages over the directions at the nodes of a block, (Z, Y, X) float32 each, 0…1.

    Attributes:
        probability: of being in the middle of a particle: high within, low where particles touch.
        coverage: share of the directions in which a node lies in a shape, or partly in one.
        certainty: probability of the shape that a node lies in, 0 where in none.
    """

    probability: Floats
    coverage: Floats
    certainty: Floats


def look(forward: Forward, config: NetworkConfig, block: Floats, options: FusionOptions) -> Views:
    """Run the network on the sections of a block, one for each node across them.

    Args:
        forward: runs the network on a section.
        config: of the network.
        block: (Z, Y, X) pixels from a whole stride on.
        options: see there.
    """
    shape = tuple(-(-side // config.grid) for side in block.shape)
    probability, coverage, certainty = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    for axis in options.axes:
        along = np.moveaxis(block, axis, 0)
        totals = [np.moveaxis(array, axis, 0) for array in (probability, coverage, certainty)]
        for node, section in enumerate(along[:: config.grid]):
            seen = _see(forward, config, section, options)
            for total, part in zip(totals, seen, strict=True):
                total[node] += part
    share = np.float32(1 / len(options.axes))
    return Views(probability * share, coverage * share, certainty * share)


def _see(
    forward: Forward, config: NetworkConfig, section: Floats, options: FusionOptions
) -> Sequence[Floats]:
    """Probability, coverage and certainty at the nodes of one section."""
    grid, pads = config.grid, [(0, -side % config.stride) for side in section.shape]
    padded = np.pad(section, pads, mode="edge")
    probability, distances = forward(np.ascontiguousarray(padded))
    shapes = candidates(_peaks(probability), distances, grid, options.probability)
    kept = suppress(shapes, options.overlap)
    rows, columns = (-(-side // grid) for side in section.shape)
    coverage, certainty = np.zeros((2, rows, columns), dtype=np.float32)
    _paint(kept.points, kept.distances, kept.probability, grid, coverage, certainty)
    return probability[:rows, :columns], coverage, certainty


def _peaks(probability: Floats) -> Floats:
    """The probability where none beside it is higher, elsewhere 0.

    Shapes beside a peak are hardly other than the peak's, which would suppress them; to leave them
    out makes suppression ten times as fast.
    """
    highest = ndimage.maximum_filter(probability, 3, mode="nearest")
    return np.where(probability >= highest, probability, np.float32(0))


@jit
def _paint(
    points: Floats,
    distances: Floats,
    probability: Floats,
    grid: int,
    coverage: Floats,
    certainty: Floats,
) -> None:
    """How much of each node shapes cover, and the highest probability of those that do, in place.

    The outline lies between two rays where their distances interpolate to; a node that it crosses
    is covered in part, by how far its middle lies within.
    """
    rays = distances.shape[1]
    for shape in range(len(points)):
        y, x = points[shape, 0] / grid, points[shape, 1] / grid
        reach = distances[shape].max() / grid + 0.5
        rows = (max(math.ceil(y - reach), 0), min(math.floor(y + reach) + 1, coverage.shape[0]))
        columns = (max(math.ceil(x - reach), 0), min(math.floor(x + reach) + 1, coverage.shape[1]))
        for j in range(rows[0], rows[1]):
            for i in range(columns[0], columns[1]):
                turn = math.atan2(j - y, i - x) / (2 * math.pi) * rays
                if turn < 0:
                    turn += rays
                ray = int(turn)
                share = turn - ray
                before, after = distances[shape, ray % rays], distances[shape, (ray + 1) % rays]
                outline = ((1 - share) * before + share * after) / grid
                inside = min(max(outline - math.hypot(j - y, i - x) + 0.5, 0.0), 1.0)
                coverage[j, i] = max(coverage[j, i], inside)
                if inside >= 0.5:
                    certainty[j, i] = max(certainty[j, i], probability[shape])
