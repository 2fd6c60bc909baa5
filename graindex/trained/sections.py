"""A section of a model's page that only its training can draw.

Out of scope: the page (`graindex.trained.report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures and a table under a heading.

    Attributes:
        title: the heading.
        note: a sentence or two on how to read them.
        pictures: captions with JPEGs or PNGs.
        table: rows with the same keys, its headings.
    """

    title: str
    note: str
    pictures: Sequence[tuple[str, bytes]] = ()
    table: Sequence[Mapping[str, object]] = field(default=())
