"""Synthetic electron micrographs of rods side by side, as nanorods dry, with known instances.

Out of scope: round particles (`models.phantoms.scattered`), dense surfaces (`models.phantoms.sem`).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.limits import check_limits

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int32]

_ATTEMPTS = 25  # to place one rod; what finds no room is left out
_REFUSED = 6  # rods without room, after which the image is full
_LIMITS = {
    "width_px": (3.0, 200.0),
    "aspect_ratio": (1.0, 12.0),
    "aspect_spread": (0.0, 0.6),
    "coverage": (0.0, 0.8),
    "gap_px": (0.0, 20.0),
    "stacked_share": (0.0, 1.0),
    "alignment": (0.0, 1.0),
    "background": (0.0, 255.0),
    "contrast": (-255.0, 255.0),
    "tone_spread": (0.0, 1.0),
    "rim": (-255.0, 255.0),
    "noise_std": (0.0, 80.0),
    "blur_px": (0.0, 20.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RodPhantom:
    """One synthetic micrograph of rods, completely described.

    Attributes:
        seed: of everything random; the same configuration always renders to the same pixels.
        shape_px: (Y, X), at least 32 a side.
        width_px: of every rod, 3…200.
        aspect_ratio: median length over width, 1…12; ends are half circles, 1 is a disc.
        aspect_spread: standard deviation of its logarithm, 0…0.6; cut at 2.5 of them.
        coverage: area of rods per area of the image that is tried for, 0…0.8; there are fewer where
            no more find room.
        gap_px: least distance of two rods, 0…20; 0 lets them touch.
        stacked_share: share of the rods that are laid beside one that is there, like it turned.
        alignment: 0 points each rod anywhere, 1 makes neighbours parallel, in domains.
        background: grey level, 0…255.
        contrast: grey levels of the rods' middles above the background; negative for dark ones.
        tone_spread: relative standard deviation of the contrast from rod to rod, as diffraction
            gives it.
        rim: grey levels by which edges lie above the middles.
        noise_std: standard deviation of the white noise, 0…80 grey levels.
        blur_px: standard deviation of the probe, 0…20.

    Raises:
        ValueError: if a value lies outside its range.
    """

    seed: int = 0
    shape_px: tuple[int, int] = (256, 256)
    width_px: float = 12.0
    aspect_ratio: float = 4.0
    aspect_spread: float = 0.15
    coverage: float = 0.5
    gap_px: float = 1.5
    stacked_share: float = 0.6
    alignment: float = 0.8
    background: float = 200.0
    contrast: float = -90.0
    tone_spread: float = 0.25
    rim: float = 0.0
    noise_std: float = 6.0
    blur_px: float = 0.8

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        if self.seed < 0 or min(self.shape_px) < 32:
            raise ValueError(
                f"seed must not be negative and shape_px at least 32 a side, "
                f"got {self.seed} and {self.shape_px}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Rods:
    """A micrograph and its truth.

    Attributes:
        image: (Y, X) uint8.
        labels: (Y, X) int32, 0 = background, rods 1…N; none lies on another.
        centre_px: (N, 2) centres (y, x); rods that the border cuts may have them outside.
        length_px: (N,) whole lengths, ends included.
        angle_rad: (N,) direction of the axis, from x towards y, 0…π.
    """

    image: npt.NDArray[np.uint8]
    labels: Labels
    centre_px: Floats
    length_px: Floats
    angle_rad: Floats


def lay_rods(config: RodPhantom) -> Rods:
    """Render a micrograph; about 0.1 s at 256 × 256.

    Args:
        config: the micrograph to make.

    Returns:
        The image and its truth.
    """
    rng = np.random.default_rng(config.seed)
    rows, columns = config.shape_px
    labels: Labels = np.zeros(config.shape_px, np.int32)
    edge = np.zeros(config.shape_px)  # distance from the axis as a share of half the width
    taken = np.zeros(config.shape_px, np.bool_)
    field = _directions(config, rng)
    half = config.width_px / 2
    placed: list[tuple[float, float, float, float]] = []
    area, wanted, refused = 0, config.coverage * rows * columns, 0
    while area < wanted and refused < _REFUSED:
        ratio = config.aspect_ratio * math.exp(
            config.aspect_spread * float(np.clip(rng.standard_normal(), -2.5, 2.5))
        )
        straight = config.width_px * max(ratio - 1, 0)  # without the ends
        for _ in range(_ATTEMPTS):
            if placed and rng.random() < config.stacked_share:
                y, x, angle = _beside(placed[int(rng.integers(len(placed)))], config, rng)
            else:
                y, x = rng.uniform(-half, rows + half), rng.uniform(-half, columns + half)
                at = int(np.clip(y, 0, rows - 1)), int(np.clip(x, 0, columns - 1))
                spread = (1 - config.alignment) * math.pi / 2
                angle = (float(field[at]) + rng.uniform(-spread, spread)) % math.pi
            box, away = _distance(config.shape_px, (y, x), straight, angle, half + config.gap_px)
            inside = away <= half
            if inside.any() and not (taken[box] & inside).any():
                break
        else:
            refused += 1
            continue
        labels[box][inside] = len(placed) + 1
        edge[box][inside] = away[inside] / half
        taken[box] |= away <= half + config.gap_px
        area += int(np.count_nonzero(inside))
        placed.append((y, x, straight + config.width_px, angle))
    table = np.array(placed, dtype=np.float64).reshape(-1, 4)
    image = _image(config, labels, edge, rng)
    return Rods(image, labels, table[:, :2], table[:, 2], table[:, 3])


def _beside(
    rod: tuple[float, float, float, float], config: RodPhantom, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Centre (y, x) and direction of a rod along the side of another."""
    y, x, length, angle = rod
    side = 1 if rng.random() < 0.5 else -1
    across = side * (config.width_px + config.gap_px + rng.uniform(0.5, 2.0))
    along = rng.uniform(-0.2, 0.2) * length
    turned = (angle + rng.normal(0, 0.03)) % math.pi
    sine, cosine = math.sin(angle), math.cos(angle)
    return y + along * sine + across * cosine, x + along * cosine - across * sine, turned


def _directions(config: RodPhantom, rng: np.random.Generator) -> Floats:
    """A direction for each pixel that turns slowly, in radians."""
    waves = [
        cv2.resize(
            rng.standard_normal((3, 3)), config.shape_px[::-1], interpolation=cv2.INTER_CUBIC
        )
        for _ in range(2)
    ]
    return np.asarray(np.arctan2(waves[0], waves[1]), dtype=np.float64)


def _distance(
    shape_px: tuple[int, int],
    centre: tuple[float, float],
    straight: float,
    angle: float,
    reach: float,
) -> tuple[tuple[slice, slice], Floats]:
    """Box around a rod, and the distance of its pixels from the rod's axis."""
    axis = np.array([math.sin(angle), math.cos(angle)])  # (y, x)
    span = np.abs(axis) * straight / 2 + reach
    low = np.clip(np.floor(np.array(centre) - span), 0, shape_px).astype(int)
    high = np.clip(np.ceil(np.array(centre) + span) + 1, 0, shape_px).astype(int)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    y, x = np.mgrid[box].astype(np.float64)
    dy, dx = y - centre[0], x - centre[1]
    along = dy * axis[0] + dx * axis[1]
    across = dy * axis[1] - dx * axis[0]
    beyond = np.maximum(np.abs(along) - straight / 2, 0)
    return box, np.asarray(np.hypot(beyond, across))


def _image(
    config: RodPhantom, labels: Labels, edge: Floats, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    signal = np.full(config.shape_px, config.background, dtype=np.float64)
    tone = rng.normal(1, config.tone_spread, int(labels.max(initial=0)) + 1)[labels]
    rod = labels > 0
    signal[rod] += (config.contrast * tone + config.rim * edge**4)[rod]
    if config.blur_px > 0:
        signal = np.asarray(cv2.GaussianBlur(signal, (0, 0), config.blur_px))
    signal += config.noise_std * rng.standard_normal(config.shape_px)
    return np.asarray(np.rint(np.clip(signal, 0, 255)), dtype=np.uint8)
