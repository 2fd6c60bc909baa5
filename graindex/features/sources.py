"""Values of the entries of a feature set: columns, texts, statistics of parts, vectors.

Each entry is computed for the entities that its table tells of, and carried from there to those
that features are of. Out of scope: what is allowed (`graindex.features.plan`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.entities import EntityKind
from graindex.errors import FeatureError
from graindex.features.definition import (
    ColumnFeatures,
    OneHotFeatures,
    PartFeatures,
    Source,
    VectorFeature,
)
from graindex.features.frames import Frame, Values, floats, link_query, vectors
from graindex.features.grouped import grouped_statistics, weighted_means
from graindex.features.levels import level_of
from graindex.parallel import in_threads
from schemas.ddl import literal, quote

# Columns at a time: each needs as much memory again as the parts' keys and itself.
_THREADS = 2


def source_values(entry: Source, frame: Frame) -> Values:
    """Values of an entry's features for the entities of a frame, by name.

    Raises:
        FeatureError: an entity stands in a table several times, or encoders are mixed.
    """
    if isinstance(entry, VectorFeature):
        images = frame if frame.kind == "micrograph" else _other(frame, "micrograph")
        return frame.carried_from(images, {f"{entry.prefix}vector": _vectors(entry, images)})
    if isinstance(entry, PartFeatures):
        return _of_parts(entry, frame)
    expressions = _numbers(entry) if isinstance(entry, ColumnFeatures) else _indicators(entry)
    values: Values = {}
    for table, columns in expressions.items():
        kind = level_of(table, frame.kind, frame.particles).kind
        home = frame if frame.kind == kind else _other(frame, kind)
        values |= frame.carried_from(home, _columns(table, columns, home))
    return values


def _numbers(entry: ColumnFeatures) -> dict[str, dict[str, str]]:
    """Expressions by table and name of the feature."""
    expressions: dict[str, dict[str, str]] = {}
    for column in entry.columns:
        table, _, name = column.partition(".")
        expressions.setdefault(table, {})[f"{entry.prefix}{name}"] = _double(name)
    return expressions


def _indicators(entry: OneHotFeatures) -> dict[str, dict[str, str]]:
    expressions: dict[str, dict[str, str]] = {}
    for column, texts in entry.one_hot.items():
        table, _, name = column.partition(".")
        for text in texts:
            same = f"CAST(CAST(s.{quote(name)} AS VARCHAR) = {literal(text)} AS DOUBLE)"
            expressions.setdefault(table, {})[f"{entry.prefix}{name}_{text}"] = same
    return expressions


def _columns(table: str, expressions: dict[str, str], frame: Frame) -> Values:
    """Columns of a table with one row per entity of the frame."""
    level = level_of(table, frame.kind, frame.particles)
    wanted = ", ".join(f"{value} AS {quote(name)}" for name, value in expressions.items())
    rows = frame.reading.query(f"""
        SELECT e.position AS " position", e.dataset AS " dataset", e.entity_id AS " id", {wanted}
        FROM {frame.name} e
        LEFT JOIN {frame.reading.table(table)} s
          ON s.dataset = e.dataset AND s.{level.key} = e.entity_id AND {frame.of_datasets("s")}
        ORDER BY " position"
    """)
    if rows.num_rows != len(frame):
        place = np.flatnonzero(np.diff(rows[" position"].to_numpy()) == 0)[0]
        dataset, key = rows[" dataset"][place].as_py(), rows[" id"][place].as_py()
        message = (
            f"{table} has several rows of {level.kind} {key} of {dataset} in snapshot "
            f"{frame.reading.as_of}: materialise the collection again "
            f"(graindex materialize --dataset {dataset})"
        )
        raise FeatureError(message)
    return {name: rows[name].combine_chunks() for name in expressions}


def _of_parts(entry: PartFeatures, frame: Frame) -> Values:
    level = level_of(entry.table, frame.kind, frame.particles)
    if not entry.pooled and level.kind != frame.kind:
        home = _other(frame, level.kind)
        return frame.carried_from(home, _of_parts(entry, home))
    names = list(dict.fromkeys((*entry.columns, *_weight(entry))))
    wanted = "".join(f", p.{quote(name)} AS {quote(name)}" for name in names)
    parts = frame.reading.query(f"""
        SELECT e.position AS " position"{wanted} FROM ({_parts(entry, names, frame)}) p
        {_entity_of_part(level.kind, frame)}
    """)
    groups = parts[" position"].to_numpy()
    values: Values = {}
    if "count" in entry.statistics:
        values[f"{entry.prefix}{entry.table}_count"] = _counts(groups, level.counted_in, frame)
    measured = [statistic for statistic in entry.statistics if statistic != "count"]

    def measure(name: str) -> dict[str, npt.NDArray[np.float64]]:
        numbers = parts[name].to_numpy()
        if entry.weighted_by is None:
            return grouped_statistics(groups, numbers, len(frame), measured)
        weights = parts[entry.weighted_by].to_numpy()
        return {"mean": weighted_means(groups, numbers, weights, len(frame))}

    for name, found in in_threads(measure, entry.columns, expected=(), workers=_THREADS):
        assert isinstance(found, dict)
        for statistic in measured:
            values[f"{entry.prefix}{name}_{statistic}"] = floats(found[statistic])
    return values


def _weight(entry: PartFeatures) -> Sequence[str]:
    return [] if entry.weighted_by is None else [entry.weighted_by]


def _parts(entry: PartFeatures, names: Sequence[str], frame: Frame) -> str:
    """Query of the rows that are parts; its own, so that conditions see the table alone."""
    reading = frame.reading
    known = reading.columns(entry.table)
    key = level_of(entry.table, frame.kind, frame.particles).key
    conditions = [frame.of_datasets("s")]
    if entry.border == "exclude" and "touches_border" in known:
        conditions.append("s.touches_border IS NOT TRUE")
    if entry.min_confidence is not None:
        unknown = "true" if entry.null_confidence == "keep" else "false"
        enough = f"s.segmentation_confidence >= {entry.min_confidence!r}"
        conditions.append(f"coalesce({enough}, {unknown})")
    if entry.where is not None:
        conditions.append(f"({entry.where}\n)")
    # Without nulls the numbers reach NumPy as they are.
    numbers = "".join(
        f", coalesce({_double(name)}, 'nan'::DOUBLE) AS {quote(name)}" for name in names
    )
    return (
        f"SELECT s.dataset, s.{key} AS part_of{numbers} FROM {reading.table(entry.table)} s "
        f"WHERE {' AND '.join(conditions)}"
    )


def _entity_of_part(kind: EntityKind, frame: Frame) -> str:
    """Join from parts `p` to the entities `e` that they belong to."""
    if kind == frame.kind:
        return f"JOIN {frame.name} e ON e.dataset = p.dataset AND e.entity_id = p.part_of"
    link = link_query(frame.reading, kind, frame.kind, frame.particles)
    return f"""
        JOIN ({link}) k ON k.dataset = p.dataset AND k.low = p.part_of
        JOIN {frame.name} e ON e.dataset = k.dataset AND e.entity_id = k.high
    """


def _counts(groups: npt.NDArray[np.int64], counted_in: str | None, frame: Frame) -> pa.Array:
    """Parts of each entity; none where they were looked for, missing where they were not."""
    counts = np.bincount(groups, minlength=len(frame)).astype(np.float64)
    if counted_in is not None:
        level = level_of(counted_in, frame.kind, frame.particles)
        seen = frame.reading.query(f"""
            SELECT DISTINCT e.position FROM (
                SELECT s.dataset, s.{level.key} AS part_of
                FROM {frame.reading.table(counted_in)} s WHERE {frame.of_datasets("s")}
            ) p {_entity_of_part(level.kind, frame)}
        """)
        unseen = np.ones(len(frame), bool)
        unseen[seen["position"].to_numpy()] = False
        counts[unseen & (counts == 0)] = np.nan
    return floats(counts)


def _vectors(entry: VectorFeature, images: Frame) -> pa.Array:
    """Vectors of the images, missing where an image has none.

    Raises:
        FeatureError: no image has one, or they are by different encoders.
    """
    from graindex.vector_history import vectors_as_of  # noqa: PLC0415

    reading = images.reading
    tables = {
        name: vectors_as_of(reading.store, name, reading.as_of, entry.vector)
        for name in images.datasets
    }
    encoders = {
        encoder: name
        for name, table in tables.items()
        for encoder in table["encoder_id"].unique().to_pylist()
    }
    if len(encoders) > 1:
        told = ", ".join(f"{encoder} in {name}" for encoder, name in sorted(encoders.items()))
        message = f"vectors are by different encoders ({told}): materialise micrograph_vectors anew"
        raise FeatureError(message)
    if not encoders:
        if len(images) == 0:
            return pa.array([], pa.list_(pa.float32(), 0))
        message = (
            f"no image of {', '.join(images.datasets)} has a vector in table {entry.vector!r} as "
            f"of snapshot {reading.as_of}: materialise micrograph_vectors, or name another table"
        )
        raise FeatureError(message)
    width = next(t["vector"].type.list_size for t in tables.values() if t.num_rows)
    numbers = np.full((len(images), width), np.nan)
    for name, table in tables.items():
        of_dataset = pc.equal(images.entities["dataset"], name)
        position = np.flatnonzero(of_dataset.to_numpy())
        keys = images.entities["entity_id"].filter(of_dataset)
        place = pc.index_in(keys, value_set=table["micrograph_id"].combine_chunks())
        found = place.is_valid().to_numpy()
        rows = place.drop_null().to_numpy()
        flat = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, width)
        scale = 1.0 if entry.unit else table["vector_norm"].to_numpy()[rows, None]
        numbers[position[found]] = flat[rows].astype(np.float64) * scale
    return vectors(numbers)


def _other(frame: Frame, kind: EntityKind) -> Frame:
    return frame.other(kind, frame.particles)


def _double(name: str) -> str:
    """A column as a number, null where it is not finite."""
    number = f"CAST(s.{quote(name)} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"
