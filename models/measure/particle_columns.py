"""Attributes of particles from the sums of the sweep and the close-ups.

Out of scope: counting (`models.measure.sweep`, `models.measure.morphology`) and neighbours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.measure.additive import grey_moments
from models.measure.crofton import area_weights
from models.measure.moments import Moments, moments
from models.measure.particle_faces import Boundary, Kind
from models.measure.surface_area import surface_areas
from models.measure.sweep_result import Sweep

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.void]

SurfaceEstimator = Literal["crofton", "boundary_voxels"]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Areas in µm² and shares of N particles.

    Attributes:
        outer: (N,) boundary of the filled particle, cut faces at the volume's edge included.
        inner: (N,) boundary between body and cracks.
        smoothed_outer: (N,) after a 3 × 3 × 3 median.
        smoothed_inner: (N,) likewise.
        contact: (N,) share of the outer surface within the volume that faces other particles.
        detached: (N,) share of it that faces neither other particles nor binder.
    """

    outer: Floats
    inner: Floats
    smoothed_outer: Floats
    smoothed_inner: Floats
    contact: Floats
    detached: Floats


def filled_sweep(sweep: Sweep, rows: Rows) -> Sweep:
    """The sums over filled particles: those over bodies and those over cracks.

    Args:
        sweep: sums over bodies.
        rows: (N,) of `CLOSE_UP`, in the order of `sweep.labels`.
    """
    as_grey = sweep.grey_sum.dtype
    swept_grey = bool(np.any(sweep.grey_count + sweep.grey_not_finite))
    unseen = rows["crack_voxels"] - rows["crack_grey_count"]
    return replace(
        sweep,
        voxels=sweep.voxels + rows["crack_voxels"],
        first=sweep.first + rows["crack_first"],
        second=sweep.second + rows["crack_second"],
        grey_count=sweep.grey_count + rows["crack_grey_count"],
        grey_sum=sweep.grey_sum + rows["crack_grey_sum"].astype(as_grey),
        grey_square_sum=sweep.grey_square_sum + rows["crack_grey_square_sum"].astype(as_grey),
        grey_not_finite=sweep.grey_not_finite + (unseen if swept_grey else 0),
    )


def surfaces(rows: Rows, *, spacing_um: Sequence[float], estimator: SurfaceEstimator) -> Surfaces:
    """Areas by crossings, or as numbers of boundary voxels times a mean voxel face.

    Shares are of what faces something within the volume, NaN if nothing does.
    """
    if estimator == "boundary_voxels":
        return _boundary_surfaces(rows, math.prod(spacing_um) ** (2 / 3))
    crossings, smoothed = rows["crossings"], rows["smoothed_crossings"]
    missed, missed_smoothed = rows["missed_crossings"], rows["smoothed_missed_crossings"]
    weights = area_weights(spacing_um)
    facing = {kind: crossings[:, kind] @ weights for kind in Kind}
    seen = _or_nan(facing[Kind.OPEN] + facing[Kind.OTHER] + facing[Kind.BINDER])
    outer, inner, smoothed_outer, smoothed_inner = (
        surface_areas(counts, spacing_um=spacing_um)
        for counts in (
            crossings.sum(axis=1) - crossings[:, Kind.CRACK] + missed[:, 0],
            crossings[:, Kind.CRACK] + missed[:, 1],
            smoothed[:, Kind.OPEN] + missed_smoothed[:, 0],
            smoothed[:, Kind.CRACK] + missed_smoothed[:, 1],
        )
    )
    return Surfaces(
        outer=outer,
        inner=inner,
        smoothed_outer=smoothed_outer,
        smoothed_inner=smoothed_inner,
        contact=facing[Kind.OTHER] / seen,
        detached=facing[Kind.OPEN] / seen,
    )


def _boundary_surfaces(rows: Rows, face_um2: float) -> Surfaces:
    counts, smoothed = rows["boundary_voxels"].T, rows["smoothed_boundary_voxels"].T
    seen = _or_nan(counts[Boundary.SEEN])
    return Surfaces(
        outer=counts[Boundary.OUTER] * face_um2,
        inner=counts[Boundary.INNER] * face_um2,
        smoothed_outer=smoothed[Boundary.OUTER] * face_um2,
        smoothed_inner=smoothed[Boundary.INNER] * face_um2,
        contact=counts[Boundary.AT_OTHER] / seen,
        detached=counts[Boundary.DETACHED] / seen,
    )


def particle_columns(
    sweep: Sweep, rows: Rows, *, spacing_um: Sequence[float], estimator: SurfaceEstimator
) -> tuple[Columns, Moments]:
    """Attributes of each particle by itself.

    Args:
        sweep: sums over bodies.
        rows: (N,) of `CLOSE_UP`, in the order of `sweep.labels`.
        spacing_um: (dz, dy, dx) in µm.
        estimator: of areas.

    Returns:
        Columns of length N, and the moments of the filled particles.
    """
    filled = filled_sweep(sweep, rows)
    shape = moments(filled, spacing_um=spacing_um)
    areas = surfaces(rows, spacing_um=spacing_um, estimator=estimator)
    voxel_um3 = float(np.prod(spacing_um))
    columns = {
        "label": sweep.labels,
        "voxels": sweep.voxels,
        **_place_columns(shape),
        **_grey_columns(sweep, filled),
        **_shape_columns(np.asarray(filled.voxels * voxel_um3, np.float64), areas),
        "body_volume_um3": sweep.voxels * voxel_um3,
        "crack_volume_um3": rows["crack_voxels"] * voxel_um3,
        "damage": rows["crack_voxels"] / filled.voxels,
        "contact_fraction": areas.contact,
        "contact_fraction_ring": rows["ring_other_voxels"] / _or_nan(rows["ring_voxels"]),
        "detachment": areas.detached,
        "conduction_path_mean_um": rows["path_sum_um"] / _or_nan(rows["path_voxels"]),
        "conduction_path_max_um": np.where(rows["path_voxels"] > 0, rows["path_max_um"], np.nan),
        "touches_border": sweep.border_faces > 0,
        "grey_not_finite_voxels": filled.grey_not_finite,
    }
    return columns, shape


def _place_columns(shape: Moments) -> Columns:
    z, y, x = shape.centroid_um.T
    yaw, pitch, roll = shape.angles_deg.T
    major, middle, minor = shape.axes_um.T
    return {
        "x_um": x,
        "y_um": y,
        "z_um": z,
        "yaw_deg": yaw,
        "pitch_deg": pitch,
        "roll_deg": roll,
        "axis_major_um": major,
        "axis_middle_um": middle,
        "axis_minor_um": minor,
        "elongation": shape.elongation,
    }


def _grey_columns(sweep: Sweep, filled: Sweep) -> Columns:
    mean, std = grey_moments(filled)
    return {
        "electron_density_mean": mean,
        "electron_density_mean_body": grey_moments(sweep)[0],
        "electron_density_std": std,
        "homogeneity": 1 / _or_nan(std),
    }


def _shape_columns(volume: Floats, areas: Surfaces) -> Columns:
    surface = areas.outer + areas.inner
    return {
        "volume_um3": volume,
        "equivalent_diameter_um": np.cbrt(6 * volume / np.pi),
        "surface_outer_um2": areas.outer,
        "surface_inner_um2": areas.inner,
        "sphericity": 36 * np.pi * volume**2 / surface**3,
        "sphericity_wadell": np.cbrt(36 * np.pi * volume**2) / areas.outer,
        "vs_ratio": np.cbrt(volume) / np.sqrt(surface),
        "roughness_outer": areas.smoothed_outer / areas.outer,
        "roughness_inner": areas.smoothed_inner / _or_nan(areas.inner),
    }


def _or_nan(values: npt.NDArray[Any]) -> Floats:
    return np.where(values > 0, values, np.nan)
