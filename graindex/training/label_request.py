"""What is to be learned: a label, whose, of what, and for when.

Out of scope: finding it (`graindex.training.labels`).
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator

from graindex.entities import EntityKind
from graindex.sample_table import column_name
from graindex.training.label_files import LabelError, time_zone
from graindex.training.labellers import LabellerPolicy
from graindex.training.point_in_time import Timing, UnknownTime

_UNITS = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds"}


def _duration(given: object) -> object:
    """A text such as 30d, 12h or 90min as a duration; anything else as it is."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *(d|h|min|s)", given) if isinstance(given, str) else None
    return timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else given


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A span of time; 30d, 12h, 90min or 5s in texts."""


class LabelRequest(BaseModel):
    """A label to be joined to entities.

    Attributes:
        name: name of the label.
        of: kind of entity that it is stated of; when None the nearest that says something: the
            entity itself, what it lies in, its specimen.
        labellers: whose statement counts where several hold.
        timing: which statement holds by the time at which an image was acquired: the latest
            measured `before` (or at) it, the earliest `after` (or at) it, the `nearest`, or the
            latest of `any` time. Timeless statements hold where no dated one does.
        tolerance: how far from the time of acquisition a statement may have been measured.
        unknown_time: what entities without a time of acquisition take: `timeless` statements only,
            or the `latest`.
        zone: time zone of instruments' clocks. An hour that a clock shows twice is the first.
        transform: `log10` of numbers, after the policy over labellers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    of: EntityKind | None = None
    labellers: LabellerPolicy = LabellerPolicy()
    timing: Timing = "before"
    tolerance: Duration | None = None
    unknown_time: UnknownTime = "timeless"
    zone: str = "UTC"
    transform: Literal["log10"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"name": given} if isinstance(given, str) else given

    @field_validator("name")
    @classmethod
    def _as_a_column(cls, name: str) -> str:
        if not column_name(name):
            message = "a label has a name"
            raise ValueError(message)
        return column_name(name)

    @field_validator("zone")
    @classmethod
    def _there_is_such_a_zone(cls, zone: str) -> str:
        try:
            time_zone(zone)
        except LabelError as error:
            raise ValueError(str(error)) from error
        return zone

    @model_validator(mode="after")
    def _tolerance_where_it_counts(self) -> "LabelRequest":
        if self.tolerance is not None and self.timing == "any":
            message = "timing any knows no tolerance; take before, after or nearest"
            raise ValueError(message)
        if self.tolerance is not None and self.tolerance < timedelta(0):
            message = "a tolerance is not negative"
            raise ValueError(message)
        return self
