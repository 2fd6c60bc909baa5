"""Rows that a split must not part: of one specimen or session, or showing the same.

Out of scope: which group goes where (`graindex.training.splits`).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import GraindexError

Codes = npt.NDArray[np.int64]
Pair = tuple[str, str]

NONE = -1
"""Code of a row that a column says nothing of."""

MICROGRAPH = "micrograph"
BLOCK = "block"
"""Particles of one block of a volume or an image; blocks of one specimen are told apart."""

WORDS = {"sample": "sample_id", "session": "session_id", "dataset": "dataset"}
"""What rows are grouped by, besides the words above and columns of `samples`, and its column."""


class SplitError(GraindexError):
    """A split that would leak, or cannot be made."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Rows in groups.

    Attributes:
        codes: (N,) number of each row's group, from 0, in the order of their first rows.
        notes: what a person should know.
    """

    codes: Codes
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many groups there are."""
        return count_of(self.codes)


def group_rows(
    rows: pa.Table, by: Sequence[str], duplicates: Sequence[Pair], *, allow_leakage: bool = False
) -> Grouping:
    """Unite rows that share anything in `by`, are of one specimen or image, or near-duplicates.

    Args:
        rows: columns `dataset, entity_id, sample_id, session_id`, `content_hash` where rows share
            images, `block` where it is asked for, and those of `samples` in `by`.
        by: sample, session, dataset, and columns whose values together make a group. `micrograph`
            keeps all images apart, `block` all blocks of particles; both are refused where that
            parts what belongs together.
        duplicates: pairs of `entity_id`; images that are no rows join others all the same.
        allow_leakage: let `micrograph` and `block` part specimens and near-duplicates.

    Raises:
        SplitError: a column that is not there, or `micrograph` or `block` parts what belongs
            together.
    """
    specimens, same = codes_of(rows, ("sample_id",)), codes_of_pairs(rows, duplicates)
    images = connected((_images(rows),))
    notes: list[str] = []
    if MICROGRAPH in by:
        if not allow_leakage:
            _refuse_to_part(rows, images, specimens, same)
        return Grouping(images, ())
    if BLOCK in by:
        blocks = codes_of(rows, (BLOCK,))
        if not allow_leakage:
            raise SplitError(
                "a split by block tests particles with others of their own specimen: it tells how "
                "well one electrode is known, not how a new one will be; split by sample, or allow "
                "leakage"
            )
        return Grouping(blocks, ())
    named: dict[str, tuple[str, ...]] = {
        word: (WORDS[word],) for word in by if word in WORDS and word != "sample"
    }
    columns = tuple(name for name in by if name not in WORDS)
    named |= {" and ".join(columns): columns} if columns else {}
    keys = {name: codes_of(rows, of) for name, of in named.items()}
    for name, codes in keys.items():
        if missing := int((codes == NONE).sum()):
            notes.append(f"{missing} rows without {name} are grouped by specimen and image alone")
    if missing := int((specimens == NONE).sum()):
        notes.append(f"{missing} rows of no specimen are grouped by image alone")
    apart = connected((*keys.values(), specimens, images))
    codes = connected((apart, same))
    if count_of(apart) > count_of(codes):
        notes.append(f"near-duplicates join {count_of(apart)} groups to {count_of(codes)}")
    return Grouping(codes, tuple(notes))


def connected(keys: Sequence[Codes]) -> Codes:
    """Groups of rows that hang together through equal codes of any key.

    Args:
        keys: (N,) codes each; rows without one hang together with nobody through it.

    Returns:
        (N,) numbers of groups, from 0, in the order of their first rows.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415  takes a while, and is needed here alone
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    count = len(keys[0])
    rows, nodes, size = [], [], count
    for codes in keys:
        known = np.flatnonzero(codes != NONE)
        rows.append(known)
        nodes.append(codes[known] + size)
        size += count_of(codes)
    edges = (np.concatenate(rows), np.concatenate(nodes))
    graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(size, size))
    return _numbered(connected_components(graph, directed=False)[1][:count])


def codes_of(rows: pa.Table, columns: Sequence[str]) -> Codes:
    """(N,) one number for each combination of values; `NONE` where all of them are null.

    Raises:
        SplitError: a column is not there.
    """
    whole = np.zeros(rows.num_rows, np.int64)
    null = np.ones(rows.num_rows, bool)
    for name in columns:
        if name not in rows.column_names:
            raise _no_column(rows, name)
        values = pc.dictionary_encode(rows[name].combine_chunks())
        codes = pc.fill_null(values.indices, NONE).to_numpy().astype(np.int64)
        null &= codes == NONE
        whole = np.unique(whole * (len(values.dictionary) + 1) + codes + 1, return_inverse=True)[1]
    return np.where(null, NONE, whole).astype(np.int64)


def count_of(codes: Codes) -> int:
    """How many codes there are, from 0."""
    return int(codes.max(initial=NONE)) + 1


def parted(codes: Codes, sides: Codes) -> Codes:
    """Codes that stand on several sides.

    Args:
        codes: (N,) codes of groups; `NONE` is no group.
        sides: (N,) side of each row; `NONE` is no side.
    """
    known = (codes != NONE) & (sides != NONE)
    pairs = np.unique(np.stack((codes[known], sides[known])), axis=1)
    found, times = np.unique(pairs[0], return_counts=True)
    return found[times > 1]


def codes_of_pairs(rows: pa.Table, duplicates: Sequence[Pair]) -> Codes:
    """(N,) number of what a row shows; `NONE` where nothing shows the same."""
    if not duplicates:
        return np.full(rows.num_rows, NONE)
    ends = pa.array([end for pair in duplicates for end in pair], pa.string())
    ids = pc.unique(ends)
    pair = np.repeat(np.arange(len(duplicates)), 2)
    place = pc.index_in(ends, value_set=ids).to_numpy().astype(np.int64)
    groups = np.zeros(len(ids), np.int64)
    groups[place] = connected((place, pair))
    of_row = pc.fill_null(pc.index_in(rows["entity_id"], value_set=ids), NONE).to_numpy()
    return np.where(of_row == NONE, NONE, groups[of_row])


def _images(rows: pa.Table) -> Codes:
    """(N,) image that a row is, or is a part of; pages of one file and copies of it are one."""
    if "content_hash" not in rows.column_names:
        return np.full(rows.num_rows, NONE)
    return codes_of(rows, ("content_hash",))


def _refuse_to_part(rows: pa.Table, images: Codes, specimens: Codes, same: Codes) -> None:
    several, twins = parted(specimens, images), parted(same, images)
    if not len(several) and not len(twins):
        return
    what = [f"{len(several)} specimens have several images"] if len(several) else []
    what += [f"{len(twins)} near-duplicates would be parted"] if len(twins) else []
    first = np.flatnonzero(np.isin(specimens, several) | np.isin(same, twins))[0]
    message = (
        f"a split by micrograph would leak: {' and '.join(what)}, first that of "
        f"{rows['entity_id'][int(first)].as_py()}; split by sample, or allow leakage"
    )
    raise SplitError(message)


def _no_column(rows: pa.Table, name: str) -> SplitError:
    words = {*WORDS, MICROGRAPH, BLOCK}
    close = difflib.get_close_matches(name, sorted({*rows.column_names, *words}), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"or {', '.join(sorted(words))}"
    return SplitError(f"a split goes by {name!r}, which is no column of samples; {hint}")


def _numbered(labels: npt.NDArray[np.int32]) -> Codes:
    """Numbers in the order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse], np.int64)
