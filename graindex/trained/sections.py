"""A section of a model's page that only its training can draw.

Out of scope: the page (`graindex.trained.report`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures under a heading.

    Attributes:
        title: the heading.
        note: a sentence or two on how to read them.
        pictures: captions with JPEGs or PNGs.
    """

    title: str
    note: str
    pictures: Sequence[tuple[str, bytes]]
