"""Synthetic training views with known truth.

Out of scope: what is changed in them afterwards (`patches`), the phantoms themselves
(`models.phantoms`).
"""

import numpy as np
import numpy.typing as npt

from models.phantoms.rods import RodPhantom, lay_rods
from models.phantoms.scattered import ScatteredPhantom, scatter
from models.phantoms.sem import SemPhantom, render
from models.segment.star_convex.scaling import normalised

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_GRAINS, _RODS = 0.3, 0.3  # of the phantoms


def draw_phantom(
    side_px: int, diameter_px: float, rng: np.random.Generator
) -> tuple[Floats, Labels]:
    """Loose particles of any look, rods, or grains packed densely as in a ceramic.

    Args:
        side_px: of the view.
        diameter_px: typical of the particles.
        rng: source of everything.

    Returns:
        Image and labels, (side, side) each.
    """
    chosen = rng.random()
    if chosen < _GRAINS:
        return _grains(side_px, diameter_px, rng)
    if chosen < _GRAINS + _RODS:
        return _rods(side_px, diameter_px, rng)
    return _loose(side_px, diameter_px, rng)


def _grains(side_px: int, diameter_px: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
    made = render(
        SemPhantom(
            seed=int(rng.integers(2**31)),
            shape_px=(side_px, side_px),
            pixel_size_um=1.0,
            grain_diameter_um=float(np.clip(diameter_px, 6, side_px / 4)),
            roughness=float(rng.uniform(0, 1)),
            brightness=float(rng.uniform(60, 180)),
            noise_std=float(rng.uniform(0, 25)),
            databar=False,
        )
    )
    return normalised(made.image), made.labels


def _rods(side_px: int, diameter_px: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """Rods in stacks or anywhere, dark on bright as in transmission or the other way round."""
    ratio = float(np.exp(rng.uniform(np.log(1.5), np.log(7.0))))
    width_px = diameter_px * float(np.sqrt(np.pi / 4 / (ratio - 1 + np.pi / 4)))  # of equal area
    sign = 1 if rng.random() < 0.4 else -1
    made = lay_rods(
        RodPhantom(
            seed=int(rng.integers(2**31)),
            shape_px=(side_px, side_px),
            width_px=float(np.clip(width_px, 3, side_px / 4)),
            aspect_ratio=ratio,
            aspect_spread=float(rng.uniform(0, 0.3)),
            coverage=float(rng.uniform(0.1, 0.6)),
            gap_px=float(rng.uniform(0, 2.5)),
            stacked_share=float(rng.uniform(0, 0.9)),
            alignment=float(rng.uniform(0, 1)),
            background=float(rng.uniform(20, 110) if sign > 0 else rng.uniform(140, 240)),
            contrast=sign * float(rng.uniform(25, 120)),
            tone_spread=float(rng.uniform(0, 0.4)),
            rim=float(rng.uniform(-30, 60)),
            noise_std=float(rng.uniform(0, 25)),
            blur_px=float(rng.uniform(0, 1.5)),
        )
    )
    return normalised(made.image), made.labels


def _loose(side_px: int, diameter_px: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """Particles of any look; every eighth image is bare."""
    sign = 1 if rng.random() < 0.5 else -1
    contrast = sign * float(rng.uniform(15, 110))
    phantom = ScatteredPhantom(
        seed=int(rng.integers(2**31)),
        shape_px=(side_px, side_px),
        diameter_px=max(diameter_px, 6.0),
        diameter_spread=float(rng.uniform(0, 0.5)),
        coverage=0.0 if rng.random() < 1 / 8 else float(rng.uniform(0.02, 0.4)),
        overlap=float(rng.uniform(0, 0.35)),
        touching_share=float(rng.uniform(0, 0.9)),
        irregularity=float(rng.uniform(0, 0.12)),
        background=float(rng.uniform(20, 110) if sign > 0 else rng.uniform(140, 240)),
        contrast=contrast,
        rim=float(rng.uniform(0, 90)),
        gradient=float(rng.uniform(0, 60)),
        noise_std=float(rng.uniform(0, 25)),
        blur_px=float(rng.uniform(0, 2.5)),
    )
    try:
        made = scatter(phantom)
    except ValueError:  # no room for all of them: an image without
        return np.full((side_px, side_px), 0.5, np.float32), np.zeros((side_px, side_px), np.int32)
    return normalised(made.image), made.labels
