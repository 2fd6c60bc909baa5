"""Groups to parts, so that each part holds its share of the rows and of every class.

Out of scope: which rows make a group (`graindex.training.groups`).
"""

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


def allocate(counts: Counts, shares: Shares, turn: Counts, *, balanced: bool) -> Counts:
    """Part of each group.

    Groups are dealt one by one to where they disturb the shares least: in their turn, or, where
    classes are to be balanced, the large ones first, unless that comes out worse. As scikit-learn's
    StratifiedGroupKFold does, here for parts of unequal shares.

    Args:
        counts: (G, C) rows of each class in each group, G at least the number of parts.
        shares: (F,) share of the rows that each part shall hold.
        turn: (G,) a shuffle of the groups.
        balanced: mind classes; else rows alone.

    Returns:
        (G,) numbers of parts, none of which is empty.
    """
    sizes = counts.sum(axis=1, keepdims=True)
    plain = _filled(sizes, shares, _deal(sizes, shares, turn))
    if not balanced:
        return plain
    whole = np.concatenate((sizes, counts[:, counts.any(axis=0)]), axis=1)
    weight = ((whole / whole.sum(axis=0)) ** 2).sum(axis=1)
    large_first = turn[np.argsort(-weight[turn], kind="stable")]
    dealt = _filled(whole, shares, _deal(whole, shares, large_first))
    return min((dealt, plain), key=lambda parts: imbalance(whole, shares, parts))


def imbalance(counts: Counts, shares: Shares, parts: Counts) -> float:
    """How far parts are from their shares of each class: 0 where every one is as wanted.

    The mean over classes of χ² of the shares, Σ (share found − share wanted)² / share wanted.
    """
    found = np.zeros((len(shares), counts.shape[1]))
    np.add.at(found, parts, counts)
    apart = found / np.maximum(1, counts.sum(axis=0)) - shares[:, None]
    return float((apart**2 / shares[:, None]).sum(axis=0).mean())


def _deal(counts: Counts, shares: Shares, turn: Counts) -> Counts:
    """Deal groups in order to the part where χ² grows least; the first of equals."""
    rate = 1 / counts.sum(axis=0).astype(np.float64) ** 2
    held = np.zeros((len(shares), counts.shape[1]))
    parts = np.empty(len(counts), np.int64)
    for group in turn:
        cost = ((2 * held + counts[group]) * (counts[group] * rate)).sum(axis=1) / shares
        parts[group] = cost.argmin()
        held[parts[group]] += counts[group]
    return parts


def _filled(counts: Counts, shares: Shares, parts: Counts) -> Counts:
    """The parts, each empty one with the group that is missed least elsewhere."""
    for part in range(len(shares)):
        if part in parts:
            continue
        spare = [group for group in range(len(parts)) if (parts == parts[group]).sum() > 1]
        moved = [np.where(np.arange(len(parts)) == group, part, parts) for group in spare]
        parts = min(moved, key=lambda one: imbalance(counts, shares, one))
    return parts
