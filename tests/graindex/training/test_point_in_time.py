"""Joins at a point in time, against a reference that looks at every statement of every row."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graindex.training.point_in_time import NONE, Statements, holding

NAT = np.datetime64("NaT")
TIMINGS = ("before", "after", "nearest", "any")
# Few moments, so that statements and rows often fall together; the far ends of time among them.
FAR = (datetime.min, datetime.max)
moments = st.one_of(
    st.none(),
    st.integers(0, 12).map(lambda n: datetime(2026, 1, 1, 0, 0, 0, n)),
    st.sampled_from(FAR),
)
stated = st.lists(st.tuples(st.integers(0, 3), moments, st.integers(0, 3)), max_size=14)
asked = st.lists(st.tuples(st.integers(-1, 4), moments), max_size=12)


def times(values):
    return np.array(values, "datetime64[us]")


def statements(rows) -> Statements:
    series, measured, recorded = zip(*rows, strict=True) if rows else ((), (), ())
    return Statements(
        np.array(series, np.int64),
        times(measured),
        times([datetime(2026, 2, 1 + n) for n in recorded]),
    )


def brute_force(rows, series, at, timing, tolerance, unknown_time) -> int:
    """The statement that holds, found by going through all of them."""
    best, best_rank = NONE, None
    for index, (owner, measured, recorded) in enumerate(rows):
        if owner != series:
            continue
        rank = (recorded, index)
        if measured is None:
            rank = (0, 0, *rank)
        elif at is None or timing == "any":
            if timing != "any" and unknown_time != "latest":
                continue
            rank = (1, (measured - datetime.min), *rank)
        else:
            apart = measured - at
            if measured != at and (measured > at) == (timing == "before") and timing != "nearest":
                continue
            if tolerance is not None and abs(apart) > tolerance:
                continue
            # Nearer first; of two that are as near the earlier.
            rank = (1, -abs(apart), apart.total_seconds() <= 0, *rank)
        if best_rank is None or rank > best_rank:
            best, best_rank = index, rank
    return best


@pytest.mark.parametrize("timing", TIMINGS)
@given(
    rows=stated,
    queries=asked,
    tolerance=st.sampled_from([None, 0, 1, 3]),
    unknown_time=st.sampled_from(["timeless", "latest"]),
)
@example(rows=[(0, FAR[0], 0), (0, FAR[1], 0)], queries=[(0, FAR[0]), (0, FAR[1])], tolerance=None,
         unknown_time="timeless")  # fmt: skip
def test_the_join_finds_what_a_search_through_everything_finds(
    timing, rows, queries, tolerance, unknown_time
):
    limit = None if tolerance is None else timedelta(microseconds=tolerance)
    found = holding(
        statements(rows),
        np.array([series for series, _ in queries], np.int64),
        times([at for _, at in queries]),
        timing=timing,
        tolerance=None if limit is None else np.timedelta64(limit),
        unknown_time=unknown_time,
    )
    want = [brute_force(rows, series, at, timing, limit, unknown_time) for series, at in queries]
    assert found.tolist() == want


@given(rows=stated, queries=asked)
def test_nothing_measured_later_is_seen_before(rows, queries):
    at = times([at for _, at in queries])
    series = np.array([series for series, _ in queries], np.int64)
    found = holding(statements(rows), series, at)
    for index, when in zip(found, at, strict=True):
        if index != NONE and rows[index][1] is not None:
            assert np.datetime64(rows[index][1]) <= when


@given(rows=stated, queries=asked, later=st.integers(13, 40))
def test_a_later_statement_changes_no_row_of_the_past(rows, queries, later):
    queries = [(series, at) for series, at in queries if at not in FAR]
    series = np.array([series for series, _ in queries], np.int64)
    at = times([at for _, at in queries])
    more = [*rows, *((n, datetime(2026, 1, 1, 0, 0, 0, later), 3) for n in range(5))]
    before, after = (holding(statements(r), series, at) for r in (rows, more))
    assert before.tolist() == after.tolist()


def test_a_correction_recorded_later_takes_the_place_of_what_it_corrects():
    moment = datetime(2026, 1, 1)
    rows = [(0, moment, 2), (0, moment, 1)]
    assert holding(statements(rows), np.array([0]), times([moment])).tolist() == [0]


def test_two_statements_as_near_give_the_earlier_one():
    rows = [(0, datetime(2026, 1, 3), 0), (0, datetime(2026, 1, 1), 0)]
    at = times([datetime(2026, 1, 2)])
    assert holding(statements(rows), np.array([0]), at, timing="nearest").tolist() == [1]


def test_no_statements_and_no_rows():
    nothing = statements([])
    assert holding(nothing, np.array([0, -1]), times([None, datetime(2026, 1, 1)])).tolist() == [
        NONE,
        NONE,
    ]
    assert holding(nothing, np.array([], np.int64), times([])).tolist() == []
