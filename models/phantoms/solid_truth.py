"""What is known of the solids of `models.phantoms.solids`: volumes, surfaces, cracks, contacts.

Out of scope: voxels.
"""

import math
from dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SolidTruth:
    """A convex solid.

    Attributes:
        centre_um: centroid (z, y, x).
        volume_um3: enclosed volume.
        surface_um2: area of its boundary.
        axes_um: full axes of the ellipsoid with the same second moments, descending.
    """

    centre_um: Triple
    volume_um3: float
    surface_um2: float
    axes_um: Triple

    @property
    def equivalent_diameter_um(self) -> float:
        """Diameter of the ball of equal volume."""
        return float(math.cbrt(6 * self.volume_um3 / math.pi))

    @property
    def sphericity(self) -> float:
        """36 π V² / S³; 1 for a ball."""
        return 36 * math.pi * self.volume_um3**2 / self.surface_um2**3

    @property
    def elongation(self) -> float:
        """Longest over shortest axis."""
        return self.axes_um[0] / self.axes_um[2]


@dataclass(frozen=True, slots=True)
class CrackedTruth:
    """A ball with a crack or a cavity; the array marks the body, the crack left out.

    Attributes:
        centre_um: centre of the ball (z, y, x).
        volume_um3: of the filled ball.
        crack_volume_um3: what the crack takes of it.
        surface_outer_um2: boundary of the filled ball.
        surface_inner_um2: walls of the crack.
        mouth_um2: part of the outer surface where the crack opens; 0 when it is closed.
    """

    centre_um: Triple
    volume_um3: float
    crack_volume_um3: float
    surface_outer_um2: float
    surface_inner_um2: float
    mouth_um2: float

    @property
    def body_volume_um3(self) -> float:
        """Filled volume less the crack."""
        return self.volume_um3 - self.crack_volume_um3

    @property
    def damage(self) -> float:
        """Share of the filled volume that is crack."""
        return self.crack_volume_um3 / self.volume_um3


@dataclass(frozen=True, slots=True)
class PairTruth:
    """Two balls, labels 1 and 2, that meet in a disc.

    Attributes:
        centres_um: centres of the whole balls (z, y, x).
        volumes_um3: what the plane leaves of each.
        surfaces_um2: boundary of each, the disc included.
        contact_area_um2: area of the disc.
    """

    centres_um: tuple[Triple, Triple]
    volumes_um3: tuple[float, float]
    surfaces_um2: tuple[float, float]
    contact_area_um2: float

    @property
    def contact_fractions(self) -> tuple[float, float]:
        """Share of each surface that the other one covers."""
        first, second = self.surfaces_um2
        return self.contact_area_um2 / first, self.contact_area_um2 / second


@dataclass(frozen=True, slots=True)
class BinderTruth:
    """A ball, phase 1, with a cap of carbon-binder, phase 2, over part of its surface.

    Attributes:
        centre_um: centre of the ball (z, y, x).
        volume_um3: of the ball.
        surface_um2: of the ball.
        covered_um2: surface under the cap.
        binder_volume_um3: of the cap.
    """

    centre_um: Triple
    volume_um3: float
    surface_um2: float
    covered_um2: float
    binder_volume_um3: float

    @property
    def detachment(self) -> float:
        """Share of the surface that faces no binder."""
        return 1 - self.covered_um2 / self.surface_um2
