"""A particle made whole: closed with a ball, holes filled, and what lies around it in a ring.

Voxels are bits here, 64 to a word along x, and a ball is a stack of rods along x. One step of a rod
then moves 64 voxels: closing a box of 120³ voxels with a ball of 10 takes 8 ms, where two exact
distance transforms take 210 ms (one core, 2025-11), and gives the same voxels.

Out of scope: finding the box of a particle (`models.measure.particle_boxes`) and measuring it.
"""

from collections.abc import Sequence
from typing import Any

import fill_voids
import numpy as np
import numpy.typing as npt

from models.compiled import jit
from models.measure.arrays import parse_spacing

Mask = npt.NDArray[np.bool_]

_WORD = 64


def fill_particle(
    body: Mask, taken: Mask, *, radius_um: float, spacing_um: Sequence[float]
) -> Mask:
    """Close a body with a ball and fill its holes.

    Both the dilation and the erosion are with all voxels whose centres are at most `radius_um`
    away. Digital balls and ellipsoids come out as they went in, whatever their size. A crack
    is filled where no ball of that radius reaches into it: open cracks up to twice the radius wide,
    less a shallow meniscus at the mouth. Holes without a way out through faces are filled
    whatever their size.

    Args:
        body: (Z, Y, X), its bounding box at least; what the box cuts off counts as background.
        taken: (Z, Y, X) voxels that belong to others and never count as filled.
        radius_um: of the ball.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        (Z, Y, X) the filled particle, body included.

    Raises:
        ValueError: if the radius is below zero or not finite.
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    rods = _ball(radius_um, parse_spacing(spacing_um))
    free = ~taken
    filled = (_close(body, rods) & free) | body
    # the library works in Fortran's order: of anything else it scrambles the array given
    filled = fill_voids.fill(filled.T, in_place=True).T
    return np.asarray(filled & free)


def dilate(mask: Mask, *, radius_um: float, spacing_um: Sequence[float]) -> Mask:
    """All voxels of the box at most `radius_um` from a voxel of the mask.

    Args:
        mask: (Z, Y, X).
        radius_um: largest distance of voxel centres.
        spacing_um: (dz, dy, dx) in µm.

    Returns:
        (Z, Y, X), of the same box.

    Raises:
        ValueError: if the radius is below zero or not finite.
        InvalidVolumeError: if the spacing is not three finite values above zero.
    """
    rods = _ball(radius_um, parse_spacing(spacing_um))
    words = _pack(mask, (0, 0, 0))
    return _unpack(_dilated(words, rods), (0, 0, 0), mask.shape)


def _ball(radius_um: float, spacing: Sequence[float]) -> npt.NDArray[np.int64]:
    """Half lengths of the rods along x that make a ball, (2a + 1, 2b + 1); −1 for none."""
    if not (np.isfinite(radius_um) and radius_um >= 0):
        raise ValueError(f"radius of {radius_um} µm: give a finite one, not below zero")
    reach = radius_um * (1 + 1e-9)  # a radius of whole voxels reaches them despite rounding
    z, y = (np.arange(-(n := int(reach // step)), n + 1) * step for step in spacing[:2])
    rest = reach**2 - z[:, None] ** 2 - y**2
    return np.where(rest >= 0, np.sqrt(np.maximum(rest, 0)) // spacing[2], -1).astype(np.int64)


def _close(body: Mask, rods: npt.NDArray[np.int64]) -> Mask:
    margin = (rods.shape[0] // 2, rods.shape[1] // 2, int(rods.max()))
    swollen = _dilated(_pack(body, margin), rods)
    return ~_unpack(_dilated(~swollen, rods), margin, body.shape)


def _pack(mask: Mask, margin: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Bits of a mask with an empty margin around, (Z, Y, words)."""
    depth, height, width = (n + 2 * m for n, m in zip(mask.shape, margin, strict=True))
    words = -(-width // _WORD)
    padded = np.zeros((depth, height, words * _WORD), dtype=bool)
    inner = tuple(slice(m, m + n) for n, m in zip(mask.shape, margin, strict=True))
    padded[inner] = mask
    return np.packbits(padded, axis=2, bitorder="little").view("<u8")


def _unpack(words: npt.NDArray[np.uint64], margin: Sequence[int], shape: tuple[int, ...]) -> Mask:
    z, y, x = (slice(m, m + n) for n, m in zip(shape, margin, strict=True))
    octets = np.ascontiguousarray(words[z, y]).view(np.uint8)
    bits = np.unpackbits(octets, axis=2, bitorder="little", count=x.stop)
    return np.ascontiguousarray(bits[:, :, x]).view(bool)


def _dilated(words: npt.NDArray[np.uint64], rods: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    result = np.zeros_like(words)
    _add_rods(words, rods, result)
    return result


@jit
def _add_rods(words: Any, rods: Any, result: Any) -> None:
    depth, height, width = words.shape
    longest = rods.max()
    size = height * width
    widened = np.empty((longest + 1, size), dtype=np.uint64)
    one, last = np.uint64(1), np.uint64(_WORD - 1)
    for z in range(depth):
        plane = words[z].reshape(size)
        if not plane.any():
            continue
        widened[0] = plane
        for n in range(1, longest + 1):
            shorter, longer = widened[n - 1], widened[n]
            for i in range(size):
                word = shorter[i]
                longer[i] = word | (word << one) | (word >> one)
            for i in range(size - 1):
                if (i + 1) % width != 0:
                    longer[i] |= shorter[i + 1] << last
                    longer[i + 1] |= shorter[i] >> last
        for a in range(rods.shape[0]):
            to = z + a - rods.shape[0] // 2
            if to < 0 or to >= depth:
                continue
            target = result[to].reshape(size)
            for b in range(rods.shape[1]):
                if rods[a, b] < 0:
                    continue
                shift = (b - rods.shape[1] // 2) * width
                source = widened[rods[a, b]]
                begin, end = max(0, shift), min(size, size + shift)
                if shift >= 0:
                    _merge(source[: size - begin], target[begin:])
                else:
                    _merge(source[-shift:], target[:end])


@jit
def _merge(source: Any, target: Any) -> None:
    for i in range(len(target)):
        target[i] |= source[i]
