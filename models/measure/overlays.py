"""Pictures for people: particle outlines over grey levels, orthogonal sections of a volume.

Out of scope: measuring; writing the pictures to files.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.measure.arrays import (
    InvalidVolumeError,
    Sliceable,
    check_same_shape,
    parse_label_image,
    parse_spacing,
)

Picture = npt.NDArray[np.uint8]

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_TINT = 0.25
_GAP_PX = 6
_BAR_SHARE = 0.25
_PERCENTILES = (0.5, 99.5)


def label_colours(labels: npt.NDArray[np.integer[Any]]) -> Picture:
    """A vivid colour for each label that depends on the label alone; 0 is black.

    Successive labels are a golden ratio apart on the colour circle, so that they differ most.

    Args:
        labels: any shape.

    Returns:
        uint8 RGB of the labels' shape and one axis of 3.
    """
    turns = labels.astype(np.float64) * _GOLDEN_RATIO % 1
    # red, green and blue are tents over the circle, a third of a turn apart
    tents = np.stack([np.abs((6 * turns + start) % 6 - 3) - 1 for start in (0, 4, 2)], axis=-1)
    rgb = 55 + 200 * np.clip(tents, 0, 1)
    return np.where(labels[..., None] > 0, rgb, 0).astype(np.uint8)


def outline_overlay(
    grey: npt.NDArray[Any],
    labels: npt.NDArray[np.integer[Any]],
    *,
    pixel_size_um: float | None = None,
) -> Picture:
    """Draw every particle's outermost pixels, and a light tint of its inside, over the image.

    Args:
        grey: (Y, X) grey levels; uint8 as they are, others stretched from 0.5 to 99.5 %.
        labels: (Y, X) integers, 0 is background.
        pixel_size_um: draws a scale bar; without it there is none.

    Returns:
        (Y, X, 3) uint8 RGB.

    Raises:
        InvalidVolumeError: if the arrays do not fit together or the pixel size is not a length.
    """
    parsed = parse_label_image(labels)
    check_same_shape(parsed.shape, grey.shape, "grey")
    picture = _colour_particles(_display(grey, _limits(grey)), parsed)
    if pixel_size_um is not None:
        (size,) = parse_spacing((pixel_size_um,), ndim=1)
        _draw_scale_bar(picture, size)
    return picture


def orthogonal_sections(
    volume: Sliceable,
    labels: Sliceable | None = None,
    *,
    spacing_um: tuple[float, float, float] | None = None,
    centre: tuple[int, int, int] | None = None,
    zoom: int = 1,
) -> Picture:
    """Sections (Y, X), (Z, X) and (Z, Y) through one voxel, side by side from the left.

    Only the three sections are read. With a known spacing they are enlarged to the finest of the
    three steps, so that lengths compare, and the first carries a scale bar.

    Args:
        volume: (Z, Y, X) grey levels or phases; anything that can be sliced.
        labels: (Z, Y, X) integers drawn over it.
        spacing_um: (dz, dy, dx) in µm.
        centre: voxel (z, y, x) that the sections meet in; None is the middle.
        zoom: pixels along the finest step of the spacing; outlines stay a pixel wide.

    Returns:
        (height, width, 3) uint8 RGB on black.

    Raises:
        InvalidVolumeError: if the arrays do not fit together, the spacing is not three lengths or
            the centre lies outside.
    """
    shape = tuple(volume.shape)
    if len(shape) != 3 or 0 in shape:
        raise InvalidVolumeError(f"sections need axes (Z, Y, X), got shape {shape}")
    if labels is not None:
        check_same_shape(shape, labels.shape, "labels")
    z, y, x = centre or (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    if not (0 <= z < shape[0] and 0 <= y < shape[1] and 0 <= x < shape[2]):
        raise InvalidVolumeError(f"voxel {(z, y, x)} lies outside of shape {shape}")
    steps = (1.0, 1.0, 1.0) if spacing_um is None else parse_spacing(spacing_um)
    finest = min(steps)
    cuts: tuple[tuple[Any, tuple[float, float]], ...] = (
        (np.s_[z, :, :], (steps[1], steps[2])),
        (np.s_[:, y, :], (steps[0], steps[2])),
        (np.s_[:, :, x], (steps[0], steps[1])),
    )
    sections = [np.asarray(volume[cut]) for cut, _ in cuts]
    limits = _limits(np.concatenate([section.ravel() for section in sections]))
    pictures = []
    for section, (cut, (down, across)) in zip(sections, cuts, strict=True):
        scale = (zoom * down / finest, zoom * across / finest)
        shown = _enlarged(_display(section, limits), scale)
        if labels is None:
            pictures.append(np.repeat(shown[..., None], 3, axis=-1))
        else:
            pictures.append(_colour_particles(shown, _enlarged(np.asarray(labels[cut]), scale)))
    if spacing_um is not None:
        _draw_scale_bar(pictures[0], finest / zoom)
    return _side_by_side(pictures)


def scale_bar_um(width_um: float) -> float:
    """Longest of 1, 2 or 5 times a power of ten that is no more than a quarter of a width."""
    longest = _BAR_SHARE * width_um
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest)


def _limits(grey: npt.NDArray[Any]) -> tuple[float, float]:
    if grey.dtype == np.uint8 and grey.max(initial=0) > 16:  # few levels: phases, made visible
        return 0.0, 255.0
    finite = grey[np.isfinite(grey)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, _PERCENTILES)
    return float(low), float(high)


def _display(grey: npt.NDArray[Any], limits: tuple[float, float]) -> Picture:
    low, high = limits
    scaled = (grey.astype(np.float32) - low) * (255 / max(high - low, 1e-30))
    return np.asarray(np.clip(np.nan_to_num(np.rint(scaled)), 0, 255), dtype=np.uint8)


def _colour_particles(grey: Picture, labels: npt.NDArray[np.integer[Any]]) -> Picture:
    picture = np.repeat(grey[..., None], 3, axis=-1)
    inside = labels > 0
    colours = label_colours(labels[inside])
    picture[inside] = ((1 - _TINT) * picture[inside] + _TINT * colours).astype(np.uint8)
    outline = _outline(labels)
    picture[outline] = label_colours(labels[outline])
    return picture


def _outline(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Pixels of particles with a face neighbour of another label, inside the image."""
    differs = np.zeros(labels.shape, dtype=np.bool_)
    down = labels[1:] != labels[:-1]
    across = labels[:, 1:] != labels[:, :-1]
    differs[1:] |= down
    differs[:-1] |= down
    differs[:, 1:] |= across
    differs[:, :-1] |= across
    return differs & (labels > 0)


def _enlarged(section: npt.NDArray[Any], scale: tuple[float, float]) -> npt.NDArray[Any]:
    """Nearest-neighbour enlargement by factors ≥ 1; labels of any integer type stay exact."""
    indices = [
        np.minimum((np.arange(round(side * factor)) / factor).astype(np.int64), side - 1)
        for side, factor in zip(section.shape, scale, strict=True)
    ]
    return section[np.ix_(*indices)]


def _side_by_side(pictures: list[Picture]) -> Picture:
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + _GAP_PX * (len(pictures) - 1)
    sheet = np.zeros((height, width, 3), dtype=np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP_PX
    return sheet


def _draw_scale_bar(picture: Picture, pixel_size_um: float) -> None:
    """White bar with a black rim and its length, at the foot on the left."""
    height, width = picture.shape[:2]
    length_um = scale_bar_um(width * pixel_size_um)
    length_px = max(round(length_um / pixel_size_um), 1)
    margin, thickness = max(width // 40, 2), max(height // 100, 2)
    bottom = height - 1 - margin
    corner, end = (margin, bottom - thickness + 1), (margin + length_px - 1, bottom)
    cv2.rectangle(picture, (corner[0] - 1, corner[1] - 1), (end[0] + 1, end[1] + 1), (0, 0, 0), -1)
    cv2.rectangle(picture, corner, end, (255, 255, 255), -1)
    text = f"{length_um:g} um" if length_um >= 1 else f"{length_um * 1000:g} nm"
    size = max(height / 900, 0.35)
    place = (margin, max(corner[1] - thickness - 2, 0))
    for colour, stroke in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, stroke, cv2.LINE_AA
        )
