"""What a name or an id stands for: a model, a prediction, an image, a column, a file, ...

Out of scope: where it leads (`graindex.lineage.walk`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from graindex.errors import QueryError
from graindex.lineage.kinds import KINDS, Node
from graindex.lineage.reading import LineageReading
from schemas.ddl import literal
from schemas.field import HEX_ID, HEX_SHA256
from schemas.tables import TABLES

_NAME = r"[a-z][a-z0-9_]{0,63}"
_MODEL = re.compile(rf"({_NAME})(?:@([1-9]\d*))?")
_WITHIN = re.compile(rf"((?:{_NAME}@[1-9]\d*)|[0-9a-f]{{16}}):(.+)")
_KEYS = (
    ("micrograph", "micrographs", "micrograph_id"),
    ("volume", "volumes", "volume_id"),
    ("sample", "samples", "sample_id"),
    ("training_set", "training_sets", "training_set_id"),
    ("label", "labels", "label_id"),
    ("particle", "particles_2d", "particle_id"),
    ("particle", "particles_3d", "particle_id"),
)
_VERSIONED = (("model", "model_runs", "model"), ("feature_set", "feature_sets", "feature_set"))
_PLACES = (
    ("micrographs", ("path", "uri"), "content_hash"),
    ("volumes", ("grey_uri", "path", "uri"), "grey_hash"),
    ("volumes", ("phases_uri",), "phases_hash"),
    ("volumes", ("labels_uri",), "labels_hash"),
    ("particle_annotations", ("annotation_uri",), "annotation_hash"),
)


def node_of(reading: LineageReading, name: str) -> Node:
    """The thing that a text names.

    Args:
        reading: the tables.
        name: ``model`` or ``model@2`` (also of a feature set), ``model@2:entity_id`` (a
            prediction), ``training_set_id:entity_id`` (a training row), a key of a training set,
            image, volume, particle, specimen or statement of a label, the name of a collection,
            ``table.column``, the path, URI or content hash of a file, or ``kind=id``.

    Raises:
        QueryError: it names nothing that is known, or a path several files.
    """
    for candidates in (_told, _column, _key, _within, _versioned, _dataset, _file):
        for node in candidates(reading, name):
            return node
    gone = reading.query(
        f"SELECT max(withdrawn_at) AS at FROM {reading['withdrawals']} "
        f"WHERE entity_id = {literal(name)}"
    )["at"][0].as_py()
    if gone is not None:
        message = f"{name!r} was withdrawn on {gone:%Y-%m-%d}: nothing rests on it any more"
        raise QueryError(message)
    message = (
        f"{name!r} is no model, training set, prediction, collection, table.column, file, nor key "
        "of an image, volume, particle or specimen that the store knows; see graindex models, "
        "graindex training-sets and graindex status"
    )
    raise QueryError(message)


def _told(_reading: LineageReading, name: str) -> Iterator[Node]:
    """``kind=id``, for kinds whose id another kind has as well."""
    kind, equals, identity = name.partition("=")
    if equals and kind in KINDS:
        yield Node(kind, identity)


def _column(reading: LineageReading, name: str) -> Iterator[Node]:
    table, _, column = name.partition(".")
    if table not in TABLES:
        return
    if column in TABLES[table].columns:
        yield Node("column", name)
    elif TABLES[table].is_open and column:
        known = reading.query(f"DESCRIBE {reading[table]}")["column_name"].to_pylist()
        if column in known:
            yield Node("column", name)


def _key(reading: LineageReading, name: str) -> Iterator[Node]:
    if re.fullmatch(HEX_SHA256, name):
        for table, _, key in _PLACES:
            if _has(reading, table, f"{key} = {literal(name)}"):
                yield Node("file", name)
    if re.fullmatch(HEX_ID, name):
        for kind, table, key in _KEYS:
            if _has(reading, table, f"{key} = {literal(name)}"):
                yield Node(kind, name)


def _within(reading: LineageReading, name: str) -> Iterator[Node]:
    """A prediction, a training row, or a feature of a set."""
    match = _WITHIN.fullmatch(name)
    if match is None:
        return
    whole, part = match[1], literal(match[2])
    title, _, version = whole.partition("@")
    if not version:
        if _has(
            reading, "training_rows", f"training_set_id = {literal(whole)} AND entity_id = {part}"
        ):
            yield Node("training_row", name)
        return
    of_model = f"model = {literal(title)} AND model_version = {version}"
    if _has(reading, "predictions", f"{of_model} AND entity_id = {part}"):
        yield Node("prediction", name)
    of_set = f"feature_set = {literal(title)} AND feature_set_version = {version}"
    if _has(reading, "feature_set_columns", f"{of_set} AND feature = {part}"):
        yield Node("feature", name)


def _versioned(reading: LineageReading, name: str) -> Iterator[Node]:
    match = _MODEL.fullmatch(name)
    if match is None:
        return
    for kind, table, key in _VERSIONED:
        number = f"{key}_version"
        found = reading.query(
            f"SELECT {number} AS version FROM {reading[table]} WHERE {key} = {literal(match[1])}"
        )["version"].to_pylist()
        if match[2] is None and found:
            yield Node(kind, f"{name}@{max(found)}")
        elif match[2] is not None and int(match[2]) in found:
            yield Node(kind, name)


def _dataset(reading: LineageReading, name: str) -> Iterator[Node]:
    if _has(reading, "datasets", f"dataset = {literal(name)}"):
        yield Node("dataset", name)


def _file(reading: LineageReading, name: str) -> Iterator[Node]:
    """A file by its path in the collection, its URI, or its path on this machine.

    Raises:
        QueryError: several files have this path.
    """
    texts = ", ".join(literal(text) for text in dict.fromkeys((name, str(Path(name).absolute()))))
    found: set[str] = set()
    for table, places, key in _PLACES:
        condition = " OR ".join(f"{place} IN ({texts})" for place in places)
        found.update(
            reading.query(
                f"SELECT DISTINCT {key} AS hash FROM {reading[table]} "
                f"WHERE ({condition}) AND {key} IS NOT NULL"
            )["hash"].to_pylist()
        )
    if len(found) > 1:
        message = f"{name!r} is the path of {len(found)} files: give the URI or content hash of one"
        raise QueryError(message)
    yield from (Node("file", one) for one in found)


def _has(reading: LineageReading, table: str, condition: str) -> bool:
    return bool(reading.query(f"SELECT 1 FROM {reading[table]} WHERE {condition} LIMIT 1").num_rows)
