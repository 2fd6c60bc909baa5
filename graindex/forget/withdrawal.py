"""A withdrawal as it is noted down before it begins, so that one cut short can be finished.

The note lies in the home until the withdrawal is done.
Out of scope: the steps (`graindex.forget.withdraw`).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from graindex.errors import HomeError
from graindex.forget.target import Target
from graindex.forget.trained import Seen
from graindex.location import Location

_FOLDER = "forget"


@dataclass(frozen=True)
class Withdrawal:
    """What is withdrawn, why and by whom, and what saw it.

    Attributes:
        target: what is withdrawn.
        reason: why, for the quarantine.
        author: who withdraws.
        withdrawn_at: when it began.
        seen: training sets and models that saw it.
        replaced: what stands in rows of something else, with what takes its place.
    """

    target: Target
    reason: str
    author: str
    withdrawn_at: datetime
    seen: tuple[Seen, ...]
    replaced: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> tuple[tuple[str, int], ...]:
        """Models that saw it, as name and version."""
        return tuple(sorted({model for each in self.seen for model in each.models}))

    def with_replaced(self, replaced: dict[str, str]) -> "Withdrawal":
        """The same with more replacements."""
        return replace(self, replaced={**self.replaced, **replaced})


_ADAPTER = TypeAdapter(Withdrawal)


def note_down(location: Location, withdrawal: Withdrawal) -> None:
    """Write the note, whole or not at all.

    Raises:
        HomeError: it cannot be written.
    """
    path = _path(location, withdrawal.target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.write_bytes(_ADAPTER.dump_json(withdrawal))
        aside.replace(path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; nothing was withdrawn"
        raise HomeError(message) from error


def strike_out(location: Location, withdrawal: Withdrawal) -> None:
    """Remove the note."""
    path = _path(location, withdrawal.target)
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def noted(location: Location) -> list[Withdrawal]:
    """Withdrawals that were cut short, the oldest first."""
    notes = (_work(location) / _FOLDER).glob("*.json")
    found = [_ADAPTER.validate_json(path.read_bytes()) for path in notes]
    return sorted(found, key=lambda each: each.withdrawn_at)


def _work(location: Location) -> Path:
    return Path(location.under("work"))


def _path(location: Location, target: Target) -> Path:
    return _work(location) / _FOLDER / f"{target.ids[0]}.json"
