"""Particles of a volume from labels of its slices, linked from slice to slice.

Any method for images can make the labels. Out of scope: making them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.measure.arrays import InvalidVolumeError, parse_label_image
from models.segment.link_options import LinkOptions
from models.segment.link_parts import Parts, Profile
from models.segment.pieces import Assignable

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Slice = npt.NDArray[np.integer] | tuple[npt.NDArray[np.integer], Floats]
"""Labels (Y, X) of a slice, 0 = background; or these, and the confidence (N,) of labels 1…N."""

_DEFAULT = LinkOptions()


def link_slices(
    slices: Iterable[Slice],
    labels_out: Assignable,
    *,
    options: LinkOptions = _DEFAULT,
) -> Floats:
    """Link the labels of consecutive slices into particles, one slice at a time.

    The profiles of each slice are matched with the last profiles of particles by the assignment
    that has the greatest total overlap over union (Jiang et al., Nat. Commun. 11, 2310 (2020),
    supplementary note 1, link slices by "the Hungarian maximum matching algorithm"). Then particles
    are parted at necks and numbered in a second pass.

    Memory is that of `gap` + 2 slices and three numbers for each profile.

    Args:
        slices: Z label images, from the first slice to the last.
        labels_out: (Z, Y, X) integers to write to and to read back.
        options: see there.

    Returns:
        (N,) float32 confidence of particles 1…N: mean over their voxels of that of their profiles,
        0 where a slice was filled; NaN where profiles have none. `labels_out` holds 1…N in the
        order of their first slices, 0 elsewhere.

    Raises:
        InvalidVolumeError: a slice is no label image or of another shape than the volume's, there
            are fewer or more slices than the volume has, a label has no confidence where others
            have one, or the integers of the volume are too short.
    """
    depth, shape = labels_out.shape[0], tuple(labels_out.shape[1:])
    if len(labels_out.shape) != 3 or np.dtype(labels_out.dtype).kind not in "iu":
        raise InvalidVolumeError(
            f"labels_out is {labels_out.dtype} of shape {tuple(labels_out.shape)}: give integers "
            "(Z, Y, X)"
        )
    tracks = _Tracks(options)
    read = 0
    for given in slices:
        image, confidence = given if isinstance(given, tuple) else (given, None)
        parsed = parse_label_image(image)
        if parsed.shape != shape or read == depth:
            raise InvalidVolumeError(
                f"slice {read} has shape {parsed.shape} but the volume is "
                f"{tuple(labels_out.shape)}: give one image for each slice"
            )
        for place, linked in tracks.add(parsed, confidence, read):
            _write(labels_out, place, linked)
        read += 1
    if read < depth:
        raise InvalidVolumeError(f"{read} slices for a volume of {depth}: give one for each")
    parts = Parts(tracks.profiles, depth, options)
    for place in range(depth):
        _write(labels_out, place, parts.final(np.asarray(labels_out[place]), place))
    return parts.confidence


@dataclass
class _Tracks:
    """Particles so far: where each was seen last, and what of it in every slice."""

    options: LinkOptions
    profiles: list[list[Profile]] = field(default_factory=lambda: [[]])
    recent: dict[int, Labels] = field(default_factory=dict)

    def add(
        self, image: npt.NDArray[np.integer], confidence: Floats | None, place: int
    ) -> Iterator[tuple[int, Labels]]:
        """Link a slice; yields it, after the slices before that it changes."""
        present, compact, pixels = np.unique(image, return_inverse=True, return_counts=True)
        compact = compact.reshape(image.shape) + (1 if present[0] != 0 else 0)
        if present[0] != 0:
            pixels, present = (np.concatenate([[0], part]) for part in (pixels, present))
        certainty = _certainties(present, pixels, confidence, place)
        partner = self._partners(compact, pixels)
        bridged: dict[int, int] = {}
        for number in range(1, len(partner)):
            if partner[number] == 0:
                partner[number] = len(self.profiles)
                self.profiles.append([])
        for number, track in enumerate(partner.tolist()[1:], start=1):
            if self.profiles[track]:
                last = self.profiles[track][-1].place
                if last < place - 1:
                    bridged[track] = last
            seen = Profile(place, int(pixels[number]), float(certainty[number]))
            self.profiles[track].append(seen)
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
                last, area, _ = self.profiles[candidate][-1]
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
                        self.profiles[track].append(Profile(between, int(shared.sum()), 0.0))
            yield between, image
        for track in bridged:
            self.profiles[track].sort()


def _certainties(
    labels: Labels, pixels: Labels, confidence: Floats | None, place: int
) -> npt.NDArray[np.float64]:
    """Area times confidence of each label of a slice; the first is the background."""
    if confidence is None:
        return np.full(len(labels), np.nan)
    if labels[-1] > len(confidence):
        raise InvalidVolumeError(
            f"slice {place} has label {labels[-1]} and {len(confidence)} confidences: give one for "
            "each of 1…N"
        )
    certainty = np.zeros(len(labels))
    certainty[1:] = pixels[1:] * confidence[labels[1:] - 1].astype(np.float64)
    return certainty


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


def _write(labels_out: Assignable, place: int, labels: Labels) -> None:
    highest = int(labels.max(initial=0))
    if highest > np.iinfo(np.dtype(labels_out.dtype)).max:
        raise InvalidVolumeError(f"label {highest} does not fit {labels_out.dtype}: take int32")
    labels_out[place] = labels.astype(labels_out.dtype)
