"""Statistics of an electrode from its particles and phases, as rows of a tidy table.

Out of scope: measuring particles (`particles_3d`) and counting voxels (`sweep`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.arrays import InvalidVolumeError, parse_spacing
from models.measure.size_distribution import (
    SHARES,
    SizeStatistics,
    log_edges,
    quantile_errors,
    size_statistics,
)

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]

COLUMNS = ("statistic", "bin_lower", "bin_upper", "unit", "value", "std", "count")

_SIZES = {
    "diameter_geometric_mean": "geometric_mean_um",
    "diameter_sauter_mean": "sauter_mean_um",
}
_RATIOS = {
    "diameter_geometric_std": "geometric_std",
    "diameter_span_number": "span_number",
    "diameter_span_volume": "span_volume",
}
_MEANS = {
    "sphericity": "1",
    "elongation": "1",
    "contact_fraction": "1",
    "packing_density": "1",
    "distance_nearest_um": "µm",
}
_PROFILED = ("damage", "detachment")


@dataclass(slots=True)
class _Rows:
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(
        self,
        statistic: str,
        unit: str,
        value: float,
        count: int,
        *,
        std: float = math.nan,
        limits: tuple[float, float] = (math.nan, math.nan),
    ) -> None:
        row = (statistic, limits[0], limits[1], unit, value, std, count)
        for name, entry in zip(COLUMNS, row, strict=True):
            self.columns[name].append(entry)


def electrode_statistics(
    particles: Columns,
    phase_voxels: Mapping[int, int],
    *,
    spacing_um: Sequence[float],
    phase_names: Mapping[int, str] | None = None,
    pore_phase: int | None = None,
    depth_bins: int = 10,
    size_bins: int = 8,
) -> dict[str, npt.NDArray[Any]]:
    """Summarise one electrode.

    Particles that the border cuts are left out of every statistic over particles, except
    `particle_count` and `particle_volume_fraction`; `border_volume_share` says how much that was.

    Rows: `porosity` and `phase_fraction_NAME` of the voxels; `particle_volume_fraction`,
    `particle_count`, `particle_count_whole`, `border_volume_share`; diameters at shares of number
    and volume; `NAME_mean` of attributes by number and `damage_mean_volume` by volume;
    `damage_against_depth`, `detachment_against_depth` with the depth fraction as bin, and
    `damage_against_size`, `detachment_against_size` with the diameter in µm as bin.

    Args:
        particles: columns of `particles_3d`; attributes that are absent or NaN are left out.
        phase_voxels: number of voxels of every phase value of the whole volume.
        spacing_um: (dz, dy, dx) in µm.
        phase_names: a name for each phase value; otherwise the value itself.
        pore_phase: the value that is pore; None leaves porosity NaN.
        depth_bins: equal classes of the depth fraction from 0 (current collector) to 1.
        size_bins: classes of the diameter, rising by a constant factor.

    Returns:
        Columns `statistic` (text), `bin_lower`, `bin_upper`, `unit` (text), `value`, `std` and
        `count` (int64, particles or voxels); NaN where nothing is known. `std` is of the population
        behind a mean, and the standard error of `diameter_dNN_number` and `…_volume`, there of the
        count and of the segmentation's confidence (`quantile_errors`).

    Raises:
        InvalidVolumeError: if the spacing is not three lengths, columns differ in length, or a
            number of voxels is negative.
    """
    voxel_um3 = math.prod(parse_spacing(spacing_um))
    lengths = {len(values) for values in particles.values()}
    if len(lengths) > 1:
        raise InvalidVolumeError(f"columns of particles differ in length: {sorted(lengths)}")
    rows = _Rows()
    _add_phases(rows, phase_voxels, phase_names or {}, pore_phase)
    whole = _add_population(rows, particles, sum(phase_voxels.values()) * voxel_um3)
    _add_means(rows, particles, whole)
    _add_profiles(rows, particles, whole, depth_bins, size_bins)
    return {name: np.array(values, dtype=_dtype(name)) for name, values in rows.columns.items()}


def _dtype(name: str) -> Any:
    return {"statistic": object, "unit": object, "count": np.int64}.get(name, np.float64)


def _add_phases(
    rows: _Rows, voxels: Mapping[int, int], names: Mapping[int, str], pore: int | None
) -> None:
    if any(count < 0 for count in voxels.values()):
        raise InvalidVolumeError(f"phases cannot have a negative number of voxels: {dict(voxels)}")
    total = sum(voxels.values())
    pores = voxels.get(pore, 0) if pore is not None else 0
    known = pore is not None and total > 0
    rows.add("porosity", "1", pores / total if known else math.nan, pores)
    for phase in sorted(voxels):
        share = voxels[phase] / total if total else math.nan
        rows.add(f"phase_fraction_{names.get(phase, phase)}", "1", share, voxels[phase])


def _add_population(rows: _Rows, particles: Columns, volume_um3: float) -> npt.NDArray[np.bool_]:
    """Counts, volumes and diameters; returns which particles are whole."""
    diameter = _column(particles, "equivalent_diameter_um")
    volume = _column(particles, "volume_um3")
    cut = np.asarray(particles.get("touches_border", np.zeros(len(diameter))), dtype=np.bool_)
    sizes = size_statistics(diameter, volume_um3=volume, touches_border=cut)
    filled = float(np.nansum(volume)) / volume_um3 if volume_um3 > 0 else math.nan
    rows.add("particle_volume_fraction", "1", filled, len(diameter))
    rows.add("particle_count", "1", len(diameter), len(diameter))
    rows.add("particle_count_whole", "1", int((~cut).sum()), int((~cut).sum()))
    rows.add("border_volume_share", "1", sizes.excluded_volume_share, sizes.excluded_count)
    rows.add("diameter_mean", "µm", sizes.mean_um, sizes.count, std=sizes.std_um)
    _add_percentiles(rows, particles, sizes, ~cut)
    for statistic, name in _SIZES.items():
        rows.add(statistic, "µm", getattr(sizes, name), sizes.count)
    for statistic, name in _RATIOS.items():
        rows.add(statistic, "1", getattr(sizes, name), sizes.count)
    return ~cut


def _add_percentiles(
    rows: _Rows, particles: Columns, sizes: SizeStatistics, whole: npt.NDArray[np.bool_]
) -> None:
    """Diameters at shares of number and volume, with their standard errors."""
    diameter, volume, confidence = (
        _column(particles, name)
        for name in ("equivalent_diameter_um", "volume_um3", "segmentation_confidence")
    )
    used = whole & np.isfinite(diameter) & np.isfinite(volume)
    diameter, volume, confidence = diameter[used], volume[used], confidence[used]
    for kind, weights in (("number", np.ones(len(diameter))), ("volume", volume)):
        errors = quantile_errors(diameter, weights, confidence, SHARES)
        for share, error in zip(SHARES, errors, strict=True):
            name = f"d{round(100 * share)}_{kind}"
            value = getattr(sizes, f"{name}_um")
            rows.add(f"diameter_{name}", "µm", value, sizes.count, std=error)


def _add_means(rows: _Rows, particles: Columns, whole: npt.NDArray[np.bool_]) -> None:
    for name, unit in (*((name, "1") for name in _PROFILED), *_MEANS.items()):
        mean, std, count = _summary(_column(particles, name)[whole])
        rows.add(f"{name.removesuffix('_um')}_mean", unit, mean, count, std=std)
    damage, volume = _column(particles, "damage")[whole], _column(particles, "volume_um3")[whole]
    known = np.isfinite(damage) & np.isfinite(volume)
    total = float(volume[known].sum())
    cracked = float(damage[known] @ volume[known]) / total if total > 0 else math.nan
    rows.add("damage_mean_volume", "1", cracked, int(known.sum()))


def _add_profiles(
    rows: _Rows,
    particles: Columns,
    whole: npt.NDArray[np.bool_],
    depth_bins: int,
    size_bins: int,
) -> None:
    depth = _column(particles, "depth_fraction")[whole]
    size = _column(particles, "equivalent_diameter_um")[whole]
    axes = {
        "depth": (depth, np.linspace(0, 1, depth_bins + 1)),
        "size": (size, log_edges(size[np.isfinite(size)], size_bins)),
    }
    for name in _PROFILED:
        values = _column(particles, name)[whole]
        for axis, (position, edges) in axes.items():
            for lower, upper in pairwise(edges):
                last = upper == edges[-1]
                inside = (position >= lower) & ((position <= upper) if last else (position < upper))
                mean, std, count = _summary(values[inside])
                rows.add(f"{name}_against_{axis}", "1", mean, count, std=std, limits=(lower, upper))


def _column(particles: Columns, name: str) -> Floats:
    """A column as float64; NaN throughout if it is absent."""
    if name in particles:
        return np.asarray(particles[name], dtype=np.float64)
    return np.full(len(next(iter(particles.values()), ())), np.nan)


def _summary(values: Floats) -> tuple[float, float, int]:
    """Mean, population standard deviation and number of the known values."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan, 0
    return float(known.mean()), float(known.std()), len(known)
