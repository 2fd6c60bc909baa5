"""Date and time of day as instruments print them.

Out of scope: everything else a databar says, which is `databar_text`.
"""

import re
from dataclasses import dataclass
from datetime import datetime

EARLIEST_YEAR = 1980
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

YEAR_FIRST = re.compile(r"(?<!\d)(?P<y>\d{4})([./-])(?P<m>\d{1,2})\2(?P<d>\d{2}|\d(?!\d))")
YEAR_LAST = re.compile(r"(?<!\d)(?P<a>\d{1,2})([./-])(?P<b>\d{1,2})\2(?P<y>\d{4})")
DAY_NAMED = re.compile(
    rf"(?<!\d)(?P<d>\d{{1,2}})[ -]?(?P<m>{'|'.join(MONTHS)})[a-z]*[ ,.-]*(?P<y>\d{{4}})(?!\d)",
    re.IGNORECASE,
)
MONTH_NAMED = re.compile(
    rf"(?P<m>{'|'.join(MONTHS)})[a-z]*[ .]*(?P<d>\d{{1,2}}),? *(?P<y>\d{{4}})(?!\d)", re.IGNORECASE
)
TIME = re.compile(
    r"(?<!\d)(?<!\d:)(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
    r"(?: ?(?P<half>[AP])\.?M)?",
    re.IGNORECASE,
)
TO_THE_MINUTE_S = 60.0
TO_THE_SECOND_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A local time as printed.

    Attributes:
        value: naive local time.
        uncertainty_s: 60 if printed to the minute, 1 if to the second.
        printed: the date and the time of day as they stand in the text.
        spans: where in the text: start and stop of the date, then of the time.
    """

    value: datetime
    uncertainty_s: float
    printed: str
    spans: tuple[tuple[int, int], tuple[int, int]]


def find_moment(text: str, *, month_first: bool, now: datetime) -> Moment | None:
    """Find the one date and the one time of day in a text.

    Args:
        text: any text; the date may be glued to the time (``2019.12.0319:33``).
        month_first: what ``3/4/2021`` means; where False such a date is ambiguous unless one of
            the two numbers exceeds 12 or both are equal.
        now: later moments are refused, as are years before 1980.

    Returns:
        The moment; None where date or time is missing, ambiguous, impossible or there are several.
    """
    found = _date(text, month_first=month_first)
    if found is None:
        return None
    (year, month, day), date = found
    rest = text[: date.start()] + " " * (date.end() - date.start()) + text[date.end() :]
    times = list(TIME.finditer(rest))
    if len(times) != 1:
        return None
    time = times[0]
    try:
        value = datetime(year, month, day, _hour(time), int(time["m"]), int(time["s"] or 0))
    except ValueError:
        return None
    if value.year < EARLIEST_YEAR or value > now:
        return None
    uncertainty_s = TO_THE_SECOND_S if time["s"] else TO_THE_MINUTE_S
    return Moment(value, uncertainty_s, f"{date[0]} {time[0]}", (date.span(), time.span()))


def _date(text: str, *, month_first: bool) -> tuple[tuple[int, int, int], re.Match[str]] | None:
    """Year, month, day and where they stand, if there is exactly one date."""
    patterns = (YEAR_FIRST, YEAR_LAST, DAY_NAMED, MONTH_NAMED)
    matches = [match for pattern in patterns for match in pattern.finditer(text)]
    if len(matches) != 1:
        return None
    match = matches[0]
    year = int(match["y"])
    if match.re is YEAR_FIRST:
        return (year, int(match["m"]), int(match["d"])), match
    if match.re is YEAR_LAST:
        order = _month_day(int(match["a"]), int(match["b"]), month_first=month_first)
        return None if order is None else ((year, *order), match)
    return (year, MONTHS.index(match["m"].lower()) + 1, int(match["d"])), match


def _month_day(first: int, second: int, *, month_first: bool) -> tuple[int, int] | None:
    """Which of two numbers is the month; None if nothing tells."""
    if month_first or first == second or second > 12:
        return first, second
    return (second, first) if first > 12 else None


def _hour(time: re.Match[str]) -> int:
    """Hour of the day, 0...24; the impossible ``13:00 PM`` gives 25."""
    hour = int(time["h"])
    if not time["half"]:
        return hour
    if not 1 <= hour <= 12:
        return 25
    return hour % 12 + (12 if time["half"].upper() == "P" else 0)
