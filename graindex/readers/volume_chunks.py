"""Which chunk of a chunked array cannot be read, so that a message can name it.

Out of scope: reading what can be read.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from graindex.readers.frame import LIBRARY_ERRORS

Box = tuple[slice, ...]
Coordinates = tuple[int, ...]


def bounding_box(selection: Any, shape: tuple[int, ...]) -> Box:
    """Return the box that a basic selection (integers, slices, an ellipsis) lies in."""
    parts = list(selection) if isinstance(selection, tuple) else [selection]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    return tuple(_extent(part, size) for part, size in zip(parts, shape, strict=True))


def _extent(part: Any, size: int) -> slice:
    if isinstance(part, slice):
        start, stop, _ = part.indices(size)
        return slice(start, max(start, stop))
    index = int(part) % size
    return slice(index, index + 1)


def first_unreadable(
    box: Box, chunks: tuple[int, ...], read: Callable[[Box], object]
) -> tuple[Coordinates, BaseException] | None:
    """Return the first chunk within a box that cannot be read, with what the library raised."""
    for coordinates, part in _parts(box, chunks):
        try:
            read(part)
        except LIBRARY_ERRORS as error:
            return coordinates, error
    return None


def _parts(box: Box, chunks: tuple[int, ...]) -> Iterator[tuple[Coordinates, Box]]:
    ranges = [
        range(part.start // size, -(-part.stop // size))
        for part, size in zip(box, chunks, strict=True)
    ]
    for coordinates in itertools.product(*ranges):
        yield (
            coordinates,
            tuple(
                slice(max(part.start, at * size), min(part.stop, (at + 1) * size))
                for at, part, size in zip(coordinates, box, chunks, strict=True)
            ),
        )
