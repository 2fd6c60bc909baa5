"""Links of a circular plot: where their curves run, how they are drawn, where their signs stand.

Out of scope: the page around them (`models.explain.circular_plot`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.explain.correlations import compare_links, links
from models.learn.learner import Floats

POSITIVE, NEGATIVE = "#0072B2", "#D55E00"  # Okabe and Ito
RING, OUTERMOST = (95.0, 100.0), 105.0
"""Radii of the ring that the curves end at, and of the axes, in the plot's own units."""
THICKEST_PT, SIGN_PT = 2.6, 4.6
"""Width of a curve for |r| = 1, and size of a sign."""

_PALE = 0.3
"""Share of the colour that a pale link keeps; the rest is white."""

_EVERYWHERE = np.linspace(0, 1, 61)
_PLACES = 0.5 + np.cumsum([0.03 * step * (-1) ** step for step in range(28)])
"""Shares of a curve where its sign may stand, from the middle outwards."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link between two places on the circle.

    Attributes:
        names: of the two columns.
        angles: of both ends, radians clockwise from the top.
        strength: r.
        pale: it is common to both matrices.
    """

    names: tuple[str, str]
    angles: tuple[float, float]
    strength: float
    pale: bool

    @property
    def width(self) -> float:
        """Of the line, in points."""
        return THICKEST_PT * abs(self.strength)

    @property
    def colour(self) -> str:
        """Blue above 0, vermilion below; blended with white where pale."""
        colour = POSITIVE if self.strength > 0 else NEGATIVE
        return _blended(colour, _PALE) if self.pale else colour

    @property
    def bend(self) -> float:
        """Radius of the curve's control point: neighbours are linked along the rim."""
        apart = abs(self.angles[0] - self.angles[1])
        return 60 * (1 - min(apart, 2 * np.pi - apart) / np.pi)

    def curve(self, at: Floats) -> Floats:
        """Points (K, 2) of the curve, right and up, at (K,) shares of its length from 0 to 1."""
        first, last = (RING[0] * _direction(angle) for angle in self.angles)
        middle = self.bend * _direction(sum(self.angles) / 2)
        if abs(self.angles[0] - self.angles[1]) > np.pi:
            middle = -middle
        t = at[:, None]
        return np.asarray((1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last, float)


def placed_links(
    correlations: Floats,
    names: Sequence[str],
    edges: Mapping[str, tuple[float, float]],
    threshold: float,
    other: Floats | None,
) -> list[Link]:
    """Links of a matrix (D, D), the pale ones first.

    Ends are spread over each name's arc in the order of the names they go to, so that few cross.

    Args:
        correlations: (D, D).
        names: of the columns.
        edges: angles at which each name's arc begins and ends, radians clockwise from the top.
        threshold: least |r| of a link.
        other: (D, D); links that it has too, with the same sign, are pale.
    """
    strong = links(correlations, threshold)
    pale = np.zeros_like(strong)
    if other is not None:
        pale = compare_links(correlations, other, threshold).common
    middle = {name: float(np.mean(edges[name])) for name in names}
    end: dict[tuple[int, int], float] = {}
    for here, name in enumerate(names):
        partners = np.flatnonzero(strong[here]).tolist()
        partners.sort(key=lambda there: -((middle[names[there]] - middle[name]) % (2 * np.pi)))
        places = np.linspace(*edges[name], len(partners) + 2)[1:-1]
        end.update({(here, there): place for there, place in zip(partners, places, strict=True)})
    drawn = [
        Link(
            (names[here], names[there]),
            (end[here, there], end[there, here]),
            float(correlations[here, there]),
            bool(pale[here, there]),
        )
        for here, there in np.argwhere(np.triu(strong)).tolist()
    ]
    return sorted(drawn, key=lambda link: (not link.pale, abs(link.strength)))


def draw_link(circos: Any, link: Link, edges: Mapping[str, tuple[float, float]]) -> None:
    """Add the curve of a link to a pycirclize plot."""
    ends = [
        (name, (angle - edges[name][0]) / (edges[name][1] - edges[name][0]))
        for name, angle in zip(link.names, link.angles, strict=True)
    ]
    # the library takes the middle of two angles, which is opposite where 0 lies between them
    around = abs(link.angles[0] - link.angles[1]) > np.pi
    circos.link_line(
        *ends,
        color=link.colour,
        height_ratio=0.5 + (link.bend if around else -link.bend) / 100,
        lw=link.width,
        zorder=2 if link.pale else 3,
        gid=f"link {link.names[0]} {link.names[1]}",
    )


def draw_signs(axes: Any, drawn: Sequence[Link]) -> None:
    """A sign on every link, clear of other signs and, where it can be, of other curves.

    The dark and strong links choose first, and as near to their middle as they can.
    """
    size = SIGN_PT * OUTERMOST / (axes.get_window_extent().width / 2 * 72 / axes.figure.dpi)
    taken = np.empty((0, 2))
    curves = {link.names: link.curve(_EVERYWHERE) for link in drawn}
    for link in reversed(drawn):
        points = link.curve(_PLACES)
        others = [curve for names, curve in curves.items() if names != link.names]
        beside = np.concatenate([np.empty((0, 2)), *others])
        clear = 2 * np.minimum(_room(points, taken) / (1.15 * size), 1)
        clear += np.minimum(_room(points, beside) / (0.6 * size), 1)
        right, up = points[int(clear.argmax())]
        taken = np.vstack([taken, [right, up]])
        place = [[np.arctan2(right, up)], [np.hypot(right, up)]]
        marker = "+" if link.strength > 0 else "_"
        edge = {"mec": link.colour, "mew": 0.5, "mfc": "white"}
        axes.plot(*place, "o", ms=SIGN_PT, zorder=4, clip_on=False, **edge)
        sign = {"mec": "#777777" if link.pale else "black", "mew": 0.7, "gid": "sign"}
        axes.plot(*place, marker, ms=0.62 * SIGN_PT, zorder=5, clip_on=False, **sign)


def _room(points: Floats, others: Floats) -> Floats:
    """Distance (K,) of points (K, 2) to the nearest of others (M, 2)."""
    apart = np.linalg.norm(points[:, None] - others, axis=2)
    return np.asarray(apart.min(1, initial=np.inf), float)


def _direction(angle: float) -> Floats:
    """Right and up, of an angle clockwise from the top."""
    return np.array([np.sin(angle), np.cos(angle)])


def _blended(colour: str, share: float) -> str:
    from matplotlib.colors import to_hex, to_rgb  # noqa: PLC0415

    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return str(to_hex((red, green, blue)))
