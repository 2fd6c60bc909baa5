"""The surface of a cathode as a height in every pixel: particles, cracks, binder, debris.

Out of scope: what a detector sees of it (`models.phantoms.cathode`). Lengths are in pixels.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.phantoms.cathode_config import CathodePhantom
from models.phantoms.cathode_particles import Crack, Particles, draw_cracks, particles

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

_TEXTURE = 512  # side of the pattern of primary grains, which repeats
_CELL = 8  # pixels of the pattern per primary grain
_GRAIN_RELIEF = 0.26  # r.m.s. height of full roughness per grain
_WOBBLE = 0.035  # r.m.s. displacement of outlines per median diameter
_CARBON_UM = 0.35  # Gaussian length of the conductive additive's texture
_DEBRIS_UM = 0.5  # median radius of fragments
_DEBRIS_SPREAD = 0.35  # standard deviation of its logarithm
_PILED = 1.5  # fragments per fragment that would do if they lay beside each other
_SINGLE = 0.4  # share of the fragments that lie in no clump


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What lies on top in every pixel.

    Attributes:
        height: (Y, X), upwards.
        labels: (Y, X), 0 = binder, debris or pore, particles 1…N.
        crack: (Y, X), share of the pixel that a crack covers.
        binder: (Y, X) bool.
        debris: (Y, X) bool.
        particles: the N that are seen.
    """

    height: Image
    labels: Labels
    crack: Image
    binder: npt.NDArray[np.bool_]
    debris: npt.NDArray[np.bool_]
    particles: Particles


def build(config: CathodePhantom) -> Surface:
    """Lay particles, binder and debris on each other."""
    packed = particles(config)
    height, owner, crack = _relief(config, packed)
    height, binder = _fill(config, height)
    height, debris = _strew(config, height)
    hidden = binder | debris
    owner[hidden], crack[hidden] = -1, 0
    seen = np.flatnonzero(np.bincount(owner.ravel() + 1, minlength=len(packed.radius) + 1)[1:])
    number = np.zeros(len(packed.radius) + 1, dtype=np.int32)
    number[seen] = np.arange(1, len(seen) + 1)
    labels = number[owner]  # the last entry, that of −1, is 0
    return Surface(height, labels, crack, binder, debris, packed.take(seen))


def _relief(config: CathodePhantom, packed: Particles) -> tuple[Image, Labels, Image]:
    """Height, particle (−1 where none is) and crack in every pixel."""
    shape = config.shape_px
    floor = float(packed.centre[:, 0].min())
    height = np.full(shape, floor, dtype=np.float32)
    owner = np.full(shape, -1, dtype=np.int32)
    crack = np.zeros(shape, dtype=np.float32)
    pattern, scale = _grains(config)
    rng = config.stream("outlines")
    wobble = _WOBBLE * config.diameter_px
    warp = [wobble * smooth_noise(shape, 0.22 * config.diameter_px, rng) for _ in range(2)]
    places = rng.integers(0, _TEXTURE, (len(packed.radius), 2))
    courses = config.stream("cracks").spawn(len(packed.radius))
    y, x = (np.arange(side, dtype=np.float32) for side in shape)
    y, x = y[:, None] + warp[0], x[None, :] + warp[1]
    order = np.argsort(-(packed.centre[:, 0] + packed.radius), kind="stable")
    for i in order.tolist():
        z, *middle = packed.centre[i].tolist()
        radius, broken = float(packed.radius[i]), bool(packed.broken[i])
        box = _box(middle, 1.25 * radius + 2 * wobble, shape)
        below = height[box]
        if below.size == 0 or float(below.min()) > z + radius:
            continue
        dy, dx = y[box] - np.float32(middle[0]), x[box] - np.float32(middle[1])
        (m00, m01), (m10, m11) = (packed.stretch[i] / radius).astype(np.float32)
        v, u = m00 * dy + m01 * dx, m10 * dy + m11 * dx
        square = v * v + u * u
        # longer ways over the sphere than seen from above: grains are foreshortened at the rim
        way = (1 + square * (0.167 + 0.25 * square)) * np.float32(radius * scale)
        rows = ((v * way).astype(np.int32) + places[i, 0]) % _TEXTURE
        columns = ((u * way).astype(np.int32) + places[i, 1]) % _TEXTURE
        outer = 1 + pattern[rows, columns] / np.float32(radius)
        top = outer * outer - square
        surface = np.float32(z) + np.float32(radius) * np.sqrt(np.maximum(top, 0))
        cover: Image | float = 0.0
        if packed.cracked[i]:
            sizes = config.crack_width_px / radius, config.grain_px / radius
            cracks = draw_cracks(courses[i], *sizes, broken=broken)
            cover, sunk = _cracked(cracks, v, u, radius, broken=broken)
            surface -= sunk
        wins = (top > 0) & (surface > below)
        np.copyto(below, surface, where=wins)
        owner[box][wins] = i
        np.copyto(crack[box], cover, where=wins)
    return height, owner, crack


def _box(middle: list[float], reach: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The pixels within `reach` of a centre, in each axis; none where it lies outside."""
    rows, columns = (
        slice(max(math.floor(at - reach), 0), max(min(math.ceil(at + reach) + 1, side), 0))
        for at, side in zip(middle, shape, strict=True)
    )
    return rows, columns


def _cracked(
    cracks: tuple[Crack, ...], v: Image, u: Image, radius: float, *, broken: bool
) -> tuple[Image, Image]:
    """Share of each pixel that cracks cover, and by how much the surface lies lower.

    Args:
        cracks: of the particle.
        v: offset from its centre along y, per radius.
        u: the same along x.
        radius: in pixels.
        broken: whether the part beyond the first crack has sunk.
    """
    cover = np.zeros_like(v)
    sunk = np.zeros_like(v)
    for i, each in enumerate(cracks):
        cosine, sine = np.float32(math.cos(each.turn)), np.float32(math.sin(each.turn))
        along, across = cosine * v + sine * u, cosine * u - sine * v
        aside = across - each.line(along)
        middle, half = (each.start + each.end) / 2, (each.end - each.start) / 2
        taper = np.clip(1.4 * (half - np.abs(along - np.float32(middle))) / half, 0, 1)
        width = np.float32(each.width * radius) * taper
        distance = np.abs(aside) * np.float32(radius)
        share = np.clip((width + 1) / 2 - distance, 0, np.minimum(width, 1))
        np.maximum(cover, share, out=cover)
        if i == 0 and broken:
            sunk += np.where(aside > 0, np.float32(0.22 * radius), 0)
    sunk += cover * np.float32(0.25 * radius)
    return cover, sunk


def _grains(config: CathodePhantom) -> tuple[Image, float]:
    """A pattern of domed primary grains that repeats, and its pixels per image pixel.

    Height in image pixels; blurred by the image's pixel where that is coarser.
    """
    rng = config.stream("grains")
    cells = _TEXTURE // _CELL
    corner = _CELL * np.stack(np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij"), -1)
    seeds = (corner + rng.integers(0, _CELL, (cells, cells, 2))).reshape(-1, 2) % _TEXTURE
    empty = np.ones((_TEXTURE, _TEXTURE), dtype=np.uint8)
    empty[seeds[:, 0], seeds[:, 1]] = 0
    pad = 4 * _CELL
    distance, nearest = cv2.distanceTransformWithLabels(
        np.pad(empty, pad, mode="wrap"), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inner = slice(pad, pad + _TEXTURE)
    distance, nearest = distance[inner, inner], nearest[inner, inner]
    level = rng.normal(0, 0.16, int(nearest.max()) + 1)[nearest]
    # copies of one seed across the seam have numbers of their own; their levels differ
    dome = np.sqrt(np.maximum(1 - (distance / (0.95 * _CELL)) ** 2, 0)) + level
    dome = ((dome - dome.mean()) / dome.std()).astype(np.float32)
    scale = _CELL * 2 / math.sqrt(math.pi) / config.grain_px
    sigma = 0.45 * scale
    if sigma > 0.5:
        blurred = cv2.GaussianBlur(np.pad(dome, pad, mode="wrap"), (0, 0), min(sigma, pad / 3))
        dome = blurred[inner, inner]
    relief = config.roughness * _GRAIN_RELIEF * config.grain_px
    return np.asarray(np.float32(relief) * dome, dtype=np.float32), scale


def _fill(config: CathodePhantom, height: Image) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Let binder and conductive additive cover the stated share, in patches."""
    if config.binder_share == 0:
        return height, np.zeros(height.shape, dtype=bool)
    rng = config.stream("binder")
    diameter = config.diameter_px
    filling = 0.28 * diameter * smooth_noise(height.shape, 1.1 * diameter, rng)
    filling += 0.05 * diameter * smooth_noise(height.shape, 0.25 * diameter, rng)
    fine = max(_CARBON_UM / config.pixel_size_um, 0.7)
    texture = band_noise(height.shape, fine, rng)
    filling += np.float32((0.12 + 0.6 * config.binder_roughness) * fine) * texture
    over = height - filling
    level = np.float32(np.quantile(over, config.binder_share))
    filling += level
    # a meniscus where binder wets particles
    wet = np.float32((0.02 + 0.05 * (1 - config.binder_roughness)) * diameter)
    joined = 0.5 * (height + filling + np.sqrt((height - filling) ** 2 + wet * wet)) - wet / 4
    return np.asarray(joined, dtype=np.float32), over < level


def _strew(config: CathodePhantom, height: Image) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Pile fine fragments up in clumps, and strew some singly."""
    rng = config.stream("debris")
    shape = np.array(height.shape)
    median = max(_DEBRIS_UM / config.pixel_size_um, 1.1)
    area = math.pi * median**2 * math.exp(2 * _DEBRIS_SPREAD**2)
    wanted = -math.log(1 - config.debris_share) * float(shape.prod())
    count = round(_PILED * wanted / area)
    if count == 0:
        return height, np.zeros(height.shape, dtype=bool)
    clumps = max(round(float(shape.prod()) / (5.5 * config.diameter_px) ** 2), 1)
    sizes = config.diameter_px * np.exp(rng.normal(-0.5, 0.4, clumps))
    clump = rng.choice(clumps, count, p=sizes**2 / np.sum(sizes**2))
    away = rng.standard_normal((count, 2))
    place = (rng.random((clumps, 2)) * shape)[clump] + away * sizes[clump, None]
    pile = 0.4 * sizes[clump] * np.exp(-np.sum(away**2, axis=1)) * rng.random(count)
    single = rng.random(count) < _SINGLE
    place[single] = rng.random((int(single.sum()), 2)) * shape
    pile[single] = 0
    radius = median * np.exp(np.clip(rng.normal(0, _DEBRIS_SPREAD, count), -0.7, 0.7))
    at = np.clip(np.rint(place), 0, shape - 1).astype(int)
    base = height[at[:, 0], at[:, 1]] + pile
    y, x, above = _fragments(place, radius, base, rng)
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    piled = height.copy()
    np.maximum.at(piled, (y[inside], x[inside]), above[inside])
    return piled, piled > height


def _fragments(
    place: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    base: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Image]:
    """Pixels (y, x) of angular fragments, one after the other, and how high each reaches there.

    Args:
        place: (N, 2) centres.
        radius: (N,).
        base: (N,) height of what they lie on.
        rng: source of their facets: four steep ones and one on top.
    """
    span = math.ceil(1.6 * float(radius.max()))
    steps = np.arange(-span, span + 1)
    dy, dx = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    origin = np.rint(place).astype(np.int64)
    v = (dy - (place - origin)[:, :1]) / radius[:, None]
    u = (dx - (place - origin)[:, 1:]) / radius[:, None]
    turn = rng.uniform(0, 2 * math.pi, len(radius))
    top = np.full(v.shape, np.inf)
    for facet in range(5):
        angle = turn + facet * math.pi / 2 + rng.uniform(-0.5, 0.5, len(radius))
        steep = (
            rng.uniform(1.5, 3.0, len(radius)) if facet < 4 else rng.uniform(0, 0.5, len(radius))
        )
        reach = rng.uniform(0.8, 1.2, len(radius)) * (steep if facet < 4 else 1.0)
        slope = np.cos(angle)[:, None] * v + np.sin(angle)[:, None] * u
        top = np.minimum(top, reach[:, None] - steep[:, None] * slope)
    inside = top > 0
    above = (base[:, None] + radius[:, None] * top)[inside]
    y, x = origin[:, :1] + dy, origin[:, 1:] + dx
    return y[inside], x[inside], above.astype(np.float32)


def smooth_noise(shape_px: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> Image:
    """Gaussian noise (Y, X) of unit standard deviation with correlation length `sigma_px` (≥ 1)."""
    sigma_px = max(sigma_px, 1.0)
    coarse = tuple(math.ceil(side / sigma_px) + 4 for side in shape_px)
    noise = cv2.GaussianBlur(rng.standard_normal(coarse, dtype=np.float32), (0, 0), 1.0)
    noise = np.asarray(noise / noise.std(), dtype=np.float32)
    enlarge = np.array([[sigma_px, 0, -2 * sigma_px], [0, sigma_px, -2 * sigma_px]])
    return np.asarray(
        cv2.warpAffine(noise, enlarge, shape_px[::-1], flags=cv2.INTER_CUBIC), dtype=np.float32
    )


def band_noise(shape_px: tuple[int, int], fine_px: float, rng: np.random.Generator) -> Image:
    """Noise of unit standard deviation between the Gaussian lengths `fine_px` and 2.5 × that."""
    white = rng.standard_normal(shape_px, dtype=np.float32)
    band = cv2.GaussianBlur(white, (0, 0), fine_px) - cv2.GaussianBlur(white, (0, 0), 2.5 * fine_px)
    return np.asarray(band / band.std(), dtype=np.float32)
