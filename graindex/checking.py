"""What a check is: what should hold of an asset, what finds where it does not, and what to do.

Out of scope: the rules themselves (`graindex.checks` and its neighbours) and who acts on results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graindex.store import Store

SHOWN = 1000
_TOLD = 100  # in metadata of runs, which are kept for ever


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with some rows.

    Attributes:
        rule: what should hold.
        count: how many rows it does not hold for.
        rows: the first thousand of them: key or path, and what was found.
        advice: what to do, where the check as a whole has no better answer.
    """

    rule: str
    count: int
    rows: tuple[tuple[str, str], ...]
    advice: str = ""

    def as_json(self) -> dict[str, object]:
        """The problem as plain data, with its first hundred rows."""
        return {"rule": self.rule, "count": self.count, "rows": self.rows[:_TOLD]}


Body = Callable[[Store, str], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one asset, run for each collection.

    Attributes:
        asset: the asset whose rows are looked at.
        name: name of the check, unique within the asset.
        body: finds the problems of a collection; none where all is well.
        description: what should hold, in one sentence.
        advice: what to do where it does not, in one sentence.
        blocking: whether a failure stops what is downstream.
    """

    asset: str
    name: str
    body: Body
    description: str
    advice: str
    blocking: bool = False
