"""Principal axes and angles of particles from their exact coordinate sums.

Out of scope: adding up the coordinates, which is `models.measure.sweep`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.measure.arrays import parse_spacing
from models.measure.sweep_result import Sweep

Floats = npt.NDArray[np.float64]

ALIKE = 0.02
"""Axes of lengths within this of each other have no direction of their own."""

_LOCKED = 0.02  # cosine of a pitch so steep that yaw and roll turn about nearly the same line
_PLACES = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of zz, zy, zx, yy, yx, xx


@dataclass(frozen=True, eq=False)
class Moments:
    """Ellipsoids of the same second moments, one per label.

    Attributes:
        centroid_um: (N, 3) z, y, x; the centre of voxel (0, 0, 0) lies at 0.
        axes_um: (N, 3) full lengths, descending.
        directions: (N, 3, 3) unit vectors (z, y, x) of these axes, row by row; right-handed.
        angles_deg: (N, 3) yaw, pitch and roll, NaN where undefined.
    """

    centroid_um: Floats
    axes_um: Floats
    directions: Floats
    angles_deg: Floats

    @property
    def elongation(self) -> Floats:
        """(N,) longest over shortest axis, ≥ 1."""
        return np.asarray(self.axes_um[:, 0] / self.axes_um[:, 2])


def moments(sweep: Sweep, *, spacing_um: Sequence[float]) -> Moments:
    """Principal axes of each label.

    A voxel is a box, not a point: its own second moment, spacing² / 12 along each axis, is added.
    An ellipsoid of second moment λ along an axis has the full length 2 √(5 λ) there.

    Args:
        sweep: sums over the volume.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        Centroids, axes and angles in the order of `sweep.labels`.

    Raises:
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    spacing = np.array(parse_spacing(spacing_um))
    covariance = _covariance(sweep) * np.outer(spacing, spacing)
    covariance += np.diag(spacing**2 / 12)
    values, vectors = np.linalg.eigh(covariance)  # ascending, in columns
    axes = 2 * np.sqrt(5 * np.maximum(values[:, ::-1], 0))
    directions = _oriented(np.swapaxes(vectors[:, :, ::-1], 1, 2))
    return Moments(
        centroid_um=sweep.first / sweep.voxels[:, None] * spacing,
        axes_um=axes,
        directions=directions,
        angles_deg=_angles(axes, directions),
    )


def _covariance(sweep: Sweep) -> Floats:
    """(N, 3, 3) in voxels²; sums are moved to the corner of each box while they are integers."""
    n, corner = sweep.voxels, sweep.lower
    first = sweep.first - n[:, None] * corner
    covariance = np.empty((len(n), 3, 3))
    for column, (i, j) in enumerate(_PLACES):
        second = (
            sweep.second[:, column]
            - corner[:, i] * sweep.first[:, j]
            - corner[:, j] * sweep.first[:, i]
            + n * corner[:, i] * corner[:, j]
        )
        value = (second - first[:, i] / n * first[:, j]) / n
        covariance[:, i, j] = covariance[:, j, i] = value
    return covariance


def _oriented(axes: Floats) -> Floats:
    """Fix signs: the long axis towards +x, the middle one so that roll is within ±90°.

    An axis is a line, not an arrow: without this, equal particles would get angles 180° apart.
    """
    major, middle = axes[:, 0], axes[:, 1]
    major = major * _sign(major[:, ::-1])[:, None]
    # roll is within ±90° where the short axis points to +z
    minor = np.cross(major[:, ::-1], middle[:, ::-1])[:, ::-1]
    flip = _sign(np.stack([minor[:, 0], middle[:, 0], middle[:, 1]], axis=1))[:, None]
    return np.stack([major, middle * flip, minor * flip], axis=1)


def _sign(components: Floats) -> Floats:
    """Sign of the first component that is not zero, row by row; rounding counts as zero."""
    significant = np.where(np.abs(components) > 1e-9, components, 0)
    first = np.argmax(significant != 0, axis=1)
    return np.where(np.take_along_axis(significant, first[:, None], axis=1)[:, 0] < 0, -1.0, 1.0)


def _angles(axes: Floats, directions: Floats) -> Floats:
    """Yaw, pitch and roll in degrees: R = Rz(yaw) Ry(pitch) Rx(roll) turns x, y, z into the axes.

    Yaw and pitch need a long axis that stands out by 2 %, roll a middle one too; near a pitch of
    ±90° yaw and roll cannot be told apart. What is not defined is NaN.
    """
    z, y, x = directions[:, 0].T
    horizontal = np.hypot(x, y)
    yaw = np.arctan2(y, x)
    pitch = np.arctan2(-z, horizontal)
    roll = np.arctan2(directions[:, 1, 0], directions[:, 2, 0])
    angles = np.degrees(np.stack([yaw, pitch, roll], axis=1)) + 0.0
    alike = axes[:, :2] <= axes[:, 1:] * (1 + ALIKE)
    angles[alike[:, 0]] = np.nan
    angles[alike[:, 1], 2] = np.nan
    angles[np.ix_(horizontal < _LOCKED, [0, 2])] = np.nan
    return np.asarray(angles)
