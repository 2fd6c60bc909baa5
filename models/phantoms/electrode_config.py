"""What a synthetic composite electrode is to be like: its description, and presets.

Out of scope: making it, which is `models.phantoms.electrode`.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from models.phantoms.binder import DetachmentLaw
from models.phantoms.cracks import DamageLaw
from models.phantoms.limits import check_limits

_LIMITS = {
    "diameter_spread": (0.0, 0.5),
    "solid_fraction": (0.02, 0.6),
    "elongation_spread": (0.0, 0.3),
    "irregularity": (0.0, 0.06),
    "open_crack_share": (0.0, 1.0),
    "detachment_mean": (0.0, 1.0),
    "detachment_spread": (0.0, 0.5),
    "binder_fraction": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectrodePhantom:
    """One synthetic electrode, completely described.

    Attributes:
        seed: of everything random; the same configuration always gives the same voxels.
        shape_voxels: (Z, Y, X); Z is depth through the electrode.
        voxel_size_um: (dz, dy, dx).
        diameter_um: median diameter of the particles, as balls of equal volume; at least 8 of the
            largest voxel side.
        diameter_spread: standard deviation of the diameter's logarithm, 0…0.5; the distribution is
            cut at 2.5 of them.
        solid_fraction: particles' share of the slot between collector and separator, cracks
            included, 0.02…0.6; of a slot that is wider than the volume, so that what is seen
            fluctuates as in a field of view.
        elongation_spread: standard deviation of the logarithm of each semi-axis, 0…0.3.
        irregularity: r.m.s. displacement of the surface by smooth lobes per radius, 0…0.06.
        damage: law of the cracks' share of each particle.
        crack_opening_um: distance of a crack's faces; None for two of the largest voxel side.
        open_crack_share: share of the particles whose crack reaches the surface, if it is large
            enough.
        detachment_mean: mean share of a particle's surface that its coat of binder leaves bare; of
            particles of median size where it depends on size.
        detachment_spread: standard deviation of that share.
        detachment: what that share depends on, and what depends on it; nothing by default.
        binder_fraction: carbon-binder's share of the slot; at least the coats.
        coat_um: thickness of the coats; None for 2.5 of the largest voxel side.
        collector_um: thickness of the current collector within the volume.
        separator_um: free height on the other side.
        collector_side: at which end of Z the collector is.

    Raises:
        ValueError: if a value lies outside its range.
    """

    seed: int = 0
    shape_voxels: tuple[int, int, int] = (128, 160, 160)
    voxel_size_um: tuple[float, float, float] = (0.35, 0.35, 0.35)
    diameter_um: float = 8.0
    diameter_spread: float = 0.2
    solid_fraction: float = 0.42
    elongation_spread: float = 0.1
    irregularity: float = 0.03
    damage: DamageLaw = field(default_factory=DamageLaw)
    crack_opening_um: float | None = None
    open_crack_share: float = 0.25
    detachment_mean: float = 0.3
    detachment_spread: float = 0.12
    detachment: DetachmentLaw = field(default_factory=DetachmentLaw)
    binder_fraction: float = 0.25
    coat_um: float | None = None
    collector_um: float = 3.5
    separator_um: float = 2.0
    collector_side: Literal["z_low", "z_high"] = "z_low"

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if min(self.shape_voxels) < 16 or min(self.voxel_size_um) <= 0:
            raise ValueError(
                f"shape_voxels must be at least 16 a side and voxel_size_um positive, "
                f"got {self.shape_voxels} and {self.voxel_size_um}"
            )
        if self.diameter_um < 8 * self.largest_side_um:
            raise ValueError(
                f"particles of {self.diameter_um:g} µm are less than 8 voxels of "
                f"{self.largest_side_um:g} µm"
            )
        low_um, high_um = self.electrode_extent_um
        if high_um - low_um < self.diameter_um:
            raise ValueError(f"no particle fits between collector and separator {low_um, high_um}")

    @property
    def largest_side_um(self) -> float:
        """Largest side of a voxel."""
        return max(self.voxel_size_um)

    @property
    def opening_um(self) -> float:
        """Distance of a crack's faces."""
        given = self.crack_opening_um
        return 2 * self.largest_side_um if given is None else given

    @property
    def coat_thickness_um(self) -> float:
        """Thickness of the coats, and of the bare surroundings."""
        return 2.5 * self.largest_side_um if self.coat_um is None else self.coat_um

    @property
    def collector_voxels(self) -> slice:
        """Slices of Z that the collector takes."""
        n, depth = round(self.collector_um / self.voxel_size_um[0]), self.shape_voxels[0]
        return slice(0, n) if self.collector_side == "z_low" else slice(depth - n, depth)

    @property
    def collector_extent_um(self) -> tuple[float, float]:
        """Lowest and highest z of the collector; it goes on beyond the volume."""
        low, high = self.electrode_extent_um
        return (-math.inf, low) if self.collector_side == "z_low" else (high, math.inf)

    @property
    def electrode_extent_um(self) -> tuple[float, float]:
        """Lowest and highest z of the slot, where voxel k has its centre at k dz.

        The face of the collector is half a voxel from its last slice.
        """
        dz, depth = self.voxel_size_um[0], self.shape_voxels[0]
        collector, free = round(self.collector_um / dz), round(self.separator_um / dz)
        if self.collector_side == "z_high":
            collector, free = free, collector
        return (collector - 0.5) * dz, (depth - free - 0.5) * dz


def cycled_electrode(cycles: Literal[10, 50], seed: int = 0) -> ElectrodePhantom:
    """A small electrode as after fast cycling: 128 × 160 × 160 voxels, about 200 particles.

    After 10 cycles damage is low and particles differ by depth, by size and by chance; after 50 it
    is higher and more uniform, crowded particles have more of it, and neighbours go together. That
    is the course which Li et al. 2022 (Science 376, 517) report; the numbers are made up. Both
    stages of one seed have the same particles in the same places.

    Raises:
        ValueError: for another number of cycles.
    """
    laws = {
        10: DamageLaw(level=0.05, depth_slope=1.2, size_slope=0.8, coupling=0.1, noise=0.35),
        50: DamageLaw(
            level=0.11,
            depth_slope=0.3,
            size_slope=0.1,
            crowding_slope=0.8,
            coupling=0.2,
            noise=0.15,
        ),
    }
    if cycles not in laws:
        raise ValueError(f"cycles must be 10 or 50, got {cycles}")
    return ElectrodePhantom(seed=seed, damage=laws[cycles])


def rated_electrode(c_rate: float, seed: int = 0) -> ElectrodePhantom:
    """A small electrode as after cycling at C/10 or 1C: of the size of `cycled_electrode`.

    At 1C more of the surface is bare; at either rate large particles are barer, and electron
    density falls with the bare share. That is the course which Jiang et al. 2020 (Nat. Commun. 11,
    2310) report for such a pair of cells; the numbers are made up. Both rates of one seed have the
    same particles in the same places.

    Raises:
        ValueError: for another rate.
    """
    means = {0.1: 0.25, 1.0: 0.4}
    if c_rate not in means:
        raise ValueError(f"c_rate must be 0.1 or 1, got {c_rate}")
    law = DetachmentLaw(size_slope=0.3, density_slope=-0.3)
    return ElectrodePhantom(seed=seed, detachment_mean=means[c_rate], detachment=law)


def published_size_electrode(seed: int = 0) -> ElectrodePhantom:
    """As large as the published volumes: 492 × 1324 × 1985 voxels of 0.1 µm, about 2000 particles.

    Z is the shortest side, 49 µm, which is the height of an electrode of that loading (Li et al.
    2022, supplement: 8 mg/cm², 40 % active material).
    """
    return ElectrodePhantom(
        seed=seed,
        shape_voxels=(492, 1324, 1985),
        voxel_size_um=(0.1, 0.1, 0.1),
        diameter_um=7.4,
        solid_fraction=0.42,
        crack_opening_um=0.4,
        coat_um=0.5,
    )
