"""Columns of specimens that a person gives for image files, such as a sintering temperature.

Out of scope: what a model needs of them (`graindex.trained.image_features`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from graindex.errors import ModelError
from graindex.sample_table import SAMPLE_KEY, column_name, read_sample_table
from graindex.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class Given:
    """What a person says of specimens, by the names of columns of `samples`.

    Attributes:
        everywhere: texts of every image.
        of_images: texts of a table's cells, by image and column; images as the table names them.
        table: where the table lies; None without one.
    """

    everywhere: Mapping[str, str] = field(default_factory=dict)
    of_images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    table: str | None = None

    @property
    def names(self) -> set[str]:
        """Columns that something is given of."""
        return set(self.everywhere) | {name for row in self.of_images.values() for name in row}

    def text(self, name: str, image: str) -> str | None:
        """What is given of a column for an image; None where nothing is."""
        if name in self.everywhere:
            return self.everywhere[name]
        return self._row(image).get(name, "") or None

    def number(self, name: str, image: str) -> float | None:
        """A column's number for an image; None where nothing is given.

        Raises:
            ModelError: what is given is no finite number.
        """
        text = self.text(name, image)
        if text is None:
            return None
        what = name if name in self.everywhere else f"{self.table}: {name} of {image}"
        return _number(text, what)

    def refuse_unknown(self, known: Sequence[str], reference: str) -> None:
        """Refuse a column that a model does not take; a table may have further ones.

        Raises:
            ModelError: it is given for all images.
        """
        for name in self.everywhere:
            if name not in known:
                message = (
                    f"model {reference} takes no {name} to be given: {suggestion(name, known)}"
                )
                raise ModelError(message)

    def missing(self, known: Sequence[str], images: Iterable[str]) -> list[str]:
        """Columns of those that some image lacks."""
        asked = list(images)
        return [name for name in known if any(self.text(name, one) is None for one in asked)]

    def lacking(self, images: Iterable[str]) -> Iterator[str]:
        """Images that the table has no row of; none without a table."""
        return (image for image in images if self.table is not None and not self._row(image))

    def _row(self, image: str) -> Mapping[str, str]:
        if self.table is None:
            return {}
        beside, asked = _beside(image, self.table), _posix(image)
        if beside in self.of_images:
            return self.of_images[beside]
        there = Path(self.table).parent / asked
        if asked in self.of_images and not Path(asked).is_absolute() and there.exists():
            message = f"{asked!r} of {self.table} is another file there: write its whole path"
            raise ModelError(message)
        return self.of_images.get(asked, {})


def given_columns(texts: Sequence[str] = (), table: str | None = None) -> Given:
    """What a person gives, as NAME=VALUE and as a CSV with a column `path`, `file` or `image`.

    The table names images as they are asked about, or by their path relative to itself.

    Raises:
        ModelError: not of this form, or a column given twice.
        CollectionError: the table cannot be read, or joins no images.
    """
    everywhere: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = column_name(name)
        if not (name and equals and value.strip()):
            message = f"{text!r} gives no column: write NAME=VALUE, as temperature_c=1200"
            raise ModelError(message)
        if name in everywhere:
            raise ModelError(f"{name} is given twice: give it once")
        everywhere[name] = value.strip()
    if table is None:
        return Given(everywhere)
    read = read_sample_table(table)
    if read.key == SAMPLE_KEY:
        message = f"{table} joins by {SAMPLE_KEY}, which image files lack: name a column path"
        raise ModelError(message)
    given = Given(everywhere, read.rows, table)
    for name in everywhere:
        if any(name in row for row in read.rows.values()):
            raise ModelError(f"{name} is given twice, for all images and in {table}: give it once")
    return given


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ModelError(f"{what} is {text.strip()!r}, which is no finite number")
    return number


def _posix(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _beside(image: str, table: str) -> str:
    """Path of an image relative to the folder of a table; empty where it lies elsewhere."""
    if "://" in image or "://" in table:
        return ""
    there, folder = Path(image).resolve(), Path(table).resolve().parent
    return there.relative_to(folder).as_posix() if there.is_relative_to(folder) else ""
