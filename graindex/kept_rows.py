"""Rows of earlier runs that need not be computed again, of tables with many rows for each input.

Out of scope: what the rows are and what they rest on (`graindex.image_particles`,
`graindex.volume_particles`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def standing(rows: pa.Table, entity: str, wanted: Mapping[str, str], code_version: str) -> pa.Table:
    """Rows that today's code would make again from today's inputs.

    Args:
        rows: with `input_hash` and `code_version`.
        entity: column of what they were computed from, such as ``volume_id``.
        wanted: input hash of today by entity.
        code_version: of today.
    """
    pairs = pa.array([f"{key} {input_hash}" for key, input_hash in wanted.items()], pa.string())
    found = pc.binary_join_element_wise(rows[entity], rows["input_hash"], " ")
    return rows.filter(
        pc.and_(pc.is_in(found, pairs), pc.equal(rows["code_version"], code_version))
    )


def distinct(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The first row of each key: runs that were cut short may have saved the same rows twice."""
    places = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
    return rows.take(places.group_by(list(key)).aggregate([("place", "min")])["place_min"])
