"""Synthetic training views with known truth.

Out of scope: what is changed in them afterwards (`patches`), the phantoms themselves
(`models.phantoms`).
"""

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.rods import RodPhantom, lay_rods
from models.phantoms.scattered import ScatteredPhantom, scatter
from models.phantoms.sem import SemPhantom, render
from models.segment.star_convex.distractors import texture
from models.segment.star_convex.scaling import normalised

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_GRAINS, _RODS, _BARE = 0.3, 0.3, 0.12  # of the phantoms


def draw_phantom(
    side_px: int, diameter_px: float, rng: np.random.Generator
) -> tuple[Floats, Labels]:
    """Loose particles of any look, rods, grains packed densely as in a ceramic, or nothing.

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
    if chosen < _GRAINS + _RODS + _BARE:
        return _bare(side_px, rng)
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


def _bare(side_px: int, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """A surface without particles, unevenly lit, often scratched.

    Without it a network takes light that falls off towards the corners of an image for one large
    particle, and what scratches enclose for others.
    """
    shape = (side_px, side_px)
    y, x = np.mgrid[:side_px, :side_px].astype(np.float32) / np.float32(side_px)
    cy, cx = rng.uniform(-0.2, 1.2, 2)
    width = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0))))
    light = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    image = rng.uniform(0, 1.5) * light + rng.uniform(0.01, 0.25) * texture(
        shape, rng, grains=False
    )
    image = np.ascontiguousarray(image, dtype=np.float32)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 15))):
            start, end = (rng.uniform(-0.2, 1.2, 2) * side_px for _ in range(2))
            line = np.zeros(shape, np.uint8)
            (x0, y0), (x1, y1) = (
                start.round().astype(int).tolist(),
                end.round().astype(int).tolist(),
            )
            cv2.line(line, (x0, y0), (x1, y1), 255, int(rng.integers(1, 4)), cv2.LINE_AA)
            image += np.float32(rng.uniform(-0.5, 0.5) / 255) * line
    return normalised(image), np.zeros(shape, np.int32)


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
