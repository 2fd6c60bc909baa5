"""What a sweep found: sums per label, per pair of labels and per phase, and how parts merge.

Out of scope: units of length.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.measure.crofton import DIRECTIONS
from models.measure.sweep_crossings import UNUSED
from models.measure.sweep_tables import Table

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_FACES = [DIRECTIONS.index(step) for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Sums over a volume or a part of it; N labels ascending, without background.

    Attributes:
        labels: (N,) int64.
        voxels: (N,) int64.
        first: (N, 3) int64, sums of z, y, x.
        second: (N, 6) int64, sums of zz, zy, zx, yy, yx, xx.
        lower: (N, 3) int64, least z, y, x.
        upper: (N, 3) int64, largest z, y, x, plus 1.
        grey_count: (N,) int64, voxels of finite grey level.
        grey_sum: (N,) int64 where grey levels are integers of up to 16 bits, else float64.
        grey_square_sum: (N,) of the same type.
        grey_min: (N,) float64, NaN without a finite grey level.
        grey_max: (N,) float64, likewise.
        grey_not_finite: (N,) int64.
        pairs: (M, 2) int64, touching labels, the lesser first, ascending.
        pair_crossings: (M, 13) int64, voxel pairs between the two, per step of `DIRECTIONS`.
        pair_facing: (M, 3) int64, voxel faces between the two along z, y, x: those passed upwards
            from the lesser label to the greater, less the others.
        near_pairs: (L, 2) int64, labels of which voxels lie two steps apart, as `pairs`; there may
            be pairs among them that do not touch.
        near_crossings: (L, 13) int64, voxel pairs between the two at twice each step.
        near_facing: (L, 3) int64, as `pair_facing` at twice the steps along z, y, x.
        phases: (P,) int64, values of the phase volume, ascending; 0 alone without one.
        phase_crossings: (N, P, 13) int64, voxel pairs between a label and background of a phase.
        outside_crossings: (N, 13) int64, voxel pairs between a label and the outside of the volume.
        phase_counts: (P,) int64, voxels of each phase, those under labels included; all background
            without a phase volume.
        extent: (2, 3) int64, least and largest + 1 place swept.
        voxels_swept: voxels in all.
    """

    labels: Ints
    voxels: Ints
    first: Ints
    second: Ints
    lower: Ints
    upper: Ints
    grey_count: Ints
    grey_sum: Array
    grey_square_sum: Array
    grey_min: npt.NDArray[np.float64]
    grey_max: npt.NDArray[np.float64]
    grey_not_finite: Ints
    pairs: Ints
    pair_crossings: Ints
    pair_facing: Ints
    near_pairs: Ints
    near_crossings: Ints
    near_facing: Ints
    phases: Ints
    phase_crossings: Ints
    outside_crossings: Ints
    phase_counts: Ints
    extent: Ints
    voxels_swept: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Extents of what was swept."""
        z, y, x = (self.extent[1] - self.extent[0]).tolist()
        return z, y, x

    @property
    def border_faces(self) -> Ints:
        """(N,) voxel faces on the edge of the volume."""
        return np.asarray(self.outside_crossings[:, _FACES].sum(axis=1))

    @property
    def phase_voxels(self) -> dict[int, int]:
        """Voxels of each phase."""
        return dict(zip(self.phases.tolist(), self.phase_counts.tolist(), strict=True))

    @property
    def background_voxels(self) -> int:
        """Voxels without label."""
        return self.voxels_swept - int(self.voxels.sum())

    @property
    def crossings(self) -> Ints:
        """(N, 13) voxel pairs between each label and anything else: its whole surface."""
        total = self.outside_crossings + self.phase_crossings.sum(axis=1)
        for side in (0, 1):
            np.add.at(total, np.searchsorted(self.labels, self.pairs[:, side]), self.pair_crossings)
        return np.asarray(total)

    @property
    def near_sums_of_pairs(self) -> tuple[Ints, Ints]:
        """(M, 13) and (M, 3): near crossings and near facing of the touching `pairs`."""
        keys, near_keys = (
            ends[:, 0] * len(self.labels) + ends[:, 1]
            for ends in (
                np.searchsorted(self.labels, pairs) for pairs in (self.pairs, self.near_pairs)
            )
        )
        _, at, near_at = np.intersect1d(keys, near_keys, assume_unique=True, return_indices=True)
        crossings, facing = np.zeros_like(self.pair_crossings), np.zeros_like(self.pair_facing)
        crossings[at], facing[at] = self.near_crossings[near_at], self.near_facing[near_at]
        return crossings, facing


def merge(sweeps: Iterable[Sweep]) -> Sweep:
    """Add up parts of one volume, in any order.

    Args:
        sweeps: results of different blocks.

    Returns:
        The sums over all of them.

    Raises:
        ValueError: if there are none.
    """
    parts = list(sweeps)
    if not parts:
        raise ValueError("nothing to merge: sweep at least one block")
    if len(parts) == 1:
        return parts[0]
    labels, at = np.unique(np.concatenate([part.labels for part in parts]), return_inverse=True)
    phases, column = np.unique(np.concatenate([part.phases for part in parts]), return_inverse=True)

    def total(name: str) -> Array:
        return _added(np.concatenate([getattr(part, name) for part in parts]), at, len(labels))

    phase_counts = np.concatenate([part.phase_counts for part in parts])
    return Sweep(
        labels=labels,
        voxels=total("voxels"),
        first=total("first"),
        second=total("second"),
        lower=_reduced(np.minimum, [part.lower for part in parts], at, len(labels)),
        upper=_reduced(np.maximum, [part.upper for part in parts], at, len(labels)),
        grey_count=total("grey_count"),
        grey_sum=total("grey_sum"),
        grey_square_sum=total("grey_square_sum"),
        grey_min=_reduced(np.fmin, [part.grey_min for part in parts], at, len(labels)),
        grey_max=_reduced(np.fmax, [part.grey_max for part in parts], at, len(labels)),
        grey_not_finite=total("grey_not_finite"),
        **_merged_pairs(parts, "pairs", "pair_crossings", "pair_facing"),
        **_merged_pairs(parts, "near_pairs", "near_crossings", "near_facing"),
        phases=phases,
        phase_crossings=_merged_phases(parts, labels, phases),
        outside_crossings=total("outside_crossings"),
        phase_counts=_added(phase_counts, column, len(phases)),
        extent=np.stack(
            [
                np.min([part.extent[0] for part in parts], axis=0),
                np.max([part.extent[1] for part in parts], axis=0),
            ]
        ),
        voxels_swept=sum(part.voxels_swept for part in parts),
    )


def collect(
    *,
    labels: Table,
    phases: Table | None,
    pairs: Table,
    near_pairs: Table,
    sides: Array,
    grey: tuple[Array, Array] | None,
    extent: Ints,
    voxels_swept: int,
) -> Sweep:
    """Order the tables of one thread by label, with `sides` as `count_crossings` left them."""
    n = labels.count
    order = np.argsort(labels.names[:n])
    names = labels.names[:n][order]
    sums = labels.values[:n][order]
    crossings = np.zeros((n, *sides.shape[1:]), dtype=np.int64)
    crossings[: len(sides)] = sides[:n]
    crossings = crossings[order]
    if phases is None:
        phase_names = np.zeros(1, dtype=np.int64)
        phase_counts = np.array([voxels_swept - int(sums[:, 0].sum())])
    else:
        phase_names = phases.names[: phases.count]
        phase_counts = phases.values[: phases.count, 0]
    by_phase = np.argsort(phase_names)
    touching, crossed, facing = _ordered_pairs(pairs, labels.names)
    near, near_crossed, near_facing = _ordered_pairs(near_pairs, labels.names)
    if grey is None:
        integers, levels = np.zeros((n, 4), dtype=np.int64), np.full((n, 2), np.nan)
    else:
        integers, levels = grey[0][:n][order], grey[1][:n][order]
        levels[integers[:, 0] == 0] = np.nan
    return Sweep(
        labels=names,
        voxels=sums[:, 0],
        first=sums[:, 1:4],
        second=sums[:, 4:10],
        lower=sums[:, 10:13],
        upper=sums[:, 13:16],
        grey_count=integers[:, 0].astype(np.int64),
        grey_sum=integers[:, 1],
        grey_square_sum=integers[:, 2],
        grey_min=levels[:, 0],
        grey_max=levels[:, 1],
        grey_not_finite=integers[:, 3].astype(np.int64),
        pairs=touching,
        pair_crossings=crossed,
        pair_facing=facing,
        near_pairs=near,
        near_crossings=near_crossed,
        near_facing=near_facing,
        phases=phase_names[by_phase],
        phase_crossings=crossings[:, 1 + by_phase],
        outside_crossings=crossings[:, 0],
        phase_counts=phase_counts[by_phase],
        extent=np.array(extent),
        voxels_swept=voxels_swept,
    )


def _ordered_pairs(table: Table, names: Ints) -> tuple[Ints, Ints, Ints]:
    """Pairs of labels with any crossing, their crossings, and what faces the greater label."""
    sums = table.values[: table.count, UNUSED:]
    crossed = sums.any(axis=1)
    codes = table.names[: table.count][crossed]
    ends = names[np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)]
    pairs, at = _unique_pairs(np.sort(ends, axis=1))
    sums = sums[crossed]
    sums[:, len(DIRECTIONS) :] *= np.where(ends[:, :1] < ends[:, 1:], 1, -1)
    sums = _added(sums, at, len(pairs))
    return pairs, sums[:, : len(DIRECTIONS)], sums[:, len(DIRECTIONS) :]


def _merged_pairs(parts: list[Sweep], pairs: str, *sums: str) -> dict[str, Ints]:
    merged, at = _unique_pairs(np.concatenate([getattr(part, pairs) for part in parts]))
    return {pairs: merged} | {
        name: _added(np.concatenate([getattr(part, name) for part in parts]), at, len(merged))
        for name in sums
    }


def _unique_pairs(pairs: Ints) -> tuple[Ints, Ints]:
    """Ascending rows without repetition, and the row of each given one among them."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    sorted_pairs = pairs[order]
    new = np.ones(len(pairs), dtype=bool)
    new[1:] = (sorted_pairs[1:] != sorted_pairs[:-1]).any(axis=1)
    at = np.empty(len(pairs), dtype=np.int64)
    at[order] = np.cumsum(new) - 1
    return sorted_pairs[new], at


def _added(values: Array, at: Ints, rows: int) -> Array:
    result = np.zeros((rows, *values.shape[1:]), dtype=values.dtype)
    np.add.at(result, at, values)
    return result


def _reduced(extreme: np.ufunc, parts: list[Array], at: Ints, rows: int) -> Array:
    values = np.concatenate(parts)
    result = np.empty((rows, *values.shape[1:]), dtype=values.dtype)
    result[at] = values  # any of its own to begin with
    extreme.at(result, at, values)
    return result


def _merged_phases(parts: list[Sweep], labels: Ints, phases: Ints) -> Ints:
    result = np.zeros((len(labels), len(phases), len(DIRECTIONS)), dtype=np.int64)
    for part in parts:
        rows = np.searchsorted(labels, part.labels)
        columns = np.searchsorted(phases, part.phases)
        result[np.ix_(rows, columns)] += part.phase_crossings
    return result
