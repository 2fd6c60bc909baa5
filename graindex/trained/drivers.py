"""What drives a model, as rows of the tables `shap_values` and `importances`.

Out of scope: importance itself (`models.explain`), pictures (`graindex.trained.driver_figures`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from graindex.errors import ModelError
from graindex.progress import report
from graindex.trained.explain_request import ExplainRequest
from graindex.trained.learning import Learning
from graindex.training.assembling import with_samples
from models.explain.importance import Importance, grouped, importance_of, repeated
from models.learn.kernel_shapley import MOST_COLUMNS
from models.learn.learner import (
    Bools,
    CannotLearnError,
    Explainable,
    Floats,
    Ints,
    Rows,
    Shapley,
)
from models.learn.metrics import ALL

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]
_SINGLE, _UNTOLD = "it looks at a single feature:", "its method does not tell:"
_MIXED = (
    f"numbers of several features stand in one block of more than {MOST_COLUMNS}: name smaller "
    "blocks in its parameters, or"
)
_NUMBER_OF_A_VECTOR = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Drivers:
    """What drives a model, the model itself left out.

    Attributes:
        shap: rows of the table `shap_values`.
        importances: rows of the table `importances`.
    """

    shap: Sequence[Record] = field(default=())
    importances: Sequence[Record] = field(default=())

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the rows that were looked at, all of them first."""
        return tuple(dict.fromkeys(row["part"] for row in self.importances))

    def ranked(self, parts: Sequence[str]) -> list[str]:
        """Features by their mean share of importance over parts, the greatest first."""
        total: dict[str, float] = {}
        for row in self.importances:
            if row["strategy"] == "model" and row["part"] in parts:
                total[row["feature"]] = total.get(row["feature"], 0.0) + row["importance_share"]
        return sorted(total, key=lambda name: -total[name])


@dataclass(frozen=True, slots=True, eq=False)
class _Features:
    """G features over D columns of a matrix: the numbers of a vector are one feature.

    `columns` has for each its columns, `values` (N, G) what a person would read; NaN for a vector.
    """

    names: tuple[str, ...]
    columns: Sequence[Ints]
    values: Floats


def refuse_what_cannot_be_told(
    store: "Store", learner: object, learning: Learning, request: ExplainRequest
) -> None:
    """Refuse what a training of hours would end in.

    Raises:
        ModelError: drivers are asked for of a method that does not tell, or a comparison by a
            column that is not there.
    """
    if not hasattr(learner, "fit_to_explain"):
        _nothing(request, _UNTOLD)
    parts_of(store, learning, request)


def drivers_of(
    store: "Store",
    learner: Any,
    fitted: Any,
    learning: Learning,
    matrix: Floats,
    names: Sequence[str],
    request: ExplainRequest,
    seed: int,
) -> Drivers:
    """What drives a model of numbers; nothing where it looks at a single feature.

    Args:
        store: where specimens lie, of which a comparison asks.
        learner: a learner.
        fitted: its model of all rows that trained.
        learning: the training set.
        matrix: (N, D) features of all rows.
        names: of the D columns.
        request: what is asked for.
        seed: of the draws.

    Raises:
        ModelError: a comparison by a column that is not there, or rows that allow no fit.
    """
    features = _features(learning, names)
    if not hasattr(fitted, "shapley") or len(features.names) < 2:
        single = len(features.names) < 2
        return _nothing(request, _SINGLE if single else _UNTOLD)
    shap: list[Record] = []
    importances: list[Record] = []
    whole = Rows(matrix, learning.target, learning.groups, learning.weight)
    for part, chosen in parts_of(store, learning, request).items():
        rows, kept = whole.of(chosen), _kept(chosen, request.rows, seed)
        judged = whole.of(np.isin(np.arange(len(chosen)), kept))
        try:
            model = fitted if part == ALL else cast(Explainable, learner).fit_to_explain(rows, seed)
            told = model.shapley(judged.x)
            if _mixed(told, features):
                return _nothing(request, _MIXED)
            values = told.values
            found = [importance_of(values, judged, features.columns, "model")]
            if part != ALL or request.compare is None:  # what is compared is repeated
                found += _repeats(learner, rows, judged, features, request, seed, part)
        except CannotLearnError as error:
            raise ModelError(f"what drives {part} cannot be told: {error}") from error
        importances += [row for one in found for row in _importance_records(one, part, features)]
        shap += _shap_records(grouped(values, features.columns), learning, features, kept, part)
    return Drivers(shap, importances)


def _nothing(request: ExplainRequest, why: str) -> Drivers:
    """No drivers, for a reason.

    Raises:
        ModelError: they are asked for.
    """
    if request.draws or request.seeds or request.compare or request.autoencoder:
        message = f"explain asks what drives the model, and {why} leave explain out"
        raise ModelError(message)
    return Drivers()


def _mixed(told: Shapley, features: _Features) -> bool:
    """Whether values that are known together are of several features."""
    return any(
        not any(np.isin(together, own).all() for own in features.columns)
        for together in told.together
    )


def _features(learning: Learning, names: Sequence[str]) -> _Features:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(_NUMBER_OF_A_VECTOR.sub("", name), []).append(place)
    raw = learning.training_set.features
    values = np.full((len(learning.target), len(places)), np.nan)
    for column, name in enumerate(places):
        if name in raw.column_names and len(places[name]) == 1:
            values[:, column] = raw[name].to_numpy()
    columns = [np.array(own, np.int64) for own in places.values()]
    return _Features(tuple(places), columns, values)


def parts_of(store: "Store", learning: Learning, request: ExplainRequest) -> Mapping[str, Bools]:
    """Rows (N,) of each part: all that train, and those of each value that is compared.

    Raises:
        ModelError: a comparison by a column that is not there, or has a single value.
    """
    parts = {ALL: learning.final}
    if request.compare is None:
        return parts
    found, name = learning.training_set, request.compare
    rows = with_samples(store, found.rows, (name,), found.lake_snapshot)
    if name not in rows.column_names:
        message = f"explain compares by {name!r}, which is no column of samples"
        raise ModelError(message)
    values = rows[name].to_pylist()
    known = sorted({value for value in values if value is not None}, key=_order)
    if len(known) < 2:
        message = f"explain compares by {name!r}, of which the rows have {len(known)} value"
        raise ModelError(message)
    for value in known:
        own = np.array([one == value for one in values]) & learning.final
        parts[f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"] = own
    return parts


def _order(value: object) -> tuple[bool, Any]:
    return (isinstance(value, str), value)


def _kept(chosen: Bools, most: int, seed: int) -> Ints:
    """Places of at most so many of the chosen rows, in order."""
    places = np.flatnonzero(chosen)
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(seed).permutation(places)[:most])


def _repeats(
    learner: Explainable,
    rows: Rows,
    judged: Rows,
    features: _Features,
    request: ExplainRequest,
    seed: int,
    part: str,
) -> Iterator[Importance]:
    found = repeated(
        learner,
        rows,
        judged,
        features.columns,
        draws=request.draws,
        draw_rows=request.draw_rows,
        seeds=request.seeds,
        seed=seed,
    )
    for done, one in enumerate(found, start=1):
        report(f"what drives {part}", done, request.draws + request.seeds)
        yield one


def _importance_records(one: Importance, part: str, features: _Features) -> Iterator[Record]:
    for place, name in enumerate(features.names):
        pearson = float(one.pearson[place])
        yield {
            "part": part,
            "strategy": one.strategy,
            "repeat": one.repeat,
            "feature": name,
            "importance": float(one.total[place]),
            "importance_share": float(one.share[place]),
            "pearson_r": pearson if np.isfinite(pearson) else None,
            "row_count": one.rows,
        }


def _shap_records(
    values: Floats, learning: Learning, features: _Features, kept: Ints, part: str
) -> Iterator[Record]:
    """Rows for Shapley values (K, G) of the kept rows."""
    ids = learning.training_set.rows["entity_id"].to_pylist()
    datasets = learning.training_set.rows["dataset"].to_pylist()
    for at, row in enumerate(kept.tolist()):
        for place, name in enumerate(features.names):
            raw = float(features.values[row, place])
            yield {
                "part": part,
                "entity_id": ids[row],
                "dataset": datasets[row],
                "feature": name,
                "feature_value": raw if np.isfinite(raw) else None,
                "shap_value": float(values[at, place]),
            }
