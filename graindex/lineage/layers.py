"""Where the kinds of a lineage stand in a picture: layers from the files to what rests on them.

Out of scope: drawing (`graindex.lineage.picture`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Link = tuple[str, str]
"""Upstream and downstream kind."""

_SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """A layered drawing.

    Attributes:
        place: layer, from 0 at the left, and height of each kind, the middle of a layer at 0.
        routes: for each link the places it passes, both ends included.
        layer_count: number of layers.
        height: number of places in the fullest layer.
    """

    place: Mapping[str, tuple[int, float]]
    routes: Mapping[Link, Sequence[tuple[int, float]]]
    layer_count: int
    height: int


def layout(kinds: Sequence[str], links: Sequence[Link]) -> Layout:
    """Places for kinds such that every link leads to the right and few of them cross.

    Args:
        kinds: the kinds, upstream ones first.
        links: links between them, none of which leads back.
    """
    layer = _layers(kinds, links)
    paths = {link: _path(link, layer) for link in links}
    count = max(layer.values()) + 1
    columns: list[list[object]] = [[] for _ in range(count)]
    for kind in kinds:
        columns[layer[kind]].append(kind)
    for path in paths.values():
        for step, point in enumerate(path[1:-1], start=layer[str(path[0])] + 1):
            columns[step].append(point)
    _order(columns, [pair for path in paths.values() for pair in itertools.pairwise(path)])
    place = {
        point: (step, (len(column) - 1) / 2 - position)
        for step, column in enumerate(columns)
        for position, point in enumerate(column)
    }
    return Layout(
        {kind: place[kind] for kind in kinds},
        {link: [place[point] for point in path] for link, path in paths.items()},
        count,
        max(len(column) for column in columns),
    )


def _layers(kinds: Sequence[str], links: Sequence[Link]) -> dict[str, int]:
    """Layer of each kind: one past the last of those that it comes from."""
    layer = dict.fromkeys(kinds, 0)
    for _ in kinds:
        for upstream, downstream in links:
            layer[downstream] = max(layer[downstream], layer[upstream] + 1)
    # What nothing leads to stands right before what it leads to.
    for kind in kinds:
        after = [layer[down] for up, down in links if up == kind]
        if after and not any(down == kind for _, down in links):
            layer[kind] = min(after) - 1
    return layer


def _path(link: Link, layer: Mapping[str, int]) -> list[object]:
    """Ends of a link, with a point of its own in each layer between."""
    upstream, downstream = link
    between = [(link, step) for step in range(layer[upstream] + 1, layer[downstream])]
    return [upstream, *between, downstream]


def _order(columns: list[list[object]], pairs: Sequence[tuple[object, object]]) -> None:
    """Sort each layer by the mean height of its neighbours, to and fro."""
    before: dict[object, list[object]] = {}
    after: dict[object, list[object]] = {}
    for left, right in pairs:
        after.setdefault(left, []).append(right)
        before.setdefault(right, []).append(left)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        near = before if forth else after
        order = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for step in order:
            fixed = columns[step - 1 if forth else step + 1]
            height = {point: place / max(1, len(fixed) - 1) for place, point in enumerate(fixed)}
            own = {p: i / max(1, len(columns[step]) - 1) for i, p in enumerate(columns[step])}
            columns[step].sort(key=lambda p: _mean(near.get(p, ()), height, own[p]))


def _mean(points: Sequence[object], height: Mapping[object, float], default: float) -> float:
    known = [height[point] for point in points if point in height]
    return sum(known) / len(known) if known else default
