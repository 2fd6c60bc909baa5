"""What voxels show while they stream past: range of grey values, voxels of each phase, bad labels.

Out of scope: where they come from and go to (`graindex.volume_ingest`).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from graindex.readers.volume_source import UnreadableVolumeError, VolumeSource
from graindex.recipes import Content

MAX_PHASES = 256
"""Materials have a handful; more values are grey levels or labels under a wrong name."""

_COUNTED_AT_ONCE = 1 << 16
_LARGEST = np.iinfo(np.int64).max


@dataclass
class Tally:
    """Sums over the slices seen so far.

    Attributes:
        content: what the voxels are.
        name: the file, for messages.
        low: least finite grey value; None where none was seen.
        high: greatest finite grey value.
        nonfinite: grey values that are NaN or infinite.
        phases: voxels by value of the phase.
    """

    content: Content
    name: str
    low: float | None = None
    high: float | None = None
    nonfinite: int = 0
    phases: dict[int, int] = field(default_factory=dict)

    def add(self, slab: npt.NDArray[Any], z0: int) -> None:
        """Take in slices from number `z0` on, one at a time: temporaries stay small.

        Raises:
            UnreadableVolumeError: a phase or label is negative or too large, or there are more
                phases than a material has.
        """
        for z, plane in enumerate(slab, start=z0):
            if self.content == "grey":
                self._add_grey(plane)
                continue
            self._check(plane, z)
            if self.content == "phases":
                self._count(plane)

    def _add_grey(self, plane: npt.NDArray[Any]) -> None:
        finite = plane
        if plane.dtype.kind == "f":
            finite = plane[np.isfinite(plane)]
            self.nonfinite += plane.size - finite.size
        if finite.size:
            low, high = float(finite.min()), float(finite.max())
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)

    def _check(self, plane: npt.NDArray[Any], z: int) -> None:
        if plane.dtype.kind == "i" and plane.min() < 0:
            self._refuse(plane, plane < 0, z, "below 0; 0 is background, values count upwards")
        if plane.dtype == np.uint64 and plane.max() > _LARGEST:
            self._refuse(plane, plane > _LARGEST, z, "above 2⁶³ − 1; number them anew")

    def _refuse(
        self, plane: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], z: int, fault: str
    ) -> None:
        y, x = (int(at) for at in np.argwhere(wrong)[0])
        reason = f"the value {plane[y, x]} of {self.content} at {(z, y, x)} (z, y, x) is {fault}"
        raise UnreadableVolumeError(self.name, reason)

    def _count(self, plane: npt.NDArray[Any]) -> None:
        if plane.max() < _COUNTED_AT_ONCE:
            counts = np.bincount(plane.ravel().astype(np.uint16))
            values = np.flatnonzero(counts)
            counts = counts[values]
        else:
            values, counts = np.unique(plane, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.phases[value] = self.phases.get(value, 0) + count
        if len(self.phases) > MAX_PHASES:
            reason = (
                f"more than {MAX_PHASES} values, so no phases; grey values and labels are told by "
                "names that end in _grey or _labels"
            )
            raise UnreadableVolumeError(self.name, reason)


def check_type(content: Content, source: VolumeSource) -> None:
    """Refuse phases and labels that are not integers.

    Raises:
        UnreadableVolumeError: they are not.
    """
    if content != "grey" and source.dtype.kind not in "iu":
        reason = (
            f"{content} are {source.dtype}, not integers: cast them, once sure that every value "
            "is whole"
        )
        raise UnreadableVolumeError(source.name, reason)
