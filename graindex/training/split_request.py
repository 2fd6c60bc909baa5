"""What is asked of a split: what must stay together, and what trains and tests.

Out of scope: making it (`graindex.training.splits`).
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from graindex.training.groups import BLOCK, MICROGRAPH, WORDS
from graindex.training.label_request import Duration

Kind = Literal["kfold", "leave-one-out", "holdout", "time", "column", "none"]


class SplitRequest(BaseModel):
    """How rows are split.

    Attributes:
        kind: `kfold` and `leave-one-out` test every group once; `holdout` some; `time` what was
            acquired later; `column` what a column of `samples` says; `none` nothing.
        by: what makes a group: sample, session, dataset, micrograph, block, or columns of
            `samples`. Specimens, images and near-duplicates always stay together, save with
            `micrograph` and with `block`, columns of particles through the depth of a volume.
        also_by: what else must stay together.
        folds: number of folds of `kfold`.
        test_fraction: share of the rows that `holdout` and `time` test.
        balanced: give each part its share of every class, or of tenths of a number.
        seed: another seed, another split.
        allow_leakage: part what belongs together where the split asks for it.
        boundaries: local times that part `time`; the later side of the first one is tested.
        blocks: number of blocks of about as many rows, where no boundaries are given; two are
            parted by `test_fraction`. Each but the first is tested by what lies before it.
        gap: time between what `time` learns from and the first row that it tests.
        column: column of `samples` that says train or test, or the number of a fold.
        block_um: side of a block in the plane of the electrode, or of the image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "kfold"
    by: tuple[str, ...] = ("sample",)
    also_by: tuple[str, ...] = ()
    folds: int = Field(default=5, ge=2)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    balanced: bool = False
    seed: int = 0
    allow_leakage: bool = False
    boundaries: tuple[datetime, ...] = ()
    blocks: int = Field(default=2, ge=2)
    gap: Duration = timedelta(0)
    column: str | None = None
    block_um: float = Field(default=20.0, gt=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _kind_alone(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given

    @field_validator("by", "also_by", mode="before")
    @classmethod
    def _one_alone(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @field_validator("boundaries")
    @classmethod
    def _local_and_in_order(cls, given: tuple[datetime, ...]) -> tuple[datetime, ...]:
        if any(moment.tzinfo for moment in given):
            message = "boundaries are local times as acquired_at, without a zone"
            raise ValueError(message)
        if list(given) != sorted(set(given)):
            message = "boundaries must grow"
            raise ValueError(message)
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> "SplitRequest":
        if not self.by:
            message = "by is empty; name sample, session, dataset, micrograph or columns"
            raise ValueError(message)
        for word in (MICROGRAPH, BLOCK):
            if word in (*self.by, *self.also_by) and (len(self.by) > 1 or self.also_by):
                message = f"by {word} takes nothing beside it"
                raise ValueError(message)
        if (self.kind == "column") != (self.column is not None):
            message = "a split of kind column, and no other, needs the name of a column"
            raise ValueError(message)
        if self.gap < timedelta(0):
            message = "a gap is not negative"
            raise ValueError(message)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of `samples` that the rows must bring."""
        names = (*self.by, *self.also_by, *((self.column,) if self.column else ()))
        return tuple(name for name in names if name not in {*WORDS, MICROGRAPH, BLOCK})
