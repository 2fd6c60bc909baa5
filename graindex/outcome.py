"""What a refresh of one collection's rows did.

Out of scope: printing it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Rows that follow from a new pixel or voxel size, with nothing measured again.

    Attributes:
        rows: how many.
        factors: least and greatest ratio of the new size to the old one; None where there was no
            size before, or is none now, or where it does not matter.
    """

    rows: int
    factors: tuple[float, float] | None = None

    @classmethod
    def of(cls, rows: int, factors: Iterable[float]) -> "Recalibration | None":
        """What was done to some rows; None without any."""
        known = sorted(factors)
        return cls(rows, (known[0], known[-1]) if known else None) if rows else None

    def __str__(self) -> str:
        """One line, such as "recalibrated 12 rows by factor 2"."""
        told = f"recalibrated {self.rows} row{'' if self.rows == 1 else 's'}"
        if self.factors is None:
            return told
        least, greatest = (f"{factor:.6g}" for factor in self.factors)
        return f"{told} by factor{'' if least == greatest else f's {least} to'} {greatest}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of one refresh.

    Attributes:
        rows: rows that the collection has now.
        computed: rows computed in this run, those recalibrated included.
        kept: rows whose inputs, code and settings are what they were.
        dropped: rows whose input is gone.
        refused: inputs that could not be used, by path or id, with the reason.
        snapshot: lake snapshot, or vector version, that holds the rows.
        recalibration: what of the computed rows was not measured again.
    """

    rows: int
    computed: int
    kept: int
    dropped: int
    refused: dict[str, str]
    snapshot: int | None
    recalibration: Recalibration | None = None


def recalibration(
    before: pa.Table, after: pa.Table, key: str, sizes: Sequence[str]
) -> Recalibration | None:
    """What changed of pixel or voxel sizes between two tables of the same images or volumes.

    Args:
        before: rows of before.
        after: rows of now; those that were not there do not count.
        key: column that names the image or volume.
        sizes: columns in µm.
    """
    known = {row[key]: row for row in before.select([key, *sizes]).to_pylist()}
    pairs = [
        [(known[row[key]][name], row[name]) for name in sizes]
        for row in after.select([key, *sizes]).to_pylist()
        if row[key] in known
    ]
    changed = [pair for pair in pairs if any(old != new for old, new in pair)]
    factors = (new / old for pair in changed for old, new in pair if old and new)
    return Recalibration.of(len(changed), factors)
