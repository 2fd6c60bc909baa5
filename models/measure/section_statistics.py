"""Statistics of the plane sections that images show, as rows of a tidy table.

Out of scope: measuring the sections (`particles_2d`) and volumes (`electrode_statistics`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError
from models.measure.electrode_statistics import COLUMNS
from models.measure.size_distribution import (
    SHARES,
    miles_lantuejoul_weights,
    quantile_errors,
    weighted_quantiles,
)
from models.measure.unfolding import UnfoldedSizes, unfold_diameters

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Row = tuple[str, float, float, str, float, float, int]

MIN_SECTIONS = 10
"""Sections below which nothing is said about the balls behind them."""

_CLASSES = (4, 12)  # of unfolding, with few and with many sections
_RESAMPLES = 50
_LARGEST_SHARE = 0.75
_SHAPES = ("circularity", "aspect_ratio", "solidity")


@dataclass(frozen=True, slots=True, eq=False)
class Sections:
    """Sections of one population, in M images.

    Attributes:
        image: (N,) number of the image that each section is in, from 0.
        diameter_px: (N,) of the disc of equal area.
        feret_px: (N,) largest Feret diameter.
        shapes: (N,) columns `circularity`, `aspect_ratio` and `solidity`; absent ones are unknown.
        touches_border: (N,) whether the edge of the image cuts the section.
        confidence: (N,) of the segmentation, 0 … 1; NaN where it gives none.
        pixel_size_um: (M,) of each image; NaN where it is unknown.
        window_px: (M, 2) height and width of the content of each image.
    """

    image: npt.NDArray[np.int64]
    diameter_px: Floats
    feret_px: Floats
    shapes: Columns
    touches_border: npt.NDArray[np.bool_]
    confidence: Floats
    pixel_size_um: Floats
    window_px: Floats

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        own = (self.diameter_px, self.feret_px, self.touches_border, self.confidence)
        columns = (*own, *self.shapes.values())
        if any(len(column) != len(self.image) for column in columns):
            raise InvalidVolumeError("columns of sections differ in length")
        images = len(self.pixel_size_um)
        if self.window_px.shape != (images, 2):
            raise InvalidVolumeError("every image needs a pixel size, or NaN, and a window")
        if len(self.image) and not 0 <= self.image.min() <= self.image.max() < images:
            raise InvalidVolumeError(f"sections of image {self.image.max()} among {images}")

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Sections":
        """The chosen sections, in the same images."""
        return replace(
            self,
            image=self.image[chosen],
            diameter_px=self.diameter_px[chosen],
            feret_px=self.feret_px[chosen],
            shapes={name: values[chosen] for name, values in self.shapes.items()},
            touches_border=self.touches_border[chosen],
            confidence=self.confidence[chosen],
        )


def section_statistics(
    sections: Sections, *, resamples: int = _RESAMPLES
) -> dict[str, npt.NDArray[Any]]:
    """Summarise the sections of one specimen.

    Lengths of images without a pixel size are not known, and pixels of different images are not
    the same: such images count in `image_count`, `section_count` and `section_count_whole`, and in
    nothing else. All else is over sections that no edge cuts, but for `section_area_fraction` and
    `border_area_share`, the share of the sections' area that is cut. Each stands for
    W H / ((W − w)(H − h)) sections, since large ones are cut more often (Miles–Lantuéjoul); w and
    h are its largest Feret diameter, at most 3/4 of the window: beyond, single sections of a
    weight above 16 would stand for all.

    The rest are of the balls that a plane would cut into these sections, if particles are balls
    and the image shows a plane through them; they mean nothing of loose particles:
    `ball_diameter_mean`, `ball_diameter_dNN_number` and `…_volume`, `ball_number_density`, and
    `ball_number_fraction` with the diameter in µm as bin. See `unfold_diameters`, non-negative
    least squares over 4 … 12 classes, √N; the largest section lies in the middle of the last, so
    that balls of one size keep it. Of 300, 1000 and 5000 sections, of balls of one size or spread
    by 25 %, means came out 5, 2 and 1 % low, since few small sections stand for many small balls;
    medians by number and volume were within 3, 2 and 1.5 %. With fewer than `MIN_SECTIONS` sections
    these rows are absent: a few sections fit almost any balls.

    Args:
        sections: the sections and their images.
        resamples: bootstrap samples for the standard deviation of `ball_number_fraction`.

    Returns:
        Columns as those of `electrode_statistics`. `std` is of the population behind a mean, and
        the standard error of `ball_number_fraction` and of `section_diameter_dNN_…`, there of the
        count and of the segmentation's confidence (`quantile_errors`); NaN where nothing is known.
    """
    known = np.isfinite(sections.pixel_size_um)
    scale = sections.pixel_size_um[sections.image]
    whole = sections.where(~sections.touches_border & np.isfinite(scale))
    plane_um2 = float((sections.window_px[known].prod(axis=1) * scale_area(sections)[known]).sum())
    rows = [
        _row("image_count", "1", len(known), len(known)),
        _row("image_count_used", "1", int(known.sum()), int(known.sum())),
        _row("section_count", "1", len(scale), len(scale)),
        _row("section_count_whole", "1", *2 * (int((~sections.touches_border).sum()),)),
        *_areas(sections, plane_um2),
        *_sizes(whole),
        *_shape_means(whole),
    ]
    if len(whole.image) >= MIN_SECTIONS:
        rows += _balls(whole, plane_um2, resamples)
    columns = zip(*rows, strict=True)
    return {
        name: np.array(values, dtype=_dtype(name))
        for name, values in zip(COLUMNS, columns, strict=True)
    }


def scale_area(sections: Sections) -> Floats:
    """(M,) µm² of a pixel of each image."""
    return np.asarray(sections.pixel_size_um**2)


def edge_weights(sections: Sections) -> Floats:
    """How many sections each one that no edge cuts stands for, see `section_statistics`."""
    share = sections.feret_px[:, None] / sections.window_px[sections.image]
    return miles_lantuejoul_weights(np.minimum(share, _LARGEST_SHARE), (1.0, 1.0))


def _areas(sections: Sections, plane_um2: float) -> list[Row]:
    area = np.pi / 4 * sections.diameter_px**2 * scale_area(sections)[sections.image]
    known = np.isfinite(area)
    total = float(area[known].sum())
    cut = known & sections.touches_border
    return [
        _row("section_area_fraction", "1", _ratio(total, plane_um2), int(known.sum())),
        _row("border_area_share", "1", _ratio(float(area[cut].sum()), total), int(cut.sum())),
    ]


def _sizes(whole: Sections) -> list[Row]:
    diameter, weight = _diameters_um(whole), edge_weights(whole)
    mean, std = _mean_and_std(diameter, weight)
    count = len(diameter)
    rows = [_row("section_diameter_mean", "µm", mean, count, std=std)]
    for kind, shares in (("number", weight), ("area", weight * diameter**2)):
        values = weighted_quantiles(diameter, shares, SHARES)
        errors = quantile_errors(diameter, shares, whole.confidence, SHARES)
        rows += _percentiles("section_diameter", kind, values, count, errors)
    return rows


def _shape_means(whole: Sections) -> list[Row]:
    weight = edge_weights(whole)
    rows = []
    for name in _SHAPES:
        values = np.asarray(whole.shapes.get(name, np.full(len(weight), np.nan)), np.float64)
        known = np.isfinite(values)
        mean, std = _mean_and_std(values[known], weight[known])
        rows.append(_row(f"{name}_mean", "1", mean, int(known.sum()), std=std))
    return rows


def _balls(whole: Sections, plane_um2: float, resamples: int) -> list[Row]:
    diameter = _diameters_um(whole)
    count = len(diameter)
    classes = int(np.clip(math.isqrt(count), *_CLASSES))
    top = float(diameter.max()) * 2 * classes / (2 * classes - 1)
    found = unfold_diameters(
        diameter,
        bins=np.linspace(0, top, classes + 1),
        weights=edge_weights(whole),
        plane_area_um2=plane_um2,
        resamples=resamples,
    )
    std = math.sqrt(float(found.number_fraction @ (found.diameter_um - found.mean_um) ** 2))
    density = float(found.number_density_per_um3.sum())
    rows = [
        _row("ball_diameter_mean", "µm", found.mean_um, count, std=std),
        _row("ball_number_density", "1/µm³", density, count),
    ]
    for kind in ("number", "volume"):
        values = _class_quantiles(found, getattr(found, f"{kind}_fraction"))
        rows += _percentiles("ball_diameter", kind, values, count)
    inside = np.histogram(diameter, np.append(found.lower_um, top))[0]
    for i, share in enumerate(found.number_fraction):
        limits = (float(found.lower_um[i]), float(found.upper_um[i]))
        error = float(found.number_fraction_std[i])
        rows.append(
            _row(
                "ball_number_fraction", "1", float(share), int(inside[i]), std=error, limits=limits
            )
        )
    return rows


def _class_quantiles(found: UnfoldedSizes, fraction: Floats) -> tuple[float, ...]:
    """Diameters below which given shares lie, even within each class."""
    edges = np.append(found.lower_um, found.upper_um[-1])
    below = np.append(0, np.cumsum(fraction))
    return tuple(float(np.interp(share, below, edges)) for share in SHARES)


def _percentiles(
    name: str,
    kind: str,
    values: tuple[float, ...],
    count: int,
    errors: tuple[float, ...] = (math.nan,) * len(SHARES),
) -> list[Row]:
    return [
        _row(f"{name}_d{round(100 * share)}_{kind}", "µm", value, count, std=error)
        for share, value, error in zip(SHARES, values, errors, strict=True)
    ]


def _diameters_um(sections: Sections) -> Floats:
    return np.asarray(sections.diameter_px * sections.pixel_size_um[sections.image])


def _mean_and_std(values: Floats, weights: Floats) -> tuple[float, float]:
    total = float(weights.sum())
    if total == 0:
        return math.nan, math.nan
    mean = float(weights @ values) / total
    return mean, math.sqrt(float(weights @ (values - mean) ** 2) / total)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _row(
    statistic: str,
    unit: str,
    value: float,
    count: int,
    *,
    std: float = math.nan,
    limits: tuple[float, float] = (math.nan, math.nan),
) -> Row:
    return (statistic, *limits, unit, value, std, count)


def _dtype(name: str) -> Any:
    return {"statistic": object, "unit": object, "count": np.int64}.get(name, np.float64)
