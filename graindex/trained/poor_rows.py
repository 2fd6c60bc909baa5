"""Features that are the same in every row, and classes of a single group: what little they teach.

Out of scope: labels that are no numbers (`graindex.training.labels`), other warnings
(`graindex.trained.learning`).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from graindex.errors import ModelError
from graindex.trained.learning import Learning


def refuse_constant_features(learning: Learning) -> None:
    """Refuse rows that no feature tells apart.

    Raises:
        ModelError: every feature is the same in every row that trains.
    """
    names = learning.training_set.features.column_names
    same = list(_constant(learning))
    if names and len(same) == len(names):
        name, value = same[0]
        more = f", and so are the other {len(same) - 1}" if len(same) > 1 else ""
        message = (
            f"feature {name!r} is {value} in every row that trains{more}: take features that differ"
        )
        raise ModelError(message)


def poor_row_warnings(learning: Learning) -> Iterator[str]:
    """A line for each feature that never differs, and for each class of a single group."""
    for name, value in _constant(learning):
        yield f"feature {name!r} is {value} in every row that trains: it tells nothing"
    for code, name in enumerate(learning.classes):
        groups = np.unique(learning.groups[learning.target == code])
        if len(groups) == 1:
            yield (
                f"class {name!r} is of a single specimen or group: it is never learned and tested "
                "at once, so that what is said of it means nothing"
            )


def _constant(learning: Learning) -> Iterator[tuple[str, str]]:
    """Names and values of features that are numbers or texts, the same wherever they are known."""
    features = learning.training_set.features
    chosen = pa.array(learning.final)
    for name in features.column_names:
        column = features[name]
        if pa.types.is_nested(column.type):
            continue  # numbers of a vector are not told apart
        values = column.filter(chosen).drop_null().unique().to_pylist()
        known = {value for value in values if value == value}  # noqa: PLR0124 (NaN is not itself)
        if len(known) == 1:
            (value,) = known
            yield name, f"{value:g}" if isinstance(value, float) else repr(value)
