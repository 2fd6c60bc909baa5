"""Grey values of a phase-contrast tomogram: densities, fringes, blur, rings and noise.

Out of scope: projections and reconstruction; what is where (`models.phantoms.electrode`).

Every step looks at a voxel's surroundings or at its place in the volume, never at the block's, so
that a block with a halo has the grey values of the whole.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from models.phantoms.electrode_voxels import ACTIVE

Block = tuple[slice, slice, slice]
Density = npt.NDArray[np.float32]

DENSITIES = (0.02, 1.30, 0.40, 0.78)
"""Electron densities in e⁻/Å³ by phase: pore, NMC811, porous carbon-binder, aluminium."""

UINT16_RANGE = (-0.5, 2.0)
"""Densities in e⁻/Å³ that grey values 0 and 65535 stand for."""

_TRUNCATE = 4.0  # standard deviations at which Gaussians end
_RING_STREAM, _NOISE_STREAM, _PARTICLE_STREAM = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tomograph:
    """How a volume is imaged; lengths in voxels, densities in e⁻/Å³.

    The spread of particles and the noise are set to the widths that Jiang et al. 2020 (Nat. Commun.
    11, 2310, supplementary figure 8) give for NMC (FWHM 0.147) and aluminium (FWHM 0.053).

    Attributes:
        seed: of particles' densities, rings and noise.
        densities: by phase.
        particle_std: standard deviation of particles' mean densities.
        blur_voxels: standard deviation of the point spread.
        fringe: strength of the dark and bright fringe along edges: `fringe` times the difference of
            a narrow and a wide Gaussian is added.
        fringe_voxels: standard deviations of the two.
        ring_share: share of radii with a ring.
        ring_std: standard deviation of the rings' densities.
        axis_yx: where the axis of rotation, along Z, meets a slice, as shares of Y and X.
        noise_std: standard deviation of the white noise.
    """

    seed: int = 0
    densities: tuple[float, ...] = DENSITIES
    particle_std: float = 0.05
    blur_voxels: float = 0.6
    fringe: float = 0.25
    fringe_voxels: tuple[float, float] = (1.0, 2.0)
    ring_share: float = 0.04
    ring_std: float = 0.02
    axis_yx: tuple[float, float] = (0.5, 0.5)
    noise_std: float = 0.0225

    def __post_init__(self) -> None:
        amounts = (self.particle_std, self.fringe, self.ring_std, self.noise_std)
        lengths = (self.blur_voxels, *self.fringe_voxels)
        if min(*amounts, *lengths) < 0 or not 0 <= self.ring_share <= 1:
            raise ValueError(f"amounts and lengths must not be negative, got {self}")

    @property
    def halo_voxels(self) -> int:
        """Voxels around a block that its grey values depend on."""
        return 1 + math.ceil(_TRUNCATE * max(self.blur_voxels, *self.fringe_voxels))


def tomogram(
    labels: npt.NDArray[np.integer[Any]],
    phases: npt.NDArray[np.uint8],
    tomograph: Tomograph | None = None,
    *,
    density_by_label: Density | None = None,
    core: Block | None = None,
    origin: tuple[int, int, int] = (0, 0, 0),
    volume_shape: tuple[int, int, int] | None = None,
) -> Density:
    """Grey values of a volume, or of a block of it.

    A block is the same as the whole has there if its array carries `halo_voxels` more on each side
    on which the volume goes on; `core` says which part to return.

    Args:
        labels: (Z, Y, X) particles, 0 elsewhere.
        phases: (Z, Y, X), indices of `tomograph.densities`.
        tomograph: how it is imaged; the default one when left out.
        density_by_label: (N + 1,) mean density of each particle by its label, in e⁻/Å³; drawn from
            the seed and the label when left out.
        core: slices of the array that are returned, without a step; all when left out.
        origin: index of the array's first voxel in the volume.
        volume_shape: (Z, Y, X) of the whole volume; that of the array when left out.

    Returns:
        float32, electron density in e⁻/Å³, of `core`.

    Raises:
        ValueError: if the shapes differ, a phase has no density, or the array does not lie in the
            volume.
    """
    how = Tomograph() if tomograph is None else tomograph
    shape = labels.shape if volume_shape is None else volume_shape
    if labels.shape != phases.shape:
        raise ValueError(f"labels are {labels.shape}, phases {phases.shape}")
    if any(o < 0 or o + n > m for o, n, m in zip(origin, labels.shape, shape, strict=True)):
        raise ValueError(f"{labels.shape} voxels at {origin} do not lie in a volume of {shape}")
    part = (slice(None),) * 3 if core is None else core
    spans = [s.indices(n)[:2] for s, n in zip(part, labels.shape, strict=True)]
    sharp = _densities(labels, phases, how, density_by_label)
    grey = _filtered(sharp, how)[part]
    first = [o + start for o, (start, _) in zip(origin, spans, strict=True)]
    rows, columns = (slice(first[a], first[a] + grey.shape[a]) for a in (1, 2))
    radius = _ring_index(shape, how, rows, columns)
    rings = _rings(shape, how)
    for k in range(grey.shape[0]):
        rng = np.random.default_rng([how.seed, _NOISE_STREAM, first[0] + k])
        noise = rng.standard_normal(shape[1:], dtype=np.float32)[rows, columns]
        grey[k] += np.float32(how.noise_std) * noise + rings[radius]
    return grey


def as_uint16(density: Density) -> npt.NDArray[np.uint16]:
    """Grey values 0…65535 for densities −0.5…2 e⁻/Å³, clipped; 3.8 · 10⁻⁵ e⁻/Å³ a step."""
    low, high = UINT16_RANGE
    scaled = (density - np.float32(low)) * np.float32(65535 / (high - low))
    return np.asarray(np.rint(np.clip(scaled, 0, 65535)), dtype=np.uint16)


def particle_densities(tomograph: Tomograph, largest_label: int) -> Density:
    """Mean density (`largest_label` + 1,) of each particle, whatever the number of others."""
    rng = np.random.default_rng([tomograph.seed, _PARTICLE_STREAM])
    scatter = rng.standard_normal(largest_label + 1)
    density = tomograph.densities[ACTIVE] + tomograph.particle_std * scatter
    return density.astype(np.float32)


def _densities(
    labels: npt.NDArray[np.integer[Any]],
    phases: npt.NDArray[np.uint8],
    how: Tomograph,
    density_by_label: Density | None,
) -> Density:
    if int(phases.max(initial=0)) >= len(how.densities):
        raise ValueError(f"phase {phases.max()} has no density among {len(how.densities)}")
    largest = int(labels.max(initial=0))
    if density_by_label is None:
        density_by_label = particle_densities(how, largest)
    if len(density_by_label) <= largest:
        raise ValueError(f"label {largest} has no density among {len(density_by_label)}")
    density = np.array(how.densities, dtype=np.float32)[phases]
    particle = labels > 0
    density[particle] = density_by_label[labels[particle]]
    return density


def _filtered(density: Density, how: Tomograph) -> Density:
    """Density with fringes along its edges, blurred: (Z, Y, X) float32."""

    def blurred(values: Density, sigma: float) -> Density:
        if sigma == 0:
            return values
        out = gaussian_filter(values, sigma, mode="nearest", truncate=_TRUNCATE)
        return np.asarray(out, dtype=np.float32)

    grey = blurred(density, how.blur_voxels)
    if how.fringe == 0:
        return grey.copy()
    narrow, wide = (blurred(density, sigma) for sigma in how.fringe_voxels)
    return grey + np.float32(how.fringe) * (narrow - wide)


def _ring_index(
    shape: tuple[int, ...], how: Tomograph, rows: slice, columns: slice
) -> npt.NDArray[np.intp]:
    """Distance from the axis of rotation in whole voxels, (rows, columns)."""
    y = np.arange(rows.start, rows.stop) - how.axis_yx[0] * (shape[1] - 1)
    x = np.arange(columns.start, columns.stop) - how.axis_yx[1] * (shape[2] - 1)
    return np.hypot(y[:, None], x).astype(np.intp)


def _rings(shape: tuple[int, ...], how: Tomograph) -> Density:
    """Density of the ring at each radius; the same in all slices, as from a scratch."""
    n = shape[1] + shape[2] + 2
    rng = np.random.default_rng([how.seed, _RING_STREAM])
    strength = rng.normal(0, how.ring_std, n)
    return np.where(rng.random(n) < how.ring_share, strength, 0).astype(np.float32)
