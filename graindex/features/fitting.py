"""Normalisation, selection and filling of features, fitted on some rows and applied to any.

Out of scope: which rows train (`graindex.training.splits`), and models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.errors import FeatureError
from graindex.features.definition import FeatureSet, Normalise, Select
from graindex.features.matrix import Column, columns_of, feature_matrix
from graindex.features.packing import packed, unpacked
from graindex.features.scaling import (
    Flags,
    Floats,
    centre_and_scale,
    medians,
    missing_share,
    uncorrelated,
    variances,
)

ALL = ""
"""Name of the only batch where features are not normalised by batch."""

_LEAST_ROWS = 2
_BATCH_COLUMNS = {"dataset": "dataset", "session": "session_id", "sample": "sample_id"}


@dataclass(frozen=True)
class FittedFeatures:
    """What was fitted; makes a matrix of any rows of the same features.

    Attributes:
        columns: features that it takes, those left out included.
        names: names of the matrix's columns; the numbers of a vector as `vector[0]`.
        normalise: how values are scaled; None where they are left as they are.
        batches: names of the batches whose scale is known, sorted.
        centre: (batches, D) centres.
        scale: (batches, D) scales.
        fill: (D,) values in place of missing ones: medians of the fitted rows once normalised.
        missing: (D,) how many values were missing among the fitted rows.
        dropped: features that were left out, with the reason.
    """

    columns: tuple[Column, ...]
    names: tuple[str, ...]
    normalise: Normalise | None
    batches: tuple[str, ...]
    centre: Floats
    scale: Floats
    fill: Floats
    missing: npt.NDArray[np.int64]
    dropped: Mapping[str, str]

    def apply(self, columns: pa.Table, batches: pa.Table | None = None) -> Floats:
        """Matrix of the features that were kept, none missing.

        Args:
            columns: features as `FeatureValues.columns`; further ones are passed over.
            batches: columns `dataset, session_id, sample_id` of the same rows, as
                `FeatureValues.entities` has them; only the one that features are normalised by is
                looked at. A batch that was not there when fitted is scaled by the rows given.

        Returns:
            (N, D) matrix.

        Raises:
            FeatureError: a feature is absent or of another length, or a new batch has one row.
        """
        values = self._kept(feature_matrix(columns, self.columns))
        scaled = self._scaled(values, batch_names(self.normalise, batches, len(values)))
        return np.where(np.isnan(scaled), self.fill, scaled)

    def _kept(self, values: Floats) -> Floats:
        names = expanded_names(self.columns)
        place = {name: number for number, name in enumerate(names)}
        if self.names == names:
            return values
        return values[:, [place[name] for name in self.names]]

    def _scaled(self, values: Floats, names: npt.NDArray[np.str_]) -> Floats:
        known = {name: number for number, name in enumerate(self.batches)}
        scaled = np.empty_like(values)
        for name in np.unique(names):
            rows = names == name
            if str(name) in known:
                centre, scale = self.centre[known[str(name)]], self.scale[known[str(name)]]
            else:
                assert self.normalise is not None
                if rows.sum() < _LEAST_ROWS:
                    message = (
                        f"{self.normalise.by} {str(name)!r} was not there when features were "
                        "fitted, and one row does not tell its scale: give more rows of it"
                    )
                    raise FeatureError(message)
                centre, scale = centre_and_scale(values[rows], self.normalise.method)
            scaled[rows] = (values[rows] - centre) / scale
        return scaled

    def to_json(self) -> dict[str, Any]:
        """Itself as what JSON can hold, every number to the last bit."""
        return {
            "columns": [[column.name, column.width] for column in self.columns],
            "names": list(self.names),
            "normalise": None if self.normalise is None else self.normalise.model_dump(),
            "batches": list(self.batches),
            "centre": packed(self.centre),
            "scale": packed(self.scale),
            "fill": packed(self.fill),
            "missing": packed(self.missing),
            "dropped": dict(self.dropped),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "FittedFeatures":
        """What `to_json` gave."""
        normalise = content["normalise"]
        return cls(
            columns=tuple(Column(name, width) for name, width in content["columns"]),
            names=tuple(content["names"]),
            normalise=None if normalise is None else Normalise.model_validate(normalise),
            batches=tuple(content["batches"]),
            centre=unpacked(content["centre"]),
            scale=unpacked(content["scale"]),
            fill=unpacked(content["fill"]),
            missing=unpacked(content["missing"]),
            dropped=dict(content["dropped"]),
        )


def fit(
    definition: FeatureSet,
    columns: pa.Table,
    batches: pa.Table | None,
    rows: npt.NDArray[np.bool_],
) -> FittedFeatures:
    """Fit what a definition says of normalisation and selection.

    Missing values, variance, correlation and fillings are judged on the fitted rows. Scales are
    those of the fitted rows, or, by batch, of all rows of each batch: labels play no part in them.
    Features without any value in the fitted rows are always left out. Of vectors, single numbers
    are left out for their variance, and none for correlation.

    Args:
        definition: the feature set.
        columns: features as `FeatureValues.columns`.
        batches: columns `dataset, session_id, sample_id` of the same rows; None where features are
            not normalised by batch.
        rows: (N,) which rows to fit on.

    Raises:
        FeatureError: no row to fit on, every batch has one row, or no feature is left.
    """
    taken = columns_of(columns)
    values = feature_matrix(columns, taken)
    if not rows.any():
        message = f"feature set {definition.name!r}: there is no row to fit on"
        raise FeatureError(message)
    names = batch_names(definition.normalise, batches, len(values))
    known, centre, scale = _scales(definition, values, names, rows)
    place = np.searchsorted(known, names)
    selection = _Selection(definition, taken)
    selection.judge_missing(values[rows])
    selection.judge_variance(values[rows] - centre[place[rows]])
    scaled = (values[rows] - centre[place[rows]]) / scale[place[rows]]
    fill = medians(scaled)
    selection.judge_correlation(np.where(np.isnan(scaled), fill, scaled))
    kept = selection.kept
    return FittedFeatures(
        columns=taken,
        names=tuple(np.array(expanded_names(taken), object)[kept].tolist()),
        normalise=definition.normalise,
        batches=tuple(known.tolist()),
        centre=centre[:, kept],
        scale=scale[:, kept],
        fill=fill[kept],
        missing=np.isnan(values[rows]).sum(axis=0)[kept],
        dropped=selection.dropped,
    )


def batch_names(
    normalise: Normalise | None, batches: pa.Table | None, count: int
) -> npt.NDArray[np.str_]:
    """(N,) name of the batch of each row; rows without one are a batch of their collection.

    Raises:
        FeatureError: features are normalised by batch, and no batches are given.
    """
    if normalise is None or normalise.by is None:
        return np.full(count, ALL)
    if batches is None:
        message = f"features are normalised by {normalise.by}: give the {normalise.by} of each row"
        raise FeatureError(message)
    datasets = batches["dataset"].to_pylist()
    own = batches[_BATCH_COLUMNS[normalise.by]].to_pylist()
    if normalise.by == "dataset":
        return np.array(datasets, np.str_)
    return np.array([f"{d}:{b or ''}" for d, b in zip(datasets, own, strict=True)], np.str_)


def expanded_names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Names of the matrix's columns: of a vector one for each of its numbers."""
    return tuple(name for column in columns for name in column.names)


def _scales(
    definition: FeatureSet, values: Floats, names: npt.NDArray[np.str_], rows: Flags
) -> tuple[npt.NDArray[np.str_], Floats, Floats]:
    """Batches, and centre and scale in each."""
    known, sizes = np.unique(names, return_counts=True)
    if definition.normalise is None:
        shape = (1, values.shape[1])
        return known, np.zeros(shape), np.ones(shape)
    if definition.normalise.by is None:
        centre, scale = centre_and_scale(values[rows], definition.normalise.method)
        return known, centre[None], scale[None]
    if sizes.max() < _LEAST_ROWS:
        message = (
            f"feature set {definition.name!r}: every {definition.normalise.by} has one row, and "
            "nothing would be left of it: normalise by something larger"
        )
        raise FeatureError(message)
    pairs = [centre_and_scale(values[names == name], definition.normalise.method) for name in known]
    return known, np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


class _Selection:
    """Features that are kept, and why others are not."""

    def __init__(self, definition: FeatureSet, columns: tuple[Column, ...]) -> None:
        self._owner = f"feature set {definition.name!r}"
        self._limits = definition.select or Select()
        self._names = expanded_names(columns)
        widths = [column.width for column in columns]
        self._scalar = np.repeat([width is None for width in widths], [w or 1 for w in widths])
        self.kept = np.ones(len(self._names), bool)
        self.dropped: dict[str, str] = {}

    def judge_missing(self, values: Floats) -> None:
        """Leave out features without values, or with too few."""
        share = missing_share(values)
        self._drop(share == 1, lambda _: "no value in the fitted rows")
        if not self.kept.any():
            message = (
                f"{self._owner}: no feature has a value in the fitted rows "
                f"({next(iter(self.dropped))}, …): materialise what they are taken from"
            )
            raise FeatureError(message)
        limit = self._limits.max_missing
        if limit is not None:
            self._drop(share > limit, lambda place: f"missing in {share[place]:.1%} of the rows")

    def judge_variance(self, values: Floats) -> None:
        """Leave out features that hardly vary."""
        limit = self._limits.min_variance
        if limit is not None:
            found = variances(values)
            self._drop(found < limit, lambda place: f"variance {found[place]:.3g}")

    def judge_correlation(self, values: Floats) -> None:
        """Leave out features that go with an earlier one."""
        limit = self._limits.max_correlation
        places = np.flatnonzero(self.kept & self._scalar)
        if limit is not None and len(places):
            goes = np.zeros(len(self.kept), bool)
            goes[places] = ~uncorrelated(values[:, places], limit)
            self._drop(goes, lambda _: f"correlates more than {limit:g} with an earlier feature")
        if not self.kept.any():
            name, reason = next(iter(self.dropped.items()), ("none", "there is none"))
            message = (
                f"{self._owner}: selection leaves no feature ({name}: "
                f"{reason}, …): ask for less in select"
            )
            raise FeatureError(message)

    def _drop(self, goes: Flags, reason: Callable[[int], str]) -> None:
        for place in np.flatnonzero(goes & self.kept):
            self.dropped[self._names[place]] = reason(int(place))
        self.kept &= ~goes
