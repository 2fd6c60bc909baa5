"""Columns that follow from the sums of a sweep: size, shape and grey of bodies, and contacts.

Out of scope: cracks and outer surfaces, which need a particle closed, and neighbours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import parse_spacing
from models.measure.contact_area import contact_areas
from models.measure.moments import moments
from models.measure.surface_area import surface_areas
from models.measure.sweep_result import Sweep

Columns = dict[str, npt.NDArray[Any]]


def additive_table(sweep: Sweep, *, spacing_um: Sequence[float]) -> Columns:
    """Attributes of bodies, the labelled voxels as they are.

    Surface includes the cut faces at the edge of the volume. It is without `missed_crossings`, for
    which particles are looked at one by one, and so a little short for small ones with sharp edges.
    Grey statistics are over finite voxels, the standard deviation is the population's; NaN where
    there is none.

    Args:
        sweep: sums over the volume.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        Columns of length N in the order of `sweep.labels`: label, voxels and
        grey_not_finite_voxels int64, touches_border bool, all others float64.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    spacing = np.array(parse_spacing(spacing_um))
    volume = sweep.voxels * spacing.prod()
    surface = surface_areas(sweep.crossings, spacing_um=spacing_um)
    shape = moments(sweep, spacing_um=spacing_um)
    mean, std = grey_moments(sweep)
    z, y, x = shape.centroid_um.T
    major, middle, minor = shape.axes_um.T
    yaw, pitch, roll = shape.angles_deg.T
    return {
        "label": sweep.labels,
        "voxels": sweep.voxels,
        "x_um": x,
        "y_um": y,
        "z_um": z,
        "yaw_deg": yaw,
        "pitch_deg": pitch,
        "roll_deg": roll,
        "body_volume_um3": volume,
        "equivalent_diameter_um": np.cbrt(6 * volume / np.pi),
        "axis_major_um": major,
        "axis_middle_um": middle,
        "axis_minor_um": minor,
        "elongation": shape.elongation,
        "surface_um2": surface,
        "sphericity": 36 * np.pi * volume**2 / surface**3,
        "sphericity_wadell": np.cbrt(36 * np.pi * volume**2) / surface,
        "vs_ratio": np.cbrt(volume) / np.sqrt(surface),
        "grey_mean": mean,
        "grey_std": std,
        "grey_min": sweep.grey_min,
        "grey_max": sweep.grey_max,
        "grey_not_finite_voxels": sweep.grey_not_finite,
        "touches_border": sweep.border_faces > 0,
    }


def contacts_table(sweep: Sweep, *, spacing_um: Sequence[float]) -> Columns:
    """Areas between touching particles.

    Args:
        sweep: sums over the volume.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        label_a < label_b int64, contact_area_um2 float64, ascending. Particles that touch in edges
        or corners of voxels alone are in it, with the little area that this stands for.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    areas = contact_areas(
        sweep.pair_crossings,
        sweep.pair_facing,
        *sweep.near_sums_of_pairs,
        spacing_um=spacing_um,
    )
    return {
        "label_a": sweep.pairs[:, 0],
        "label_b": sweep.pairs[:, 1],
        "contact_area_um2": areas,
    }


def grey_moments(sweep: Sweep) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation of grey levels, (N,) each; NaN without any."""
    count = np.where(sweep.grey_count > 0, sweep.grey_count, np.nan)
    mean = sweep.grey_sum / count
    # the remainder is small against the sum of squares: divide integers first, exactly
    if sweep.grey_sum.dtype.kind == "i":
        whole = np.where(sweep.grey_count > 0, np.rint(np.nan_to_num(mean)), 0).astype(np.int64)
        square = sweep.grey_square_sum - whole * (2 * sweep.grey_sum - sweep.grey_count * whole)
        variance = square / count - (mean - whole) ** 2
    else:
        variance = sweep.grey_square_sum / count - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))
