"""Particles of a volume from labels of its slices, linked from slice to slice.

Any method for images can make the labels. Out of scope: making them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import pi, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.measure.arrays import InvalidVolumeError, parse_label_image
from models.segment.pieces import Assignable

Labels = npt.NDArray[np.int64]
Overlap = Literal["iou", "smaller"]

CODE_VERSION = "1"
"""Raised whenever the same slices and options would give other particles."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """How profiles in slices are put together.

    Attributes:
        measure: what the least overlap is of: "iou", shared pixels over those of either profile, or
            "smaller", over those of the smaller one, which the caps of a particle pass as well.
        least: overlap from which two profiles may be of one particle, above 0 up to 1.
        gap: slices in which a particle may be missing before it ends; they are filled with what the
            profiles before and after share.
        neck: a particle is parted at the slice where its area is smallest if that is less than this
            share of the largest area on either side, 0 … 1; 0 parts nothing. Particles that touch
            one above the other are linked by their overlap, but have a neck between them.
        smallest: voxels of the smallest particle; what is smaller is left out.
        flattest: depth of a particle per diameter of its largest profile, at least: what is seen in
            a few slices alone is mostly a mistake of theirs. Particles that the first or the last
            slice cuts may be flatter.
        slice_px: distance of two slices in pixels.
    """

    measure: Overlap = "smaller"
    least: float = 0.5
    gap: int = 2
    neck: float = 0.4
    smallest: int = 1
    flattest: float = 0.35
    slice_px: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.measure not in ("iou", "smaller"):
            raise InvalidVolumeError(f"measure is {self.measure!r}: choose iou or smaller")
        if not 0 < self.least <= 1:
            raise InvalidVolumeError(f"least is {self.least}: take a share above 0 and up to 1")
        if not 0 <= self.neck <= 1:
            raise InvalidVolumeError(f"neck is {self.neck}: take a share, 0…1")
        if not (self.flattest >= 0 and self.slice_px > 0):
            raise InvalidVolumeError(
                f"flattest {self.flattest} and slice_px {self.slice_px}: take 0 or more, and more "
                "than 0"
            )
        if self.gap < 0 or self.smallest < 0:
            raise InvalidVolumeError(f"gap {self.gap} and smallest {self.smallest}: take 0 or more")


_DEFAULT = LinkOptions()


def ball_voxels(diameter_px: float) -> int:
    """Voxels of a ball: what `smallest` may be derived from."""
    return round(pi / 6 * diameter_px**3)


def link_slices(
    slices: Iterable[npt.NDArray[np.integer]],
    labels_out: Assignable,
    *,
    options: LinkOptions = _DEFAULT,
) -> int:
    """Link the labels of consecutive slices into particles, one slice at a time.

    The profiles of each slice are matched with the last profiles of particles by the assignment
    that has the greatest total overlap over union (Jiang et al., Nat. Commun. 11, 2310 (2020),
    supplementary note 1, link slices by "the Hungarian maximum matching algorithm"). Then particles
    are parted at necks and numbered in a second pass.

    Memory is that of `gap` + 2 slices and a number for each profile.

    Args:
        slices: Z label images (Y, X), 0 = background, from the first slice to the last.
        labels_out: (Z, Y, X) integers to write to and to read back.
        options: see there.

    Returns:
        Number of particles; `labels_out` holds 1…N in the order of their first slices, 0 elsewhere.

    Raises:
        InvalidVolumeError: a slice is no label image or of another shape than the volume's, there
            are fewer or more slices than the volume has, or its integers are too short.
    """
    depth, shape = labels_out.shape[0], tuple(labels_out.shape[1:])
    if len(labels_out.shape) != 3 or np.dtype(labels_out.dtype).kind not in "iu":
        raise InvalidVolumeError(
            f"labels_out is {labels_out.dtype} of shape {tuple(labels_out.shape)}: give integers "
            "(Z, Y, X)"
        )
    tracks = _Tracks(options)
    read = 0
    for image in slices:
        parsed = parse_label_image(image)
        if parsed.shape != shape or read == depth:
            raise InvalidVolumeError(
                f"slice {read} has shape {parsed.shape} but the volume is "
                f"{tuple(labels_out.shape)}: give one image for each slice"
            )
        for place, linked in tracks.add(parsed, read):
            _write(labels_out, place, linked)
        read += 1
    if read < depth:
        raise InvalidVolumeError(f"{read} slices for a volume of {depth}: give one for each")
    table = _Table(tracks, depth, options)
    for place in range(depth):
        _write(labels_out, place, table.final(np.asarray(labels_out[place]), place))
    return table.count


@dataclass
class _Tracks:
    """Particles so far: where each was seen last, and its area in every slice."""

    options: LinkOptions
    areas: list[list[tuple[int, int]]] = field(default_factory=lambda: [[]])
    recent: dict[int, Labels] = field(default_factory=dict)

    def add(self, image: npt.NDArray[np.integer], place: int) -> Iterator[tuple[int, Labels]]:
        """Link a slice; yields it, after the slices before that it changes."""
        present, compact, pixels = np.unique(image, return_inverse=True, return_counts=True)
        compact = compact.reshape(image.shape) + (1 if present[0] != 0 else 0)
        if present[0] != 0:
            pixels = np.concatenate([[0], pixels])
        partner = self._partners(compact, pixels)
        bridged: dict[int, int] = {}
        for number in range(1, len(partner)):
            if partner[number] == 0:
                partner[number] = len(self.areas)
                self.areas.append([])
        for number, track in enumerate(partner.tolist()[1:], start=1):
            if self.areas[track]:
                last = self.areas[track][-1][0]
                if last < place - 1:
                    bridged[track] = last
            self.areas[track].append((place, int(pixels[number])))
        linked = partner[compact]
        yield from self._fill(bridged, linked, place)
        yield place, linked
        self.recent[place] = linked
        self.recent.pop(place - self.options.gap - 1, None)

    def _partners(self, compact: Labels, pixels: Labels) -> Labels:
        """Particle (N + 1,) of each profile of a slice, 0 where it has none."""
        profile, track, score = [], [], []
        for place, before in self.recent.items():
            both = (compact > 0) & (before > 0)
            pairs, shared = np.unique(
                np.stack([compact[both], before[both]]), axis=1, return_counts=True
            )
            for (number, candidate), count in zip(pairs.T.tolist(), shared.tolist(), strict=True):
                last, area = self.areas[candidate][-1]
                if last != place:
                    continue
                sizes = (int(pixels[number]), area)
                union = sum(sizes) - count
                whole = min(sizes) if self.options.measure == "smaller" else union
                if count >= self.options.least * whole:
                    profile.append(number)
                    track.append(candidate)
                    score.append(count / union)
        partner = np.zeros(len(pixels), dtype=np.int64)
        for number, candidate in _assign(np.array(profile), np.array(track), np.array(score)):
            partner[number] = candidate
        return partner

    def _fill(
        self, bridged: dict[int, int], linked: Labels, place: int
    ) -> Iterator[tuple[int, Labels]]:
        """Slices in which particles were missing, with what the profiles on both sides share."""
        for between in range(min(bridged.values(), default=place) + 1, place):
            image = self.recent[between]
            for track, last in bridged.items():
                if last < between:
                    shared = (linked == track) & (self.recent[last] == track) & (image == 0)
                    image[shared] = track
                    if shared.any():
                        self.areas[track].append((between, int(shared.sum())))
            yield between, image
        for track in bridged:
            self.areas[track].sort()


class _Table:
    """Final numbers of particles, after parting them at necks."""

    def __init__(self, tracks: _Tracks, depth: int, options: LinkOptions) -> None:
        pieces = sorted(
            (part[0][0], track, part[-1][0])
            for track, areas in enumerate(tracks.areas)
            for part in _parted(areas, options.neck)
            if _is_particle(part, depth, options)
        )
        self.first = np.array([first for first, _, _ in pieces], dtype=np.int64)
        self.track = np.array([track for _, track, _ in pieces], dtype=np.int64)
        self.last = np.array([last for _, _, last in pieces], dtype=np.int64)
        self.table = np.zeros(len(tracks.areas), dtype=np.int64)
        self.count = len(pieces)

    def final(self, image: npt.NDArray[np.integer], place: int) -> Labels:
        """Final labels of a slice."""
        here = np.flatnonzero((self.first <= place) & (place <= self.last))
        self.table[:] = 0
        self.table[self.track[here]] = here + 1
        return np.asarray(self.table[image], dtype=np.int64)


def _assign(profile: Labels, track: Labels, score: npt.NDArray[np.float64]) -> Labels:
    """Pairs (K, 2) of the greatest total score, each profile and each particle once at most.

    Pairs that share neither are independent of each other, so that each group is solved alone.
    """
    if not len(score):
        return np.zeros((0, 2), dtype=np.int64)
    rows, row = np.unique(profile, return_inverse=True)
    columns, column = np.unique(track, return_inverse=True)
    total = len(rows) + len(columns)
    graph = coo_array((score, (row, column + len(rows))), shape=(total, total))
    _, group = connected_components(graph, directed=False)
    pairs = []
    for edges in np.split(
        np.argsort(group[row], kind="stable"),
        np.flatnonzero(np.diff(np.sort(group[row]))) + 1,
    ):
        own_rows, r = np.unique(row[edges], return_inverse=True)
        own_columns, c = np.unique(column[edges], return_inverse=True)
        table = np.zeros((len(own_rows), len(own_columns)))
        table[r, c] = score[edges]
        chosen = linear_sum_assignment(table, maximize=True)
        for i, j in zip(*chosen, strict=True):
            if table[i, j] > 0:
                pairs.append((rows[own_rows[i]], columns[own_columns[j]]))
    return np.array(pairs, dtype=np.int64)


def _parted(areas: list[tuple[int, int]], neck: float) -> Iterator[list[tuple[int, int]]]:
    """A particle's slices, divided at necks; the narrowest slice goes with those after it.

    Areas are medians of three slices, so that one slice that was seen badly parts nothing.
    """
    if not areas:
        return
    sizes = np.array([area for _, area in areas])
    if len(sizes) > 2:
        sizes[1:-1] = np.median(np.stack([sizes[:-2], sizes[1:-1], sizes[2:]]), axis=0)
    upper = np.minimum(np.maximum.accumulate(sizes), np.maximum.accumulate(sizes[::-1])[::-1])
    ratio = sizes / np.maximum(upper, 1)
    lowest = int(np.argmin(ratio))
    if lowest == 0 or ratio[lowest] >= neck:
        yield areas
        return
    yield from _parted(areas[:lowest], neck)
    yield from _parted(areas[lowest:], neck)


def _is_particle(part: list[tuple[int, int]], depth: int, options: LinkOptions) -> bool:
    """Whether a piece is large and deep enough, in a volume of so many slices."""
    if sum(area for _, area in part) < options.smallest:
        return False
    first, last = part[0][0], part[-1][0]
    if first == 0 or last == depth - 1:
        return True
    diameter = sqrt(4 / pi * max(area for _, area in part))
    return (last - first + 1) * options.slice_px >= options.flattest * diameter


def _write(labels_out: Assignable, place: int, labels: Labels) -> None:
    highest = int(labels.max(initial=0))
    if highest > np.iinfo(np.dtype(labels_out.dtype)).max:
        raise InvalidVolumeError(f"label {highest} does not fit {labels_out.dtype}: take int32")
    labels_out[place] = labels.astype(labels_out.dtype)
