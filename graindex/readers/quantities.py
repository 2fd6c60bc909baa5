"""Instrument text to numbers in the units of the tables: µm, mm, kV, local time.

Out of scope: which field of which vendor means what (`vendors`, `sidecars`).
"""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time

from models.calibrate.readings import Finding, Quantity, Reading, Source

_METRES = {
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "µm": 1e-6,
    "um": 1e-6,
    "micron": 1e-6,
    "microns": 1e-6,
    "micrometer": 1e-6,
    "nm": 1e-9,
    "å": 1e-10,
    "angstrom": 1e-10,
    "pm": 1e-12,
}
_VOLTS = {"v": 1.0, "volt": 1.0, "volts": 1.0, "kv": 1e3, "kev": 1e3}

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# "1,000" but not "0,267", which is a decimal comma and left unread.
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d)")
_DATE_PART = r"(\d{1,4})([-/.: ])\s?(\d{1,2})\2\s?(\d{1,4})(?!\d)"
_NUMERIC_DATE = re.compile(r"(?<!\d)" + _DATE_PART)
_NAMED_DATE = re.compile(r"(\d{1,2})[- ]([A-Za-z]{3})[a-z]*\.?[- ,]+(\d{4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_AFTERNOON = re.compile(r"\bp\.?m\b|오후|午後|下午", re.IGNORECASE)
_MORNING = re.compile(r"\ba\.?m\b|오전|午前|上午", re.IGNORECASE)


def number_and_unit(text: str) -> tuple[float, str] | None:
    """Split ``"8400 um"`` into 8400.0 and ``"um"``; None where there is no number."""
    text = _THOUSANDS.sub(lambda m: m.group().replace(",", ""), text.strip().lstrip("xX×=").strip())
    match = _NUMBER.match(text)
    if match is None:
        return None
    value = float(match.group())
    unit = text[match.end() :].strip().replace("\N{GREEK SMALL LETTER MU}", "µ")
    return (value, unit) if math.isfinite(value) else None


def length_m(text: str, default_unit: str | None = None) -> float | None:
    """Return a length in metres; None if there is no number or no known unit."""
    return _scaled(text, _METRES, default_unit)


def voltage_kv(text: str, default_unit: str | None = None) -> float | None:
    """Return a voltage in kilovolts; None if there is no number or no known unit."""
    volts = _scaled(text, _VOLTS, default_unit)
    return None if volts is None else volts / 1e3


def _scaled(text: str, scales: dict[str, float], default_unit: str | None) -> float | None:
    parts = number_and_unit(text)
    if parts is None:
        return None
    value, unit = parts
    scale = scales.get((unit or default_unit or "").lower())
    return None if scale is None else value * scale


def magnification(text: str) -> float | None:
    """Return the magnification of ``"x500"``, ``"1,000X"``, ``"10.0kX"`` or ``"5.00 K X"``."""
    parts = number_and_unit(text)
    if parts is None:
        return None
    value, unit = parts
    scale = {"": 1.0, "x": 1.0, "k": 1e3, "kx": 1e3, "m": 1e6, "mx": 1e6}.get(
        unit.lower().replace("×", "x").replace(" ", "")
    )
    return None if scale is None else value * scale


def parse_date(text: str, *, month_first: bool | None = None) -> date | None:
    """Return the date in a text.

    Year-first dates, month names, dotted dates (day first, DIN 5008) and dates with only one
    possible order are understood by themselves.

    Args:
        text: may hold more than the date.
        month_first: the order of day and month where both are possible; None knows no order.

    Returns:
        None if there is no date, or its order is open.
    """
    named = _NAMED_DATE.search(text)
    if named is not None and named[2].lower() in _MONTHS:
        return _date_or_none(int(named[3]), _MONTHS.index(named[2].lower()) + 1, int(named[1]))
    numeric = _NUMERIC_DATE.search(text)
    if numeric is None:
        return None
    first, separator, second, third = numeric.groups()
    return _numeric_date(first, separator, second, third, month_first)


def _numeric_date(
    first: str, separator: str, second: str, third: str, month_first: bool | None
) -> date | None:
    """Return the date of three numbers, of which the first or the last is a year in full."""
    if len(first) == 4:
        return _date_or_none(int(first), int(second), int(third))
    if len(third) != 4:
        return None
    by_day = _date_or_none(int(third), int(second), int(first))
    by_month = _date_or_none(int(third), int(first), int(second))
    if by_day is None or by_month is None or by_day == by_month:
        return by_day or by_month
    return _ordered(by_day, by_month, False if separator == "." else month_first)


def _ordered(by_day: date, by_month: date, month_first: bool | None) -> date | None:
    if month_first is None:
        return None
    return by_month if month_first else by_day


def _date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Return the time of day in a text, 12-hour clocks in English, Korean, Japanese and Chinese."""
    match = _TIME.search(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if _AFTERNOON.search(text) and hour < 12:
        hour += 12
    elif _MORNING.search(text) and hour == 12:
        hour = 0
    microsecond = int((match[4] or "").ljust(6, "0")[:6])
    try:
        return time(hour, minute, second, microsecond)
    except ValueError:
        return None


def is_twelve_hour(text: str) -> bool:
    """Return whether a time is on an English 12-hour clock, which goes with month-first dates."""
    return re.search(r"\b[ap]\.?m\b", text, re.IGNORECASE) is not None


@dataclass(slots=True)
class Statement:
    """Readings and findings as one source is gone through, field by field.

    A field that is there but says nothing usable becomes a finding; zero or less for a quantity
    that is always positive (beam off, stage not referenced) is no statement.
    """

    source: Source
    readings: list[Reading] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def has(self, quantity: Quantity) -> bool:
        """Return whether the quantity has been read already."""
        return any(reading.quantity is quantity for reading in self.readings)

    def add(self, quantity: Quantity, value: float | str | datetime, detail: str) -> None:
        """Record a reading, unless an earlier field stated the same quantity."""
        if not self.has(quantity):
            self.readings.append(Reading(quantity, self.source, value, detail=detail))

    def number(self, quantity: Quantity, value: float | None, detail: str, raw: object) -> None:
        """Record a positive number; `raw` is the field's text, for the finding."""
        if value is None:
            self.finding(
                "unreadable_field", f"{detail} says {str(raw)!r}, which is no {quantity.value}"
            )
        elif math.isfinite(value) and value > 0:
            # 12 digits: undoes the noise of a change of unit, keeps all that instruments state
            self.add(quantity, float(f"{value:.12g}"), detail)

    def text(self, quantity: Quantity, value: str | None, detail: str) -> None:
        """Record a text that is not blank."""
        if value is not None and value.strip():
            self.add(quantity, value.strip(), detail)

    def moment(self, day: date | None, clock: time | None, detail: str, raw: str) -> None:
        """Record a local time; without a day, or without a clock, there is none."""
        if not raw.strip():
            return
        if day is None or clock is None:
            self.finding(
                "unreadable_field",
                f"{detail} says {raw.strip()!r}: no time, or day and month could be either way",
            )
        elif 1980 <= day.year <= 2100:
            self.add(Quantity.ACQUIRED_AT, datetime.combine(day, clock), detail)
        else:
            self.finding("unreadable_field", f"{detail} says {raw.strip()!r}: not a plausible year")

    def pixel_size(self, x_m: float | None, y_m: float | None, detail: str, raw: object) -> None:
        """Record the pixel size along x in µm; a y that differs by over 1 % is a finding."""
        self.number(Quantity.PIXEL_SIZE_UM, None if x_m is None else x_m * 1e6, detail, raw)
        if x_m and y_m and abs(y_m / x_m - 1) > 0.01:
            self.finding(
                "pixels_not_square",
                f"{detail}: a pixel is {x_m * 1e6:g} µm wide and {y_m * 1e6:g} µm high; "
                "the width is used",
            )

    def finding(self, kind: str, detail: str) -> None:
        """Record something that a person should know."""
        self.findings.append(Finding(kind, detail))
