"""What was withdrawn: contents that a collection refuses, and training sets that lack rows.

Out of scope: withdrawing (`graindex.forget.withdraw`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graindex.store import Store


@dataclass(frozen=True, slots=True)
class WithdrawnRows:
    """What a training set lost.

    Attributes:
        entity_id: image or volume that was withdrawn.
        withdrawn_at: when.
        row_count: rows that went with it; 0 where rows of its specimen rest on it.
    """

    entity_id: str
    withdrawn_at: datetime
    row_count: int

    @property
    def told(self) -> str:
        """The same for people."""
        day = f"{self.entity_id}, withdrawn on {self.withdrawn_at:%Y-%m-%d}"
        return f"rows of its specimen rested on {day}" if not self.row_count else day


def withdrawn_contents(store: "Store", dataset: str) -> dict[str, str]:
    """Why a collection refuses files, by the hash of their content."""
    names = ("dataset", "content_hash", "withdrawn_at", "reason")
    return {
        row["content_hash"]: reason_of(row["withdrawn_at"], row["reason"])
        for row in store.lake.read("withdrawals", columns=names).to_pylist()
        if row["dataset"] == dataset and row["content_hash"] is not None
    }


def reason_of(withdrawn_at: datetime, reason: str) -> str:
    """Reason for the quarantine."""
    return f"withdrawn on {withdrawn_at:%Y-%m-%d}: {reason}"


def rows_withdrawn(store: "Store", training_set_id: str) -> tuple[WithdrawnRows, ...]:
    """What a training set lost, in the order of ids."""
    when = {
        (row["dataset"], row["entity_id"]): row["withdrawn_at"]
        for row in store.lake.read("withdrawals").to_pylist()
    }
    lost = [
        WithdrawnRows(row["entity_id"], when[row["dataset"], row["entity_id"]], row["row_count"])
        for row in store.lake.read("withdrawn_rows").to_pylist()
        if row["training_set_id"] == training_set_id
    ]
    return tuple(sorted(lost, key=lambda each: each.entity_id))


def withdrawn_on(store: "Store", entity_id: str) -> datetime | None:
    """When an image or volume was withdrawn; None where it was not."""
    rows = store.lake.read("withdrawals", columns=("entity_id", "withdrawn_at")).to_pylist()
    return next((row["withdrawn_at"] for row in rows if row["entity_id"] == entity_id), None)
