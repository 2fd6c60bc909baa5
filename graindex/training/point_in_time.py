"""Which statement holds for a row at its time: joins that do not look ahead.

Out of scope: where statements and rows come from (`graindex.training.labels`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Timing = Literal["before", "after", "nearest", "any"]
UnknownTime = Literal["timeless", "latest"]
Times = npt.NDArray[np.datetime64]
Indices = npt.NDArray[np.int64]

NONE = -1
"""Index where no statement holds."""

_OLDEST = np.iinfo(np.int64).min  # what not-a-time is as a number


@dataclass(frozen=True, eq=False)
class Statements:
    """What was stated, of which series, and for when.

    Attributes:
        series: (M,) number of the series, such as a specimen.
        measured: (M,) datetime64[us]; not-a-time where the statement is timeless.
        recorded: (M,) datetime64[us]; of several statements for one time the one recorded last
            holds, and of those the last in order.
    """

    series: Indices
    measured: Times
    recorded: Times


def holding(
    statements: Statements,
    series: Indices,
    at: Times,
    *,
    timing: Timing = "before",
    tolerance: np.timedelta64 | None = None,
    unknown_time: UnknownTime = "timeless",
) -> Indices:
    """Index of the statement that holds for each row, or `NONE`.

    Timeless statements hold at any time, where no dated one does.

    Args:
        statements: what was stated.
        series: (N,) series that each row takes its statement from; below 0 for none.
        at: (N,) datetime64[us], time of each row; not-a-time where it is unknown.
        timing: `before` takes the latest statement measured at or before the row's time, `after`
            the earliest at or after it, `nearest` the nearer of the two (the earlier where both
            are as near), `any` the latest of all.
        tolerance: dated statements further from the row's time do not hold; not for `any`.
        unknown_time: rows of unknown time take timeless statements only, or the latest of all.

    Returns:
        (N,) indices into `statements`.
    """
    order = _last_of_each_time(statements)
    dated = order[~np.isnat(statements.measured[order])]
    timeless = order[np.isnat(statements.measured[order])]
    chosen = _dated(statements, dated, series, at, timing, tolerance, unknown_time)
    return np.where(chosen == NONE, _only(statements, timeless, series), chosen)


def _last_of_each_time(statements: Statements) -> Indices:
    """Statements by series and time, the one recorded last of each time."""
    when, recorded = _microseconds(statements.measured), _microseconds(statements.recorded)
    order = np.lexsort((recorded, when, statements.series)).astype(np.int64)
    series, when = statements.series[order], when[order]
    last = np.ones(len(order), bool)
    last[:-1] = (series[1:] != series[:-1]) | (when[1:] != when[:-1])
    return np.asarray(order[last], np.int64)


def _microseconds(times: Times) -> Indices:
    return times.astype("datetime64[us]").view(np.int64)


def _only(statements: Statements, timeless: Indices, series: Indices) -> Indices:
    """The one timeless statement of each row's series."""
    known = statements.series[timeless]
    place = np.searchsorted(known, series)
    found = np.append(timeless, NONE)[place]
    return np.where(np.append(known, NONE - 1)[place] == series, found, NONE)


def _dated(
    statements: Statements,
    dated: Indices,
    series: Indices,
    at: Times,
    timing: Timing,
    tolerance: np.timedelta64 | None,
    unknown_time: UnknownTime,
) -> Indices:
    owner = statements.series[dated]
    when = statements.measured[dated].astype("datetime64[us]")
    first, end = np.searchsorted(owner, series), np.searchsorted(owner, series, side="right")
    latest = np.where(end > first, end - 1, NONE)
    if timing == "any":
        return _indices(dated, latest)
    up_to, since = _around(owner, when, series, at)
    earlier = np.where(up_to > first, up_to - 1, NONE)
    later = np.where(since < end, since, NONE)
    chosen = {"before": earlier, "after": later}.get(timing)
    if chosen is None:
        nearer = _distance(when, later, at) < _distance(when, earlier, at)
        chosen = np.where((earlier == NONE) | ((later != NONE) & nearer), later, earlier)
    if tolerance is not None:
        far = _distance(when, chosen, at) > tolerance.astype("timedelta64[us]").view(np.int64)
        chosen = np.where(far, NONE, chosen)
    unknown = latest if unknown_time == "latest" else np.full(len(series), NONE)
    return _indices(dated, np.where(np.isnat(at), unknown, chosen))


def _around(
    owner: Indices, when: Times, series: Indices, at: Times
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each row, the end of the statements up to its time, and the start of those since."""
    known = ~np.isnat(at)
    times = np.unique(np.concatenate((when, at[known].astype("datetime64[us]"))))
    span = len(times) + 1
    ranks = np.searchsorted(times, np.where(known, at, times[0] if len(times) else at))
    # One number for series and time: both are counted, so that it does not overflow.
    stated, wanted = owner * span + np.searchsorted(times, when), series * span + ranks
    return np.searchsorted(stated, wanted, side="right"), np.searchsorted(stated, wanted)


def _distance(when: Times, chosen: npt.NDArray[np.intp], at: Times) -> Indices:
    """Microseconds between the chosen statements and the rows; 0 where there is none."""
    picked = np.append(when, np.datetime64("NaT"))[chosen]
    apart: Indices = np.abs(at.astype("datetime64[us]") - picked).view(np.int64)
    return np.where(apart == _OLDEST, 0, apart)


def _indices(dated: Indices, chosen: npt.NDArray[np.intp]) -> Indices:
    return np.append(dated, NONE)[chosen]
