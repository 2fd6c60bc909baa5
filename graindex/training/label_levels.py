"""Labels of one level, such as specimens: statements joined to entities by key and time.

Out of scope: which levels there are and in which order (`graindex.training.labels`).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.training.label_request import LabelRequest
from graindex.training.labellers import LabellerPolicy, Verdict, Votes, settle
from graindex.training.point_in_time import NONE, Indices, Statements, Times, holding

_NEVER = np.datetime64("NaT", "us")

JOINED = pa.schema(
    [
        ("row", pa.int64()),
        ("label_number", pa.float64()),
        ("label_text", pa.string()),
        ("labeller", pa.string()),
        ("measured_at", pa.timestamp("us", "UTC")),
    ]
)
"""A label as joined to a row."""


@dataclass(frozen=True, eq=False)
class Joined:
    """What one level says.

    Attributes:
        labels: columns of `JOINED`.
        contested: rows whose labellers disagree past the policy.
        silent: rows that have statements, of which none holds at their time.
    """

    labels: pa.Table
    contested: Indices
    silent: Indices


def join(
    statements: pa.Table, keys: pa.Array, at: Times, rows: Indices, request: LabelRequest
) -> Joined:
    """Join statements to rows.

    Args:
        statements: columns `entity_id, label_number, label_text, labeller, measured_at,
            recorded_at`; of equals the last counts.
        keys: (N,) key of what each entity takes statements of; null where there is none.
        at: (N,) datetime64[us]; not-a-time where unknown.
        rows: places among the N that are still open.
        request: timing and policy.
    """
    subjects = pc.unique(statements["entity_id"].combine_chunks())
    subject = pc.fill_null(pc.index_in(keys, value_set=subjects), NONE).to_numpy()[rows]
    stated = rows[subject != NONE]
    subject, when, case = _cases(subject[subject != NONE].astype(np.int64), at[stated])
    votes = _votes(statements, subjects, subject, when, request)
    verdict = settle(request.labellers, votes)
    decided = np.asarray(verdict.counted.any(axis=1))
    silent = np.asarray(~votes.cast.any(axis=1))
    labels = _labels(statements, request.labellers, votes, verdict)
    said, quiet = decided[case], silent[case]
    place = pa.array(stated[said])
    return Joined(
        labels.take(pa.array(case[said])).add_column(0, JOINED.field("row"), place),
        stated[~said & ~quiet],
        stated[quiet],
    )


def _cases(subject: Indices, at: Times) -> tuple[Indices, Times, Indices]:
    """Each pair of subject and time once, and which of them each row is.

    Particles of one image share theirs.
    """
    moments, moment = np.unique(at.view(np.int64), return_inverse=True)
    span = max(1, len(moments))
    pairs, case = np.unique(subject * span + moment, return_inverse=True)
    return pairs // span, moments[pairs % span].view("datetime64[us]"), case.astype(np.int64)


def _votes(
    statements: pa.Table, subjects: pa.Array, subject: Indices, at: Times, request: LabelRequest
) -> Votes:
    """Statement of each labeller that holds in each case; of whomever where the policy pools."""
    who = statements["labeller"].combine_chunks()
    labellers = ("",) if request.labellers.pools else tuple(sorted(pc.unique(who).to_pylist()))
    by = np.zeros(len(who), np.int64)
    if not request.labellers.pools:
        by = pc.index_in(who, value_set=pa.array(labellers)).to_numpy().astype(np.int64)
    about = pc.index_in(statements["entity_id"].combine_chunks(), value_set=subjects).to_numpy()
    made = Statements(
        about.astype(np.int64) * len(labellers) + by,
        _times(statements["measured_at"]),
        _times(statements["recorded_at"]),
    )
    every = (subject[:, None] * len(labellers) + np.arange(len(labellers))).ravel()
    tolerance = request.tolerance
    chosen = holding(
        made,
        every,
        np.repeat(at, len(labellers)),
        timing=request.timing,
        tolerance=None if tolerance is None else np.timedelta64(tolerance),
        unknown_time=request.unknown_time,
    )
    numbers = statements["label_number"].to_numpy()
    if statements["label_text"].null_count:
        codes = np.unique(numbers, return_inverse=True)[1]
    else:
        codes = pc.dictionary_encode(statements["label_text"].combine_chunks()).indices.to_numpy()
    return Votes(chosen.reshape(-1, len(labellers)), codes.astype(np.int64), numbers, labellers)


def _labels(
    statements: pa.Table, policy: LabellerPolicy, votes: Votes, verdict: Verdict
) -> pa.Table:
    """Label of each case; null where there is none."""
    counted = verdict.counted
    one = np.take_along_axis(votes.chosen, counted.argmax(axis=1)[:, None], axis=1)[:, 0]
    one = pa.array(one, mask=~counted.any(axis=1))
    numbers = statements["label_number"].take(one)
    if verdict.number is not None:
        numbers = pa.chunked_array([pa.array(verdict.number, from_pandas=True)])
    measured = np.where(counted, _times(statements["measured_at"])[votes.chosen], _NEVER)
    latest = measured.view(np.int64).max(axis=1).view("datetime64[us]")
    return pa.table(
        [
            numbers,
            statements["label_text"].take(one),
            _labeller(statements["labeller"].take(one), policy, votes, verdict),
            pa.array(latest, pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
        ],
        schema=pa.schema(list(JOINED)[1:]),
    )


def _labeller(
    who: pa.ChunkedArray, policy: LabellerPolicy, votes: Votes, verdict: Verdict
) -> pa.ChunkedArray:
    """Who states the label: one labeller, or how many together."""
    if policy.rule in {"latest", "priority"}:
        return who
    several = votes.cast.sum(axis=1)
    counts, which = np.unique(several, return_inverse=True)
    words = pa.array([f"{policy.rule} of {count}" for count in counts])
    return pc.if_else(pa.array(several > 1), words.take(pa.array(which)), who)


def _times(times: pa.ChunkedArray) -> Times:
    """Instants in UTC as datetime64[us]; not-a-time where null."""
    return np.asarray(times.cast(pa.timestamp("us")).to_numpy(), "datetime64[us]")
