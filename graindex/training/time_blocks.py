"""Blocks of time that no specimen or session lies across.

Out of scope: which block trains and which tests (`graindex.training.splits`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from graindex.training.groups import Codes, SplitError, parted
from graindex.training.point_in_time import Times


def times_of(rows: pa.Table) -> Times:
    """(N,) times of acquisition, datetime64[us].

    Raises:
        SplitError: rows without one.
    """
    acquired = rows["acquired_at"].cast(pa.timestamp("us"))
    if acquired.null_count:
        message = (
            f"{acquired.null_count} of {rows.num_rows} rows have no acquired_at, by which to split "
            "in time; leave them out with where 'acquired_at IS NOT NULL'"
        )
        raise SplitError(message)
    return np.asarray(acquired.to_numpy(), "datetime64[us]")


def chosen_boundaries(at: Times, groups: Codes, targets: Sequence[float]) -> list[datetime]:
    """Moments that cut the rows nearest to the given shares, where no group lies across.

    Args:
        at: (N,) times.
        groups: (N,) groups that must not be cut.
        targets: shares of the rows before each boundary, growing.

    Raises:
        SplitError: groups leave too few places to cut.
    """
    places, moments = _clean_cuts(at, groups)
    if len(places) < len(targets):
        message = (
            f"specimens and sessions leave {len(places)} places to cut the rows in time and "
            f"{len(targets)} are needed; ask for fewer blocks, or allow leakage"
        )
        raise SplitError(message)
    cuts: list[int] = []
    for position, target in enumerate(targets):
        # Leaves enough places for the boundaries still to come.
        free = np.arange(cuts[-1] + 1 if cuts else 0, len(places) - len(targets) + position + 1)
        cuts.append(int(free[np.abs(places[free] - target * len(at)).argmin()]))
    return [moments[cut].item() for cut in cuts]


def blocks_of(at: Times, boundaries: Sequence[datetime]) -> Codes:
    """(N,) number of the block that each row lies in; a boundary belongs to the later one."""
    edges = np.array(boundaries, "datetime64[us]")
    return np.searchsorted(edges, at, side="right").astype(np.int64)


def refuse_to_cut(
    rows: pa.Table, at: Times, blocks: Codes, kinds: Mapping[str, Codes], groups: Codes
) -> None:
    """Refuse boundaries that part what belongs together.

    Args:
        rows: column `entity_id`.
        at: (N,) times.
        blocks: (N,) blocks.
        kinds: (N,) codes of specimens, sessions and so on, by what they are called.
        groups: (N,) groups that they unite to.

    Raises:
        SplitError: says what lies across, where, and where else to cut.
    """
    for what, codes in kinds.items():
        across = parted(codes, blocks)
        if not len(across):
            continue
        inside = codes == across[0]
        start, end = at[inside].min().item(), at[inside].max().item()
        _, moments = _clean_cuts(at, groups)
        near = np.abs((moments - at[inside].min()).view(np.int64))
        hint = f"cut at {moments[near.argmin()].item()}" if len(moments) else "split otherwise"
        first = rows["entity_id"][int(np.flatnonzero(inside)[0])].as_py()
        message = (
            f"a split in time would leak: {len(across)} {what}s lie on both sides of a boundary, "
            f"first that of {first}, from {start} to {end}; {hint}, or allow leakage"
        )
        raise SplitError(message)


def _clean_cuts(at: Times, groups: Codes) -> tuple[Codes, Times]:
    """Places among the rows in order of time between which no group lies across, and the times.

    A place is the number of rows before it.
    """
    order = np.argsort(at, kind="stable")
    when = at[order]
    end = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(end, groups, at.view(np.int64))
    reach = np.maximum.accumulate(end[groups[order]])[:-1]
    places = np.flatnonzero(reach < when.view(np.int64)[1:]) + 1
    return places.astype(np.int64), when[places]
