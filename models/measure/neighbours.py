"""What surrounds a particle: its nearest neighbours, and how much of a cube is particles.

Out of scope: contacts, which are counted voxel pair by voxel pair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from models.measure.arrays import Sliceable, check_labels, parse_spacing
from models.measure.sweep import BLOCK_VOXELS, blocks

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]

NEAREST = 6
MOST_CELLS = 1 << 24
"""Of the grid that the packing density is counted on: single voxels up to 256³."""


def nearest_particles(
    centroid_um: Floats,
    *,
    elongation: Floats,
    volume_um3: Floats,
    sphericity: Floats,
    axes: Floats,
    angles_deg: Floats,
) -> Columns:
    """Distance to the six nearest particles, by centroid, and how alike they are.

    Standard deviations are those of the neighbours themselves, over their number and without the
    particle. The orientation tensor is the mean of u uᵀ over the long axes u of the neighbours; its
    largest eigenvalue tends from 1/3 for many random axes to 1 for aligned ones, and is about 0.6
    for six random ones. Neighbours without a long axis are left out of it, and of the angles those
    that are not defined; with fewer than two, both are NaN.

    Source: Li et al. 2022, Science 376, 517, Table S1, 21–24.

    Args:
        centroid_um: (N, 3) z, y, x.
        elongation: (N,).
        volume_um3: (N,).
        sphericity: (N,).
        axes: (N, 3) unit vectors of the long axes, NaN where there is none.
        angles_deg: (N, 3), NaN where undefined.

    Returns:
        Columns of length N: `neighbours` int64 and, NaN without neighbours, distance, standard
        deviations and measures of orientation.
    """
    n = len(centroid_um)
    count = min(NEAREST, max(n - 1, 0))
    result: Columns = {"neighbours": np.full(n, count, dtype=np.int64)}
    if count == 0:
        return result | {name: np.full(n, np.nan) for name in _COLUMNS}
    distance, index = cKDTree(centroid_um).query(centroid_um, k=count + 1)
    others = _without_self(index)
    values = (
        np.take_along_axis(distance, others, axis=1).mean(axis=1),
        *(
            column[np.take_along_axis(index, others, axis=1)].std(axis=1)
            for column in (elongation, volume_um3, sphericity)
        ),
        _alignment(axes[np.take_along_axis(index, others, axis=1)]),
        _largest_spread(angles_deg[np.take_along_axis(index, others, axis=1)]),
    )
    return result | dict(zip(_COLUMNS, values, strict=True))


_COLUMNS = (
    "distance_nearest_um",
    "elongation_std_neighbours",
    "volume_std_neighbours_um3",
    "sphericity_std_neighbours",
    "orientation_isotropy",
    "orientation_std_neighbours_deg",
)


def _without_self(index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Places (N, k) in rows of k + 1 that are not the row's own; the last goes if none is.

    Particles of the same centroid come in any order.
    """
    own = index == np.arange(len(index))[:, None]
    own[~own.any(axis=1), -1] = True
    return np.argsort(own, axis=1, kind="stable")[:, :-1]


def _alignment(axes: Floats) -> Floats:
    """Largest eigenvalue of the mean of u uᵀ for u in (N, k, 3), NaN rows left out."""
    known = np.asarray(np.isfinite(axes).all(axis=2))
    axes = np.where(known[..., None], axes, 0)
    count = known.sum(axis=1)
    tensor = np.einsum("nki,nkj->nij", axes, axes) / np.maximum(count, 1)[:, None, None]
    return np.where(count >= 2, np.linalg.eigvalsh(tensor)[:, -1], np.nan)


def _largest_spread(angles_deg: Floats) -> Floats:
    """Largest over the angles of their standard deviation over k, for (N, k, 3), NaN left out."""
    known = np.isfinite(angles_deg)
    count = known.sum(axis=1)
    divisor = np.maximum(count, 1)
    mean = np.where(known, angles_deg, 0).sum(axis=1) / divisor
    departure = np.where(known, angles_deg - mean[:, None], 0)
    spread = np.sqrt((departure**2).sum(axis=1) / divisor)
    largest = np.where(count >= 2, spread, -1).max(axis=1)
    return np.where(largest >= 0, largest, np.nan)


@dataclass(frozen=True, eq=False)
class Occupancy:
    """How many voxels are particles before any corner of a grid of cells: a summed-area table.

    Attributes:
        edges: of the cells along z, y, x, in voxels from the volume's corner.
        table: (Z + 1, Y + 1, X + 1) int64, voxels of particles with z, y, x below the edges.
    """

    edges: tuple[npt.NDArray[np.int64], ...]
    table: npt.NDArray[np.int64]

    @property
    def shape(self) -> npt.NDArray[np.int64]:
        """(3,) voxels of the volume along z, y, x."""
        return np.array([axis[-1] for axis in self.edges])


def occupancy(
    labels: Sliceable,
    *,
    cracks: tuple[Floats, npt.NDArray[np.int64]] | None = None,
    most_cells: int = MOST_CELLS,
    block_voxels: int = BLOCK_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> Occupancy:
    """Count voxels of particles, cell by cell, in a pass over a volume.

    Cells are cubes of as few voxels as leave about `most_cells` of them: single ones up to 256³.

    Args:
        labels: (Z, Y, X) integers, 0 is background; anything that can be sliced.
        cracks: centroids (N, 3) in voxels and numbers (N,) of voxels that particles hold besides;
            those of each particle all count in the cell of their centroid.
        most_cells: about how many cells there may be.
        block_voxels: about how many voxels to hold in memory at once.
        progress: called with voxels done and voxels in all after each block.

    Raises:
        InvalidVolumeError: if labels are not a volume of integers.
    """
    check_labels(labels)
    total = int(np.prod(labels.shape))
    side = int(np.ceil(np.cbrt(total / most_cells)))
    edges = tuple(np.append(np.arange(0, n, side), n) for n in labels.shape)
    table = np.zeros([len(axis) for axis in edges], dtype=np.int64)
    done = 0
    for region in blocks(labels.shape, getattr(labels, "chunks", None), block_voxels):
        part = np.asarray(labels[region]) != 0
        starts = [axis.start for axis in region]
        counts = _cell_counts(part, starts, side)
        at = tuple(
            slice(1 + start // side, 1 + start // side + n)
            for start, n in zip(starts, counts.shape, strict=True)
        )
        table[at] += counts
        done += part.size
        if progress is not None:
            progress(done, total)
    if cracks is not None:
        places, voxels = cracks
        cells = np.floor(places + 0.5).astype(np.int64) // side + 1
        np.add.at(table, tuple(cells.T), voxels)
    for axis in range(3):
        np.cumsum(table, axis=axis, out=table)
    return Occupancy(edges, table)


def _cell_counts(part: npt.NDArray[np.bool_], starts: Sequence[int], side: int) -> Any:
    counts: npt.NDArray[Any] = part.view(np.uint8)
    dtype = np.int32 if side > 1 else np.uint8
    for axis in (2, 1, 0):  # along the rows first: all but one part in `side` is gone then
        first = -starts[axis] % side
        cuts = np.unique(np.append(0, np.arange(first, counts.shape[axis], side)))
        counts = np.add.reduceat(counts, cuts, axis=axis, dtype=dtype)
    return counts


def packing_density(
    centroid_um: Floats, filled: Occupancy, *, cube_um: float, spacing_um: Sequence[float]
) -> Columns:
    """Share of a cube around each centroid that is particles, as far as it lies in the volume.

    A cell that a face of the cube cuts counts in proportion, as if its particles were spread
    evenly: exact but for that, and for cubes of whole voxels in volumes of up to 256³ altogether.

    Args:
        centroid_um: (N, 3) z, y, x; the centre of voxel (0, 0, 0) lies at 0.
        filled: where particles are.
        cube_um: side of the cube.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        Columns of length N, float64: `packing_density` and `packing_clipped_fraction`, the share
        of the cube that lies outside the volume.

    Raises:
        ValueError: if the side is not above zero and finite.
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    if not (np.isfinite(cube_um) and cube_um > 0):
        raise ValueError(f"cube of {cube_um} µm: give a finite side above zero")
    spacing = np.array(parse_spacing(spacing_um))
    middle = centroid_um / spacing + 0.5  # voxels from the corner
    half = cube_um / spacing / 2
    lower = np.maximum(middle - half, 0)
    upper = np.minimum(middle + half, filled.shape)
    inside = np.prod(upper - lower, axis=1)
    voxels = np.zeros(len(centroid_um))
    for corner in np.ndindex(2, 2, 2):
        places = np.where(np.array(corner) == 1, upper, lower)
        sign = 1 if sum(corner) % 2 == 1 else -1
        voxels += sign * _voxels_before(filled, places)
    # cancellation of table entries, 1e-16 of the volume's voxels, must not show below 0
    return {
        "packing_density": np.clip(voxels / inside, 0, 1),
        "packing_clipped_fraction": np.clip(1 - inside / np.prod(2 * half), 0, 1),
    }


def _voxels_before(filled: Occupancy, places: Floats) -> Floats:
    """Voxels of particles with coordinates below each place (N, 3)."""
    cells = [
        np.interp(place, edges, np.arange(len(edges)))
        for place, edges in zip(places.T, filled.edges, strict=True)
    ]
    return np.asarray(
        map_coordinates(filled.table, cells, output=np.float64, order=1, mode="nearest")
    )
