"""How far above 1 the estimators may say that a ball or disc is round: bounds for checks.

Nothing is rounder than a ball, but areas and perimeters of few voxels come out too small.

Out of scope: the estimators (`surface_area`, `crofton`, `particle_faces`).
"""

import numpy as np
import numpy.typing as npt

from models.measure.particle_columns import SurfaceEstimator

Floats = npt.NDArray[np.float64]


def largest_wadell(
    voxels: npt.ArrayLike, spacing_um: npt.ArrayLike, estimator: SurfaceEstimator = "crofton"
) -> Floats:
    """Largest sphericity of Wadell that the estimator of surfaces may give to a body.

    "crofton": 1 + 1.5 k^−1.4, with k the equivalent diameter in edges of the longest side of a
    voxel; at least 1.02, at most 1.65. Measured on 54,000 balls, ellipsoids, boxes and clusters of
    1 … 100,000 voxels at any orientation and place, and on 1480 balls centred on voxels, faces and
    corners, which come out roundest, at spacings from 1:1:1 to 4:1:1 and 1:4:4, the largest excess
    in percent:

    | k      | 0.5 … 1 | 1.2 | 1.6 | 2.5 | 4.3 | 5.4 | 6.9 | 9.0 | 13  | 21  | 31  | 41  |
    |--------|---------|-----|-----|-----|-----|-----|-----|-----|-----|-----|-----|-----|
    | excess | 41      | 61  | 33  | 17  | 5.6 | 5.7 | 4.2 | 3.5 | 2.7 | 1.5 | 0.8 | 0.6 |
    | bound  | 65      | 65  | 65  | 42  | 19  | 14  | 10  | 6.9 | 4.1 | 2.1 | 2.0 | 2.0 |

    "boundary_voxels": 1.3 + 4 n^−0.43 for n voxels. A count of voxels sees a slanting surface as
    smaller than it is: balls of any size are above 1, by 25 % at 20,000 voxels, by 66 % at 170 and
    by 384 % at one.

    The cube of this bounds `sphericity`, whose surface is never the smaller one.

    Args:
        voxels: (N,) of the filled particle.
        spacing_um: (3,) or (N, 3) dz, dy, dx in µm.
        estimator: of surfaces.

    Returns:
        (N,) above 1.
    """
    count = np.asarray(voxels, dtype=np.float64)
    if estimator == "boundary_voxels":
        return np.asarray(1.3 + 4 * count**-0.43)
    spacing = np.asarray(spacing_um, dtype=np.float64)
    longest = spacing.max(axis=-1)
    diameters = np.cbrt(6 / np.pi * count * spacing.prod(axis=-1)) / longest
    return np.asarray(1 + np.clip(1.5 * diameters**-1.4, 0.02, 0.65))


def largest_circularity(pixels: npt.ArrayLike) -> Floats:
    """Largest circularity that the estimator of perimeters may give to a body: 1.055 + 0.75 / n.

    The shape that a count of crossings in four directions finds roundest is not the disc but the
    regular octagon whose sides it sees shortest: of area 0.9481 π for the perimeter 2π, so that
    its circularity comes out as 1.0548 at any size (Wulff's construction). Few pixels add to that:
    on 14,000 discs, ellipses, squares and clusters the largest values were 1.748 of one pixel,
    1.199 of two and of four, 1.080 of 21, 1.064 of 52, 1.059 of 120 and 1.041 of 280.

    Args:
        pixels: (N,) of the particle.
    """
    return np.asarray(1.055 + 0.75 / np.asarray(pixels, dtype=np.float64))
