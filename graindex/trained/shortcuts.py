"""Whether a model of images could be right for a wrong reason: brightness, settings.

Oh et al. (supplement, tables 2 to 4) compare brightness and contrast of the classes, and accuracy
by magnification and voltage. Here a model that knows nothing but brightness and contrast is tested
on the very rows that the model itself is tested on.
Out of scope: what already predicts a label before anything is trained (`graindex.confounding`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import ModelError
from graindex.trained.card import MetricCard
from graindex.trained.learning import Learning
from graindex.trained.scores import Scored, scored_rows
from graindex.trained.sections import Section
from models.learn.evaluation import evaluate
from models.learn.learner import Bools, CannotLearnError, Floats, Learner
from models.learn.logistic import Logistic
from models.learn.metrics import ALL
from models.learn.ridge import Ridge
from schemas.ddl import quote

if TYPE_CHECKING:
    from graindex.store import Store

Record = dict[str, Any]

ALONE = "brightness and contrast alone"
"""Part of the metrics of a model that knows nothing else."""

_COLUMNS = ("brightness_mean", "contrast_std")
_FOR_CLASSES = Logistic(penalties=(10.0, 1.0, 0.1, 0.01), scalings=((1.0, "none"),), inner_folds=3)
_SUSPICIOUS = 0.5  # share of the model's own headline
_LEAST_SKILL = 0.3
_MOST_VALUES = 30
_LEAST_ROWS = 5


def shortcut_scores(
    store: "Store", learning: Learning, left_out: Scored, by: Sequence[str], seed: int
) -> list[Scored]:
    """The left-out rows by brightness and contrast alone, and by values of columns.

    Args:
        store: where images and their quality lie.
        learning: a training set of images.
        left_out: predictions of the model itself.
        by: columns of the catalogue, such as magnification.
        seed: of the trainings.

    Raises:
        ModelError: a column that is not there, or has too many values.
    """
    alone = _alone(store, learning, left_out, seed)
    return [*([] if alone is None else [alone]), *_by_columns(store, learning, left_out, by, seed)]


def shortcut_warnings(metrics: Sequence[MetricCard], headline: str) -> Iterator[str]:
    """A warning where brightness and contrast alone come to much of what the model does."""
    values = {
        metric.part: metric.value
        for metric in metrics
        if metric.metric == headline and metric.evaluation != "train"
    }
    alone, whole = values.get(ALONE), values.get(ALL)
    if alone is None or whole is None or alone < max(_SUSPICIOUS * whole, _LEAST_SKILL):
        return
    yield (
        f"{ALONE} come to {headline} {alone:.2f}, the model to {whole:.2f}: how images were "
        "lit may be what it learned"
    )


def lighting_section(store: "Store", learning: Learning) -> Section | None:
    """Brightness and contrast of each class on each side of the split; None without classes."""
    values = lighting(store, learning)
    if not learning.classes or values is None:
        return None
    sides = np.array(learning.training_set.rows["side"].to_pylist())
    table = []
    for code, name in enumerate(learning.classes):
        for side in sorted(set(sides.tolist())):
            own = values[(learning.target == code) & (sides == side)]
            if not len(own):
                continue
            mean, deviation = own.mean(0), own.std(0)
            table.append(
                {
                    "class": name,
                    "side": side,
                    "images": len(own),
                    "brightness": f"{mean[0]:.1f} ± {deviation[0]:.1f}",
                    "contrast": f"{mean[1]:.1f} ± {deviation[1]:.1f}",
                }
            )
    note = (
        "Mean ± standard deviation over images of the mean grey level and of the grey levels' "
        "standard deviation, 0 to 255, without the databar. Metrics of a model that knows these "
        f"two numbers alone are called '{ALONE}'."
    )
    return Section("Brightness and contrast of the classes", note, (), table)


def lighting(store: "Store", learning: Learning) -> Floats | None:
    """(N, 2) brightness and contrast of each image; None where one is not known."""
    found = learning.training_set
    if found.kind != "micrograph":
        return None
    datasets = sorted(pc.unique(found.rows["dataset"]).to_pylist())
    columns = ("micrograph_id", *_COLUMNS)
    rows = pa.concat_tables(
        store.lake.read("image_quality", dataset, columns=columns, as_of=found.lake_snapshot)
        for dataset in datasets
    )
    place = pc.index_in(
        found.rows["entity_id"].combine_chunks(), value_set=rows["micrograph_id"].combine_chunks()
    )
    if place.null_count:
        return None
    values = np.stack([rows[name].take(place).to_numpy() for name in _COLUMNS], axis=1)
    return values if np.isfinite(values).all() else None


def _alone(store: "Store", learning: Learning, left_out: Scored, seed: int) -> Scored | None:
    values = lighting(store, learning)
    if values is None:
        return None
    learner: Learner = _FOR_CLASSES if learning.classes else Ridge()
    try:
        found = evaluate(
            learner,
            lambda mask: _curved(values, mask),
            learning.target,
            learning.groups,
            learning.weight,
            learning.folds,
            classes=len(learning.classes),
            seed=seed,
        )
    except CannotLearnError:
        return None  # which the model itself would have said
    scored = scored_rows(
        learning, left_out.evaluation, found.tested, found.fold, found.prediction, seed
    )
    return _named(scored, ALONE)


def _curved(values: Floats, mask: Bools) -> Floats:
    """(N, 5) both numbers, their squares and their product, standardised by the masked rows."""
    deviation = values[mask].std(0)
    one, other = ((values - values[mask].mean(0)) / np.where(deviation > 0, deviation, 1)).T
    return np.stack([one, other, one**2, other**2, one * other], axis=1)


def _by_columns(
    store: "Store", learning: Learning, left_out: Scored, by: Sequence[str], seed: int
) -> Iterator[Scored]:
    for name in by:
        values = _values(store, learning, name)
        known = sorted({value for value in values if value is not None}, key=str)
        if len(known) > _MOST_VALUES:
            message = (
                f"explain by {name!r}: it has {len(known)} values; name a column of at most "
                f"{_MOST_VALUES}"
            )
            raise ModelError(message)
        for value in known:
            own = left_out.rows & np.array([one == value for one in values])
            if own.sum() < _LEAST_ROWS:
                continue
            scored = scored_rows(
                learning, left_out.evaluation, own, left_out.fold, left_out.prediction, seed
            )
            told = f"{value:g}" if isinstance(value, float) else str(value)
            yield _named(scored, f"{name} {told}")


def _values(store: "Store", learning: Learning, name: str) -> list[Any]:
    found = learning.training_set
    if found.kind != "micrograph":
        raise ModelError(f"explain by {name!r} is of images, and rows are of a {found.kind}")
    as_of = found.lake_snapshot
    columns = store.table("FROM micrograph_catalog LIMIT 0", as_of=as_of).column_names
    if name not in columns:
        raise ModelError(f"explain by {name!r}, which is no column of micrograph_catalog")
    rows = store.table(
        f"SELECT micrograph_id, {quote(name)} AS value FROM micrograph_catalog", as_of=as_of
    )
    of = dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return [of.get(key) for key in found.rows["entity_id"].to_pylist()]


def _named(scored: Scored, part: str) -> Scored:
    """Its metrics of all rows under another name of the part."""
    metrics = tuple(replace(one, part=part) for one in scored.metrics if one.part == ALL)
    return replace(scored, metrics=metrics)
