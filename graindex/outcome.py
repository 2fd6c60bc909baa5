"""What a refresh of one collection's rows did.

Out of scope: printing it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of one refresh.

    Attributes:
        rows: rows that the collection has now.
        computed: rows computed in this run.
        kept: rows whose inputs, code and settings are what they were.
        dropped: rows whose input is gone.
        refused: inputs that could not be used, by path or id, with the reason.
        snapshot: lake snapshot, or vector version, that holds the rows.
    """

    rows: int
    computed: int
    kept: int
    dropped: int
    refused: dict[str, str]
    snapshot: int | None
