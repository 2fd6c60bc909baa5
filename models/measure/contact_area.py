"""Area of contact between two particles, from crossings between them at one and at two steps.

A line along a step that passes from one particle into the other crosses their contact. Near its rim
counts go wrong. Where the particles part at a slant, a step takes a gap narrower than itself for
contact: at the neck of two balls of radius 16 that touch in a disc of radius 4, counts are 36 %
above its area. Where a particle ends in a wedge at the rim, a step passes through it without
meeting a voxel. Both grow with the square of the step, so that pairs of voxels two steps apart tell
how much it is: of a count N(d) = P |d| + c |d|² the part P |d| is 2 N(d) − N(2 d) / 2 (Richardson).
Along a line this takes off half a crossing for each gap of one voxel and adds half of one for each
voxel of a particle between the other and something else.

Out of scope: counting the crossings, which is `models.measure.sweep`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.measure.arrays import parse_spacing
from models.measure.crofton import DIRECTIONS, area_weights
from models.measure.surface_area import surface_areas

Floats = npt.NDArray[np.float64]

_FLAT = (0.03, 0.4)  # greatest excess of a flat contact of n voxels: first + second / √n


def contact_areas(
    crossings: npt.ArrayLike,
    facing: npt.ArrayLike,
    near_crossings: npt.ArrayLike,
    near_facing: npt.ArrayLike,
    *,
    spacing_um: Sequence[float],
) -> Floats:
    """Area of each open surface between two particles.

    The vector area |∫ n dA| is right for a flat contact and below the area of a curved one. What
    its rim adds to it or takes from it is at most a rim one voxel wide around a disc of that area:
    layers and gaps of a single voxel all along a contact are not taken for its rim.

    `surface_areas` sees curvature, but takes a plane for somewhat more than it is, by a factor that
    is found for a plane of the same normal. Where it tells more excess over the vector area than
    counts of a flat contact do, the excess counts, from twice that bound on in full.

    Averages over directions and places, lengths in voxels, at isotropic spacing: discs between
    balls of radius 8 to 16, of radius 2, +7 … +14 %, of 3 or 4, +3 … +6 %, of 6 to 10, 0 … +1.5 %;
    sections of balls of radius 8 and 15 and of cubes of side 14 and 24, −0.5 … +1 %; caps of 120
    voxels and more, −4 … 0 %. At 2 : 1 : 1 discs of radius 3 or 4 are off by +2 … +9 %, of 6 to 10
    by +1 … +3 %. A single disc of radius 4 deviates by 5 to 8 %, of radius 8 by 2 %: its voxels
    tell no more. Where a layer or a gap of one voxel runs along a contact, it counts for a rim.

    Args:
        crossings: (M, 13) voxel pairs between the two, in the order of `DIRECTIONS`.
        facing: (M, 3) net voxel faces between the two along z, y, x.
        near_crossings: (M, 13) as `crossings`, at twice the steps.
        near_facing: (M, 3) as `facing`, between voxels two steps apart.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        (M,) µm².

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    spacing = np.array(parse_spacing(spacing_um))
    counts, near_counts = (
        np.asarray(given, dtype=np.float64).reshape(-1, len(DIRECTIONS))
        for given in (crossings, near_crossings)
    )
    vectors, near_vectors = (
        np.asarray(given, dtype=np.float64).reshape(-1, 3) * (spacing.prod() / spacing)
        for given in (facing, near_facing)
    )
    rims = vectors - near_vectors / 2
    shares = _rim_shares(vectors, rims, spacing)[:, None]
    corrected = vectors + shares * rims
    parted = (corrected * vectors).sum(axis=1) < 0
    corrected[parted] = 0
    flat = np.linalg.norm(corrected, axis=1)
    inner_counts = np.maximum(counts + shares * (counts - near_counts / 2), 0)
    inner_counts[parted] = 0
    planes = np.abs(_normals(corrected, flat) @ (np.array(DIRECTIONS) * spacing).T) / spacing.prod()
    bounds = 1 + _FLAT[0] + _FLAT[1] / np.sqrt(np.maximum(flat / spacing.prod() ** (2 / 3), 1))
    weights = area_weights(spacing_um)
    # most contacts are flat: no more crossings than a plane of the same vector area, or no more
    # surface than one may show
    bent = np.flatnonzero(inner_counts @ weights > flat * (planes @ weights))
    curved = surface_areas(inner_counts[bent], spacing_um=spacing_um)
    beyond = curved > bounds[bent] * flat[bent]
    bent, curved = bent[beyond], curved[beyond]
    # what a rim adds to diagonal steps is not curvature, nor what a layer of two voxels takes
    curved = np.minimum(curved, surface_areas(counts[bent], spacing_um=spacing_um))
    curved /= np.maximum(surface_areas(planes[bent], spacing_um=spacing_um), 1)
    excess = 2 * (curved - bounds[bent] * flat[bent])
    flat[bent] += np.clip(curved - flat[bent], 0, np.maximum(excess, 0))
    return np.asarray(flat)


def _rim_shares(vectors: Floats, rims: Floats, spacing: Floats) -> Floats:
    """Share of each (M, 3) correction that fits a rim one voxel wide around a disc."""
    areas, lengths = np.linalg.norm(vectors, axis=1), np.linalg.norm(rims, axis=1)
    widest = (_normals(vectors, areas) ** 2 @ spacing) * 2 * np.sqrt(np.pi * areas)
    shares = np.divide(widest, lengths, out=(areas > 0).astype(np.float64), where=lengths > 0)
    return np.asarray(np.minimum(shares, 1))


def _normals(vectors: Floats, lengths: Floats) -> Floats:
    lengths = lengths[:, None]
    normals = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return np.asarray(normals)
