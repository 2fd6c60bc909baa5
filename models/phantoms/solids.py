"""Solids of known volume, surface, cracks and contacts, sampled on a voxel grid.

Out of scope: electrodes of many particles (`models.phantoms.electrode`); grey values.

A voxel belongs to a solid when its centre does; the centre of voxel (k, j, i) lies at
(k dz, j dy, i dx) µm. Every function takes ``shape`` (Z, Y, X) in voxels and ``spacing_um``
(dz, dy, dx). Where ``centre_um`` is left out, the solid sits in the middle of the grid, moved by
(0.31, 0.17, 0.43) voxels, so that no symmetry of the grid flatters an estimator. The truth is that
of the whole solid, even where the grid cuts it.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import elliprg
from scipy.stats import special_ortho_group

from models.phantoms.solid_truth import BinderTruth, CrackedTruth, PairTruth, SolidTruth, Triple

Shape = tuple[int, int, int]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]
Phases = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

_OFF_GRID = (0.31, 0.17, 0.43)


def ball(
    shape: Shape, *, spacing_um: Triple, radius_um: float, centre_um: Triple | None = None
) -> tuple[Mask, SolidTruth]:
    """A ball.

    Returns:
        (Z, Y, X) bool and its truth.
    """
    return ellipsoid(
        shape, spacing_um=spacing_um, semi_axes_um=(radius_um,) * 3, centre_um=centre_um
    )


def ellipsoid(
    shape: Shape,
    *,
    spacing_um: Triple,
    semi_axes_um: Triple,
    rotation: Matrix | None = None,
    centre_um: Triple | None = None,
) -> tuple[Mask, SolidTruth]:
    """An ellipsoid.

    Args:
        shape: (Z, Y, X) voxels.
        spacing_um: (dz, dy, dx).
        semi_axes_um: along z, y and x before the rotation.
        rotation: (3, 3) orthogonal matrix on (z, y, x) vectors; none when left out.
        centre_um: (z, y, x).

    Returns:
        (Z, Y, X) bool and its truth. The area is 4π R_G(a²b², a²c², b²c²) with Carlson's integral
        R_G (NIST Digital Library of Mathematical Functions, 19.33.1).
    """
    centre = _centre(shape, spacing_um, centre_um)
    z, y, x = _own_axes(shape, spacing_um, centre, rotation)
    a, b, c = semi_axes_um
    area = 4 * math.pi * float(elliprg((a * b) ** 2, (a * c) ** 2, (b * c) ** 2))
    truth = SolidTruth(centre, 4 / 3 * math.pi * a * b * c, area, _descending(2 * a, 2 * b, 2 * c))
    return (z / a) ** 2 + (y / b) ** 2 + (x / c) ** 2 <= 1, truth


def box(
    shape: Shape,
    *,
    spacing_um: Triple,
    sides_um: Triple,
    rotation: Matrix | None = None,
    centre_um: Triple | None = None,
) -> tuple[Mask, SolidTruth]:
    """A box with the sides `sides_um` along z, y and x before the rotation.

    Returns:
        (Z, Y, X) bool and its truth.
    """
    centre = _centre(shape, spacing_um, centre_um)
    z, y, x = (np.abs(part) for part in _own_axes(shape, spacing_um, centre, rotation))
    a, b, c = sides_um
    same_moment = math.sqrt(5 / 3)  # a side's variance is a²/12, an ellipsoid's (axis/2)²/5
    axes = _descending(same_moment * a, same_moment * b, same_moment * c)
    truth = SolidTruth(centre, a * b * c, 2 * (a * b + b * c + c * a), axes)
    return (z <= a / 2) & (y <= b / 2) & (x <= c / 2), truth


def shell(
    shape: Shape,
    *,
    spacing_um: Triple,
    radius_um: float,
    cavity_radius_um: float,
    centre_um: Triple | None = None,
) -> tuple[Mask, CrackedTruth]:
    """A ball with a concentric round cavity.

    Returns:
        (Z, Y, X) bool, the cavity left out, and its truth.
    """
    whole, truth = ball(shape, spacing_um=spacing_um, radius_um=radius_um, centre_um=centre_um)
    cavity, hollow = ball(
        shape, spacing_um=spacing_um, radius_um=cavity_radius_um, centre_um=truth.centre_um
    )
    return whole & ~cavity, CrackedTruth(
        truth.centre_um,
        truth.volume_um3,
        hollow.volume_um3,
        truth.surface_um2,
        hollow.surface_um2,
        mouth_um2=0.0,
    )


def penny_cracked_ball(
    shape: Shape,
    *,
    spacing_um: Triple,
    radius_um: float,
    crack_radius_um: float,
    opening_um: float,
    rotation: Matrix | None = None,
    centre_um: Triple | None = None,
) -> tuple[Mask, CrackedTruth]:
    """A ball with a flat round crack in its middle that does not reach the surface.

    Args:
        shape: (Z, Y, X) voxels.
        spacing_um: (dz, dy, dx).
        radius_um: of the ball.
        crack_radius_um: of the crack.
        opening_um: distance of the crack's two faces, along z before the rotation.
        rotation: (3, 3) orthogonal matrix on (z, y, x) vectors; none when left out.
        centre_um: (z, y, x).

    Returns:
        (Z, Y, X) bool, the crack left out, and its truth.

    Raises:
        ValueError: if the crack does not fit into the ball.
    """
    if math.hypot(crack_radius_um, opening_um / 2) >= radius_um:
        raise ValueError(f"a crack of radius {crack_radius_um} µm opens a ball of {radius_um} µm")
    whole, truth = ball(shape, spacing_um=spacing_um, radius_um=radius_um, centre_um=centre_um)
    z, y, x = _own_axes(shape, spacing_um, truth.centre_um, rotation)
    crack = (np.abs(z) <= opening_um / 2) & (y * y + x * x <= crack_radius_um**2)
    face = math.pi * crack_radius_um**2
    return whole & ~crack, CrackedTruth(
        truth.centre_um,
        truth.volume_um3,
        face * opening_um,
        truth.surface_um2,
        2 * face + 2 * math.pi * crack_radius_um * opening_um,
        mouth_um2=0.0,
    )


def slit_ball(
    shape: Shape,
    *,
    spacing_um: Triple,
    radius_um: float,
    opening_um: float,
    rotation: Matrix | None = None,
    centre_um: Triple | None = None,
) -> tuple[Mask, CrackedTruth]:
    """A ball slit from the surface down to its middle.

    The slit is the half of the slab ``|z| <= opening_um / 2`` with ``y >= 0`` (before the
    rotation); the other half holds the ball together.

    Returns:
        (Z, Y, X) bool, the slit left out, and its truth.

    Raises:
        ValueError: if the slit is wider than the ball.
    """
    r, t = radius_um, opening_um
    if t >= 2 * r:
        raise ValueError(f"a slit of {t} µm is wider than a ball of radius {r} µm")
    whole, truth = ball(shape, spacing_um=spacing_um, radius_um=r, centre_um=centre_um)
    z, y, _ = _own_axes(shape, spacing_um, truth.centre_um, rotation)
    slit = (np.abs(z) <= t / 2) & (y >= 0)
    wall = math.pi * (r * r - t * t / 4) / 2
    end = t / 2 * math.sqrt(4 * r * r - t * t) + 2 * r * r * math.asin(t / (2 * r))
    return whole & ~slit, CrackedTruth(
        truth.centre_um,
        truth.volume_um3,
        math.pi * (r * r * t - t**3 / 12) / 2,
        truth.surface_um2,
        2 * wall + end,
        mouth_um2=math.pi * r * t,
    )


def touching_pair(
    shape: Shape,
    *,
    spacing_um: Triple,
    radii_um: tuple[float, float],
    distance_um: float,
    direction: Triple = (0.36, 0.48, 0.8),
    centre_um: Triple | None = None,
) -> tuple[Labels, PairTruth]:
    """Two overlapping balls parted by the plane through the circle where their surfaces cross.

    Args:
        shape: (Z, Y, X) voxels.
        spacing_um: (dz, dy, dx).
        radii_um: of ball 1 and ball 2.
        distance_um: of their centres.
        direction: from centre 1 to centre 2 (z, y, x); its length does not matter.
        centre_um: middle between the centres (z, y, x).

    Returns:
        (Z, Y, X) int32 with the labels 1 and 2 on background 0, and the truth.

    Raises:
        ValueError: if the balls do not cross, or one hides more than half of the other.
    """
    (r1, r2), d = radii_um, distance_um
    plane_um = (d * d + r1 * r1 - r2 * r2) / (2 * d)  # from centre 1
    if not (r1 - r2 < d < r1 + r2 and 0 <= plane_um <= d):
        raise ValueError(f"balls of radii {radii_um} µm at a distance of {d} µm do not just meet")
    middle = np.array(_centre(shape, spacing_um, centre_um))
    along = np.array(direction) / math.hypot(*direction)
    ends = (_triple(middle - along * d / 2), _triple(middle + along * d / 2))
    first, second = (
        ball(shape, spacing_um=spacing_um, radius_um=r, centre_um=end)[0]
        for r, end in zip(radii_um, ends, strict=True)
    )
    z, y, x = _own_axes(shape, spacing_um, ends[0], None)
    beyond = z * along[0] + y * along[1] + x * along[2] > plane_um
    labels = (first & ~beyond).astype(np.int32) + 2 * (second & beyond).astype(np.int32)
    caps = (r1 - plane_um, r2 - (d - plane_um))  # heights cut off
    disc = math.pi * (r1 * r1 - plane_um * plane_um)
    return labels, PairTruth(
        ends,
        (_ball_without_cap(r1, caps[0]), _ball_without_cap(r2, caps[1])),
        (
            4 * math.pi * r1 * r1 - 2 * math.pi * r1 * caps[0] + disc,
            4 * math.pi * r2 * r2 - 2 * math.pi * r2 * caps[1] + disc,
        ),
        disc,
    )


def ball_with_binder(
    shape: Shape,
    *,
    spacing_um: Triple,
    radius_um: float,
    covered: float,
    thickness_um: float,
    direction: Triple = (0.36, 0.48, 0.8),
    centre_um: Triple | None = None,
) -> tuple[Labels, Phases, BinderTruth]:
    """A ball of which a cap of carbon-binder covers the share `covered` around `direction`.

    Args:
        shape: (Z, Y, X) voxels.
        spacing_um: (dz, dy, dx).
        radius_um: of the ball.
        covered: share of the surface under the cap, 0…1.
        thickness_um: of the cap; it ends in a cone from the centre.
        direction: middle of the cap (z, y, x); its length does not matter.
        centre_um: (z, y, x).

    Returns:
        Labels (Z, Y, X) int32 with the ball as 1; phases (Z, Y, X) uint8 with 0 = pore, 1 = active
        material, 2 = carbon-binder; the truth.

    Raises:
        ValueError: if `covered` is not a share.
    """
    if not 0 <= covered <= 1:
        raise ValueError(f"covered must be 0…1, got {covered}")
    mask, truth = ball(shape, spacing_um=spacing_um, radius_um=radius_um, centre_um=centre_um)
    z, y, x = _own_axes(shape, spacing_um, truth.centre_um, None)
    distance = np.sqrt(z * z + y * y + x * x)
    height = (z * direction[0] + y * direction[1] + x * direction[2]) / math.hypot(*direction)
    outer_um = radius_um + thickness_um
    cap = (distance <= outer_um) & (height >= (1 - 2 * covered) * distance) & ~mask
    phases = mask.astype(np.uint8) + 2 * cap.astype(np.uint8)
    return (
        mask.astype(np.int32),
        phases,
        BinderTruth(
            truth.centre_um,
            truth.volume_um3,
            truth.surface_um2,
            covered * truth.surface_um2,
            covered * 4 / 3 * math.pi * (outer_um**3 - radius_um**3),
        ),
    )


def random_rotation(seed: int) -> Matrix:
    """A rotation (3, 3) drawn uniformly from all of them (Haar measure)."""
    return np.asarray(special_ortho_group.rvs(3, random_state=seed), dtype=np.float64)


def _own_axes(
    shape: Shape, spacing_um: Triple, centre_um: Triple, rotation: Matrix | None
) -> tuple[Matrix, Matrix, Matrix]:
    """Coordinates of every voxel centre from the solid's centre, in the solid's own axes."""
    z, y, x = (
        (np.arange(n) * step - middle).reshape([-1 if axis == own else 1 for axis in range(3)])
        for own, (n, step, middle) in enumerate(zip(shape, spacing_um, centre_um, strict=True))
    )
    turn = np.eye(3) if rotation is None else rotation
    # a point is rotation @ own, so own is the transpose times the point
    own_z, own_y, own_x = (z * turn[0, i] + y * turn[1, i] + x * turn[2, i] for i in range(3))
    return own_z, own_y, own_x


def _centre(shape: Shape, spacing_um: Triple, centre_um: Triple | None) -> Triple:
    if centre_um is not None:
        return centre_um
    middle = (np.array(shape) - 1) / 2 + _OFF_GRID
    return _triple(middle * spacing_um)


def _triple(vector: Matrix) -> Triple:
    z, y, x = vector.tolist()
    return z, y, x


def _descending(*axes: float) -> Triple:
    major, middle, minor = sorted(axes, reverse=True)
    return major, middle, minor


def _ball_without_cap(radius: float, height: float) -> float:
    return 4 / 3 * math.pi * radius**3 - math.pi * height**2 * (3 * radius - height) / 3
