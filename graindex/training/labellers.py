"""One label of what several labellers state.

Out of scope: which statement of a labeller holds at a time (`graindex.training.point_in_time`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

from graindex.training.point_in_time import NONE, Indices

Flags = npt.NDArray[np.bool_]
Rule = Literal["latest", "priority", "majority", "mean", "median", "agree"]


class LabellerPolicy(BaseModel):
    """Whose statement counts where several hold.

    Attributes:
        rule: `latest` takes the statement that the timing prefers, whoever made it; `priority` that
            of the first labeller in `order`; `majority` the value of most labellers; `mean` and
            `median` of all; `agree` the value of all, where they agree.
        order: labellers, the best first. With `priority` the others do not count; with `majority`
            it decides between values of as many votes, which else give no label.
        only: labellers who count; all when empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule = "latest"
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, given: object) -> object:
        """A rule alone, or labellers in order of priority."""
        if isinstance(given, str):
            return {"rule": given}
        if isinstance(given, Sequence):
            return {"rule": "priority", "order": tuple(given)}
        return given

    @model_validator(mode="after")
    def _order_where_it_counts(self) -> "LabellerPolicy":
        if self.rule == "priority" and (self.only or not self.order):
            message = "rule priority needs an order of labellers, who alone count"
            raise ValueError(message)
        if self.order and self.rule not in {"priority", "majority"}:
            message = f"rule {self.rule} knows no order of labellers"
            raise ValueError(message)
        return self

    @property
    def counted(self) -> tuple[str, ...]:
        """Labellers who count; everybody when empty."""
        return self.order if self.rule == "priority" else self.only

    @property
    def pools(self) -> bool:
        """Whether statements are chosen among without regard to who made them."""
        return self.rule == "latest"


@dataclass(frozen=True, eq=False)
class Votes:
    """Statements that hold, by row and labeller.

    Attributes:
        chosen: (N, L) indices of statements, `NONE` where a labeller states nothing.
        codes: (M,) whole number of each statement's value, equal for equal values.
        numbers: (M,) values; not-a-number where they are classes.
        labellers: L names.
    """

    chosen: Indices
    codes: Indices
    numbers: npt.NDArray[np.float64]
    labellers: tuple[str, ...]

    @property
    def cast(self) -> Flags:
        """(N, L) who states something."""
        return np.asarray(self.chosen != NONE)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a policy makes of votes.

    Attributes:
        counted: (N, L) whose statements the label rests on; nobody's where there is no label.
        number: (N,) mean or median; None where the label is the value of the counted statements.
    """

    counted: Flags
    number: npt.NDArray[np.float64] | None = None


def settle(policy: LabellerPolicy, votes: Votes) -> Verdict:
    """Apply a policy; rows whose labellers disagree past it come out without a label."""
    if policy.rule == "agree":
        lowest, highest = _extremes(votes, votes.cast)
        return Verdict(votes.cast & (lowest == highest)[:, None])
    if policy.rule == "majority":
        return Verdict(_majority(votes, policy.order))
    if policy.rule in {"mean", "median"}:
        return Verdict(votes.cast, _middle(policy.rule, votes))
    return Verdict(_first(votes.cast, _places(votes.labellers, policy.order)))


def _majority(votes: Votes, order: Sequence[str]) -> Flags:
    """Votes for the value of most labellers, in whose favour `order` decides where it can."""
    cast, codes = votes.cast, votes.codes[votes.chosen]
    count = np.zeros(cast.shape, np.int64)
    for column in range(cast.shape[1]):
        count += cast & cast[:, [column]] & (codes == codes[:, [column]])
    leading = cast & (count == count.max(axis=1, keepdims=True))
    judge = _first(leading & np.isin(votes.labellers, order), _places(votes.labellers, order))
    deciding = np.where(judge.any(axis=1, keepdims=True), judge, leading)
    lowest, highest = _extremes(votes, deciding)
    agreed: Flags = cast & (codes == lowest[:, None]) & (lowest == highest)[:, None]
    return agreed


def _extremes(votes: Votes, of: Flags) -> tuple[Indices, Indices]:
    """Lowest and highest code of the marked votes of each row."""
    codes, far = votes.codes[votes.chosen], np.iinfo(np.int64).max
    return np.where(of, codes, far).min(axis=1), np.where(of, codes, NONE).max(axis=1)


def _places(labellers: Sequence[str], order: Sequence[str]) -> list[int]:
    """Columns of the labellers, those of `order` first and in it."""
    known = [labellers.index(name) for name in order if name in labellers]
    return known + [place for place in range(len(labellers)) if place not in known]


def _first(cast: Flags, places: Sequence[int]) -> Flags:
    """The first vote of each row, by the order of columns."""
    first = np.zeros_like(cast)
    open_ = np.ones(len(cast), bool)
    for place in places:
        first[:, place] = open_ & cast[:, place]
        open_ &= ~cast[:, place]
    return first


def _middle(rule: Rule, votes: Votes) -> npt.NDArray[np.float64]:
    values = np.where(votes.cast, votes.numbers[votes.chosen], np.nan)
    middle = np.full(len(values), np.nan)
    stated = votes.cast.any(axis=1)
    average = np.nanmean if rule == "mean" else np.nanmedian
    middle[stated] = average(values[stated], axis=1)
    return middle
