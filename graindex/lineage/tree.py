"""Lineage as a tree for people: the first few of each kind, and how many more there are.

Out of scope: finding it (`graindex.lineage.walk`), pictures (`graindex.lineage.picture`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.lineage.kinds import KINDS, Node, spoken

FIRST_SHOWN = 3
_ORDER = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of the tree.

    Attributes:
        above: for each level above, whether more of that level follow.
        is_last: whether it is the last of its level.
        node: what stands there; None for the line that counts the rest.
        rest: kind and number of those that are not shown.
        is_repeated: whether what it leads to stands further up.
    """

    above: tuple[bool, ...]
    is_last: bool
    node: Node | None = None
    rest: tuple[str, int] = ("", 0)
    is_repeated: bool = False


class Branches:
    """What each thing leads to, in the direction of the walk."""

    def __init__(self, edges: pa.Table, *, forward: bool) -> None:
        near, far = ("upstream", "downstream") if forward else ("downstream", "upstream")
        order = pc.sort_indices(edges, [(f"{near}_kind", "ascending"), (f"{near}_id", "ascending")])
        edges = edges.take(order)
        self._far_kinds = edges[f"{far}_kind"]
        self._far_ids = edges[f"{far}_id"]
        kinds, ids = (edges[f"{near}_{part}"].combine_chunks() for part in ("kind", "id"))
        self._starts = _starts(kinds, ids)
        at = pa.array(self._starts[:-1])
        nodes = zip(kinds.take(at).to_pylist(), ids.take(at).to_pylist(), strict=True)
        self._place = {Node(kind, name): place for place, (kind, name) in enumerate(nodes)}

    def of(self, node: Node) -> dict[str, pa.Array]:
        """Ids that a thing leads to, by kind, upstream kinds first, each sorted."""
        place = self._place.get(node)
        if place is None:
            return {}
        first, last = self._starts[place : place + 2].tolist()
        kinds = self._far_kinds.slice(first, last - first)
        ids = self._far_ids.slice(first, last - first)
        found = sorted(pc.unique(kinds).to_pylist(), key=lambda kind: _ORDER[kind])
        return {
            kind: pc.unique(ids.filter(pc.equal(kinds, kind)).combine_chunks()).sort()
            for kind in found
        }


def _starts(kinds: pa.Array, ids: pa.Array) -> npt.NDArray[np.int64]:
    """Where each thing's edges begin among the sorted ones, and where the last end."""
    count = len(ids)
    if count == 0:
        return np.zeros(1, np.int64)
    differs = pc.or_(pc.not_equal(kinds[1:], kinds[:-1]), pc.not_equal(ids[1:], ids[:-1]))
    changes = np.flatnonzero(differs.to_numpy(zero_copy_only=False)) + 1
    return np.concatenate(([0], changes, [count])).astype(np.int64)


def shown_lines(start: Node, branches: Branches, first: int = FIRST_SHOWN) -> list[Shown]:
    """Lines of the tree under a thing, which is itself the first of them."""
    expanded: set[Node] = set()

    def below(node: Node, above: tuple[bool, ...]) -> Iterator[Shown]:
        lines = _children(branches.of(node), first)
        for number, (child, rest) in enumerate(lines, start=1):
            is_last = number == len(lines)
            if child is None:
                yield Shown(above, is_last, rest=rest)
                continue
            is_repeated = child in expanded and bool(branches.of(child))
            yield Shown(above, is_last, child, is_repeated=is_repeated)
            if child not in expanded:
                expanded.add(child)
                yield from below(child, (*above, not is_last))

    expanded.add(start)
    return [Shown((), True, start), *below(start, ())]


def _children(
    by_kind: dict[str, pa.Array], first: int
) -> list[tuple[Node | None, tuple[str, int]]]:
    lines: list[tuple[Node | None, tuple[str, int]]] = []
    for kind, ids in by_kind.items():
        lines += [(Node(kind, name), ("", 0)) for name in ids[:first].to_pylist()]
        if len(ids) > first:
            lines.append((None, (kind, len(ids) - first)))
    return lines


def tree_text(lines: Sequence[Shown], described: dict[Node, str]) -> str:
    """The tree as text."""
    start = lines[0].node
    assert start is not None
    texts = [_told(start, described)]
    for line in lines[1:]:
        lead = "".join("│  " if more else "   " for more in line.above)
        branch = "└─ " if line.is_last else "├─ "
        texts.append(f"{lead}{branch}{_line(line, described)}")
    return "\n".join(texts)


def _line(line: Shown, described: dict[Node, str]) -> str:
    if line.node is None:
        kind, count = line.rest
        words = KINDS[kind].plural if count > 1 else spoken(kind)
        return f"… {count:,} more {words}"
    return _told(line.node, described) + (" (see above)" if line.is_repeated else "")


def _told(node: Node, described: dict[Node, str]) -> str:
    text = described.get(node)
    return f"{spoken(node.kind)} {node.id}" + (f"  {text}" if text else "")
