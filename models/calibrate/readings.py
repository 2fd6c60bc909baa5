"""What a source says about an acquisition, before anyone decides which source to believe.

Out of scope: choosing between readings, which is `models.calibrate.reconcile`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """Where a reading comes from."""

    USER = "user"
    """Given at registration, on the command line or in a samples table."""
    TAG = "tag"
    """Instrument metadata inside the image file."""
    SIDECAR = "sidecar"
    """A text file that the instrument wrote beside the image."""
    SCALE_BAR = "scale_bar"
    """The burnt-in bar: its length by image analysis, its label by text recognition."""
    DATABAR = "databar"
    """Text recognised in the databar."""


class Quantity(StrEnum):
    """Acquisition quantities; the values are column names of the table `micrographs`."""

    PIXEL_SIZE_UM = "pixel_size_um"
    MAGNIFICATION = "magnification"
    ACCELERATING_VOLTAGE_KV = "accelerating_voltage_kv"
    WORKING_DISTANCE_MM = "working_distance_mm"
    ACQUIRED_AT = "acquired_at"
    INSTRUMENT = "instrument"
    DETECTOR = "detector"


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity as one source states it, in the unit of the quantity's name.

    Attributes:
        quantity: what was read.
        source: who says so.
        value: a number, a text (`instrument`, `detector`) or a naive local time (`acquired_at`).
        uncertainty: one standard deviation in the same unit; seconds for times; None if unknown.
        confidence: of text recognition, 0…1; None for other sources.
        detail: where exactly and how, for people: ``"bar 375 px = 100 µm"``, ``"AP_WD"``.
    """

    quantity: Quantity
    source: Source
    value: float | str | datetime
    uncertainty: float | None = None
    confidence: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about an input that a person should know; never a reason to drop it.

    Attributes:
        kind: short, stable name such as ``"pixel_size_um_disagreement"``.
        detail: one sentence with the values concerned.
    """

    kind: str
    detail: str
