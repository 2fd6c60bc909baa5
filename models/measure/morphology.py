"""One particle close up: cracks, the faces of its surface, paths of conduction, its ring.

What is found are counts and sums, a row per particle, so that rows can be kept and taken up again.
What they mean is in `models.measure.particle_columns`.

Out of scope: sums over bodies, which come from `models.measure.sweep`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.geodesic import geodesic_distance, longest_path
from models.measure.particle_boxes import Corner, ParticleBoxes
from models.measure.particle_closing import dilate, fill_particle
from models.measure.particle_faces import (
    KINDS,
    Boundary,
    Box,
    Kind,
    count_boundary_voxels,
    count_crossings,
    smoothed,
)
from models.measure.surface_area import missed_crossings

CLOSE_UP = np.dtype(
    [
        ("label", np.int64),
        ("crack_voxels", np.int64),
        ("crack_first", np.int64, 3),  # sums of z, y, x
        ("crack_second", np.int64, 6),  # sums of zz, zy, zx, yy, yx, xx
        ("crack_grey_count", np.int64),  # of finite grey levels
        ("crack_grey_sum", np.float64),
        ("crack_grey_square_sum", np.float64),
        ("crossings", np.int64, (KINDS, 13)),  # see `count_crossings`
        ("missed_crossings", np.float64, (2, 13)),  # of the outer and the inner surface
        ("smoothed_crossings", np.int64, (KINDS, 13)),
        ("smoothed_missed_crossings", np.float64, (2, 13)),
        ("boundary_voxels", np.int64, len(Boundary)),  # see `count_boundary_voxels`
        ("smoothed_boundary_voxels", np.int64, len(Boundary)),
        ("path_voxels", np.int64),  # of the body, from which a path leads to binder
        ("path_sum_um", np.float64),
        ("path_max_um", np.float64),
        ("ring_voxels", np.int64),
        ("ring_other_voxels", np.int64),
    ]
)
"""Row of a particle; a structured array of them can be saved with `np.save` and concatenated."""


@dataclass(frozen=True)
class CloseUpOptions:
    """What to look for.

    Attributes:
        spacing_um: (dz, dy, dx) in µm.
        closing_radius_um: of the ball that closes cracks.
        contact_ring_um: width of the ring around the particle; None for no ring.
        conduction: whether to follow paths of conduction.
    """

    spacing_um: tuple[float, ...]
    closing_radius_um: float
    contact_ring_um: float | None
    conduction: bool


def close_up(
    label: int, lower: Corner, upper: Corner, boxes: ParticleBoxes, options: CloseUpOptions
) -> npt.NDArray[np.void]:
    """Look at one particle.

    Args:
        label: of the particle.
        lower: (3,) least z, y, x of its body.
        upper: (3,) largest z, y, x of its body, plus 1.
        boxes: the volumes.
        options: what to look for.

    Returns:
        (1,) of `CLOSE_UP`.
    """
    row = np.zeros(1, dtype=CLOSE_UP)
    row["label"] = label
    margin = _margin(options)
    box = boxes.kinds(label, lower - margin, upper + margin)
    inner = tuple(slice(n, -n) for n in margin.tolist())
    if options.conduction:
        _follow_paths(row, box, options)
    body = box[inner] == Kind.BODY
    filled = fill_particle(
        body,
        box[inner] == Kind.OTHER,
        radius_um=options.closing_radius_um,
        spacing_um=options.spacing_um,
    )
    crack = filled & ~body
    box[inner][crack] = Kind.CRACK
    _add_cracks(row, crack, lower, upper, boxes)
    row["crossings"], short_runs = count_crossings(box)
    row["missed_crossings"] = missed_crossings(short_runs)
    row["boundary_voxels"] = count_boundary_voxels(box)
    smooth = smoothed(box)
    row["smoothed_crossings"], short_runs = count_crossings(smooth)
    row["smoothed_missed_crossings"] = missed_crossings(short_runs)
    row["smoothed_boundary_voxels"] = count_boundary_voxels(smooth)
    if options.contact_ring_um is not None:
        _count_ring(row, box, options.contact_ring_um, options)
    return row


def _margin(options: CloseUpOptions) -> Corner:
    """Voxels around the body to look at: one, or as far as the ring goes."""
    reach = np.array(options.contact_ring_um or 0) * (1 + 1e-9) / np.array(options.spacing_um)
    return np.asarray(np.maximum(reach.astype(np.int64), 1))


def _follow_paths(row: npt.NDArray[np.void], box: Box, options: CloseUpOptions) -> None:
    binder = box == Kind.BINDER
    if not binder.any():
        return
    distance = geodesic_distance(box == Kind.BODY, binder, spacing_um=options.spacing_um)
    reached = distance[np.isfinite(distance)]
    row["path_voxels"] = reached.size
    row["path_sum_um"] = reached.sum(dtype=np.float64)
    if reached.size:
        row["path_max_um"] = longest_path(distance, spacing_um=options.spacing_um)


def _add_cracks(
    row: npt.NDArray[np.void],
    crack: npt.NDArray[np.bool_],
    lower: Corner,
    upper: Corner,
    boxes: ParticleBoxes,
) -> None:
    sums = _crack_sums(crack, lower)
    row["crack_voxels"], row["crack_first"], row["crack_second"] = sums[0], sums[1:4], sums[4:]
    grey = boxes.grey(lower, upper) if sums[0] else None
    if grey is not None:
        levels = grey[crack].astype(np.float64)
        levels = levels[np.isfinite(levels)]
        row["crack_grey_count"] = levels.size
        row["crack_grey_sum"], row["crack_grey_square_sum"] = levels.sum(), levels @ levels


@jit
def _crack_sums(crack: npt.NDArray[np.bool_], lower: Corner) -> npt.NDArray[np.int64]:
    """Voxels, Σ z y x and Σ zz zy zx yy yx xx of a mask whose first voxel lies at `lower`."""
    sums = np.zeros(10, dtype=np.int64)
    depth, height, width = crack.shape
    for k in range(depth):
        for j in range(height):
            z, y = k + lower[0], j + lower[1]
            for i in range(width):
                if crack[k, j, i]:
                    x = i + lower[2]
                    sums[0] += 1
                    sums[1] += z
                    sums[2] += y
                    sums[3] += x
                    sums[4] += z * z
                    sums[5] += z * y
                    sums[6] += z * x
                    sums[7] += y * y
                    sums[8] += y * x
                    sums[9] += x * x
    return sums


def _count_ring(
    row: npt.NDArray[np.void], box: Box, ring_um: float, options: CloseUpOptions
) -> None:
    filled = (box == Kind.BODY) | (box == Kind.CRACK)
    ring = dilate(filled, radius_um=ring_um, spacing_um=options.spacing_um) & ~filled
    row["ring_voxels"] = np.count_nonzero(ring & (box != Kind.OUTSIDE))
    row["ring_other_voxels"] = np.count_nonzero(ring & (box == Kind.OTHER))
