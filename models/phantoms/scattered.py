"""Synthetic electron micrographs of loose particles on a background, with known instances.

Out of scope: dense, sintered surfaces (`models.phantoms.sem`, whose `render` gives labels as well);
databars.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.limits import check_limits

Labels = npt.NDArray[np.int32]
Truth = dict[str, npt.NDArray[Any]]

_LOBES = np.array([2, 3, 4, 5])  # waves around an outline
_ATTEMPTS = 400  # to place a particle before the image counts as full
_LIMITS = {
    "diameter_px": (6.0, 400.0),
    "diameter_spread": (0.0, 0.8),
    "coverage": (0.0, 0.6),
    "overlap": (0.0, 0.7),
    "irregularity": (0.0, 0.15),
    "background": (0.0, 255.0),
    "contrast": (-255.0, 255.0),
    "rim": (0.0, 255.0),
    "gradient": (0.0, 255.0),
    "noise_std": (0.0, 80.0),
    "blur_px": (0.0, 20.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatteredPhantom:
    """One synthetic micrograph of loose particles, completely described.

    Attributes:
        seed: of everything random; the same configuration always renders to the same pixels.
        shape_px: (Y, X), at least 32 a side.
        diameter_px: median equivalent diameter of the whole outlines, 6…400.
        diameter_spread: standard deviation of its logarithm, 0…0.8; cut at 2.5 of them.
        coverage: area of the whole outlines per area of the image, 0…0.6.
        overlap: how far two outlines may reach into each other, per diameter of the smaller, 0
            (apart) to 0.7.
        touching_share: share of the particles that are set against one that is there already.
        irregularity: r.m.s. displacement of the outline by waves per radius, 0…0.15.
        background: grey level, 0…255.
        contrast: grey levels of the particles' middles above the background; negative for dark
            ones, near 0 for hardly visible ones.
        rim: grey levels by which edges shine above the middles.
        gradient: grey levels between the image's left and right border.
        noise_std: standard deviation of the white noise, 0…80 grey levels.
        blur_px: standard deviation of the probe, 0…20.

    Raises:
        ValueError: if a value lies outside its range.
    """

    seed: int = 0
    shape_px: tuple[int, int] = (512, 512)
    diameter_px: float = 32.0
    diameter_spread: float = 0.25
    coverage: float = 0.3
    overlap: float = 0.15
    touching_share: float = 0.4
    irregularity: float = 0.04
    background: float = 60.0
    contrast: float = 70.0
    rim: float = 40.0
    gradient: float = 10.0
    noise_std: float = 8.0
    blur_px: float = 0.8

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        if not 0 <= self.touching_share <= 1:
            raise ValueError(f"touching_share must be 0…1, got {self.touching_share}")
        if self.seed < 0 or min(self.shape_px) < 32:
            raise ValueError(
                f"seed must not be negative and shape_px at least 32 a side, "
                f"got {self.seed} and {self.shape_px}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Scattered:
    """A micrograph and its truth.

    Attributes:
        image: (Y, X) uint8.
        labels: (Y, X) int32, 0 = background, particles 1…N; the higher label lies on top.
        truth: one array of N per column: ``label`` int64; ``y_px, x_px``: centre of the outline;
            ``area_px2``: visible pixels (counted); ``outline_area_px2`` and
            ``equivalent_diameter_px``: of the whole outline, by formula; ``visible_fraction``:
            visible pixels per whole outline, at most 1; ``touches_border`` bool: has a labelled
            pixel on the border (counted).
    """

    image: npt.NDArray[np.uint8]
    labels: Labels
    truth: Truth


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """r(θ) = radius (1 + Σ a_k cos(k θ − φ_k)) around a centre."""

    centre: npt.NDArray[np.float64]
    radius: float
    heights: npt.NDArray[np.float64]
    phases: npt.NDArray[np.float64]

    @property
    def area(self) -> float:
        """π radius² (1 + Σ a_k² / 2)."""
        return math.pi * self.radius**2 * (1 + float(np.sum(self.heights**2)) / 2)

    @property
    def reach(self) -> float:
        """No point is farther from the centre."""
        return self.radius * (1 + float(np.abs(self.heights).sum()))

    def relative(
        self, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Distance of points from the centre, as a share of the outline's in that direction."""
        dy, dx = y - self.centre[0], x - self.centre[1]
        waves = np.arctan2(dy, dx)[..., None] * _LOBES - self.phases
        rim = self.radius * (1 + np.cos(waves) @ self.heights)
        return np.asarray(np.hypot(dy, dx) / rim, dtype=np.float64)


def scatter(config: ScatteredPhantom) -> Scattered:
    """Render a micrograph; about 0.1 s at 512 × 512.

    Args:
        config: the micrograph to make.

    Returns:
        The image and its truth. Particles that others hide completely are left out.

    Raises:
        ValueError: if the particles do not find room.
    """
    rng = np.random.default_rng(config.seed)
    outlines = _place(config, rng)
    labels = np.zeros(config.shape_px, dtype=np.int32)
    edge = np.zeros(config.shape_px)  # relative distance from the centre of whatever is on top
    for number, outline in enumerate(outlines, start=1):
        low = np.maximum(np.floor(outline.centre - outline.reach), 0).astype(int)
        high = np.minimum(np.ceil(outline.centre + outline.reach) + 1, config.shape_px).astype(int)
        box = (slice(low[0], max(high[0], low[0])), slice(low[1], max(high[1], low[1])))
        y, x = np.mgrid[box].astype(np.float64)
        relative = outline.relative(y, x)
        inside = relative <= 1
        labels[box][inside] = number
        edge[box][inside] = relative[inside]
    pixels = np.bincount(labels.ravel(), minlength=len(outlines) + 1)
    seen = np.flatnonzero(pixels[1:] > 0) + 1
    renumber = np.zeros(len(pixels), dtype=np.int32)
    renumber[seen] = np.arange(1, len(seen) + 1)
    labels = renumber[labels]
    truth = _truth([outlines[i - 1] for i in seen], pixels[seen], labels)
    return Scattered(_image(config, labels, edge, rng), labels, truth)


def _place(config: ScatteredPhantom, rng: np.random.Generator) -> list[_Outline]:
    """Outlines in order of their size, so that large ones come first and lie below."""
    rows, columns = config.shape_px
    wanted = config.coverage * rows * columns
    mean = math.pi / 4 * config.diameter_px**2 * math.exp(2 * config.diameter_spread**2)
    deviates = np.clip(rng.standard_normal(math.ceil(2 * wanted / mean) + 50), -2.5, 2.5)
    diameters = config.diameter_px * np.exp(config.diameter_spread * deviates)
    covered = np.cumsum(math.pi / 4 * diameters**2)
    diameters = np.sort(diameters[: int(np.count_nonzero(covered <= wanted))])[::-1]
    outlines: list[_Outline] = []
    centres = np.empty((len(diameters), 2))
    radii = diameters / 2
    for i, radius in enumerate(radii):
        for attempt in range(_ATTEMPTS):
            if i and attempt < _ATTEMPTS // 2 and rng.random() < config.touching_share:
                host, turn = int(rng.integers(i)), rng.uniform(0, 2 * math.pi)
                depth = rng.uniform(0, config.overlap)
                away = radii[host] + radius * (1 - 2 * depth)
                centre = centres[host] + away * np.array([math.sin(turn), math.cos(turn)])
            else:
                centre = rng.random(2) * config.shape_px
            gap = np.hypot(*(centres[:i] - centre).T) - radii[:i] - radius
            on_image = bool(np.all((centre >= 0) & (centre <= config.shape_px)))
            if on_image and np.all(gap >= -2 * config.overlap * radius - 1e-9):
                break
        else:
            raise ValueError(
                f"{len(diameters)} particles find no room: lower the coverage {config.coverage} "
                f"or let them overlap more than {config.overlap}"
            )
        centres[i] = centre
        outlines.append(_outline(centre, float(radius), config.irregularity, rng))
    return outlines


def _outline(
    centre: npt.NDArray[np.float64], radius: float, irregularity: float, rng: np.random.Generator
) -> _Outline:
    """An outline whose area is that of a circle of `radius`."""
    share = (1 / _LOBES) / np.linalg.norm(1 / _LOBES)
    heights = irregularity * math.sqrt(2) * share * rng.uniform(0.5, 1.3, len(_LOBES))
    smaller = radius / math.sqrt(1 + float(np.sum(heights**2)) / 2)
    return _Outline(centre, smaller, heights, rng.uniform(0, 2 * math.pi, len(_LOBES)))


def _truth(outlines: list[_Outline], pixels: npt.NDArray[np.intp], labels: Labels) -> Truth:
    centres = np.array([o.centre for o in outlines]).reshape(-1, 2)
    areas = np.array([o.area for o in outlines], dtype=np.float64)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    numbers = np.arange(1, len(outlines) + 1, dtype=np.int64)
    return {
        "label": numbers,
        "y_px": centres[:, 0],
        "x_px": centres[:, 1],
        "area_px2": pixels.astype(np.float64),
        "outline_area_px2": areas,
        "equivalent_diameter_px": np.sqrt(4 * areas / math.pi),
        "visible_fraction": np.minimum(pixels / areas, 1),
        "touches_border": np.isin(numbers, border),
    }


def _image(
    config: ScatteredPhantom,
    labels: Labels,
    edge: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Flat background; domes whose edges shine, each a little lighter or darker; noise."""
    signal = np.full(config.shape_px, config.background, dtype=np.float64)
    particle = labels > 0
    tone = rng.normal(1, 0.08, int(labels.max()) + 1)[labels]
    dome = config.contrast * tone + config.rim * edge**6
    signal[particle] += dome[particle]
    signal += config.gradient * np.linspace(-0.5, 0.5, config.shape_px[1])
    if config.blur_px > 0:
        signal = np.asarray(cv2.GaussianBlur(signal, (0, 0), config.blur_px))
    signal += config.noise_std * rng.standard_normal(config.shape_px)
    return np.asarray(np.rint(np.clip(signal, 0, 255)), dtype=np.uint8)
