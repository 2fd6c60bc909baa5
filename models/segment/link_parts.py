"""From linked profiles to particles: parted at necks, left out where small, flat or doubtful.

Out of scope: linking them (`slice_linking`).
"""

from collections.abc import Iterator, Sequence
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.segment.link_options import LinkOptions

Labels = npt.NDArray[np.int64]


class Profile(NamedTuple):
    """What is seen of a particle in one slice.

    Attributes:
        place: of the slice.
        area: in pixels.
        certainty: area times confidence; NaN where there is no confidence.
    """

    place: int
    area: int
    certainty: float


Profiles = Sequence[Profile]


class Parts:
    """Final numbers of particles, after parting them at necks.

    Attributes:
        confidence: (N,) float32 of particles 1…N; NaN where profiles have none.
    """

    def __init__(self, tracks: Sequence[Profiles], depth: int, options: LinkOptions) -> None:
        """Part tracks of profiles, by number, in a volume of so many slices."""
        pieces = sorted(
            (part[0].place, track, part[-1].place, _confidence(part))
            for track, profiles in enumerate(tracks)
            for part in _parted(profiles, options.neck)
            if _is_particle(part, depth, options)
        )
        self._first = np.array([first for first, *_ in pieces], dtype=np.int64)
        self._track = np.array([track for _, track, *_ in pieces], dtype=np.int64)
        self._last = np.array([last for *_, last, _ in pieces], dtype=np.int64)
        self._table = np.zeros(len(tracks), dtype=np.int64)
        self.confidence = np.array([sure for *_, sure in pieces], dtype=np.float32)

    def final(self, image: npt.NDArray[np.integer], place: int) -> Labels:
        """Final labels of a slice of tracks."""
        here = np.flatnonzero((self._first <= place) & (place <= self._last))
        self._table[:] = 0
        self._table[self._track[here]] = here + 1
        return np.asarray(self._table[image], dtype=np.int64)


def _parted(profiles: Profiles, neck: float) -> Iterator[Profiles]:
    """A particle's slices, divided at necks; the narrowest slice goes with those after it.

    Areas are medians of three slices, so that one slice that was seen badly parts nothing.
    """
    if not profiles:
        return
    sizes = np.array([profile.area for profile in profiles])
    if len(sizes) > 2:
        sizes[1:-1] = np.median(np.stack([sizes[:-2], sizes[1:-1], sizes[2:]]), axis=0)
    upper = np.minimum(np.maximum.accumulate(sizes), np.maximum.accumulate(sizes[::-1])[::-1])
    ratio = sizes / np.maximum(upper, 1)
    lowest = int(np.argmin(ratio))
    if lowest == 0 or ratio[lowest] >= neck:
        yield profiles
        return
    yield from _parted(profiles[:lowest], neck)
    yield from _parted(profiles[lowest:], neck)


def _confidence(part: Profiles) -> float:
    """Mean over the voxels of a piece."""
    return sum(profile.certainty for profile in part) / sum(profile.area for profile in part)


def _is_particle(part: Profiles, depth: int, options: LinkOptions) -> bool:
    """Whether a piece is large, sure and deep enough, in a volume of so many slices."""
    if sum(profile.area for profile in part) < options.smallest:
        return False
    if _confidence(part) < options.confidence:  # not so where it is not known
        return False
    first, last = part[0].place, part[-1].place
    if first == 0 or last == depth - 1:
        return True
    diameter = sqrt(4 / pi * max(profile.area for profile in part))
    return (last - first + 1) * options.slice_px >= options.flattest * diameter
