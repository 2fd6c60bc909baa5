"""The same computation for many images: in threads, finished ones saved, failures by image.

Out of scope: what is computed (`graindex.image_particles`), and which images need it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from graindex.checkpoint import Checkpoint
from graindex.errors import HomeError, OriginalError
from graindex.location import Location
from graindex.parallel import in_threads
from graindex.progress import report
from graindex.readers.frame import UnreadableImageError
from graindex.records import Record
from models.measure.arrays import InvalidVolumeError

R = TypeVar("R")

SAVE_EVERY = 50
"""Images between checkpoints: a minute or two of segmentation on two cores."""

_EXPECTED = (OriginalError, UnreadableImageError, InvalidVolumeError)


def each_image(
    location: Location,
    table: str,
    dataset: str,
    images: Sequence[Record],
    compute: Callable[[Record], R],
    as_rows: Callable[[list[R]], pa.Table],
) -> tuple[list[R], dict[str, str]]:
    """Compute something of every image, going on past those that cannot be used.

    Args:
        location: the store, in whose checkpoint finished rows are saved.
        table: of the rows, and name of the work.
        dataset: the collection.
        images: rows with `micrograph_id` and `uri`.
        compute: what is to be done, in threads.
        as_rows: results as rows of the table, to be saved.

    Returns:
        Results in any order, and why the others have none, by `micrograph_id`.

    Raises:
        HomeError: the store cannot be written.
    """
    work = Checkpoint(location, table, dataset)
    results: list[R] = []
    saved = 0
    refused: dict[str, str] = {}
    report(table, 0, len(images))
    finished = in_threads(compute, images, expected=_EXPECTED)
    for done, (image, result) in enumerate(finished, start=1):
        if isinstance(result, OriginalError):
            refused[str(image["micrograph_id"])] = str(result)
        elif isinstance(result, Exception):
            refused[str(image["micrograph_id"])] = f"{image['uri']}: {result}"
        else:
            results.append(result)
        if len(results) - saved >= SAVE_EVERY:
            with writing(location):
                work.save_tables({table: as_rows(results[saved:])})
            saved = len(results)
        report(table, done, len(images))
    return results, refused


@contextmanager
def writing(location: Location) -> Iterator[None]:
    """Say in one line that the home cannot be written.

    Raises:
        HomeError: the disk is full, or forbids it.
    """
    try:
        yield
    except OSError as error:
        why = " ".join(str(error.strerror or error).split())
        message = f"home {location.home!r} cannot be written: {why}; make room and run again"
        raise HomeError(message) from error
