"""Which source to believe where several state the same quantity, and saying where they disagree.

Out of scope: taking the readings, and keeping those that are not chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.calibrate.readings import Finding, Quantity, Reading, Source

PIXEL_SIZE_PRECEDENCE = (
    Source.USER,
    Source.TAG,
    Source.SCALE_BAR,
    Source.SIDECAR,
    Source.DATABAR,
)
"""A sidecar may speak of another frame of the scan than the file; the burnt-in bar cannot."""

PRECEDENCE = (Source.USER, Source.TAG, Source.SIDECAR, Source.DATABAR, Source.SCALE_BAR)

RELATIVE_TOLERANCE = 0.05
TIME_TOLERANCE_S = 120.0
UNITS = {
    Quantity.PIXEL_SIZE_UM: " µm",
    Quantity.MAGNIFICATION: "",
    Quantity.ACCELERATING_VOLTAGE_KV: " kV",
    Quantity.WORKING_DISTANCE_MM: " mm",
    Quantity.ACQUIRED_AT: "",
}
"""The quantities that are compared; texts such as a detector's name are only ranked."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One reading per quantity that any source states.

    Attributes:
        chosen: the reading of the source that comes first; a quantity without readings is absent.
        findings: one ``"{quantity}_disagreement"`` per quantity whose sources disagree.
    """

    chosen: dict[Quantity, Reading]
    findings: tuple[Finding, ...]


def reconcile(readings: Sequence[Reading]) -> Reconciled:
    """Choose one reading per quantity by source and report disagreements.

    Pixel size: user, tag, scale bar, sidecar. Everything else: user, tag, sidecar, databar. Within
    one source the first reading counts. Numbers disagree when any two differ by more than 5 % of
    the larger, times when they differ by more than 120 s. Magnifications for print and for the
    screen differ legitimately and are reported all the same.

    Args:
        readings: all readings of one image, in any order.

    Returns:
        The chosen readings, by quantity, and the disagreements.
    """
    chosen: dict[Quantity, Reading] = {}
    findings = []
    for quantity in Quantity:
        ranked = _ranked([reading for reading in readings if reading.quantity is quantity])
        if ranked:
            chosen[quantity] = ranked[0]
        if quantity in UNITS and _disagree(ranked):
            findings.append(Finding(f"{quantity}_disagreement", _sentence(quantity, ranked)))
    return Reconciled(chosen, tuple(findings))


def _ranked(readings: list[Reading]) -> list[Reading]:
    """Readings of one quantity, the one to believe first."""
    pixel_size = any(reading.quantity is Quantity.PIXEL_SIZE_UM for reading in readings)
    order = PIXEL_SIZE_PRECEDENCE if pixel_size else PRECEDENCE
    return sorted(readings, key=lambda reading: order.index(reading.source))


def _disagree(readings: list[Reading]) -> bool:
    times = [r.value for r in readings if isinstance(r.value, datetime)]
    numbers = [float(r.value) for r in readings if isinstance(r.value, int | float)]
    if len(times) > 1 and (max(times) - min(times)).total_seconds() > TIME_TOLERANCE_S:
        return True
    largest = max((abs(number) for number in numbers), default=0.0)
    return bool(numbers) and max(numbers) - min(numbers) > RELATIVE_TOLERANCE * largest


def _sentence(quantity: Quantity, ranked: list[Reading]) -> str:
    stated = ", ".join(_stated(reading) for reading in ranked)
    name = quantity.value.replace("_", " ")
    return f"the sources of {name} disagree: {stated}; {_said(ranked[0])} is used"


def _stated(reading: Reading) -> str:
    if isinstance(reading.value, float | int):
        value = f"{reading.value:.4g}{UNITS[reading.quantity]}"
    else:
        value = str(reading.value)
    detail = f" ({reading.detail})" if reading.detail else ""
    return f"{_said(reading)} {value}{detail}"


def _said(reading: Reading) -> str:
    return reading.source.value.replace("_", " ")
