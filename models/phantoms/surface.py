"""A sintered surface divided into grains and pores: which pixel belongs to which.

Out of scope: what the surface looks like, which is `models.phantoms.shading`; units of length.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected_components

Labels = npt.NDArray[np.int32]

PORE_SHARE = 0.04
"""Of the seeds, and so of the surface, where nothing else is said."""

_SEED_SPACING = 0.93  # seed cell per mean diameter; measured over 6 seeds at 8, 12, 24, 48, 96 px
_JITTER = 0.8  # of the cell
_RADIUS_SPREAD = 0.35  # of the log radius; grain diameters come out with a spread of 30 %
_BEND = 0.07  # r.m.s. displacement of boundaries per mean diameter
_BEND_LENGTH = 0.35  # Gaussian length of the displacement per mean diameter


def grain_labels(
    shape_px: tuple[int, int],
    diameter_px: float,
    rng: np.random.Generator,
    pore_share: float = PORE_SHARE,
) -> Labels:
    """Divide the surface into grains and pores.

    Each pixel belongs to the seed with the least squared distance minus squared radius, a power
    diagram (Aurenhammer 1987, SIAM J. Comput. 16, 78) of jittered seeds with log-normal radii. A
    smooth displacement then bends the straight boundaries, and some of the seeds become pores.

    Args:
        shape_px: (Y, X).
        diameter_px: mean equivalent circular diameter of the grains that no border cuts.
        rng: source of the arrangement.
        pore_share: probability of a seed to become a pore, and so the expected porosity.

    Returns:
        (Y, X) int32; 0 is pore, grains are numbered from 1 without gaps in order of their seeds,
        each of them one 4-connected region.
    """
    spacing = _SEED_SPACING * diameter_px
    rows, columns = (math.ceil(side / spacing) + 4 for side in shape_px)
    cell = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    jitter = rng.uniform(-_JITTER / 2, _JITTER / 2, (rows, columns, 2))
    seeds = (spacing * (cell - 1.5 - rng.random(2) + jitter)).reshape(-1, 2)
    radii = 0.5 * spacing * np.exp(rng.normal(0, _RADIUS_SPREAD, len(seeds)))
    weights = np.minimum(radii, spacing) ** 2
    # no pixel is farther than this from the seed of its own cell: nobody wins beyond reach
    own = spacing * (1 + _JITTER) / math.sqrt(2)
    reaches = np.sqrt(own**2 - weights.min() + weights)
    labels = _bend(_power_diagram(shape_px, seeds, weights, reaches), diameter_px, rng)
    pore = rng.random(len(seeds)) < pore_share
    return _renumber(_in_one_piece(labels), pore)


def _power_diagram(
    shape_px: tuple[int, int],
    seeds: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    reaches: npt.NDArray[np.float64],
) -> Labels:
    least = np.full(shape_px, np.inf, dtype=np.float32)
    labels = np.zeros(shape_px, dtype=np.int32)
    seeds32, weights32 = seeds.astype(np.float32), weights.astype(np.float32)
    y, x = (np.arange(side, dtype=np.float32) for side in shape_px)
    first = np.maximum(np.floor(seeds - reaches[:, None]), 0).astype(int)
    last = np.minimum(np.ceil(seeds + reaches[:, None]) + 1, shape_px).astype(int)
    reached = np.flatnonzero((first < last).all(axis=1))
    for i, (y0, x0), (y1, x1) in zip(
        reached.tolist(), first[reached].tolist(), last[reached].tolist(), strict=True
    ):
        box_least = least[y0:y1, x0:x1]
        dy2 = np.square(y[y0:y1] - seeds32[i, 0]) - weights32[i]
        power = dy2[:, None] + np.square(x[x0:x1] - seeds32[i, 1])
        closer = power < box_least
        np.copyto(box_least, power, where=closer)
        np.copyto(labels[y0:y1, x0:x1], i, where=closer)
    return labels


def _smooth_noise(
    shape_px: tuple[int, int], sigma_px: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Gaussian noise (Y, X) of unit standard deviation with correlation length `sigma_px` (≥ 1).

    Drawn on a grid of one sample per `sigma_px` and interpolated, which costs no large convolution.
    """
    coarse = tuple(math.ceil(side / sigma_px) + 4 for side in shape_px)
    noise = cv2.GaussianBlur(rng.standard_normal(coarse, dtype=np.float32), (0, 0), 1.0)
    noise = np.asarray(noise / noise.std(), dtype=np.float32)
    enlarge = np.array([[sigma_px, 0, -2 * sigma_px], [0, sigma_px, -2 * sigma_px]])
    enlarged = cv2.warpAffine(noise, enlarge, shape_px[::-1], flags=cv2.INTER_CUBIC)
    return np.asarray(enlarged, dtype=np.float32)


def _bend(labels: Labels, diameter_px: float, rng: np.random.Generator) -> Labels:
    """Displace the label image smoothly, so that grain boundaries curve."""
    sigma_px = max(_BEND_LENGTH * diameter_px, 1.0)
    dy, dx = (_BEND * diameter_px * _smooth_noise(labels.shape, sigma_px, rng) for _ in range(2))
    y, x = (np.arange(side, dtype=np.float32) for side in labels.shape)
    # remap knows no int32; float32 is exact up to 2**24 seeds
    bent = cv2.remap(
        labels.astype(np.float32),
        x[None, :] + dx,
        y[:, None] + dy,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return bent.astype(np.int32)


def _in_one_piece(labels: Labels) -> Labels:
    """Give the fragments that sampling and bending cut off to whatever lies nearest.

    About 1 % of the grains have one, of a few pixels; afterwards every label is 4-connected.
    """
    pieces = connected_components(labels, background=-1, connectivity=1)  # type: ignore[no-untyped-call]
    size = np.bincount(pieces.ravel())
    owner = np.zeros(len(size), dtype=np.int32)
    owner[pieces.ravel()] = labels.ravel()
    by_size = np.argsort(size, kind="stable")
    largest = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    largest[owner[by_size]] = by_size  # the last assignment stays: the largest piece
    fragment = pieces != largest[labels]
    _, nearest = cv2.distanceTransformWithLabels(
        fragment.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    kept = np.zeros(int(nearest.max()) + 1, dtype=np.int32)
    kept[nearest[~fragment]] = labels[~fragment]
    return kept[nearest]


def _renumber(labels: Labels, pore: npt.NDArray[np.bool_]) -> Labels:
    """Number the grains that are seen 1…n and set pores to 0."""
    seen = np.bincount(labels.ravel(), minlength=len(pore)) > 0
    grain = seen & ~pore
    table = np.where(grain, np.cumsum(grain), 0).astype(np.int32)
    return table[labels]
